/* SPDX-License-Identifier: MIT
 *
 * Channels and the link to the router while clients are handed over: what an
 * heir expects, who comes and goes, who has a message already, and what a new
 * router is told.
 */
#include "tests/worker/test_core.h"

#include "worker/fanout.h"
#include "worker/presence.h"

#define PRESENCE	(CHANNEL_PRIVATE | CHANNEL_PRESENCE)

static const struct bytes none;
static uint64_t router_epoch = 100;

static struct channel *
find(const char *name)
{
	return channel_find(app_by_id(B("1")), bytes_str(name));
}

static void
deliver(const char *channel, uint64_t epoch, uint64_t serial)
{
	struct msg_deliver m = {
		.epoch = epoch, .serial = serial,
		.app = B("1"), .channel = bytes_str(channel), .event = B("hi"),
	};

	channel_on_deliver(&m);
}

static void
member(const char *channel, const char *user)
{
	struct msg_member m = {
		.app = B("1"), .channel = bytes_str(channel),
		.user = bytes_str(user), .member = B("{}"),
	};

	presence_on_member(&m);
}

static void
roster(const char *channel, uint64_t epoch, uint64_t serial)
{
	struct msg_roster m = {
		.epoch = epoch, .serial = serial,
		.app = B("1"), .channel = bytes_str(channel),
	};

	presence_on_roster(&m);
}

/* A channel that is expected and live. */
static struct channel *
expected(const char *name, unsigned kind)
{
	struct msg_join join;

	channel_expect(app_by_id(B("1")), bytes_str(name), kind);
	expect_msg(join, &join);
	if (kind & CHANNEL_PRESENCE)
		roster(name, router_epoch, 1);
	answer(name, join.cookie, 3);
	return find(name);
}

static void
forget_expected(void)
{
	struct unpacker u;

	channels_expect_no_more();
	while (next_message(&u) != MSG_NONE)
		;
}

static void
came(struct client *cl, uint64_t was)
{
	struct uplink_elder elder = { .slot = 3, .generation = 4, .was = was,
	    .epoch = 55 };

	uplink_came(cl, &elder);
}

static void
next_is_moved(struct msg_moved *m, uint64_t was, uint64_t conn)
{
	expect_msg(moved, m);
	assert_int_equal(m->was, was);
	assert_int_equal(m->conn, conn);
}

static bool
list_has(const struct msg_list *list, uint32_t i, const char *text)
{
	return i < list->n && bytes_eq(msg_list_at(list, i), bytes_str(text));
}

static void
next_load(uint64_t open, uint64_t came_n, uint64_t went)
{
	struct msg_load load;

	expect_msg(load, &load);
	assert_int_equal(load.open, open);
	assert_int_equal(load.came, came_n);
	assert_int_equal(load.went, went);
}

/* ---- expecting ------------------------------------------------------------- */

static void
expected_without_subscriber(void **state)
{
	struct app *app = app_by_id(B("1"));
	struct msg_join join;
	struct msg_leave leave;

	(void)state;
	channel_expect(app, B("x"), 0);
	expect_msg(join, &join);
	assert_int_equal(join.n, 0);
	assert_int_equal(join.flags, JOIN_HEIR);
	assert_true(join.cookie != 0);
	assert_false(find("x")->live);
	/* Another elder: it is asked for once. */
	channel_expect(app, B("x"), 0);
	expect_silence();
	answer("x", join.cookie + 1, 9);
	assert_false(find("x")->live);
	answer("x", join.cookie, 5);
	assert_true(find("x")->live);
	assert_int_equal(find("x")->count, 5);
	/* As a room with a history it is another thing. */
	channel_expect(app, B("x"), CHANNEL_REPLAYS);
	expect_msg(join, &join);
	assert_int_equal(join.flags, JOIN_HEIR | JOIN_SYNC | JOIN_REPLAY);
	assert_int_equal(channel_kind_told(find("x")), CHANNEL_REPLAYS);
	channels_expect_no_more();
	expect_msg(leave, &leave);
	assert_int_equal(leave.n, 0);
	assert_null(find("x"));
	channels_expect_no_more();
	expect_silence();
}

