/* SPDX-License-Identifier: MIT
 *
 * Plain rooms: a line each for the query, what stands behind /sse/,
 * Last-Event-ID and the name of an event; the rest is what is said.  Whoever
 * gets in hears it octet for octet; over a stream of events each line begins
 * as it must, and put together again they are the text.
 */
#include "fuzz.h"

#include "common/json.h"
#include "common/log.h"
#include "common/util.h"
#include "worker/fake.h"

static struct config_rooms set = {
	.app = (char []){ "7" }, .path = (char []){ "/" },
	.sse_path = (char []){ "/sse/" }, .channel = (char []){ "room-" },
	.parameter = (char []){ "room" },
	.token_parameter = (char []){ "token" },
	.event = (char []){ "message" }, .max_room_name = 100,
	.max_message_size = 10000, .publish = true, .history = 100,
	.sse_retry = 3000,
};
static char *any[] = { (char []){ "*" } };

static struct bytes
line(struct bytes *in)
{
	ptrdiff_t end = bytes_find(*in, '\n');
	struct bytes first = bytes_of(in->p, end < 0 ? in->n : (size_t)end);

	*in = bytes_skip(*in, end < 0 ? in->n : first.n + 1);
	return first;
}

/* As a browser reads it: the breaks of lines are all alike. */
static void
normal(struct bytes text, struct buf *out)
{
	size_t i;

	for (i = 0; i < text.n; i++) {
		if (text.p[i] != '\r')
			buf_char(out, text.p[i]);
		else if (i + 1 == text.n || text.p[i + 1] != '\n')
			buf_char(out, '\n');
	}
}

/* One block at most that has data; *data is what it says. */
static bool
read_events(struct bytes octets, struct buf *data)
{
	bool any_data = false;

	while (octets.n > 0) {
		struct bytes l = line(&octets);

		if (bytes_starts(l, B("data: "))) {
			if (any_data)
				buf_char(data, '\n');
			buf_bytes(data, bytes_skip(l, 6));
			any_data = true;
		} else
			MUST(l.n == 0 || bytes_starts(l, B("id: ")) ||
			    bytes_starts(l, B("event: ")));
	}
	return any_data;
}

static void
check_stream(struct fake_client *e, struct bytes said)
{
	struct buf want = { 0 }, heard = { 0 };

	normal(said, &want);
	MUST(read_events(buf_view(&e->sent), &heard));
	MUST(bytes_eq(buf_view(&want), buf_view(&heard)));
	buf_clear(&e->sent);
	buf_done(&want);
	buf_done(&heard);
}

static void
check_room(struct fake_client *f, struct bytes said)
{
	MUST(f->sent.n == said.n + 1);
	MUST(bytes_eq(bytes_of(f->sent.p, said.n), said));
	buf_clear(&f->sent);
}

static struct fake_client *
open_stream(struct bytes rest, struct bytes query, struct bytes last)
{
	struct http_header header = { B("Last-Event-ID"), last };
	struct buf path = { 0 };
	struct http_request req = {
		.method = HTTP_GET, .query = query, .headers = &header,
		.n_headers = 1,
	};
	struct fake_client *e;

	buf_str(&path, "/sse/");
	buf_bytes(&path, rest);
	req.path = buf_view(&path);
	e = fake_request(&req);
	buf_done(&path);
	return e;
}

static struct fake_client *
open_room(struct bytes query)
{
	return fake_request(&(struct http_request){
		.method = HTTP_GET, .path = B("/"), .query = query,
		.upgrade = B("websocket"),
	});
}

/* Said to all rooms with a client by a Pusher client: as the text that its
 * JSON is, if it is JSON. */
static void
post(struct bytes channel, struct bytes event, struct bytes data,
    unsigned flags)
{
	struct buf name = { 0 };

	json_quote(&name, event);
	uplink_publish(&(struct msg_publish){
		.app = B("7"), .channel = channel, .event = buf_view(&name),
		.data = data, .flags = flags,
	});
	fake_deliver();
	buf_done(&name);
}

static struct bytes
room_of(struct fake_client *f)
{
	struct sub *s = f != NULL ? SLIST_FIRST(&f->c.subs) : NULL;

	return s != NULL ? channel_name(s->channel) : bytes_of(NULL, 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes in = bytes_of(p, n), query = line(&in), rest = line(&in),
	    last = line(&in), event = line(&in);
	struct buf quoted = { 0 };
	struct fake_client *f, *e;

	log_set_level(LOG_LEVEL_ERROR);
	fake_setup();
	set.allowed_origins = (struct config_strings){ any, 1 };
	set.token_secret = NULL;
	fake.config.rooms = &set;
	fake.config.n_rooms = 1;
	fronts_settings(&fake.config);
	f = open_room(query);
	e = open_stream(rest, query, last);
	MUST(f == NULL || bytes_starts(room_of(f), B("room-")));
	if (f != NULL)
		MUST(utf8_valid(room_of(f)) && room_of(f).n <= 105);
	if (f != NULL && utf8_valid(in)) {
		fake_say(f, in);
		fake_deliver();
		check_room(f, in);
	}
	if (e != NULL && utf8_valid(in) && utf8_valid(event)) {
		buf_clear(&e->sent);
		post(room_of(e), event, in, PUBLISH_TEXT);
		check_stream(e, in);
		json_quote(&quoted, in);
		post(room_of(e), event, buf_view(&quoted), 0);
		check_stream(e, in);
	}
	/* No token that can be guessed. */
	set.token_secret = (char []){ "0123456789abcdef" };
	f = open_room(query);
	MUST(f == NULL || !f->c.established);
	if (f != NULL)
		fake_say(f, in);
	MUST(f == NULL || !f->c.established);
	MUST(open_stream(rest, query, last) == NULL);
	buf_done(&quoted);
	fake_teardown();
	return 0;
}
