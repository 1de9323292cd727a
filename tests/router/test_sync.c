/* SPDX-License-Identifier: MIT
 *
 * Tests src/router/sync.c: the first moments of a router.
 */
#include "driver.h"

static void
hello(struct mate *w, unsigned slot)
{
	SAY(w, hello, .version = MSG_VERSION, .slot = slot,
	    .generation = w->generation);
}

static void
synced(struct mate *w)
{
	SAY(w, synced, .end_ = "");
}

static void
join(struct mate *w, struct bytes user, uint64_t cookie, uint64_t flags)
{
	SAY(w, join, .app = B("1"), .channel = B("presence-r"), .n = 1,
	    .cookie = cookie, .flags = JOIN_PRESENCE | flags, .user = user,
	    .member = B("{}"));
}

/* Two that have said hello to a router that waits for both. */
static struct rig *
two(const char *ini, struct mate **a, struct mate **b)
{
	struct rig *g = rig_new(ini);

	rig_starting(g, 2);
	*a = rig_stranger(g, 1);
	*b = rig_stranger(g, 2);
	hello(*a, 1);
	hello(*b, 2);
	return g;
}

static void
test_all_waits(void **state)
{
	struct mate *a, *b;
	struct rig *g = two("max_connections = 1\n", &a, &b);

	(void)state;
	join(a, B("u"), 0, JOIN_SYNC);
	SAY(a, join, .app = B("1"), .channel = B("news"), .n = 1, .cookie = 1);
	join(a, B("new"), 2, 0);
	SAY(a, leave, .app = B("1"), .channel = B("presence-r"), .n = 1,
	    .user = B("u"));
	SAY(a, query, .cookie = 3, .kind = QUERY_USERS, .app = B("1"),
	    .name = B("presence-r"));
	SAY(a, connect, .app = B("1"), .conn = 4);
	SAY(a, publish, .serial = 9, .app = B("1"), .channel = B("news"),
	    .event = B("\"e\""));
	synced(a);
	rig_run(g);
	GETS(a, "subscribed news cookie=1 count=1");
	GETS_NONE(a);
	join(b, B("v"), 0, JOIN_SYNC);
	SAY(b, join, .app = B("1"), .channel = B("news"), .n = 2,
	    .flags = JOIN_SYNC);
	SAY(b, load, .app = B("1"), .open = 1);
	rig_run(g);
	GETS_NONE(b);
	synced(b);
	rig_run(g);
	/* First the lists, then what waited, in its order. */
	GETS(b, "member presence-r u {}");
	GETS(b, "member presence-r v {}");
	GETS(b, "roster presence-r 2");
	GETS(b, "added presence-r new {}");
	GETS(b, "removed presence-r u");
	GETS(b, "deliver news \"e\"= from=1 n=9 at=1");
	GETS_NONE(b);
	GETS(a, "member presence-r u {}");
	GETS(a, "member presence-r v {}");
	GETS(a, "roster presence-r 2");
	GETS(a, "added presence-r new {}");
	GETS(a, "subscribed presence-r cookie=2 count=3");
	GETS(a, "removed presence-r u");
	GETS(a, "grant 4 0");
	GETS(a, "deliver news \"e\"= from=1 n=9 at=1");
	GETS(a, "row v {}");
	GETS(a, "row new {}");
	GETS(a, "done 3");
	GETS(a, "ack 9");
	GETS_NONE(a);
	rig_free(g);
}

/* A worker that was started meanwhile tells that it holds nothing: it does not stand
 * for one that is slow. */
static void
test_another_meanwhile(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a, *b, *c;

	(void)state;
	rig_starting(g, 2);
	a = rig_stranger(g, 1);
	b = rig_stranger(g, 3);
	c = rig_stranger(g, 2);
	hello(a, 1);
	hello(c, 2);
	join(a, B("u"), 0, JOIN_SYNC);
	SAY(c, query, .cookie = 3, .kind = QUERY_USERS, .app = B("1"),
	    .name = B("presence-r"));
	synced(a);
	synced(c);
	rig_run(g);
	GETS_NONE(c);
	hello(b, 3);
	join(b, B("v"), 0, JOIN_SYNC);
	synced(b);
	rig_run(g);
	GETS(c, "row u {}");
	GETS(c, "row v {}");
	GETS(c, "done 3");
	GETS_NONE(c);
	rig_free(g);
}