/* Subscribers of this worker's own come and go. */
static void
expected_with_subscribers(void **state)
{
	struct msg_join join;
	struct msg_leave leave;
	struct client *a;
	uint64_t cookie;
	int pa;

	(void)state;
	told.subscribed = 0;
	a = test_client(&pa);
	channel_expect(a->app, B("x"), 0);
	expect_msg(join, &join);
	cookie = join.cookie;
	channel_subscribe(a, B("x"), 0, none, none);
	expect_msg(join, &join);
	assert_int_equal(join.n, 1);
	assert_true(join.cookie != 0 && join.cookie != cookie);
	answer("x", cookie, 0);
	answer("x", join.cookie, 1);
	assert_int_equal(told.subscribed, 1);
	channel_unsubscribe(channel_sub(a, B("x")));
	expect_msg(leave, &leave);
	assert_int_equal(leave.n, 1);
	assert_true(find("x")->live);
	/* The route is live all the time. */
	channel_subscribe(a, B("x"), 0, none, none);
	expect_msg(join, &join);
	assert_int_equal(join.cookie, 0);
	assert_int_equal(told.subscribed, 2);
	channels_expect_no_more();
	expect_msg(leave, &leave);
	assert_int_equal(leave.n, 0);
	assert_true(find("x")->live);
	/* And one that has some before it is expected. */
	channel_expect(a->app, B("x"), 0);
	expect_msg(join, &join);
	assert_int_equal(join.flags, JOIN_HEIR | JOIN_SYNC);
	assert_int_equal(join.cookie, 0);
	test_client_end(a, pa);
	forget_expected();
	assert_null(find("x"));
}

static void
expected_members(void **state)
{
	struct msg_join join;

	(void)state;
	channel_expect(app_by_id(B("1")), B("presence-p"), PRESENCE);
	expect_msg(join, &join);
	assert_int_equal(join.flags, JOIN_HEIR | JOIN_PRESENCE | JOIN_ROSTER);
	member("presence-p", "u");
	roster("presence-p", 1, 1);
	answer("presence-p", join.cookie, 1);
	assert_int_equal(presence_count(find("presence-p")->presence), 1);
	forget_expected();
	assert_null(find("presence-p"));
}

static void
told_to_a_new_router(void **state)
{
	struct msg_hello hello;
	struct msg_load load;
	struct msg_join join;
	struct msg_synced synced;
	uint64_t cookie;

	(void)state;
	expected("x", 0);
	channel_expect(app_by_id(B("1")), B("presence-p"), PRESENCE);
	expect_msg(join, &join);
	cookie = join.cookie;
	close(router_fd);
	test_connect();
	expect_msg(hello, &hello);
	expect_msg(load, &load);
	for (int i = 0; i < 2; i++) {
		expect_msg(join, &join);
		assert_int_equal(join.n, 0);
		if (join.flags & JOIN_PRESENCE) {
			assert_int_equal(join.cookie, cookie);
			assert_int_equal(join.flags, JOIN_HEIR |
			    JOIN_PRESENCE | JOIN_ROSTER);
		} else {
			assert_int_equal(join.cookie, 0);
			assert_int_equal(join.flags, JOIN_HEIR | JOIN_SYNC);
		}
	}
	expect_msg(synced, &synced);
	forget_expected();
}

/* ---- coming ----------------------------------------------------------------- */

static void
adopted(void **state)
{
	struct msg_moved m;
	struct msg_leave leave;
	struct client *a;
	int pa;

	(void)state;
	a = test_client(&pa);
	assert_null(channel_adopt(a, B("x"), none));
	expected("x", 0);
	expected("presence-p", PRESENCE);
	assert_null(channel_adopt(a, B("presence-p"), none));
	assert_null(channel_adopt(a, B("x"), B("u")));
	assert_non_null(channel_adopt(a, B("x"), none));
	member("presence-p", "u");
	roster("presence-p", router_epoch, 2);
	assert_non_null(channel_adopt(a, B("presence-p"), B("u")));
	expect_silence();
	a->established = true;
	came(a, 41);
	assert_true(a->arriving);
	next_load(1, 1, 0);
	/* It is in, and its elder counts for it. */
	deliver("x", router_epoch, 9);
	assert_string_equal(received(pa), "Ehi");
	uplink_moved(a);
	assert_false(a->arriving);
	next_is_moved(&m, 41, a->conn->id);
	assert_int_equal(m.slot, 3);
	assert_int_equal(m.generation, 4);
	assert_int_equal(m.epoch, 55);
	assert_int_equal(m.open, 1);
	assert_int_equal(m.first, 1);
	assert_int_equal(m.channels.n, 2);
	assert_int_equal(m.users.n, 2);
	assert_int_equal(m.members.n, 2);
	assert_true(list_has(&m.channels, 0, "presence-p"));
	assert_true(list_has(&m.users, 0, "u"));
	assert_true(list_has(&m.members, 0, "{}"));
	assert_true(list_has(&m.channels, 1, "x"));
	assert_true(list_has(&m.users, 1, ""));
	expect_silence();
	channels_expect_no_more();
	expect_msg(leave, &leave);
	expect_msg(leave, &leave);
	assert_int_equal(leave.n, 0);
	/* From now on it is as any other. */
	channel_unsubscribe(channel_sub(a, B("x")));
	expect_msg(leave, &leave);
	assert_int_equal(leave.n, 1);
	channel_unsubscribe(channel_sub(a, B("presence-p")));
	expect_msg(leave, &leave);
	assert_memory_equal(leave.user.p, "u", 1);
	next_load(1, 1, 0);
	a->app->open--;
	a->established = false;
	test_client_end(a, pa);
}

