/* SPDX-License-Identifier: MIT
 *
 * src/front/pusher*.c: what a client hears for what it says, word for word
 * where Reverb's clients depend on it.
 */
#include "tests/front/test_pusher.h"

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
	};

	crypto_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
