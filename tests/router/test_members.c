/* SPDX-License-Identifier: MIT
 *
 * Tests src/router/members.c: who is in a presence channel.
 */
#include "driver.h"

static void
join(struct mate *w, struct bytes user, uint64_t cookie, uint64_t flags)
{
	struct buf object = { 0 };

	buf_fmt(&object, "{\"user_id\":\"%.*s\",\"by\":%llu}", (int)user.n,
	    user.p, (unsigned long long)cookie);
	SAY(w, join, .app = B("1"), .channel = B("presence-r"), .n = 1,
	    .cookie = cookie, .flags = JOIN_PRESENCE | flags, .user = user,
	    .member = buf_view(&object));
	buf_done(&object);
}

static void
leave(struct mate *w, struct bytes user, uint64_t n)
{
	SAY(w, leave, .app = B("1"), .channel = B("presence-r"), .n = n,
	    .user = user);
}

static void
test_join_order(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);

	(void)state;
	join(a, B("u"), 1, JOIN_ROSTER);
	rig_run(g);
	GETS(a, "member presence-r u {\"user_id\":\"u\",\"by\":1}");
	GETS(a, "roster presence-r 1");
	GETS(a, "subscribed presence-r cookie=1 count=1");
	join(b, B("v"), 2, JOIN_ROSTER);
	rig_run(g);
	GETS(a, "added presence-r v {\"user_id\":\"v\",\"by\":2}");
	GETS(b, "member presence-r u {\"user_id\":\"u\",\"by\":1}");
	GETS(b, "member presence-r v {\"user_id\":\"v\",\"by\":2}");
	GETS(b, "roster presence-r 2");
	GETS(b, "subscribed presence-r cookie=2 count=2");
	/* A worker that has the list hears of the newcomer first. */
	join(b, B("w"), 3, 0);
	rig_run(g);
	GETS(a, "added presence-r w {\"user_id\":\"w\",\"by\":3}");
	GETS(b, "added presence-r w {\"user_id\":\"w\",\"by\":3}");
	GETS(b, "subscribed presence-r cookie=3 count=3");
	GETS_NONE(a);
	GETS_NONE(b);
	rig_free(g);
}

/* One user with several connections on several workers comes and goes once,
 * and keeps the object of the first. */
static void
test_once_per_user(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2),
	    *c = rig_worker(g, 3);

	(void)state;
	join(c, B("watch"), 0, 0);
	rig_run(g);
	join(a, B("u"), 1, 0);
	join(a, B("u"), 2, 0);
	rig_run(g);
	join(b, B("u"), 3, 0);
	rig_run(g);
	GETS(c, "member presence-r watch {\"user_id\":\"watch\",\"by\":0}");
	GETS(c, "roster presence-r 1");
	GETS(c, "added presence-r u {\"user_id\":\"u\",\"by\":1}");
	GETS_NONE(c);
	GETS(b, "member presence-r watch {\"user_id\":\"watch\",\"by\":0}");
	GETS(b, "member presence-r u {\"user_id\":\"u\",\"by\":1}");
	leave(a, B("u"), 1);
	leave(a, B("u"), 1);
	rig_run(g);
	GETS_NONE(c);
	/* One too many takes nothing from others. */
	join(a, B("z"), 0, 0);
	rig_run(g);
	GETS(c, "added presence-r z {\"user_id\":\"z\",\"by\":0}");
	leave(a, B("u"), 1);
	rig_run(g);
	GETS_NONE(c);
	assert_int_equal(route_find(census_get(g->router, B("1")),
	    B("presence-r"))->subs.total, 3);
	leave(b, B("u"), 1);
	rig_run(g);
	GETS(c, "removed presence-r u");
	GETS_NONE(c);
	join(b, B("u"), 4, 0);
	rig_run(g);
	GETS(c, "added presence-r u {\"user_id\":\"u\",\"by\":4}");
	rig_free(g);
}

static void
test_death_is_leaving(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);

	(void)state;
	join(a, B("both"), 1, 0);
	rig_run(g);
	join(b, B("both"), 2, 0);
	join(b, B("x"), 3, 0);
	join(b, B("y"), 4, 0);
	rig_run(g);
	GETS(a, "member presence-r both {\"user_id\":\"both\",\"by\":1}");
	GETS(a, "roster presence-r 1");
	GETS(a, "subscribed presence-r cookie=1 count=1");
	GETS(a, "added presence-r x {\"user_id\":\"x\",\"by\":3}");
	GETS(a, "added presence-r y {\"user_id\":\"y\",\"by\":4}");
	mate_dies(b);
	rig_run(g);
	GETS(a, "removed presence-r x");
	GETS(a, "removed presence-r y");
	GETS_NONE(a);
	rig_free(g);
}

static void
test_full(void **state)
{
	struct rig *g = rig_new("max_presence_members = 2\n");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);

	(void)state;
	join(a, B("u"), 1, 0);
	join(a, B("v"), 2, 0);
	rig_run(g);
	join(b, B("w"), 3, JOIN_ROSTER);
	rig_run(g);
	GETS(b, "refused presence-r cookie=3 code=1");
	GETS_NONE(b);
	/* A member's further connections are welcome; the first one of a worker
	 * brings the list even if an earlier one asked for it in vain. */
	join(b, B("v"), 4, 0);
	rig_run(g);
	GETS(b, "member presence-r u {\"user_id\":\"u\",\"by\":1}");
	GETS(b, "member presence-r v {\"user_id\":\"v\",\"by\":2}");
	GETS(b, "roster presence-r 2");
	GETS(b, "subscribed presence-r cookie=4 count=3");
	leave(b, B("w"), 1);
	rig_run(g);
	GETS_NONE(b);
	assert_int_equal(route_find(census_get(g->router, B("1")),
	    B("presence-r"))->subs.total, 3);
	/* Room again; the new limit is taken live. */
	leave(a, B("u"), 1);
	rig_run(g);
	join(b, B("w"), 5, 0);
	rig_run(g);
	GETS(b, "removed presence-r u");
	GETS(b, "added presence-r w {\"user_id\":\"w\",\"by\":5}");
	GETS(b, "subscribed presence-r cookie=5 count=3");
	rig_settings(g, "max_presence_members = 3\n");
	join(b, B("u"), 6, 0);
	rig_run(g);
	GETS(b, "added presence-r u {\"user_id\":\"u\",\"by\":6}");
	rig_free(g);
}

static void
test_empty_channel_goes(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1);

	(void)state;
	join(a, B("u"), 1, 0);
	join(a, B("u"), 2, 0);
	rig_run(g);
	leave(a, B("u"), 2);
	rig_run(g);
	assert_null(route_find(census_get(g->router, B("1")),
	    B("presence-r")));
	rig_free(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_join_order),
		cmocka_unit_test(test_once_per_user),
		cmocka_unit_test(test_death_is_leaving),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_empty_channel_goes),
	};

	return cmocka_run_group_tests_name("members", tests, NULL, NULL);
}
