/* SPDX-License-Identifier: MIT
 *
 * Channels on a worker: kinds by name, joining and leaving, deliveries, counts,
 * and what a new router is told.
 */
#include "tests/worker/test_core.h"

static void
kinds_by_name(void **state)
{
	static const struct {
		const char *name;
		unsigned kind;
	} names[] = {
		{ "news", 0 },
		{ "private", 0 },		/* the dash belongs to it */
		{ "privateX", 0 },
		{ "cachefoo", 0 },
		{ "presence", 0 },
		{ "private-a", CHANNEL_PRIVATE },
		{ "private-", CHANNEL_PRIVATE },
		{ "presence-a", CHANNEL_PRIVATE | CHANNEL_PRESENCE },
		{ "cache-a", CHANNEL_CACHE },
		{ "private-cache-a", CHANNEL_PRIVATE | CHANNEL_CACHE },
		{ "presence-cache-a",
		    CHANNEL_PRIVATE | CHANNEL_PRESENCE | CHANNEL_CACHE },
		{ "private-encrypted-a", CHANNEL_PRIVATE | CHANNEL_ENCRYPTED },
		{ "private-encrypted-cache-a",
		    CHANNEL_PRIVATE | CHANNEL_ENCRYPTED | CHANNEL_CACHE },
		{ "a,b;c.d@e=f-g_H9", 0 },
		{ "#server-to-user-7", CHANNEL_USER },
		{ "#server-to-user-", CHANNEL_BAD },
		{ "#other", CHANNEL_BAD },
		{ "a#b", CHANNEL_BAD },
		{ "a b", CHANNEL_BAD },
		{ "a/b", CHANNEL_BAD },
		{ "gr\xc3\xbc", CHANNEL_BAD },
		{ "", CHANNEL_BAD },
	};
	char longest[201];
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(names); i++)
		if (channel_kind(bytes_str(names[i].name), 200) !=
		    names[i].kind)
			fail_msg("%s", names[i].name);
	for (i = 0; i < NELEM(names); i++)
		if (!(names[i].kind & (CHANNEL_BAD | CHANNEL_USER)) &&
		    channel_prefix(bytes_str(names[i].name)) != names[i].kind)
			fail_msg("%s", names[i].name);
	/* Whatever stands behind it. */
	assert_int_equal(channel_prefix(B("cache-a b#")), CHANNEL_CACHE);
	assert_int_equal(channel_prefix(B("#server-to-user-7")), 0);
	assert_int_equal(channel_prefix(B("cache")), 0);
	assert_int_equal(channel_prefix(B("")), 0);
	memset(longest, 'x', sizeof(longest));
	assert_int_equal(channel_kind(bytes_of(longest, 200), 200), 0);
	assert_int_equal(channel_kind(bytes_of(longest, 201), 200),
	    CHANNEL_BAD);
}

static const struct bytes none;

static void
deliver(const char *channel, uint64_t origin, uint64_t serial, uint32_t a,
    uint32_t b)
{
	struct msg_deliver m = {
		.app = B("1"), .channel = bytes_str(channel),
		.origin = origin, .origin_serial = serial,
		.event = B("hi"), .except_a = a, .except_b = b,
	};

	channel_on_deliver(&m);
}

