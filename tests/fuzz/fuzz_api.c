/* SPDX-License-Identifier: MIT
 *
 * Requests to the HTTP API: the first line is a method's first letter and the
 * target, the rest the body.  Every request is answered exactly once, JSON
 * answers are JSON, and nothing but checked names and tokens is published.
 */
#include "fuzz.h"

#include "common/json.h"
#include "common/log.h"
#include "common/util.h"
#include "worker/api.h"
#include "worker/auth.h"
#include "worker/fake.h"

/* Instead of auth.c: everybody may. */
bool
auth_channel(const struct app *app, struct bytes auth, struct bytes socket,
    struct bytes channel, struct bytes data)
{
	(void)app, (void)auth, (void)socket, (void)channel, (void)data;
	return true;
}

bool
auth_user(const struct app *app, struct bytes auth, struct bytes socket,
    struct bytes data)
{
	(void)app, (void)auth, (void)socket, (void)data;
	return true;
}

void
auth_refused(const struct app *app, const struct conn *conn, const char *what,
    struct bytes name, const char *more)
{
	(void)app, (void)conn, (void)what, (void)name, (void)more;
}

int
auth_request(const struct app *app, const struct http_request *req,
    const struct params *ps, struct bytes body, struct bytes path_prefix,
    uint64_t window_ms, uint64_t now_ms, const char **why)
{
	(void)app, (void)req, (void)ps, (void)body, (void)path_prefix;
	(void)window_ms, (void)now_ms, (void)why;
	return 0;
}

static struct bytes
cut(struct bytes *in, char at)
{
	ptrdiff_t i = bytes_find(*in, at);
	struct bytes front = bytes_of(in->p, i < 0 ? in->n : (size_t)i);

	*in = bytes_skip(*in, i < 0 ? in->n : (size_t)i + 1);
	return front;
}

static enum http_method
method_of(struct bytes line)
{
	switch (line.n > 0 ? line.p[0] : 0) {
	case 'G': return HTTP_GET;
	case 'P': return HTTP_POST;
	case 'H': return HTTP_HEAD;
	case 'O': return HTTP_OPTIONS;
	default: return HTTP_OTHER;
	}
}

/* The router: an acknowledgement, then rows for all that is asked. */
static void
play_router(void)
{
	static const struct msg_row rows[] = {
		{ .name = BYTES("presence-a"), .subscriptions = 3, .users = 2,
		    .member = BYTES("{\"user_id\":7}") },
		{ .name = BYTES("cache-b"), .cached = 1, .ttl_ms = 5000,
		    .event = BYTES("\"e\""), .data = BYTES("\"d\"") },
	};
	unsigned turn;

	fake_ack();
	for (turn = 0; turn < 200 && fake.answers == 0; turn++) {
		fake_row(&rows[turn & 1]);
		if ((turn & 2) != 0)
			fake_restart();
		fake_row(&rows[turn & 1]);
		fake_done();
	}
}

static void
check_answer(void)
{
	struct json v;
	const char *why;

	MUST(fake.answers == 1);
	MUST(fake.status >= 200 && fake.status <= 503);
	if (bytes_starts(buf_view(&fake.headers), B("json")))
		MUST(json_parse(buf_view(&fake.answer), &v, &why) == 0);
	MUST(utf8_valid(buf_view(&fake.answer)) || fake.status == 404);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes in = bytes_of(p, n), line = cut(&in, '\n');
	struct conn conn = { .id = 1 };
	struct request req = { .conn = &conn, .body = in };

	log_set_level(LOG_LEVEL_ERROR);
	fake_setup();
	fake.config.peal.demo = true;
	fake.app->max_event_size = 100;
	fake.app->max_event_channels = 5;
	req.head.method = method_of(line);
	req.head.method_text = cut(&line, ' ');
	req.head.path = cut(&line, '?');
	req.head.query = line;
	api_handle(&req);
	if (!req.answered)
		play_router();
	check_answer();
	MUST(req.call == NULL);
	fake_teardown();
	return 0;
}
