/* SPDX-License-Identifier: MIT
 *
 * Members of a presence channel as the router tells them: announced once, in
 * join order, and put right by a roster after a router was replaced.
 */
#include <stdio.h>

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

/* ---- the list as a text --------------------------------------------------- */

static unsigned written;

static void
write_member(const struct member *m, struct buf *texts)
{
	written++;
	buf_char(&texts[0], ',');
	buf_bytes(&texts[0], member_user(m));
	buf_fmt(&texts[1], ";%zu", member_user(m).n);
}

/* The texts are what writing all members from nothing gives. */
static void
texts_are_right(struct presence *p)
{
	struct buf expected[PRESENCE_TEXTS] = { { 0 } };
	struct bytes texts[PRESENCE_TEXTS];
	unsigned before = written;
	struct member *m;

	TAILQ_FOREACH(m, &p->order, order)
		write_member(m, expected);
	written = before;
	presence_texts(p, write_member, texts);
	for (unsigned i = 0; i < PRESENCE_TEXTS; i++) {
		assert_true(bytes_eq(texts[i], buf_view(&expected[i])));
		buf_done(&expected[i]);
	}
}

static void
come(unsigned i)
{
	char user[40];

	snprintf(user, sizeof(user), "%u-%.*s", i, (int)(i % 19),
	    "abcdefghijklmnopqrst");
	added(user);
}

static void
go(unsigned i)
{
	char user[40];

	snprintf(user, sizeof(user), "%u-%.*s", i, (int)(i % 19),
	    "abcdefghijklmnopqrst");
	removed(user);
}

static void
each_is_written_once(void **state)
{
	struct presence *p;
	struct client *a;
	int pa;
	unsigned i;

	(void)state;
	a = joined(&pa, "a");
	p = a->subs.slh_first->channel->presence;
	for (i = 0; i < 500; i++) {
		come(i);
		texts_are_right(p);
	}
	/* z and a are there, too; the first ones each time they are asked for,
	 * until the list is worth keeping */
	assert_int_equal(written, 502 +
	    (PRESENCE_KEEP - 1) * PRESENCE_KEEP / 2 - 3);
	written = 0;
	for (i = 0; i < 300; i += 3) {
		go(i);
		if (i % 2 == 0)
			come(i + 1000);
		texts_are_right(p);
	}
	assert_int_equal(written, 50);
	/* Who goes before he was ever written. */
	for (i = 0; i < 4; i++)
		come(2000 + i);
	go(2000);
	go(2002);
	texts_are_right(p);
	assert_int_equal(written, 52);
	received(pa);
	test_client_end(a, pa);
}

static void
any_order(void **state)
{
	struct presence *p;
	struct client *a;
	int pa;

	(void)state;
	srandom(7);
	a = joined(&pa, "a");
	p = a->subs.slh_first->channel->presence;
	for (unsigned i = 0; i < 6000; i++) {
		/* mostly coming, then mostly going, and again */
		bool more = random() % 4 != 0;
		unsigned who = (unsigned)random() % 200;

		if (more == (i / 1000 % 2 == 0))
			come(who);
		else
			go(who);
		if (random() % 3 == 0)
			texts_are_right(p);
		if (i % 100 == 0)
			received(pa);
	}
	texts_are_right(p);
	received(pa);
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
		cmocka_unit_test_setup_teardown(each_is_written_once,
		    core_setup, core_teardown),
		cmocka_unit_test_setup_teardown(any_order, core_setup,
		    core_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