static void
refused_after_all(void **state)
{
	struct client *a;
	int pa;

	(void)state;
	a = test_client(&pa);
	expected("x", 0);
	channel_adopt(a, B("x"), none);
	a->established = true;
	came(a, 42);
	next_load(1, 1, 0);
	uplink_went(a);
	channel_let_go_all(a);
	next_load(0, 1, 1);
	uplink_moved(a);
	expect_silence();
	test_client_end(a, pa);
	forget_expected();
}

/* More channels than fit in one message; and more octets. */
static void
many_channels(void **state)
{
	struct msg_moved m;
	struct client *a;
	struct unpacker u;
	uint32_t n = 0, messages = 0;
	char name[24];
	const char *why;
	int pa;

	(void)state;
	a = test_client(&pa);
	for (int i = 0; i < 10001; i++) {
		snprintf(name, sizeof(name), "many-%d", i);
		expected(name, 0);
		channel_adopt(a, bytes_str(name), none);
	}
	a->established = true;
	came(a, 43);
	uplink_moved(a);
	for (;;) {
		unsigned type = next_message(&u);

		if (type == MSG_load)
			continue;
		if (type == MSG_NONE)
			break;
		assert_int_equal(type, MSG_moved);
		assert_int_equal(msg_unpack_moved(&u, &m, &why), 0);
		assert_int_equal(m.first, messages == 0);
		assert_int_equal(m.open, messages == 0);
		assert_true(m.channels.n > 0);
		n += m.channels.n;
		messages++;
	}
	assert_int_equal(n, 10001);
	assert_true(messages > 1);
	uplink_went(a);
	channel_let_go_all(a);
	test_client_end(a, pa);
	forget_expected();
}

/* ---- going ------------------------------------------------------------------ */

static void
let_go(void **state)
{
	struct buf died = { 0 };
	struct msg_join join;
	struct msg_moved m;
	struct client *a, *b;
	int pa, pb;

	(void)state;
	a = test_client(&pa);
	b = test_client(&pb);
	channel_subscribe(a, B("x"), 0, none, none);
	expect_msg(join, &join);
	answer("x", join.cookie, 1);
	a->established = true;
	a->app->open++;
	a->app->subscribed++;
	worker.leaving = true;
	/* The router may know already that a is gone, and that nobody here is
	 * left: who comes now waits for its word. */
	channel_subscribe(b, B("x"), 0, none, none);
	expect_msg(join, &join);
	assert_true(join.cookie != 0);
	uplink_died(&died, a);
	uplink_went(a);
	channel_let_go_all(a);
	assert_int_equal(a->app->open, 0);
	assert_int_equal(a->app->subscribed, 0);
	next_load(0, 0, 1);
	expect_silence();
	answer("x", join.cookie, 1);
	deliver("x", router_epoch, 1);
	assert_string_equal(received(pb), "Ehi");
	assert_string_equal(received(pa), "");
	/* Its heir has died. */
	uplink_say(buf_view(&died));
	next_is_moved(&m, a->conn->id, 0);
	assert_int_equal(m.slot, worker.slot);
	assert_int_equal(m.channels.n, 1);
	assert_int_equal(m.open, 1);
	buf_done(&died);
	channel_let_go_all(b);
	assert_null(find("x"));
	expect_silence();
	worker.leaving = false;
	test_client_end(a, pa);
	test_client_end(b, pb);
}

