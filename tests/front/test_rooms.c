/* SPDX-License-Identifier: MIT
 *
 * src/front/room.c, rooms.c and sse.c: who gets into which room, and what is
 * heard there, octet for octet.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "common/crypto.h"
#include "common/util.h"
#include "worker/fake.h"

#define SECRET	"0123456789abcdef"

static char *any[] = { (char []){ "*" } };
static char *good[] = { (char []){ "good.example" } };
static struct config_rooms sets[2];

static void
section(struct config_rooms *set, const char *label, const char *path,
    const char *sse, const char *channel)
{
	*set = (struct config_rooms){
		.label = (char *)(uintptr_t)label,
		.app = (char *)(uintptr_t)"7",
		.path = (char *)(uintptr_t)path,
		.sse_path = (char *)(uintptr_t)sse,
		.channel = (char *)(uintptr_t)channel,
		.parameter = (char *)(uintptr_t)"room",
		.token_parameter = (char *)(uintptr_t)"token",
		.event = (char *)(uintptr_t)"message",
		.allowed_origins = { any, 1 }, .max_room_name = 100,
		.max_message_size = 10000, .publish = true,
		.token_timeout = 10000, .ping_interval = 30000,
		.sse_keepalive = 15000, .sse_retry = 3000, .history = 100,
	};
}

static int
setup(void **state)
{
	(void)state;
	fake_setup();
	section(&sets[0], NULL, "/", "/sse/", "room-");
	section(&sets[1], "b", "/b", NULL, "private-b-");
	fake.config.rooms = sets;
	fake.config.n_rooms = 2;
	fronts_settings(&fake.config);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fake_teardown();
	return 0;
}

static struct fake_client *
enter(const char *path, const char *query)
{
	struct fake_client *f = fake_connect(path, query, NULL);

	if (f == NULL)
		fail_msg("%s?%s: %u %s", path, query, fake.refused.status,
		    fake.refused.words);
	return f;
}

/* GET of a stream; last: Last-Event-ID, or NULL. */
static struct fake_client *
stream(const char *path, const char *query, const char *last)
{
	struct http_header header = { B("Last-Event-ID"), bytes_str(last) };

	return fake_request(&(struct http_request){
		.method = HTTP_GET, .path = bytes_str(path),
		.query = bytes_str(query), .headers = &header,
		.n_headers = last != NULL ? 1 : 0,
	});
}

static void
say(struct fake_client *f, struct bytes text)
{
	fake_say(f, text);
	fake_deliver();
}

static void
post(const char *event, const char *data, unsigned flags)
{
	uplink_publish(&(struct msg_publish){
		.app = B("7"), .channel = B("room-1"), .flags = flags,
		.event = bytes_str(event), .data = bytes_str(data),
	});
	fake_deliver();
}

/* ---- names ------------------------------------------------------------- */

static void
test_names(void **state)
{
	static const struct {
		const char *path, *query, *channel;
	} cases[] = {
		{ "/", "room=7", "room-7" },
		{ "/", "x&room=7&y=2", "room-7" },
		{ "/", "room=1&room=2", "room-2" },
		{ "/", "room=a+b%2Bc", "room-a b+c" },
		{ "/", "r%6fom=%C3%A9", "room-\xc3\xa9" },
		{ "/b", "room=", NULL },
		{ "/b", "room=private-x", "private-b-private-x" },
		{ "/", "", "room-main" },
		{ "/", "room=", "room-main" },
		{ "/", "rooms=7", "room-main" },
		{ "/", "room=%0A", NULL },
		{ "/", "room=%7F", NULL },
		{ "/", "room=%80", NULL },
		{ "/", "room=%", NULL },
		{ "/", "room=%zz", NULL },
	};
	size_t i;

	(void)state;
	sets[0].default_room = (char []){ "main" };
	for (i = 0; i < NELEM(cases); i++) {
		struct fake_client *f = fake_connect(cases[i].path,
		    cases[i].query, NULL);

		if ((f == NULL) != (cases[i].channel == NULL))
			fail_msg("%s?%s", cases[i].path, cases[i].query);
		if (f == NULL) {
			assert_int_equal(fake.refused.status, 400);
			continue;
		}
		assert_non_null(channel_sub(&f->c,
		    bytes_str(cases[i].channel)));
		fake_gone(f);
	}
	sets[0].default_room = NULL;
	assert_null(fake_connect("/", "", NULL));
	sets[0].max_room_name = 3;
	assert_non_null(fake_connect("/", "room=abc", NULL));
	assert_null(fake_connect("/", "room=abcd", NULL));
	assert_null(fake_connect("/x", "room=abc", NULL));
}

