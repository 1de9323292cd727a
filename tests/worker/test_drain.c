/* SPDX-License-Identifier: MIT
 *
 * Tests src/worker/drain.c: who is told when.
 */
#include "tests/worker/test_core.h"
#include "worker/drain.h"
#include "worker/request.h"

const struct front *const front_list[] = { NULL };

#define MANY	400

static struct conn *many[MANY];
static int peers[MANY];

/* An HTTP connection between two requests. */
static void
one(unsigned i)
{
	struct client *cl = test_client(&peers[i]);

	many[i] = cl->conn;
}

static void
crowd(void)
{
	for (unsigned i = 0; i < MANY; i++)
		one(i);
}

static unsigned
sent_away(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < MANY; i++)
		n += conns_find(many[i]->id) != many[i] || many[i]->closing;
	return n;
}

static void
turn(void)
{
	event_base_loop(worker.base, EVLOOP_ONCE);
}

static void
bury(void)
{
	conns_turn();
	for (unsigned i = 0; i < MANY; i++)
		close(peers[i]);
}

static bool
is_second(const struct conn *c)
{
	return c->section == 2;
}

/* Only those that are picked, over the time; neither at once nor at its end. */
static void
paced(void **state)
{
	uint64_t began = clock_ms(), before, now;
	unsigned n;

	(void)state;
	crowd();
	for (unsigned i = 0; i < MANY; i += 2)
		many[i]->section = 2;
	drain_pace(worker.base, 1500, is_second);
	assert_true(sent_away() < MANY / 8);
	assert_false(drain_over());
	do {
		before = clock_ms() - began;
		turn();
		now = clock_ms() - began;
		n = sent_away();
		/* A straight line, within what chance and a busy machine do. */
		if (now < 1400 && n > 0)
			assert_in_range(n * 1500, 0, (now + 500) * MANY / 2);
		if (before >= 500)
			assert_true(n > 0);
	} while (before < 1600);
	assert_int_equal(sent_away(), MANY / 2);
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(many[i]->dead, i % 2 == 0);
	/* Another joins, and has another second; one who is being handed over
	 * does not count. */
	many[1]->section = many[3]->section = 2;
	many[3]->frozen = 1;
	while (!many[1]->dead)
		turn();
	assert_false(many[3]->dead);
	many[3]->frozen = 0;
	while (!many[3]->dead)
		turn();
	/* Not before close frames can have been answered. */
	assert_false(drain_over());
	while (!drain_over())
		turn();
	assert_int_equal(sent_away(), MANY / 2 + 2);
	assert_false(drain_done());
	for (unsigned i = 0; i < MANY; i++)
		if (!many[i]->dead)
			conn_kill(many[i], CLOSE_PEER_CLOSED);
	bury();
	assert_true(drain_over());
}

/* In the middle of a request: until its end, or that of the time. */
static void
everybody(void **state)
{
	struct request r = { .conn = NULL };

	(void)state;
	crowd();
	many[5]->of_stage = &r;		/* waits for its answer */
	many[6]->opening = 1;		/* has just come */
	many[6]->section = 0;
	drain_start(worker.base, 100000);
	drain_start(worker.base, 400);
	assert_false(drain_late());
	while (sent_away() < MANY - 2)
		turn();
	assert_false(many[5]->dead);
	assert_false(drain_done());
	many[6]->opening = 0;
	while (!many[6]->dead)
		turn();
	/* The time is over, and it is still not answered. */
	while (!drain_late())
		turn();
	assert_false(drain_done());
	while (!drain_done())
		turn();
	assert_false(many[5]->dead);
	many[5]->of_stage = NULL;
	while (!many[5]->dead)
		turn();
	bury();
	assert_true(drain_done());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(paced, core_setup,
		    core_teardown),
		cmocka_unit_test_setup_teardown(everybody, core_setup,
		    core_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
