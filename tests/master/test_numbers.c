/* SPDX-License-Identifier: MIT
 *
 * Tests src/master/numbers.c: what processes tell, and the sums of it when they die,
 * and when applications come and go.
 */
#include "tests/master/service.h"

#include <unistd.h>

static void
test_usage(void **state)
{
	struct usage u = { .connections = 3, .opened = 10, .closed = 7,
	    .messages_out = 100 };
	struct way way;

	(void)state;
	tell_usage(worker(1), "1001", "pusher", &u);
	tell_usage(worker(2), "1001", "pusher", &u);
	tell_usage(worker(2), "1001", "api", &u);
	assert_int_equal(used("1001", "pusher").connections, 6);
	assert_int_equal(used("1001", "pusher").messages_out, 200);
	/* What is told is the sum so far, not what is new. */
	u.opened = 11;
	u.connections = 4;
	tell_usage(worker(1), "1001", "pusher", &u);
	assert_int_equal(used("1001", "pusher").connections, 7);
	assert_int_equal(used("1001", "pusher").opened, 21);
	/* It dies: what it held is closed. */
	numbers_retire(worker(1));
	assert_int_equal(used("1001", "pusher").connections, 3);
	assert_int_equal(used("1001", "pusher").opened, 21);
	assert_int_equal(used("1001", "pusher").closed, 18);
	assert_int_equal(used("1001", "pusher").messages_out, 200);
	/* Its successor begins at 0. */
	u = (struct usage){ .connections = 1, .opened = 1 };
	tell_usage(worker(1), "1001", "pusher", &u);
	assert_int_equal(used("1001", "pusher").connections, 4);
	assert_int_equal(used("1001", "pusher").opened, 22);
	assert_int_equal(used("1001", "api").opened, 10);

	/* Nobody else's, and no name that could break out of a line. */
	tell_usage(worker(1), "1002", "pusher", &u);
	tell_usage(worker(1), "", "pusher", &u);
	tell_usage(worker(1), "1001", "", &u);
	tell_usage(worker(1), "1001", "a\nb", &u);
	tell_usage(worker(1), "1001", "a\"b", &u);
	tell_usage(worker(SLOT_ROUTER), "1001", "rooms", &u);
	for (size_t i = 0; numbers_way(i, &way); i++)
		assert_true(i < 2);
	/* Octets that are no numbers change nothing. */
	master_on_usage(worker(1), NULL, &(struct msg_usage){
	    .app = B("1001"), .front = B("pusher"), .packed = B("\xc0") });
	assert_int_equal(used("1001", "pusher").opened, 22);
}

static void
test_many_ways(void **state)
{
	struct usage u = { .opened = 1 };
	char front[24];
	struct way way;
	size_t n = 0;

	(void)state;
	for (unsigned i = 0; i < NUMBERS_WAYS + 10; i++) {
		snprintf(front, sizeof(front), "front%u", i);
		tell_usage(worker(1), "1001", front, &u);
	}
	while (numbers_way(n, &way))
		n++;
	assert_int_equal(n, NUMBERS_WAYS);
	assert_true(way_find("1001", "front17", &way));
	assert_int_equal(numbers_by_way(&way).opened, 1);
}

static size_t
ways_known(void)
{
	struct way way;
	size_t n = 0;

	while (numbers_way(n, &way))
		n++;
	return n;
}

/* Settings with so many applications from a number on, and 1001. */
static struct config
with_apps(unsigned first, unsigned n)
{
	struct config set = { .app = xcalloc(n + 1, sizeof(*set.app)),
		.n_app = n + 1 };

	for (unsigned i = 0; i < n; i++)
		set.app[i].id = xasprintf("app%u", first + i);
	set.app[n].id = xstrdup("1001");
	return set;
}

static void
without_apps(struct config *set)
{
	for (size_t i = 0; i < set->n_app; i++)
		free(set->app[i].id);
	free(set->app);
}

/* Applications come and go for years: those of today are counted. */
static void
test_room_of_the_gone(void **state)
{
	struct config before = with_apps(0, NUMBERS_WAYS),
	    after = with_apps(NUMBERS_WAYS, 2);
	struct usage u = { .connections = 1, .opened = 1 },
	    more = { .connections = 2, .opened = 5 };
	struct way way;

	(void)state;
	master.config = &before;
	for (unsigned i = 0; i < NUMBERS_WAYS - 1; i++)
		tell_usage(worker(i % 2 + 1), before.app[i].id, "pusher", &u);
	tell_usage(worker(1), "1001", "pusher", &more);
	tell_usage(worker(2), "1001", "pusher", &more);
	numbers_retire(worker(2));
	assert_int_equal(ways_known(), NUMBERS_WAYS);
	numbers_prune();		/* nobody is gone */
	assert_int_equal(ways_known(), NUMBERS_WAYS);

	master.config = &after;
	tell_usage(worker(1), after.app[0].id, "pusher", &u);
	assert_false(way_find(after.app[0].id, "pusher", &way));
	numbers_prune();
	assert_int_equal(ways_known(), 1);
	assert_int_equal(used("1001", "pusher").opened, 10);
	assert_int_equal(used("1001", "pusher").connections, 2);
	/* A worker that is late says of one that was forgotten. */
	tell_usage(worker(1), before.app[0].id, "pusher", &u);
	tell_usage(worker(1), after.app[0].id, "pusher", &u);
	tell_usage(worker(2), after.app[1].id, "pusher", &u);
	assert_int_equal(ways_known(), 3);
	assert_int_equal(used(after.app[0].id, "pusher").opened, 1);
	assert_int_equal(used(after.app[1].id, "pusher").opened, 1);
	numbers_retire(worker(1));
	assert_int_equal(used("1001", "pusher").opened, 10);
	assert_int_equal(used("1001", "pusher").connections, 0);
	assert_int_equal(used(after.app[0].id, "pusher").connections, 0);

	/* While there is room they stay. */
	master.config = &before;
	numbers_prune();
	assert_int_equal(ways_known(), 3);
	master.config = &config;
	without_apps(&before);
	without_apps(&after);
}

