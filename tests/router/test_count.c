/* SPDX-License-Identifier: MIT
 *
 * Tests src/router/count.c: numbers of subscribers, pushed.
 */
#include "driver.h"

static void
join(struct mate *w, uint64_t n)
{
	SAY(w, join, .app = B("1"), .channel = B("news"), .n = n,
	    .flags = JOIN_COUNT);
}

static void
leave(struct mate *w, uint64_t n)
{
	SAY(w, leave, .app = B("1"), .channel = B("news"), .n = n);
}

/* Several changes in a turn are one. */
static void
test_few(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);

	(void)state;
	join(a, 1);
	join(a, 1);
	join(a, 1);
	rig_run(g);
	GETS(a, "count news 3");
	GETS_NONE(a);
	join(b, 2);
	rig_run(g);
	GETS(a, "count news 5");
	GETS(b, "count news 5");
	leave(a, 3);
	rig_run(g);
	GETS_NONE(a);
	GETS(b, "count news 2");
	mate_dies(b);
	rig_run(g);
	assert_true(TAILQ_EMPTY(&g->router->countings));
	rig_free(g);
}

static void
test_many(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1);

	(void)state;
	join(a, 100);
	rig_run(g);
	GETS(a, "count news 100");
	join(a, 1);
	rig_run(g);
	GETS_NONE(a);
	rig_later(g, 4000);
	join(a, 1);
	rig_run(g);
	GETS_NONE(a);
	rig_later(g, 1000);
	GETS(a, "count news 102");
	rig_later(g, 6000);
	GETS_NONE(a);
	leave(a, 1);
	rig_run(g);
	GETS(a, "count news 101");
	/* Few again: at once. */
	leave(a, 1);
	rig_run(g);
	GETS(a, "count news 100");
	rig_free(g);
}

static void
test_not_wanted(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1);

	(void)state;
	SAY(a, join, .app = B("1"), .channel = B("quiet"), .n = 1);
	SAY(a, join, .app = B("1"), .channel = B("presence-r"), .n = 1,
	    .flags = JOIN_COUNT | JOIN_PRESENCE, .user = B("u"));
	rig_run(g);
	GETS(a, "member presence-r u ");
	GETS(a, "roster presence-r 1");
	GETS_NONE(a);
	rig_free(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_few),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_not_wanted),
	};

	return cmocka_run_group_tests_name("count", tests, NULL, NULL);
}
