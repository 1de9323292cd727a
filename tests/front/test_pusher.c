/* SPDX-License-Identifier: MIT
 *
 * src/front/pusher*.c: what a client hears for what it says, word for word
 * where Reverb's clients depend on it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "common/counters.h"
#include "common/crypto.h"
#include "common/json.h"
#include "common/util.h"
#include "worker/fake.h"

#define INVALID "{\"event\":\"pusher:error\",\"data\":\"{\\\"code\\\":4200," \
	"\\\"message\\\":\\\"Invalid message format\\\"}\"}\n"
#define UNAUTHORIZED "{\"event\":\"pusher:error\",\"data\":\"{\\\"code\\\":" \
	"4009,\\\"message\\\":\\\"Connection is unauthorized\\\"}\"}\n"
#define SUCCESS(channel) \
	"{\"event\":\"pusher_internal:subscription_succeeded\"," \
	"\"data\":\"{}\",\"channel\":\"" channel "\"}\n"

static int
setup(void **state)
{
	(void)state;
	fake_setup();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fake_teardown();
	return 0;
}

/* Connected, with a socket id that signatures can be made for by hand. */
static struct fake_client *
client(void)
{
	struct fake_client *f = fake_connect("/app/app-key", "protocol=7",
	    NULL);

	f->c.state.socket_a = 1234;
	f->c.state.socket_b = 5678;
	fake_heard(f);
	return f;
}

/* The same under another id. */
static struct fake_client *
other(uint32_t a)
{
	struct fake_client *f = client();

	f->c.state.socket_a = a;
	return f;
}

static void
say(struct fake_client *f, const char *text)
{
	fake_say(f, bytes_str(text));
}

/* app-key:HMAC over socket:channel[:data] */
static const char *
sign(struct fake_client *f, const char *between, const char *channel,
    const char *data)
{
	static char auth[100];
	char socket[24], hex[64];
	struct bytes parts[5] = {
		bytes_str(client_socket_id(&f->c, socket)), bytes_str(between),
		bytes_str(channel), B(":"), bytes_str(data),
	};

	hmac_sha256_hex(B("app-secret"), parts, data != NULL ? 5 : 3, hex);
	snprintf(auth, sizeof(auth), "app-key:%.64s", hex);
	return auth;
}

static void
subscribe(struct fake_client *f, const char *channel)
{
	char text[500];

	snprintf(text, sizeof(text), "{\"event\":\"pusher:subscribe\",\"data\":"
	    "{\"channel\":\"%s\",\"auth\":\"%s\"}}", channel,
	    sign(f, ":", channel, NULL));
	say(f, text);
}

static void
join(struct fake_client *f, const char *channel, const char *data)
{
	struct buf text = { 0 };

	buf_fmt(&text, "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":"
	    "\"%s\",\"auth\":\"%s\",\"channel_data\":", channel,
	    sign(f, ":", channel, data));
	json_quote(&text, bytes_str(data));
	buf_str(&text, "}}");
	fake_say(f, buf_view(&text));
	buf_done(&text);
}

static void
sign_in(struct fake_client *f, const char *data)
{
	struct buf text = { 0 };

	buf_fmt(&text, "{\"event\":\"pusher:signin\",\"data\":{\"auth\":\"%s\","
	    "\"user_data\":", sign(f, "::user::", data, NULL));
	json_quote(&text, bytes_str(data));
	buf_str(&text, "}}");
	fake_say(f, buf_view(&text));
	buf_done(&text);
}

/* ---- opening ----------------------------------------------------------- */

static void
test_established(void **state)
{
	struct fake_client *f = fake_connect("/app/app-key", "", NULL);
	char expected[200];

	(void)state;
	snprintf(expected, sizeof(expected), "{\"event\":"
	    "\"pusher:connection_established\",\"data\":\"{\\\"socket_id\\\":"
	    "\\\"%u.%u\\\",\\\"activity_timeout\\\":30}\"}\n",
	    f->c.state.socket_a, f->c.state.socket_b);
	assert_string_equal(fake_heard(f), expected);
	assert_true(f->c.established);
	assert_in_range(f->c.state.socket_a, 1, 1000000000);
	assert_in_range(f->c.state.socket_b, 1, 1000000000);
	assert_int_equal(f->closed, CLOSE_NONE);
}

static void
test_paths(void **state)
{
	(void)state;
	assert_int_equal(fake_connect("/app/app-key/", "", NULL)->closed,
	    CLOSE_NO_PATH);
	assert_int_equal(fake_connect("/app/", "", NULL)->closed,
	    CLOSE_NO_PATH);
	assert_int_equal(fake_connect("/app", "", NULL)->closed,
	    CLOSE_NO_PATH);
	assert_null(fake_connect("/application/app-key", "", NULL));
	assert_int_equal(fake_connect("/app/app%2Dkey", "", NULL)->closed,
	    CLOSE_NONE);
}