/* ---- who has it already ------------------------------------------------------- */

static void
what_it_has_is_left_out(void **state)
{
	struct msg_count count = { .epoch = 200, .serial = 10, .app = B("1"),
	    .channel = B("x"), .count = 2 };
	struct client *a, *b;
	int pa, pb;

	(void)state;
	a = test_client(&pa);
	b = test_client(&pb);
	expected("x", 0);
	channel_adopt(a, B("x"), none);
	channel_adopt(b, B("x"), none);
	fanout_applied(a, 200, 10);
	deliver("x", 200, 9);
	assert_string_equal(received(pa), "");
	assert_string_equal(received(pb), "Ehi");
	channel_on_count(&count);
	assert_string_equal(received(pa), "");
	assert_string_equal(received(pb), "C");
	assert_int_equal(find("x")->count, 2);
	deliver("x", 200, 11);
	assert_string_equal(received(pa), "Ehi");
	assert_string_equal(received(pb), "Ehi");
	/* Another one has more; a new router counts anew, for all. */
	fanout_applied(b, 200, 20);
	deliver("x", 200, 15);
	assert_string_equal(received(pa), "Ehi");
	assert_string_equal(received(pb), "");
	deliver("x", 201, 3);
	assert_string_equal(received(pa), "Ehi");
	assert_string_equal(received(pb), "Ehi");
	fanout_applied(b, 201, 5);
	deliver("x", 201, 4);
	assert_string_equal(received(pa), "Ehi");
	assert_string_equal(received(pb), "");
	/* One who comes with what an old router said. */
	fanout_applied(a, 200, 99);
	deliver("x", 201, 5);
	assert_string_equal(received(pa), "Ehi");
	assert_string_equal(received(pb), "");
	channel_let_go_all(a);
	channel_let_go_all(b);
	test_client_end(a, pa);
	test_client_end(b, pb);
	forget_expected();
}

static void
members_it_knows_are_left_out(void **state)
{
	struct msg_member_added added = { .epoch = 300, .serial = 5,
	    .app = B("1"), .channel = B("presence-p"), .user = B("v"),
	    .member = B("{}") };
	struct msg_member_removed removed = { .epoch = 300, .serial = 6,
	    .app = B("1"), .channel = B("presence-p"), .user = B("v") };
	struct client *a, *b;
	int pa, pb;

	(void)state;
	a = test_client(&pa);
	b = test_client(&pb);
	expected("presence-p", PRESENCE);
	member("presence-p", "u");
	roster("presence-p", 300, 1);
	channel_adopt(a, B("presence-p"), B("u"));
	channel_adopt(b, B("presence-p"), B("u"));
	fanout_applied(a, 300, 5);
	presence_on_added(&added);
	assert_string_equal(received(pa), "");
	assert_string_equal(received(pb), "Av");
	presence_on_removed(&removed);
	assert_string_equal(received(pa), "Rv");
	assert_string_equal(received(pb), "Rv");
	/* A roster is announced as one. */
	fanout_applied(b, 300, 8);
	member("presence-p", "u");
	member("presence-p", "w");
	assert_string_equal(received(pa), "");
	roster("presence-p", 300, 8);
	assert_string_equal(received(pa), "Aw");
	assert_string_equal(received(pb), "");
	member("presence-p", "u");
	roster("presence-p", 301, 1);
	assert_string_equal(received(pa), "Rw");
	assert_string_equal(received(pb), "Rw");
	channel_let_go_all(a);
	channel_let_go_all(b);
	test_client_end(a, pa);
	test_client_end(b, pb);
	forget_expected();
}

/* ---- a new router --------------------------------------------------------------- */

/* Looks through all that a new router is told. */
static struct retold {
	unsigned	subs;		/* plainly */
	unsigned	moved;
	uint64_t	open, came, was, conn;
} retold;

