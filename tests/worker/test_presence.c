/* SPDX-License-Identifier: MIT
 *
 * Members of a presence channel as the router tells them: announced once, in
 * join order, and put right by a roster after a router was replaced.
 */
#include "tests/worker/test_core.h"

static void
row(const char *user)
{
	struct msg_member m = {
		.app = B("1"), .channel = B("presence-x"),
		.user = bytes_str(user), .member = bytes_str(user),
	};

	presence_on_member(&m);
}

static void
roster(void)
{
	struct msg_roster m = { .app = B("1"), .channel = B("presence-x") };

	presence_on_roster(&m);
}

static void
added(const char *user)
{
	struct msg_member_added m = {
		.app = B("1"), .channel = B("presence-x"),
		.user = bytes_str(user), .member = bytes_str(user),
	};

	presence_on_added(&m);
}

static void
removed(const char *user)
{
	struct msg_member_removed m = {
		.app = B("1"), .channel = B("presence-x"),
		.user = bytes_str(user),
	};

	presence_on_removed(&m);
}

static struct client *
joined(int *peer, const char *user)
{
	struct client *cl = test_client(peer);
	struct msg_join join;
	struct msg_subscribed m = {
		.app = B("1"), .channel = B("presence-x"), .count = 1,
	};

	channel_subscribe(cl, B("presence-x"),
	    CHANNEL_PRIVATE | CHANNEL_PRESENCE, bytes_str(user),
	    bytes_str(user));
	expect_msg(join, &join);
	assert_true(join.flags & JOIN_PRESENCE);
	m.cookie = join.cookie;
	if (join.flags & JOIN_ROSTER) {
		row("z");
		row(user);
		roster();
	} else
		added(user);
	channel_on_subscribed(&m);
	return cl;
}

static void
in_join_order(struct channel *ch, const char *users)
{
	struct member *m;
	struct buf b = { 0 };

	TAILQ_FOREACH(m, &ch->presence->order, order)
		buf_bytes(&b, member_user(m));
	assert_string_equal(buf_cstr(&b), users);
	buf_done(&b);
}

static void
announced_once(void **state)
{
	struct client *a, *b;
	struct channel *ch;
	int pa, pb;

	(void)state;
	a = joined(&pa, "a");
	ch = channel_find(app_by_id(B("1")), B("presence-x"));
	in_join_order(ch, "za");
	assert_string_equal(received(pa), "");
	b = joined(&pb, "b");		/* only the first asks for a roster */
	assert_string_equal(received(pa), "Ab");
	assert_string_equal(received(pb), "");
	added("b");
	assert_string_equal(received(pa), "");
	removed("z");
	removed("z");
	assert_string_equal(received(pa), "Rz");
	assert_string_equal(received(pb), "Rz");
	in_join_order(ch, "ab");
	test_client_end(a, pa);
	test_client_end(b, pb);
}

static void
a_roster_puts_right(void **state)
{
	struct client *a;
	int pa;

	(void)state;
	a = joined(&pa, "a");		/* knows z, a */
	row("a");
	row("n");
	roster();
	assert_string_equal(received(pa), "AnRz");
	in_join_order(a->subs.slh_first->channel, "an");
	row("a");
	row("n");
	roster();
	assert_string_equal(received(pa), "");
	roster();			/* empty: nobody is left */
	assert_string_equal(received(pa), "RaRn");
	test_client_end(a, pa);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(announced_once, core_setup,
		    core_teardown),
		cmocka_unit_test_setup_teardown(a_roster_puts_right,
		    core_setup, core_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
