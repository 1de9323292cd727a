/* SPDX-License-Identifier: MIT
 *
 * What clients say in the Pusher protocol: a line each; '!' in front makes it
 * the second client's.  Whatever they say, what they are sent is JSON, and
 * `data` of Peal's own events is an object or a string that holds one.
 */
#include "fuzz.h"

#include "common/json.h"
#include "common/log.h"
#include "common/util.h"
#include "worker/auth.h"
#include "worker/fake.h"

/* Instead of auth.c: a signature that can be guessed. */
bool
auth_channel(const struct app *app, struct bytes auth, struct bytes socket,
    struct bytes channel, struct bytes data)
{
	(void)app, (void)socket, (void)channel, (void)data;
	return bytes_starts(auth, B("ok"));
}

bool
auth_user(const struct app *app, struct bytes auth, struct bytes socket,
    struct bytes data)
{
	(void)app, (void)socket, (void)data;
	return bytes_starts(auth, B("ok"));
}

void
auth_refused(const struct app *app, const struct conn *conn, const char *what,
    struct bytes name, const char *more)
{
	(void)app, (void)conn, (void)what, (void)name, (void)more;
}

static void
on_text(struct bytes text)
{
	static struct buf name_room, data_room;
	struct json root, event, data, inner;
	const struct json_want wants[] = {
		{ B("event"), &event }, { B("data"), &data },
	};
	struct bytes name;
	const char *why;

	MUST(json_parse(text, &root, &why) == 0);
	MUST(json_pick(&root, wants, NELEM(wants)) == 0);
	MUST(event.type == JSON_STRING);
	buf_clear(&name_room);
	buf_clear(&data_room);
	name = json_text(&event, &name_room);
	if (!bytes_starts(name, B("pusher")) || data.type != JSON_STRING)
		return;
	MUST(json_parse(json_text(&data, &data_room), &inner, &why) == 0);
	MUST(inner.type == JSON_OBJECT);
}

static void
say(struct fake_client *f, struct bytes text)
{
	unsigned published = fake.published;

	if (f->closed != CLOSE_NONE)
		return;
	fake_say(f, text);
	if (fake.published != published)
		fake_deliver();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes in = bytes_of(p, n), line;
	struct fake_client *f[2];
	ptrdiff_t end;
	unsigned i;

	log_set_level(LOG_LEVEL_ERROR);
	fake_setup();
	fake.on_text = on_text;
	fake.app->subscription_count = true;
	fake.app->max_watchlist = 3;
	fake.app->max_presence_member = 300;
	if (n > 0 && (p[0] & 1) != 0)
		fake.app->client_events = CLIENT_EVENTS_ALL;
	for (i = 0; i < 2; i++) {
		f[i] = fake_connect("/app/app-key", "", NULL);
		f[i]->c.state.socket_a = f[i]->c.state.socket_b = i + 1;
	}
	while (in.n > 0) {
		end = bytes_find(in, '\n');
		line = bytes_of(in.p, end < 0 ? in.n : (size_t)end);
		in = bytes_skip(in, end < 0 ? in.n : (size_t)end + 1);
		if (line.n > 0 && line.p[0] == '!')
			say(f[1], bytes_skip(line, 1));
		else
			say(f[0], line);
	}
	fake_teardown();
	return 0;
}