static void
test_refused(void **state)
{
	static const struct {
		const char		*path, *query, *origin;
		enum close_reason	 reason;
		const char		*hears;
	} cases[] = {
		{ "/app/nobody", "protocol=7", NULL, CLOSE_NO_APP,
		    "{\"event\":\"pusher:error\",\"data\":\"{\\\"code\\\":4001,"
		    "\\\"message\\\":\\\"Application does not exist\\\"}\"}\n" },
		{ "/app/app-key", "protocol=99", NULL, CLOSE_BAD_PROTOCOL,
		    NULL },
		{ "/app/app-key", "protocol=4", NULL, CLOSE_BAD_PROTOCOL, NULL },
		{ "/app/app-key", "protocol=seven", NULL, CLOSE_BAD_VERSION,
		    NULL },
		{ "/app/app-key", "protocol=", NULL, CLOSE_BAD_VERSION, NULL },
		{ "/app/app-key", "client=x&protocol=5", NULL, CLOSE_NONE,
		    NULL },
		{ "/app/other", "", NULL, CLOSE_APP_DISABLED, NULL },
		{ "/app/app-key", "", "https://evil.example", CLOSE_ORIGIN,
		    "{\"event\":\"pusher:error\",\"data\":\"{\\\"code\\\":4009,"
		    "\\\"message\\\":\\\"Origin not allowed\\\"}\"}\n" },
	};
	static char good[] = "good.example", any[] = "*";
	struct fake_client *f;
	size_t i;

	(void)state;
	fake.config.app[1].enabled = false;
	for (i = 0; i < NELEM(cases); i++) {
		fake.app->allowed_origins.at[0] = cases[i].origin != NULL ?
		    good : any;
		f = fake_connect(cases[i].path, cases[i].query,
		    cases[i].origin);
		assert_int_equal(f->closed, cases[i].reason);
		if (cases[i].hears != NULL)
			assert_string_equal(fake_heard(f), cases[i].hears);
		assert_int_equal(f->c.established,
		    cases[i].reason == CLOSE_NONE);
	}
	fake.app->allowed_origins.at[0] = any;
}

static void
test_quota(void **state)
{
	struct fake_client *f;

	(void)state;
	fake.app->max_connections = 1;
	f = fake_connect("/app/app-key", "", NULL);
	assert_true(f->c.waiting);
	assert_string_equal(fake_heard(f), "");
	fake_grant(f, true);
	assert_true(f->c.established);
	assert_string_not_equal(fake_heard(f), "");

	f = fake_connect("/app/app-key", "", NULL);
	fake_grant(f, false);
	assert_int_equal(f->closed, CLOSE_OVER_QUOTA);
	assert_string_equal(fake_heard(f), "{\"event\":\"pusher:error\","
	    "\"data\":\"{\\\"code\\\":4004,\\\"message\\\":"
	    "\\\"Application is over connection quota\\\"}\"}\n");

	fake.no_link = true;
	f = fake_connect("/app/app-key", "", NULL);
	assert_int_equal(f->closed, CLOSE_OVER_CAPACITY);
}

/* ---- messages ---------------------------------------------------------- */

static void
test_messages(void **state)
{
	static const struct {
		const char *say, *hears;
	} cases[] = {
		{ "{\"event\":\"pusher:ping\"}", "{\"event\":\"pusher:pong\"}\n" },
		{ "{\"event\":\"pusher:ping\",\"data\":\"x\"}",
		    "{\"event\":\"pusher:pong\"}\n" },
		{ "{\"event\":\"pusher:pong\",\"data\":{}}", "" },
		{ "{\"event\":\"\\u0070usher:ping\"}",
		    "{\"event\":\"pusher:pong\"}\n" },
		{ "", INVALID },
		{ "garbage", INVALID },
		{ "[]", INVALID },
		{ "{}", INVALID },
		{ "{\"event\":\"\"}", INVALID },
		{ "{\"event\":[]}", INVALID },
		{ "{\"event\":7}", INVALID },
		{ "{\"event\":\"pusher:ping\"} x", INVALID },
		{ "{\"event\":\"pusher:nothing\"}", INVALID },
		{ "{\"event\":\"pusher:connection_established\"}", INVALID },
		{ "{\"event\":\"pusher:subscribe\"}", INVALID },
		{ "{\"event\":\"pusher:subscribe\",\"data\":\"sfsfs\"}", INVALID },
		{ "{\"event\":\"pusher:subscribe\",\"data\":{}}", INVALID },
		{ "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":[]}}",
		    INVALID },
		{ "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":null}}",
		    INVALID },
		{ "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":7}}",
		    INVALID },
		{ "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"c\","
		    "\"auth\":[]}}", INVALID },
		{ "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"c\","
		    "\"channel_data\":[]}}", INVALID },
		{ "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"c\","
		    "\"channel_data\":\"text\"}}", INVALID },
		{ "{\"event\":\"pusher:unsubscribe\",\"data\":{\"channel\":{}}}",
		    INVALID },
		{ "{\"event\":\"pusher:unsubscribe\",\"data\":"
		    "{\"channel\":\"never\"}}", "" },
		{ "{\"event\":\"pusher:signin\",\"data\":{\"auth\":\"x\"}}",
		    INVALID },
		{ "{\"event\":\"client-x\",\"channel\":[]}", INVALID },
		{ "{\"event\":\"client-x\",\"channel\":\"\"}", INVALID },
		{ "{\"event\":\"foo\"}", INVALID },
		{ "{\"event\":\"foo\",\"channel\":\"c\"}", "" },
		{ "{\"event\":\"foo\",\"channel\":\"c\",\"data\":{}}", "" },
		{ "{\"event\":\"foo\",\"channel\":\"c\",\"data\":7}", INVALID },
		{ "{\"event\":\"pusher_internal:x\",\"channel\":\"c\"}", "" },
	};
	struct fake_client *f = client();
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(cases); i++) {
		say(f, cases[i].say);
		assert_string_equal(fake_heard(f), cases[i].hears);
		assert_int_equal(f->closed, CLOSE_NONE);
	}
	assert_int_equal(f->c.n_subs, 0);
	/* bad UTF-8, a binary frame */
	fake_say(f, B("{\"event\":\"pusher:p\xff\"}"));
	assert_string_equal(fake_heard(f), INVALID);
	f->c.front->input(&f->c, WEBSOCKET_BINARY,
	    B("{\"event\":\"pusher:ping\"}"));
	assert_string_equal(fake_heard(f), "{\"event\":\"pusher:pong\"}\n");
}