static void
retell(void)
{
	struct unpacker u;
	const char *why;
	unsigned type;

	memset(&retold, 0, sizeof(retold));
	close(router_fd);
	test_connect();
	while ((type = next_message(&u)) != MSG_NONE) {
		struct msg_join join;
		struct msg_moved m;
		struct msg_load load;

		if (type == MSG_join) {
			assert_int_equal(msg_unpack_join(&u, &join, &why), 0);
			retold.subs += (unsigned)join.n;
		} else if (type == MSG_load) {
			assert_int_equal(msg_unpack_load(&u, &load, &why), 0);
			retold.open = load.open;
			retold.came = load.came;
		} else if (type == MSG_moved) {
			assert_int_equal(msg_unpack_moved(&u, &m, &why), 0);
			retold.moved++;
			retold.was = m.was;
			retold.conn = m.conn;
		}
	}
}

static void
a_new_router_hears_who_is_on_his_way(void **state)
{
	struct client *a, *b;
	int pa, pb;

	(void)state;
	a = test_client(&pa);
	b = test_client(&pb);
	expected("x", 0);
	channel_adopt(a, B("x"), none);
	a->established = true;
	came(a, 44);
	/* Nothing of it before it is taken. */
	retell();
	assert_int_equal(retold.subs + retold.moved, 0);
	assert_int_equal(retold.open, 1);
	assert_int_equal(retold.came, 1);
	/* By name while its elder may tell of it, too. */
	uplink_moved(a);
	retell();
	assert_int_equal(retold.subs, 0);
	assert_int_equal(retold.moved, 1);
	assert_int_equal(retold.was, 44);
	assert_int_equal(retold.conn, a->conn->id);
	assert_int_equal(retold.came, 1);
	assert_false(a->arriving);
	/* As any other when that one gives more. */
	uplink_known(3, 4);
	channel_adopt(b, B("x"), none);
	b->established = true;
	came(b, 45);
	retell();
	assert_int_equal(retold.subs, 1);
	assert_int_equal(retold.moved, 0);
	assert_int_equal(retold.open, 2);
	assert_int_equal(retold.came, 1);
	uplink_went(b);
	channel_let_go_all(b);
	uplink_went(a);
	channel_let_go_all(a);
	test_client_end(a, pa);
	test_client_end(b, pb);
	forget_expected();
}

static void
a_new_router_hears_who_may_be_gone(void **state)
{
	struct msg_join join;
	struct msg_moved m;
	struct client *a;
	int pa;

	(void)state;
	a = test_client(&pa);
	channel_subscribe(a, B("x"), 0, none, none);
	expect_msg(join, &join);
	answer("x", join.cookie, 1);
	a->frozen = true;
	retell();
	assert_int_equal(retold.subs, 0);
	/* (clients_resync() finds those of real fronts) */
	uplink_frozen(a);
	next_is_moved(&m, a->conn->id, a->conn->id);
	assert_int_equal(m.slot, worker.slot);
	assert_int_equal(m.epoch, 0);
	a->frozen = false;
	retell();
	assert_int_equal(retold.subs, 1);
	channel_let_go_all(a);
	test_client_end(a, pa);
}

/* ---- marks, and the end ------------------------------------------------------------ */

static void
settled(void **state)
{
	struct msg_publish p = { .app = B("1"), .channel = B("c"),
	    .event = B("e") };
	struct msg_ack ack = { 0 };
	struct msg_mark mark;
	struct unpacker u;

	(void)state;
	while (next_message(&u) != MSG_NONE)
		;
	assert_true(uplink_settled());
	uplink_mark(17);
	assert_false(uplink_settled());
	expect_msg(mark, &mark);
	assert_int_equal(mark.cookie, 17);
	assert_true(uplink_settled());
	ack.serial = uplink_publish(&p);
	next_message(&u);
	assert_false(uplink_settled());
	uplink_on_ack(&ack);
	assert_true(uplink_settled());
	uplink_load(app_by_id(B("1")));
	assert_false(uplink_settled());
	uplink_turn();
	assert_true(uplink_settled());
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, core_setup, core_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(expected_without_subscriber),
		TEST(expected_with_subscribers),
		TEST(expected_members),
		TEST(told_to_a_new_router),
		TEST(adopted),
		TEST(refused_after_all),
		TEST(many_channels),
		TEST(let_go),
		TEST(what_it_has_is_left_out),
		TEST(members_it_knows_are_left_out),
		TEST(a_new_router_hears_who_is_on_his_way),
		TEST(a_new_router_hears_who_may_be_gone),
		TEST(settled),
	};

	return cmocka_run_group_tests_name("arrival", tests, NULL, NULL);
}