static void
test_not_for_ever(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a, *b;

	(void)state;
	rig_starting(g, 2);
	a = rig_stranger(g, 1);
	b = rig_stranger(g, 2);
	hello(a, 1);
	join(a, B("u"), 0, JOIN_SYNC);
	join(a, B("w"), 5, 0);
	synced(a);
	rig_run(g);
	rig_later(g, SYNC_TIMEOUT - 1);
	GETS_NONE(a);
	rig_later(g, 1);
	GETS(a, "member presence-r u {}");
	GETS(a, "roster presence-r 1");
	GETS(a, "added presence-r w {}");
	GETS(a, "subscribed presence-r cookie=5 count=2");
	GETS_NONE(a);
	/* The late one's members reach the others by a list. */
	hello(b, 2);
	join(b, B("late"), 0, JOIN_SYNC);
	synced(b);
	rig_run(g);
	GETS(a, "member presence-r u {}");
	GETS(a, "member presence-r w {}");
	GETS(a, "member presence-r late {}");
	GETS(a, "roster presence-r 3");
	GETS(b, "member presence-r u {}");
	rig_free(g);
}

/* A worker that dies before it has told everything is not waited for, and
 * what it said is forgotten without a word. */
static void
test_death_while_waiting(void **state)
{
	struct mate *a, *b;
	struct rig *g = two("", &a, &b);

	(void)state;
	join(a, B("u"), 0, JOIN_SYNC);
	join(b, B("v"), 0, JOIN_SYNC);
	join(b, B("x"), 1, 0);
	SAY(b, query, .cookie = 3, .kind = QUERY_CHANNELS, .app = B("1"));
	synced(a);
	rig_run(g);
	GETS_NONE(a);
	mate_dies(b);
	rig_run(g);
	GETS(a, "member presence-r u {}");
	GETS(a, "roster presence-r 1");
	GETS_NONE(a);
	rig_free(g);
}

/* What it had said to all is on its way: its clients heard that it was taken. */
static void
test_last_words(void **state)
{
	struct mate *a, *b;
	struct rig *g = two("", &a, &b);

	(void)state;
	join(b, B("v"), 0, JOIN_SYNC);
	SAY(b, publish, .serial = 9, .app = B("1"), .channel = B("news"),
	    .event = B("\"client-e\""));
	join(b, B("x"), 1, 0);
	SAY(b, publish, .serial = 10, .app = B("1"), .channel = B("news"),
	    .event = B("\"client-f\""));
	rig_run(g);
	mate_dies(b);
	rig_run(g);
	rig_later(g, SYNC_TIMEOUT / 2);
	GETS_NONE(a);
	SAY(a, join, .app = B("1"), .channel = B("news"), .n = 1,
	    .flags = JOIN_SYNC);
	join(a, B("u"), 0, JOIN_SYNC);
	synced(a);
	rig_run(g);
	GETS(a, "deliver news \"client-e\"= from=2 n=9 at=1");
	GETS(a, "deliver news \"client-f\"= from=2 n=10 at=2");
	GETS(a, "member presence-r u {}");
	GETS(a, "roster presence-r 1");
	GETS_NONE(a);
	assert_true(TAILQ_NEXT(TAILQ_FIRST(&g->router->peers), link) == NULL);
	rig_free(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_waits),
		cmocka_unit_test(test_another_meanwhile),
		cmocka_unit_test(test_not_for_ever),
		cmocka_unit_test(test_death_while_waiting),
		cmocka_unit_test(test_last_words),
	};

	return cmocka_run_group_tests_name("sync", tests, NULL, NULL);
}