static void
test_rate_limit(void **state)
{
	static const char limited[] = "{\"event\":\"pusher:error\",\"data\":"
	    "\"{\\\"code\\\":4301,\\\"message\\\":\\\"Rate limit exceeded"
	    "\\\"}\"}\n";
	struct fake_client *f = client();
	int i;

	(void)state;
	fake.app->rate_limiting = true;
	fake.app->rate_limit_attempts = 3;
	for (i = 0; i < 3; i++)
		say(f, "{\"event\":\"pusher:pong\"}");
	assert_string_equal(fake_heard(f), "");
	say(f, "{\"event\":\"pusher:pong\"}");
	assert_string_equal(fake_heard(f), limited);
	worker.now_ms += 59999;
	say(f, "{\"event\":\"pusher:pong\"}");
	assert_string_equal(fake_heard(f), limited);
	worker.now_ms += 1;
	say(f, "{\"event\":\"pusher:pong\"}");
	assert_string_equal(fake_heard(f), "");
	fake.app->rate_limit_terminate = true;
	for (i = 0; i < 3; i++)
		say(f, "{\"event\":\"pusher:pong\"}");
	assert_int_equal(f->closed, CLOSE_RATE_LIMIT);
}

static void
test_silence(void **state)
{
	struct fake_client *f = client();
	uint32_t start = worker.now;

	(void)state;
	f->c.front->tick(&f->c, start + 59);
	assert_string_equal(fake_heard(f), "");
	f->c.front->tick(&f->c, start + 60);
	f->c.front->tick(&f->c, start + 61);
	assert_string_equal(fake_heard(f), "{\"event\":\"pusher:ping\"}\n");
	worker.now = start + 100;
	say(f, "{\"event\":\"pusher:pong\"}");
	f->c.front->tick(&f->c, start + 159);
	assert_string_equal(fake_heard(f), "");
	worker.now = start + 110;
	f->c.state.seen = worker.now;	/* it has sent a control frame */
	f->c.state.pinged = false;
	f->c.state.control_pings = true;
	f->c.front->tick(&f->c, start + 170);
	assert_string_equal(fake_heard(f), "");
	assert_int_equal(f->pings, 1);
	f->c.front->tick(&f->c, start + 229);
	assert_int_equal(f->closed, CLOSE_NONE);
	f->c.front->tick(&f->c, start + 230);
	assert_int_equal(f->closed, CLOSE_PONG_TIMEOUT);
	assert_string_equal(fake_heard(f), "{\"event\":\"pusher:error\","
	    "\"data\":\"{\\\"code\\\":4201,\\\"message\\\":"
	    "\\\"Pong reply not received in time\\\"}\"}\n");
}

/* A ping that goes out late leaves the whole time for its answer. */
static void
test_late_ping(void **state)
{
	struct fake_client *f = client();
	uint32_t start = worker.now;

	(void)state;
	f->c.front->tick(&f->c, start + 119);
	assert_string_equal(fake_heard(f), "{\"event\":\"pusher:ping\"}\n");
	f->c.front->tick(&f->c, start + 178);
	assert_int_equal(f->closed, CLOSE_NONE);
	f->c.front->tick(&f->c, start + 179);
	assert_int_equal(f->closed, CLOSE_PONG_TIMEOUT);
}

