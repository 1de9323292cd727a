/* SPDX-License-Identifier: MIT
 *
 * src/front/pusher*.c: what clients say to each other, and who they are.
 */
#include "tests/front/test_pusher.h"

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
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