static void
test_refused(void **state)
{
	(void)state;
	sets[0].allowed_origins = (struct config_strings){ good, 1 };
	assert_null(fake_connect("/", "room=1", NULL));
	assert_int_equal(fake.refused.status, 403);
	assert_null(fake_connect("/", "room=1", "https://evil.example"));
	assert_non_null(fake_connect("/", "room=1", "https://good.example"));
	assert_non_null(fake_connect("/b", "room=1", "https://evil.example"));
	/* A page of the same site sends no Origin with a GET. */
	assert_non_null(stream("/sse/1", "", NULL));
	fake.app->enabled = false;
	assert_null(fake_connect("/b", "room=1", NULL));
	assert_int_equal(fake.refused.status, 403);
}

/* ---- tokens ------------------------------------------------------------ */

static const char *
token(const char *secret, const char *room, int64_t seconds)
{
	static char text[100];
	char expires[24], hex[64];
	struct bytes parts[3] = { bytes_str(room), B(":") };

	snprintf(expires, sizeof(expires), "%lld",
	    (long long)(clock_wall_ms() / 1000) + (long long)seconds);
	parts[2] = bytes_str(expires);
	hmac_sha256_hex(bytes_str(secret), parts, 3, hex);
	snprintf(text, sizeof(text), "%s.%.64s", expires, hex);
	return text;
}

/* As the documentation has it: printf 7:4102444800 | openssl sha256 -hmac. */
static void
test_token_known(void **state)
{
	struct fake_client *f;

	(void)state;
	sets[0].token_secret = (char []){ SECRET };
	f = enter("/", "room=7");
	fake_say(f, B("4102444800.d8d6a1f5b04d9d3b6b2b3fdf4b3b2a35"));
	assert_int_equal(f->closed, CLOSE_TOKEN);
	f = enter("/", "room=7&token=4102444800."
	    "1e711680ffe482b79ce8476c5141745553280a25cce5a5b69f576e54f96f3182");
	assert_true(f->c.established);
}

static void
test_token(void **state)
{
	const char *wrong[] = { "x", ".", "1.", ".1", "%zz",
	    "18446744073709551616.0", "-1.0" };
	char query[200];
	size_t i;

	(void)state;
	sets[0].token_secret = (char []){ SECRET };
	snprintf(query, sizeof(query), "room=7&token=%s",
	    token(SECRET, "7", 60));
	assert_true(enter("/", query)->c.established);
	snprintf(query, sizeof(query), "room=8&token=%s",
	    token(SECRET, "7", 60));
	assert_null(fake_connect("/", query, NULL));
	snprintf(query, sizeof(query), "room=7&token=%s",
	    token(SECRET, "7", 0));
	assert_null(fake_connect("/", query, NULL));
	snprintf(query, sizeof(query), "room=7&token=%s",
	    token("0123456789abcdeg", "7", 60));
	assert_null(fake_connect("/", query, NULL));
	snprintf(query, sizeof(query), "room=7&token=%s0",
	    token(SECRET, "7", 60));
	assert_null(fake_connect("/", query, NULL));
	for (i = 0; i < NELEM(wrong); i++) {
		snprintf(query, sizeof(query), "room=7&token=%s", wrong[i]);
		assert_null(fake_connect("/", query, NULL));
		assert_int_equal(fake.refused.status, 403);
		assert_null(stream("/sse/7", query, NULL));
		assert_int_equal(fake.refused.status, 403);
	}
	assert_null(stream("/sse/7", "", NULL));
	assert_int_equal(fake.refused.status, 401);
	snprintf(query, sizeof(query), "token=%s", token(SECRET, "7", 60));
	assert_non_null(stream("/sse/7", query, NULL));
}

static void
test_first_message(void **state)
{
	struct fake_client *f, *g;

	(void)state;
	sets[0].token_secret = (char []){ SECRET };
	f = enter("/", "room=7");
	assert_false(f->c.established);
	assert_int_equal(f->c.n_subs, 0);
	fake_say(f, bytes_str(token(SECRET, "7", 60)));
	assert_true(f->c.established);
	assert_int_equal(f->c.n_subs, 1);
	assert_int_equal(fake.published, 0);
	say(f, B("hi"));
	assert_string_equal(fake_heard(f), "hi\n");

	g = enter("/", "room=7");
	/* It may have come at the end of a second. */
	g->c.front->tick(&g->c, worker.now + 10);
	assert_int_equal(g->closed, CLOSE_NONE);
	g->c.front->tick(&g->c, worker.now + 11);
	assert_int_equal(g->closed, CLOSE_TOKEN_TIMEOUT);
}

/* ---- messages ---------------------------------------------------------- */