static void
test_must_authorize(void **state)
{
	struct fake_client *f = client(), *g = client();

	(void)state;
	fake.app->authorization_timeout = 5000;
	subscribe(f, "private-room");
	subscribe(g, "public");
	f->c.front->tick(&f->c, worker.now + 5);
	g->c.front->tick(&g->c, worker.now + 4);
	assert_int_equal(g->closed, CLOSE_NONE);
	g->c.front->tick(&g->c, worker.now + 5);
	assert_int_equal(f->closed, CLOSE_NONE);
	assert_int_equal(g->closed, CLOSE_UNAUTHORIZED);
}

/* ---- channels ---------------------------------------------------------- */

static void
test_subscribe(void **state)
{
	struct fake_client *f = client();

	(void)state;
	subscribe(f, "my-channel");
	assert_string_equal(fake_heard(f), SUCCESS("my-channel"));
	assert_int_equal(f->c.n_subs, 1);
	subscribe(f, "my-channel");		/* again: the same once more */
	assert_string_equal(fake_heard(f), SUCCESS("my-channel"));
	assert_int_equal(f->c.n_subs, 1);
	/* data as text, as the Java client sends it */
	say(f, "{\"event\":\"pusher:subscribe\",\"data\":"
	    "\"{\\\"channel\\\":\\\"two\\\"}\"}");
	assert_string_equal(fake_heard(f), SUCCESS("two"));
	subscribe(f, "private-room");
	assert_string_equal(fake_heard(f), SUCCESS("private-room"));
	subscribe(f, "private-encrypted-room");
	assert_string_equal(fake_heard(f), SUCCESS("private-encrypted-room"));
	/* without the dash they are public */
	say(f, "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":"
	    "\"privateX\"}}");
	assert_string_equal(fake_heard(f), SUCCESS("privateX"));
	say(f, "{\"event\":\"pusher:unsubscribe\",\"data\":{\"channel\":"
	    "\"two\"}}");
	assert_string_equal(fake_heard(f), "");
	assert_int_equal(f->c.n_subs, 4);
}

/* Reverb's frame first, then one that names the channel. */
static void
test_unauthorized(void **state)
{
	static const char *const auths[] = {
		"\"\"", "null", "\"app-key:wrong\"",
		/* the key counts */
		"\"other:eac53072418f048540e99a8514ba31f8f84de872c812c2511c014ab"
		"7da4cd25f\"",
		"\"eac53072418f048540e99a8514ba31f8f84de872c812c2511c014ab7da4cd"
		"25f\"",
	};
	struct fake_client *f = client();
	uint64_t before = counter.signatures_refused;
	char text[300];
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(auths); i++) {
		snprintf(text, sizeof(text), "{\"event\":\"pusher:subscribe\","
		    "\"data\":{\"channel\":\"private-room\",\"auth\":%s}}",
		    auths[i]);
		say(f, text);
		assert_string_equal(fake_heard(f), UNAUTHORIZED
		    "{\"event\":\"pusher:subscription_error\",\"data\":"
		    "\"{\\\"type\\\":\\\"AuthError\\\",\\\"error\\\":"
		    "\\\"Connection is unauthorized\\\",\\\"status\\\":401}\","
		    "\"channel\":\"private-room\"}\n");
	}
	assert_int_equal(counter.signatures_refused, before + i);
	assert_int_equal(f->c.n_subs, 0);
	assert_false(f->c.state.authorized);
	/* the reference's vector */
	say(f, "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":"
	    "\"private-room\",\"auth\":\"app-key:eac53072418f048540e99a8514ba31"
	    "f8f84de872c812c2511c014ab7da4cd25f\"}}");
	assert_string_equal(fake_heard(f), SUCCESS("private-room"));
	assert_true(f->c.state.authorized);
}

static void
test_bad_names(void **state)
{
	static const char *const names[] = {
		"", "with space", "a/b", "caf\xc3\xa9", "#other", "a#b",
		"#server-to-user-",
	};
	struct fake_client *f = client();
	const char *heard;
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(names); i++) {
		subscribe(f, names[i]);
		heard = fake_heard(f);
		assert_non_null(strstr(heard, "Invalid channel name"));
		assert_non_null(strstr(heard, "\\\"status\\\":400"));
	}
	fake.app->max_channels = 1;
	subscribe(f, "one");
	assert_string_equal(fake_heard(f), SUCCESS("one"));
	subscribe(f, "two");
	assert_non_null(strstr(fake_heard(f), "Too many channels"));
	subscribe(f, "one");
	assert_string_equal(fake_heard(f), SUCCESS("one"));
	assert_int_equal(f->c.n_subs, 1);
}

