/* SPDX-License-Identifier: MIT
 *
 * Tests src/router/load.c: connections of an application, and their limit.
 */
#include "driver.h"

static void
load(struct mate *w, uint64_t open, uint64_t subscribed, uint64_t granted)
{
	SAY(w, load, .app = B("1"), .open = open, .subscribed = subscribed,
	    .granted = granted);
}

static void
connects(struct mate *w, uint64_t conn)
{
	SAY(w, connect, .app = B("1"), .conn = conn);
}

static void
test_never_over_the_limit(void **state)
{
	struct rig *g = rig_new("max_connections = 3\n");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);

	(void)state;
	connects(a, 1);
	connects(a, 2);
	rig_run(g);
	GETS(a, "grant 1 1");
	GETS(a, "grant 2 1");
	/* Told before it read the second grant: both count still. */
	load(a, 1, 0, 1);
	rig_run(g);
	connects(b, 1);
	connects(b, 2);
	rig_run(g);
	GETS(b, "grant 1 1");
	GETS(b, "grant 2 0");
	/* The second one had died while it waited: room again. */
	load(a, 1, 0, 2);
	rig_run(g);
	connects(b, 3);
	connects(b, 4);
	rig_run(g);
	GETS(b, "grant 3 1");
	GETS(b, "grant 4 0");
	load(b, 2, 0, 2);
	load(a, 0, 0, 2);
	rig_run(g);
	connects(b, 5);
	connects(b, 6);
	rig_run(g);
	GETS(b, "grant 5 1");
	GETS(b, "grant 6 0");
	rig_free(g);
}

static void
test_death_gives_back(void **state)
{
	struct rig *g = rig_new("max_connections = 2\n");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);

	(void)state;
	load(a, 1, 1, 0);
	connects(a, 1);
	rig_run(g);
	GETS(a, "grant 1 1");
	connects(b, 1);
	rig_run(g);
	GETS(b, "grant 1 0");
	mate_dies(a);
	rig_run(g);
	connects(b, 2);
	connects(b, 3);
	rig_run(g);
	GETS(b, "grant 2 1");
	GETS(b, "grant 3 1");
	rig_free(g);
}

static void
test_no_limit(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1);

	(void)state;
	load(a, 1000, 0, 0);
	rig_run(g);
	connects(a, 1);
	rig_run(g);
	GETS(a, "grant 1 1");
	/* A limit that comes live counts what there is. */
	rig_settings(g, "max_connections = 1001\n");
	connects(a, 2);
	rig_run(g);
	GETS(a, "grant 2 0");
	/* A worker that claims more grants than it got gains nothing. */
	load(a, 1001, 0, 99);
	rig_run(g);
	connects(a, 3);
	rig_run(g);
	GETS(a, "grant 3 0");
	rig_free(g);
}

static void
test_query(void **state)
{
	struct rig *g = rig_new("max_connections = 10\n");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);

	(void)state;
	load(a, 3, 2, 0);
	load(b, 4, 1, 0);
	connects(b, 1);
	rig_run(g);
	GETS(b, "grant 1 1");
	SAY(a, query, .cookie = 1, .kind = QUERY_CONNECTIONS, .app = B("1"));
	SAY(a, query, .cookie = 2, .kind = QUERY_CONNECTIONS, .app = B("9"));
	SAY(a, query, .cookie = 3, .kind = 77, .app = B("1"));
	rig_run(g);
	GETS(a, "row 1 3/7");
	GETS(a, "done 1");
	GETS(a, "row 9 0/0");
	GETS(a, "done 2");
	GETS(a, "done 3");
	rig_free(g);
}

/* One of the three that say that a connection has changed workers. */
static void
say_part(struct rig *g, struct mate *elder, struct mate *heir, int part)
{
	if (part == 0)
		SAY(elder, load, .app = B("1"), .open = 2, .subscribed = 1,
		    .went = 1, .went_subscribed = 1);
	else if (part == 1)
		SAY(heir, load, .app = B("1"), .open = 1, .subscribed = 1,
		    .came = 1, .came_subscribed = 1);
	else
		SAY(heir, moved, .slot = elder->slot,
		    .generation = elder->generation, .app = B("1"), .was = 1,
		    .conn = 2, .open = 1, .first = 1,
		    .epoch = g->router->epoch,
		    .channels_out = { &(struct bytes){ "x", 1 }, 1 },
		    .users_out = { &(struct bytes){ NULL, 0 }, 1 });
}

/* In any order there is room for no more, and never for less. */
static void
test_handed_over_in_any_order(void **state)
{
	static const int orders[][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
		{ 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };

	(void)state;
	for (size_t i = 0; i < NELEM(orders); i++) {
		struct rig *g = rig_new("max_connections = 3\n");
		struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);
		struct mate *c = rig_worker(g, 3);

		load(a, 3, 2, 0);
		rig_run(g);
		for (unsigned k = 0; k < 3; k++) {
			say_part(g, a, b, orders[i][k]);
			rig_run(g);
			connects(c, k + 1);
			SAY(c, query, .cookie = 1, .kind = QUERY_CONNECTIONS,
			    .app = B("1"));
			rig_run(g);
			mate_gets(c, k == 0 ? "grant 1 0" : k == 1 ?
			    "grant 2 0" : "grant 3 0", __FILE__, __LINE__);
			GETS(c, "row 1 2/3");
			GETS(c, "done 1");
		}
		/* Each has its own now. */
		mate_dies(a);
		rig_run(g);
		SAY(c, query, .cookie = 1, .kind = QUERY_CONNECTIONS,
		    .app = B("1"));
		rig_run(g);
		GETS(c, "row 1 1/1");
		GETS(c, "done 1");
		rig_free(g);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_never_over_the_limit),
		cmocka_unit_test(test_death_gives_back),
		cmocka_unit_test(test_no_limit),
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_handed_over_in_any_order),
	};

	return cmocka_run_group_tests_name("load", tests, NULL, NULL);
}