static void
test_texts(void **state)
{
	struct fake_client *f = enter("/", "room=1"), *g = enter("/", "room=1"),
	    *h = enter("/", "room=2");

	(void)state;
	assert_false(f->conn.paused || f->conn.corked);
	say(f, B("{\"a\": 1 }"));
	assert_string_equal(fake.last.p, "room-1 \"message\" {\"a\": 1 }  0.0 4");
	say(f, B(""));
	say(g, B("a\nb"));
	assert_string_equal(fake_heard(f), "{\"a\": 1 }\n\na\nb\n");
	assert_string_equal(fake_heard(g), "{\"a\": 1 }\n\na\nb\n");
	assert_string_equal(fake_heard(h), "");
	post("\"any\"", "\"text \\u00e9\\n\"", 0);
	post("\"any\"", "{ \"a\":1.0 }", PUBLISH_CLIENT);
	post("\"any\"", "null", 0);
	assert_string_equal(fake_heard(f),
	    "text \xc3\xa9\n\n{ \"a\":1.0 }\nnull\n");
}

static void
test_binary(void **state)
{
	struct fake_client *f = enter("/", "room=1");

	(void)state;
	f->c.front->input(&f->c, WEBSOCKET_BINARY, B("\1\2"));
	assert_int_equal(f->closed, CLOSE_WS_BINARY);
	assert_int_equal(fake.published, 0);
	sets[0].binary = true;
	f = enter("/", "room=1");
	f->c.front->input(&f->c, WEBSOCKET_BINARY, B("\1\377"));
	fake_deliver();
	assert_string_equal(fake_heard(f), "binary 01ff\n");
}

static void
test_limits(void **state)
{
	struct fake_client *f;
	unsigned i;

	(void)state;
	sets[0].message_rate = 3;
	sets[0].max_message_size = 5;
	f = enter("/", "room=1");
	assert_int_equal(f->c.front->limit(&f->c), 5);
	for (i = 0; i < 3; i++)
		fake_say(f, B("x"));
	worker.now++;
	for (i = 0; i < 3; i++)
		fake_say(f, B("x"));
	assert_int_equal(f->closed, CLOSE_NONE);
	fake_say(f, B("x"));
	assert_int_equal(f->closed, CLOSE_RATE_LIMIT);
	assert_int_equal(fake.published, 6);
	sets[0].publish = false;
	f = enter("/", "room=1");
	fake_say(f, B("x"));
	assert_int_equal(f->closed, CLOSE_READ_ONLY);
	fake.app->max_connections = 1;
	f = enter("/", "room=1");
	assert_int_equal(f->c.n_subs, 0);
	fake_grant(f, false);
	assert_int_equal(f->closed, CLOSE_OVER_QUOTA);
	assert_int_equal(fake.published, 6);
}

static void
test_silence(void **state)
{
	struct fake_client *f = enter("/", "room=1");

	(void)state;
	f->c.front->tick(&f->c, worker.now + 29);
	assert_int_equal(f->pings, 0);
	f->c.front->tick(&f->c, worker.now + 30);
	f->c.front->tick(&f->c, worker.now + 59);
	assert_int_equal(f->pings, 1);
	assert_int_equal(f->closed, CLOSE_NONE);
	f->c.front->tick(&f->c, worker.now + 60);
	assert_int_equal(f->closed, CLOSE_PONG_TIMEOUT);
}

/* With Pusher's clients in the same channel. */
static void
test_pusher(void **state)
{
	struct fake_client *f = enter("/", "room=1"),
	    *p = fake_connect("/app/app-key", "", NULL);

	(void)state;
	fake_say(p, B("{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":"
	    "\"room-1\"}}"));
	fake_heard(p);
	say(f, B("a\"b\n"));
	say(f, B(""));
	post("\"message\"", "\1", PUBLISH_BINARY);
	assert_string_equal(fake_heard(p), "{\"event\":\"message\",\"data\":"
	    "\"a\\\"b\\n\",\"channel\":\"room-1\"}\n{\"event\":\"message\","
	    "\"data\":\"\",\"channel\":\"room-1\"}\n");
}

/* ---- settings ---------------------------------------------------------- */

static void
test_settings(void **state)
{
	struct fake_client *f = enter("/", "room=1"), *g = enter("/b", "room=1");
	struct config_rooms fresh[2];
	struct config config = fake.config;

	(void)state;
	assert_true(f->c.front->stays(&f->c));
	/* Another order, another channel. */
	fresh[0] = sets[1];
	fresh[0].channel = (char []){ "private-c-" };
	fresh[1] = sets[0];
	fresh[1].max_message_size = 4;
	config.rooms = fresh;
	worker.config = &config;
	fronts_settings(&config);
	assert_true(f->c.front->stays(&f->c));
	assert_int_equal(f->c.front->limit(&f->c), 4);
	assert_false(g->c.front->stays(&g->c));
	config.n_rooms = 1;
	fronts_settings(&config);
	assert_false(f->c.front->stays(&f->c));
	assert_null(fake_connect("/", "room=1", NULL));
	assert_null(stream("/sse/1", "", NULL));
	fake_gone(f);
	fake_gone(g);
}