/* One that is gone from the new settings, but not from those of processes that
 * still serve. */
static void
test_room_of_the_leaving(void **state)
{
	struct config before = with_apps(0, NUMBERS_WAYS / 2);
	struct usage u = { .opened = 1 };

	(void)state;
	master.config = &before;
	for (unsigned i = 0; i < NUMBERS_WAYS / 2; i++)
		tell_usage(worker(1), before.app[i].id, "pusher", &u);
	master.config = &config;
	master.crew[CREW_IN_FORCE]->config = &before;
	numbers_prune();
	assert_int_equal(ways_known(), NUMBERS_WAYS / 2);
	master.crew[CREW_IN_FORCE]->config = NULL;
	numbers_prune();
	assert_int_equal(ways_known(), 0);
	without_apps(&before);
}

static void
test_closes(void **state)
{
	static const struct bytes names[] = { BYTES("PEER_CLOSED"),
	    BYTES("DRAIN"), BYTES("bad name") },
	    others[] = { BYTES("NEW_IN_A_LATER_RELEASE"), BYTES("DRAIN") };
	uint64_t n[] = { 5, 7, 9 };

	(void)state;
	tell_closes(worker(1), names, n, 3);
	tell_closes(worker(2), others, n, 2);
	assert_int_equal(closed("PEER_CLOSED"), 5);
	assert_int_equal(closed("DRAIN"), 14);
	assert_int_equal(closed("NEW_IN_A_LATER_RELEASE"), 5);
	assert_int_equal(closed("bad name"), UINT64_MAX);
	worker(1)->counters.connections = 40;
	numbers_retire(worker(1));
	assert_int_equal(closed("DRAIN"), 14);
	assert_int_equal(closed(NUMBERS_DIED), 40);
	n[1] = 1;
	tell_closes(worker(1), names, n, 2);
	assert_int_equal(closed("DRAIN"), 15);
	/* The router closes nobody. */
	tell_closes(worker(SLOT_ROUTER), names, n, 2);
	assert_int_equal(closed("DRAIN"), 15);
}

static void
test_slots(void **state)
{
	struct counters sum;
	struct crew *old;

	(void)state;
	told(worker(1), 10, 4, 0);
	told(worker(2), 100, 50, 0);
	told(worker(SLOT_ROUTER), 0, 0, 9);
	numbers_total(&sum);
	assert_int_equal(sum.accepted, 110);
	assert_int_equal(sum.connections, 54);
	assert_int_equal(histogram_count(&sum.publish_seconds), 110);
	/* Its successor goes on from there; of others nothing changes. */
	numbers_retire(worker(1));
	told(worker(1), 1, 1, 0);
	numbers_of_slot(1, &sum);
	assert_int_equal(sum.accepted, 11);
	assert_int_equal(sum.connections, 1);
	assert_int_equal(histogram_count(&sum.publish_seconds), 11);
	numbers_of_slot(2, &sum);
	assert_int_equal(sum.accepted, 100);

	/* Two crews at a time: both count; but of two routers that know the
	 * same only the one in force. */
	old = master.crew[CREW_LEAVING] = master.crew[CREW_IN_FORCE];
	master.crew[CREW_IN_FORCE] = crew_new(2);
	crew_there(master.crew[CREW_IN_FORCE], 2);
	told(worker(1), 5, 2, 0);
	told(worker(SLOT_ROUTER), 0, 0, 9);
	numbers_of_slot(1, &sum);
	assert_int_equal(sum.accepted, 16);
	assert_int_equal(sum.connections, 3);
	numbers_total(&sum);
	assert_int_equal(sum.accepted, 116);
	assert_int_equal(sum.members, 9);
	for (unsigned i = 0; i < old->n; i++)
		numbers_retire(&old->at[i]);
	numbers_total(&sum);
	assert_int_equal(sum.accepted, 116);
	assert_int_equal(sum.members, 9);
	assert_int_equal(sum.connections, 2);
	/* What was open in them is closed. */
	assert_int_equal(sum.closed, 4 + 1 + 50);
}

/* What the kernel says of a process stays when that tells its own. */
static void
test_processor(void **state)
{
	const struct rusage whole = { .ru_utime = { 2, 500000 },
	    .ru_stime = { 1, 250 } };
	struct child *c = worker(1);
	struct counters sum;

	(void)state;
	c->pid = getpid();
	numbers_look();
	assert_true(c->counters.memory > 100000);
	c->counters.cpu_us = 3000000;
	told(c, 1, 1, 0);
	assert_int_equal(c->counters.cpu_us, 3000000);
	assert_true(c->counters.memory > 100000);
	/* The clock of proc(5) is coarser, and never takes something back. */
	numbers_look();
	assert_int_equal(c->counters.cpu_us, 3000000);
	numbers_used(c, &whole);
	c->pid = 0x7fffffff;
	numbers_retire(c);
	numbers_of_slot(1, &sum);
	assert_int_equal(sum.cpu_us, 3500250);
	assert_int_equal(sum.memory, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_usage),
		TEST(test_many_ways),
		TEST(test_room_of_the_gone),
		TEST(test_room_of_the_leaving),
		TEST(test_closes),
		TEST(test_slots),
		TEST(test_processor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