static void
test_presence(void **state)
{
	struct fake_client *a = client(), *b = other(2), *c = other(3);

	(void)state;
	join(a, "presence-r", "{\"user_id\":1,\"user_info\":{\"name\":\"A\"}}");
	assert_string_equal(fake_heard(a), "{\"event\":"
	    "\"pusher_internal:subscription_succeeded\",\"data\":"
	    "\"{\\\"presence\\\":{\\\"count\\\":1,\\\"ids\\\":[1],\\\"hash\\\":"
	    "{\\\"1\\\":{\\\"name\\\":\\\"A\\\"}}}}\","
	    "\"channel\":\"presence-r\"}\n");
	join(b, "presence-r", "{\"user_id\":\"0\"}");
	assert_string_equal(fake_heard(b), "{\"event\":"
	    "\"pusher_internal:subscription_succeeded\",\"data\":"
	    "\"{\\\"presence\\\":{\\\"count\\\":2,\\\"ids\\\":[1,\\\"0\\\"],"
	    "\\\"hash\\\":{\\\"1\\\":{\\\"name\\\":\\\"A\\\"},\\\"0\\\":null}}}"
	    "\",\"channel\":\"presence-r\"}\n");
	assert_string_equal(fake_heard(a), "{\"event\":"
	    "\"pusher_internal:member_added\",\"data\":"
	    "\"{\\\"user_id\\\":\\\"0\\\"}\",\"channel\":\"presence-r\"}\n");
	/* the same user again, as text: nobody hears of it, the first counts */
	join(c, "presence-r", "{\"user_id\":\"1\",\"user_info\":{}}");
	assert_non_null(strstr(fake_heard(c), "\\\"count\\\":2,"));
	assert_string_equal(fake_heard(a), "");
	fake_gone(a);
	assert_string_equal(fake_heard(b), "");
	fake_gone(c);
	assert_string_equal(fake_heard(b), "{\"event\":"
	    "\"pusher_internal:member_removed\",\"data\":"
	    "\"{\\\"user_id\\\":1}\",\"channel\":\"presence-r\"}\n");
}

static void
test_presence_again(void **state)
{
	struct fake_client *a = client(), *b = other(2);

	(void)state;
	join(a, "presence-r", "{\"user_id\":\"1\"}");
	join(b, "presence-r", "{\"user_id\":\"2\"}");
	fake_heard(a);
	fake_heard(b);
	join(b, "presence-r", "{\"user_id\":\"2\"}");
	assert_non_null(strstr(fake_heard(b), "\\\"count\\\":2"));
	assert_string_equal(fake_heard(a), "");
	/* as another: the old one leaves first */
	join(b, "presence-r", "{\"user_id\":\"3\"}");
	assert_non_null(strstr(fake_heard(b), "[\\\"1\\\",\\\"3\\\"]"));
	assert_string_equal(fake_heard(a), "{\"event\":"
	    "\"pusher_internal:member_removed\",\"data\":"
	    "\"{\\\"user_id\\\":\\\"2\\\"}\",\"channel\":\"presence-r\"}\n"
	    "{\"event\":\"pusher_internal:member_added\",\"data\":"
	    "\"{\\\"user_id\\\":\\\"3\\\"}\",\"channel\":\"presence-r\"}\n");
}

static void
test_bad_members(void **state)
{
	static const char *const datas[] = {
		"{}", "[]", "7", "{\"user_id\":true}", "{\"user_id\":null}",
		"{\"user_id\":\"\"}", "{\"user_id\":{}}",
		"{\"user_id\":\"12345678901234567890123456789012345678901234567"
		"890123456789012345678901234567890123456789012345678901234567890"
		"12345678901234567890\"}",
	};
	struct fake_client *f = client();
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(datas); i++) {
		join(f, "presence-r", datas[i]);
		assert_non_null(strstr(fake_heard(f), "needs a user_id"));
	}
	subscribe(f, "presence-r");
	assert_non_null(strstr(fake_heard(f), "signed-in user"));
	fake.app->max_presence_member = 64;
	join(f, "presence-r", "{\"user_id\":\"1\",\"user_info\":\"0123456789"
	    "0123456789012345678901234567890123456789\"}");
	assert_non_null(strstr(fake_heard(f), "too large"));
	fake.presence_full = true;
	join(f, "presence-r", "{\"user_id\":\"1\"}");
	assert_non_null(strstr(fake_heard(f), "too many members"));
	assert_int_equal(f->c.n_subs, 0);
}

static void
publish(const char *channel, const char *event, const char *data, bool cache)
{
	struct msg_publish m = {
		.app = B("7"), .channel = bytes_str(channel),
		.event = bytes_str(event), .data = bytes_str(data),
		.flags = cache ? PUBLISH_CACHE : 0,
	};

	uplink_publish(&m);
	fake_deliver();
}