/* ---- events ------------------------------------------------------------ */

static void
test_stream(void **state)
{
	struct fake_client *f = enter("/", "room=1"), *e;

	(void)state;
	sets[0].binary = true;
	say(f, B("before"));
	e = stream("/sse/1", "", NULL);
	assert_string_equal(fake_heard(e),
	    "Content-Type: text/event-stream\r\n"
	    "Cache-Control: no-store, no-transform\r\n"
	    "X-Accel-Buffering: no\r\nretry: 3000\n\nid: 77-1\n\n");
	say(f, B("one"));
	say(f, B(""));
	say(f, B("a\nb\r\nc\rd\r\re"));
	say(f, B("\n"));
	f->c.front->input(&f->c, WEBSOCKET_BINARY, B("\1"));
	fake_deliver();
	assert_string_equal(fake_heard(e),
	    "id: 77-2\ndata: one\n\n"
	    "id: 77-3\ndata: \n\n"
	    "id: 77-4\ndata: a\ndata: b\ndata: c\ndata: d\ndata: \ndata: e\n\n"
	    "id: 77-5\ndata: \ndata: \n\n");
	post("\"message\"", "\"x\"", 0);
	post("\"other\"", "{\"a\":1}", 0);
	post("\"o\\nid: 9\"", "\"x\\ny\"", 0);
	assert_string_equal(fake_heard(e),
	    "id: 77-7\ndata: x\n\n"
	    "id: 77-8\nevent: other\ndata: {\"a\":1}\n\n"
	    "id: 77-9\nevent: o\ndata: x\ndata: y\n\n");
}

static void
test_position(void **state)
{
	static const struct {
		const char	*last, *query;
		uint64_t	 epoch, offset;
	} cases[] = {
		{ "12-34", "", 12, 34 },
		{ NULL, "last_event_id=12-34", 12, 34 },
		{ NULL, "lastEventId=12%2D34", 12, 34 },
		{ "1-2", "last_event_id=12-34", 1, 2 },
		{ "", "last_event_id=12-34", 12, 34 },
		{ NULL, "", 0, 0 },
		{ "12", "", 0, 0 },
		{ "-", "", 0, 0 },
		{ "-1-2", "", 0, 0 },
		{ "1-2-3", "", 0, 0 },
		{ "1 -2", "", 0, 0 },
		{ "99999999999999999999-1", "", 0, 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(cases); i++) {
		struct fake_client *f = stream("/sse/1", cases[i].query,
		    cases[i].last);

		assert_int_equal(fake.since_epoch, cases[i].epoch);
		assert_int_equal(fake.since_offset, cases[i].offset);
		fake_gone(f);
	}
}

static void
test_keepalive(void **state)
{
	struct fake_client *e = stream("/sse/1", "", NULL);

	(void)state;
	fake_heard(e);
	e->c.front->tick(&e->c, worker.now + 14);
	assert_string_equal(fake_heard(e), "");
	worker.now += 10;
	post("\"message\"", "\"x\"", 0);
	fake_heard(e);
	e->c.front->tick(&e->c, worker.now + 14);
	assert_string_equal(fake_heard(e), "");
	e->c.front->tick(&e->c, worker.now + 15);
	assert_string_equal(fake_heard(e), ":\n\n");
}

static void
test_methods(void **state)
{
	static const enum http_method methods[] = {
		HTTP_HEAD, HTTP_POST, HTTP_OTHER, HTTP_OPTIONS,
	};
	struct http_request req = { .path = B("/sse/1"),
	    .origin = B("https://a.example"), .has_origin = true };
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(methods); i++) {
		req.method = methods[i];
		assert_null(fake_request(&req));
		assert_int_equal(fake.refused.status,
		    methods[i] == HTTP_OPTIONS ? 200 : 405);
		assert_non_null(strstr(fake.refused.headers,
		    "Allow: GET, OPTIONS\r\n"));
		assert_non_null(strstr(fake.refused.headers,
		    "Access-Control-Allow-Origin: https://a.example\r\n"));
	}
	/* A WebSocket's handshake is not for it. */
	req.method = HTTP_GET;
	req.upgrade = B("websocket");
	assert_null(fake_request(&req));
	req.upgrade = B("h2c");
	assert_non_null(fake_request(&req));
}

int
main(void)
{
#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_names),
		TEST(test_refused),
		TEST(test_token_known),
		TEST(test_token),
		TEST(test_first_message),
		TEST(test_texts),
		TEST(test_binary),
		TEST(test_limits),
		TEST(test_silence),
		TEST(test_pusher),
		TEST(test_settings),
		TEST(test_stream),
		TEST(test_position),
		TEST(test_keepalive),
		TEST(test_methods),
	};

	return cmocka_run_group_tests_name("rooms", tests, NULL, NULL);
}