static void
first_waits_second_does_not(void **state)
{
	struct msg_join join;
	struct msg_leave leave;
	struct client *a, *b;
	int pa, pb;

	(void)state;
	a = test_client(&pa);
	b = test_client(&pb);
	channel_subscribe(a, B("news"), 0, none, none);
	assert_int_equal(told.subscribed, 0);
	expect_msg(join, &join);
	assert_true(join.cookie != 0);
	assert_int_equal(join.n, 1);
	answer("news", join.cookie, 5);
	assert_int_equal(told.subscribed, 1);
	assert_int_equal(told.count, 5);

	channel_subscribe(b, B("news"), 0, none, none);
	assert_int_equal(told.subscribed, 2);
	assert_int_equal(told.count, 6);
	expect_msg(join, &join);
	assert_int_equal(join.cookie, 0);

	/* Both get it, encoded once; the sender does not. */
	deliver("news", 9, 1, 0, 0);
	assert_string_equal(received(pa), "Ehi");
	assert_string_equal(received(pb), "Ehi");
	assert_int_equal(told.encoded, 1);
	deliver("news", 9, 2, a->state.socket_a, a->state.socket_b);
	assert_string_equal(received(pa), "");
	assert_string_equal(received(pb), "Ehi");

	test_client_end(a, pa);
	expect_msg(leave, &leave);
	deliver("news", 9, 3, 0, 0);
	assert_string_equal(received(pb), "Ehi");
	test_client_end(b, pb);
	expect_msg(leave, &leave);
	assert_null(channel_find(app_by_id(B("1")), B("news")));
}

static void
told_twice_is_delivered_once(void **state)
{
	struct msg_join join;
	struct client *a;
	int pa;

	(void)state;
	a = test_client(&pa);
	channel_subscribe(a, B("once"), 0, none, none);
	expect_msg(join, &join);
	answer("once", join.cookie, 1);
	deliver("once", 77, 5, 0, 0);
	deliver("once", 77, 5, 0, 0);
	deliver("once", 77, 4, 0, 0);
	assert_string_equal(received(pa), "Ehi");
	deliver("once", 78, 1, 0, 0);	/* another publisher's count */
	deliver("once", 77, 6, 0, 0);
	assert_string_equal(received(pa), "EhiEhi");
	test_client_end(a, pa);
}

static void
replay(uint64_t cookie, uint64_t offset)
{
	struct msg_replay m = {
		.cookie = cookie, .app = B("1"), .channel = B("back"),
		.position_epoch = 7, .position_offset = offset,
		.event = B("old"), .flags = PUBLISH_TEXT,
	};

	channel_on_replay(&m);
}

/* Who comes back hears what it missed, alone and first. */
static void
who_comes_back_hears_first(void **state)
{
	struct msg_hello hello;
	struct msg_load load;
	struct msg_join join;
	struct client *a, *b;
	int pa, pb;

	(void)state;
	a = test_client(&pa);
	b = test_client(&pb);
	channel_subscribe(a, B("back"), 0, none, none);
	expect_msg(join, &join);
	assert_int_equal(join.flags, 0);
	answer("back", join.cookie, 1);
	channel_subscribe_since(b, B("back"), 0, 7, 41);
	expect_msg(join, &join);
	assert_int_equal(join.flags, JOIN_REPLAY);
	assert_int_equal(join.since_epoch, 7);
	assert_int_equal(join.since_offset, 41);
	assert_true(join.cookie != 0);
	assert_int_equal(told.subscribed, 1);
	deliver("back", 0, 0, 0, 0);
	replay(join.cookie, 42);
	replay(join.cookie + 1, 43);	/* nobody waits for it */
	assert_string_equal(received(pa), "Ehi");
	assert_string_equal(received(pb), "Eold");
	/* A new router is asked the same, and told to keep history. */
	close(router_fd);
	test_connect();
	expect_msg(hello, &hello);
	expect_msg(load, &load);
	expect_msg(join, &join);
	assert_int_equal(join.cookie, 0);
	assert_int_equal(join.n, 1);
	assert_int_equal(join.flags, JOIN_SYNC | JOIN_REPLAY);
	expect_msg(join, &join);
	assert_int_equal(join.since_epoch, 7);
	assert_int_equal(join.since_offset, 41);
	answer("back", join.cookie, 2);
	deliver("back", 0, 0, 0, 0);
	assert_string_equal(received(pb), "Ehi");
	test_client_end(a, pa);
	test_client_end(b, pb);
}