static void
test_cache(void **state)
{
	static const char *const names[] = {
		"cache-x", "private-cache-x", "private-encrypted-cache-x",
	};
	struct fake_client *f = client();
	char expected[300];
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(names); i++) {
		subscribe(f, names[i]);
		snprintf(expected, sizeof(expected), SUCCESS("%s")
		    "{\"event\":\"pusher:cache_miss\",\"channel\":\"%s\"}\n",
		    names[i], names[i]);
		assert_string_equal(fake_heard(f), expected);
	}
	publish("cache-x", "\"E\"", "\"D\"", true);
	assert_string_equal(fake_heard(f), "{\"event\":\"E\",\"data\":\"D\","
	    "\"channel\":\"cache-x\"}\n");
	subscribe(f, "cache-x");
	assert_string_equal(fake_heard(f), SUCCESS("cache-x")
	    "{\"event\":\"E\",\"data\":\"D\",\"channel\":\"cache-x\"}\n");
	assert_int_equal(f->c.n_subs, 3);
	publish("presence-cache-x", "\"E\"", "\"D\"", true);
	join(f, "presence-cache-x", "{\"user_id\":\"1\"}");
	assert_non_null(strstr(fake_heard(f), "\n{\"event\":\"E\",\"data\":"
	    "\"D\",\"channel\":\"presence-cache-x\"}\n"));
}

static void
test_count(void **state)
{
	struct fake_client *f = client();
	struct msg_count c = { .app = B("7"), .channel = B("c"), .count = 3 };

	(void)state;
	fake.app->subscription_count = true;
	subscribe(f, "c");
	assert_string_equal(fake_heard(f), SUCCESS("c"));
	channel_on_count(&c);
	assert_string_equal(fake_heard(f), "{\"event\":"
	    "\"pusher_internal:subscription_count\",\"data\":"
	    "\"{\\\"subscription_count\\\":3}\",\"channel\":\"c\"}\n");
	join(f, "presence-c", "{\"user_id\":\"1\"}");
	assert_null(strstr(fake_heard(f), "subscription_count"));
}

/* ---- client events ----------------------------------------------------- */

static void
test_whisper(void **state)
{
	struct fake_client *a = client(), *b = other(2);

	(void)state;
	join(a, "presence-z", "{\"user_id\":2}");
	join(b, "presence-z", "{\"user_id\":\"3\"}");
	fake_heard(a);
	fake_heard(b);
	/* data comes through as it was written; user_id is the sender's */
	say(a, "{\"event\":\"client-x\",\"channel\":\"presence-z\",\"data\":"
	    "{ \"q\":1.0,\"e\":{} },\"user_id\":\"99\"}");
	fake_deliver();
	assert_string_equal(fake_heard(a), "");
	assert_string_equal(fake_heard(b), "{\"event\":\"client-x\","
	    "\"channel\":\"presence-z\",\"data\":{ \"q\":1.0,\"e\":{} },"
	    "\"user_id\":2}\n");
	say(b, "{\"event\":\"client-x\",\"channel\":\"presence-z\","
	    "\"data\":\"text\"}");
	fake_deliver();
	assert_string_equal(fake_heard(a), "{\"event\":\"client-x\","
	    "\"channel\":\"presence-z\",\"data\":\"text\",\"user_id\":\"3\"}\n");
	subscribe(a, "public");
	subscribe(b, "public");
	fake_heard(a);
	fake_heard(b);
	say(a, "{\"event\":\"client-y\",\"channel\":\"public\"}");
	fake_deliver();
	assert_string_equal(fake_heard(b), "{\"event\":\"client-y\","
	    "\"channel\":\"public\",\"data\":null}\n");
	assert_string_equal(fake_heard(a), "");
}

static bool
whispers_alone(struct fake_client *f)
{
	const char *flags;

	say(f, "{\"event\":\"client-y\",\"channel\":\"public\"}");
	flags = strrchr(fake.last.p, ' ');
	assert_non_null(flags);
	return (strtoul(flags + 1, NULL, 10) & PUBLISH_ALONE) != 0;
}

/* The router is told when nobody else of this worker could hear of it. */
static void
test_whisper_alone(void **state)
{
	struct fake_client *a = client(), *b = other(2);
	struct channel *ch;

	(void)state;
	fake.app->client_events = CLIENT_EVENTS_ALL;
	assert_false(whispers_alone(a));
	subscribe(a, "public");
	assert_true(whispers_alone(a));
	assert_false(whispers_alone(b));
	ch = channel_find(app_by_id(B("7")), B("public"));
	ch->expected = true;
	assert_false(whispers_alone(a));
	ch->expected = false;
	ch->replays = true;
	assert_false(whispers_alone(a));
	ch->replays = false;
	ch->n_waiting++;
	assert_false(whispers_alone(a));
	ch->n_waiting--;
	subscribe(b, "public");
	assert_false(whispers_alone(a));
	say(b, "{\"event\":\"pusher:unsubscribe\",\"data\":"
	    "{\"channel\":\"public\"}}");
	assert_true(whispers_alone(a));
}

static const struct sub *
sub_of(const struct fake_client *f, const char *channel)
{
	const struct sub *s = channel_sub(&f->c, bytes_str(channel));

	assert_true(s == NULL || (s->client == &f->c &&
	    bytes_eq(channel_name(s->channel), bytes_str(channel))));
	return s;
}

/* Found in a few channels and in many, in large and small ones. */
static void
test_many_channels(void **state)
{
	struct fake_client *a = client(), *crowd[60];
	char name[20];
	unsigned i;

	(void)state;
	for (i = 0; i < NELEM(crowd); i++) {
		crowd[i] = other(i);
		subscribe(crowd[i], "full");
	}
	subscribe(crowd[0], "theirs");
	for (i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		assert_null(sub_of(a, name));
		subscribe(a, name);
		assert_non_null(sub_of(a, name));
		assert_non_null(sub_of(a, "c0"));
		assert_null(sub_of(a, "full"));
		assert_null(sub_of(a, "theirs"));
	}
	subscribe(a, "full");
	assert_non_null(sub_of(a, "full"));
	assert_non_null(sub_of(a, "c0"));
	/* One that waits is not among the channel's. */
	channel_subscribe_since(&a->c, B("waits"), 0, 0, 0);
	assert_non_null(sub_of(a, "waits"));
	say(a, "{\"event\":\"pusher:unsubscribe\",\"data\":"
	    "{\"channel\":\"c7\"}}");
	assert_null(sub_of(a, "c7"));
	assert_non_null(sub_of(a, "c8"));
}

static void
test_whisper_refused(void **state)
{
	static const char text[] =
	    "{\"event\":\"client-x\",\"channel\":\"private-r\",\"data\":1}";
	struct fake_client *f = client();
	unsigned before;

	(void)state;
	say(f, text);
	assert_string_equal(fake_heard(f), "{\"event\":\"pusher:error\","
	    "\"data\":\"{\\\"code\\\":4009,\\\"message\\\":\\\"The client is "
	    "not a member of the specified channel.\\\"}\"}\n");
	assert_int_equal(fake.published, 0);
	fake.app->client_events = CLIENT_EVENTS_ALL;
	say(f, text);
	assert_int_equal(fake.published, 1);
	say(f, "{\"event\":\"client-x\",\"channel\":\"#server-to-user-1\"}");
	assert_non_null(strstr(fake_heard(f), "not a member"));
	say(f, "{\"event\":\"client-x\",\"channel\":\"a b\"}");
	assert_non_null(strstr(fake_heard(f), "Invalid channel name"));
	fake.app->client_events = CLIENT_EVENTS_NONE;
	say(f, text);
	assert_string_equal(fake_heard(f), "{\"event\":\"pusher:error\","
	    "\"data\":\"{\\\"code\\\":4301,\\\"message\\\":\\\"The app does not "
	    "have client messaging enabled.\\\"}\"}\n");

	fake.app->client_events = CLIENT_EVENTS_MEMBERS;
	subscribe(f, "private-r");
	fake_heard(f);
	before = fake.published;
	fake.full = true;
	say(f, text);
	assert_non_null(strstr(fake_heard(f), "4100"));
	assert_true(f->c.publishes);	/* the next one waits for room */
	fake.full = false;
	fake.app->max_event_name = 7;
	say(f, text);
	assert_non_null(strstr(fake_heard(f), "event name is too long"));
	fake.app->max_event_name = 8;
	fake.app->max_event_size = 1;
	say(f, text);
	assert_int_equal(fake.published, before + 1);
	say(f, "{\"event\":\"client-x\",\"channel\":\"private-r\","
	    "\"data\":12}");
	assert_non_null(strstr(fake_heard(f), "data is too large"));
	assert_int_equal(fake.published, before + 1);
}

static void
test_whisper_rate(void **state)
{
	struct fake_client *f = client();
	int i;

	(void)state;
	fake.app->client_event_rate = 2;
	subscribe(f, "public");
	fake_heard(f);
	for (i = 0; i < 3; i++)
		say(f, "{\"event\":\"client-x\",\"channel\":\"public\"}");
	assert_int_equal(fake.published, 2);
	assert_non_null(strstr(fake_heard(f), "4301"));
	worker.now++;
	say(f, "{\"event\":\"client-x\",\"channel\":\"public\"}");
	assert_int_equal(fake.published, 3);
}

/* ---- users ------------------------------------------------------------- */