static void
a_waiting_one_can_leave(void **state)
{
	struct msg_join join;
	struct msg_leave leave;
	struct client *a;
	int pa;

	(void)state;
	a = test_client(&pa);
	channel_subscribe(a, B("gone"), 0, none, none);
	expect_msg(join, &join);
	channel_unsubscribe(channel_sub(a, B("gone")));
	expect_msg(leave, &leave);
	answer("gone", join.cookie, 1);
	assert_int_equal(told.subscribed, 0);
	assert_null(channel_find(app_by_id(B("1")), B("gone")));
	test_client_end(a, pa);
}

static void
a_waiting_member_leaves_when_it_is_in(void **state)
{
	struct msg_join join;
	struct msg_leave leave;
	struct msg_subscribed refused = {
		.app = B("1"), .channel = B("presence-p"),
		.refused = REFUSED_FULL,
	};
	unsigned kind = CHANNEL_PRIVATE | CHANNEL_PRESENCE;
	struct client *a;
	int pa;

	(void)state;
	a = test_client(&pa);
	channel_subscribe(a, B("presence-p"), kind, B("u"), B("{}"));
	expect_msg(join, &join);
	channel_unsubscribe(channel_sub(a, B("presence-p")));
	assert_null(channel_sub(a, B("presence-p")));
	assert_int_equal(a->n_subs, 0);
	expect_silence();
	answer("presence-p", join.cookie, 1);
	expect_msg(leave, &leave);
	assert_memory_equal(leave.user.p, "u", 1);
	assert_null(channel_find(app_by_id(B("1")), B("presence-p")));

	channel_subscribe(a, B("presence-p"), kind, B("u"), B("{}"));
	expect_msg(join, &join);
	test_client_end(a, pa);
	refused.cookie = join.cookie;
	channel_on_subscribed(&refused);
	expect_silence();		/* it never was in */
	assert_int_equal(told.subscribed + told.refused, 0);
	assert_null(channel_find(app_by_id(B("1")), B("presence-p")));
}

static void
a_new_router_is_told_all(void **state)
{
	struct msg_hello hello;
	struct msg_load load;
	struct msg_join join;
	struct msg_synced synced;
	struct client *a, *b;
	uint64_t cookie;
	int pa, pb;

	(void)state;
	a = test_client(&pa);
	b = test_client(&pb);
	channel_subscribe(a, B("x"), 0, none, none);
	expect_msg(join, &join);
	answer("x", join.cookie, 1);
	channel_subscribe(b, B("x"), 0, none, none);
	expect_msg(join, &join);
	channel_subscribe(b, B("cache-y"), CHANNEL_CACHE, none, none);
	expect_msg(join, &join);
	cookie = join.cookie;

	uplink_lost();
	close(router_fd);
	test_connect();
	expect_msg(hello, &hello);
	expect_msg(load, &load);
	expect_msg(join, &join);
	assert_int_equal(join.n, 2);
	assert_int_equal(join.cookie, 0);
	assert_true(join.flags & JOIN_SYNC);
	expect_msg(join, &join);	/* still waits for its answer */
	assert_int_equal(join.cookie, cookie);
	assert_false(join.flags & JOIN_SYNC);
	assert_true(join.flags & JOIN_CACHE);
	expect_msg(synced, &synced);
	expect_silence();
	test_client_end(a, pa);
	test_client_end(b, pb);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds_by_name),
		cmocka_unit_test_setup_teardown(first_waits_second_does_not,
		    core_setup, core_teardown),
		cmocka_unit_test_setup_teardown(told_twice_is_delivered_once,
		    core_setup, core_teardown),
		cmocka_unit_test_setup_teardown(who_comes_back_hears_first,
		    core_setup, core_teardown),
		cmocka_unit_test_setup_teardown(a_waiting_one_can_leave,
		    core_setup, core_teardown),
		cmocka_unit_test_setup_teardown(
		    a_waiting_member_leaves_when_it_is_in, core_setup,
		    core_teardown),
		cmocka_unit_test_setup_teardown(a_new_router_is_told_all,
		    core_setup, core_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