static void
test_sign_in(void **state)
{
	struct fake_client *f = client();

	(void)state;
	/* the reference's vector */
	say(f, "{\"event\":\"pusher:signin\",\"data\":{\"auth\":\"app-key:8ec034"
	    "4c9213077ebecad818feed86688e35be148b72432f675aec4fcdcff27e\","
	    "\"user_data\":\"{\\\"id\\\":\\\"7\\\"}\"}}");
	assert_string_equal(fake_heard(f), "{\"event\":\"pusher:signin_success\""
	    ",\"data\":{\"user_data\":\"{\\\"id\\\":\\\"7\\\"}\"}}\n");
	assert_true(f->c.state.authorized);
	subscribe(f, "#server-to-user-7");
	assert_string_equal(fake_heard(f), SUCCESS("#server-to-user-7"));
	subscribe(f, "#server-to-user-77");
	assert_non_null(strstr(fake_heard(f), "unauthorized"));
	/* the same again is fine, another is not */
	sign_in(f, "{\"id\":\"7\"}");
	assert_non_null(strstr(fake_heard(f), "signin_success"));
	sign_in(f, "{\"id\":\"8\"}");
	assert_non_null(strstr(fake_heard(f), "another user"));
	assert_memory_equal(f->c.user->id.p, "7", 1);
}

static void
test_sign_in_refused(void **state)
{
	static const char *const datas[] = {
		"{}", "[]", "x", "{\"id\":7}", "{\"id\":\"\"}", "{\"id\":null}",
	};
	struct fake_client *f = client();
	size_t i;

	(void)state;
	say(f, "{\"event\":\"pusher:signin\",\"data\":{\"auth\":\"app-key:00\","
	    "\"user_data\":\"{\\\"id\\\":\\\"7\\\"}\"}}");
	assert_non_null(strstr(fake_heard(f), "Connection is unauthorized"));
	assert_int_equal(f->closed, CLOSE_SIGNIN);
	f = client();
	for (i = 0; i < NELEM(datas); i++) {
		sign_in(f, datas[i]);
		assert_non_null(strstr(fake_heard(f), "needs an id"));
	}
	fake.app->max_presence_member = 64;
	sign_in(f, "{\"id\":\"7\",\"user_info\":\"0123456789012345678901234567"
	    "8901234567890123456789\"}");
	assert_non_null(strstr(fake_heard(f), "too large"));
	assert_null(f->c.user);
	subscribe(f, "#server-to-user-7");
	assert_non_null(strstr(fake_heard(f), "unauthorized"));
	assert_int_equal(f->c.n_subs, 0);
}

static void
test_presence_of_user(void **state)
{
	struct fake_client *f = client();

	(void)state;
	sign_in(f, "{\"id\":\"7\",\"user_info\":{\"name\":\"Ann\"},"
	    "\"watchlist\":[\"8\"]}");
	fake_heard(f);
	subscribe(f, "presence-r");
	assert_non_null(strstr(fake_heard(f), "{\\\"presence\\\":{\\\"count\\\":"
	    "1,\\\"ids\\\":[\\\"7\\\"],\\\"hash\\\":{\\\"7\\\":{\\\"name\\\":"
	    "\\\"Ann\\\"}}}}"));
}

static void
test_watchlist(void **state)
{
	struct fake_client *f = client();
	struct buf packed = { 0 };
	struct bytes on[] = { B("a"), B("b\"") };
	struct msg_watch out = { .online_out = { on, 2 } }, in;
	struct unpacker u;
	struct msg_reader *r = msg_reader_new();
	const char *why;
	unsigned type;

	(void)state;
	fake.app->max_watchlist = 2;
	sign_in(f, "{\"id\":\"7\",\"watchlist\":[\"a\",7,\"b\",\"c\",\"d\"]}");
	assert_string_equal(buf_cstr(&fake.last), "a b ");
	assert_non_null(strstr(fake_heard(f), "\\\"code\\\":4302"));

	msg_pack_watch(&packed, &out);
	assert_int_equal(msg_read(r, bytes_skip(buf_view(&packed), 4), &type,
	    &u, &why), 0);
	assert_int_equal(msg_unpack_watch(&u, &in, &why), 0);
	f->c.front->watch(&f->c, &in.online, &in.offline);
	assert_string_equal(fake_heard(f), "{\"event\":"
	    "\"pusher_internal:watchlist_events\",\"data\":\"{\\\"events\\\":"
	    "[{\\\"name\\\":\\\"online\\\",\\\"user_ids\\\":[\\\"a\\\","
	    "\\\"b\\\\\\\"\\\"]}]}\"}\n");
	buf_done(&packed);
	msg_reader_free(r);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_established),
		TEST(test_paths),
		TEST(test_refused),
		TEST(test_quota),
		TEST(test_messages),
		TEST(test_rate_limit),
		TEST(test_silence),
		TEST(test_late_ping),
		TEST(test_must_authorize),
		TEST(test_subscribe),
		TEST(test_unauthorized),
		TEST(test_bad_names),
		TEST(test_presence),
		TEST(test_presence_again),
		TEST(test_bad_members),
		TEST(test_cache),
		TEST(test_count),
		TEST(test_whisper),
		TEST(test_whisper_alone),
		TEST(test_many_channels),
		TEST(test_whisper_refused),
		TEST(test_whisper_rate),
		TEST(test_sign_in),
		TEST(test_sign_in_refused),
		TEST(test_presence_of_user),
		TEST(test_watchlist),
	};

	crypto_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
