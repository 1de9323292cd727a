/* SPDX-License-Identifier: MIT
 *
 * Tests src/worker/governor.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/util.h"
#include "worker/governor.h"

/* Clients without end, from ms to ms; looked at every step ms.  How many came
 * in? */
static uint64_t
rush(struct governor *g, const struct config_listen *settings, uint64_t from,
    uint64_t to, uint64_t step)
{
	uint64_t all = 0, now;
	unsigned n;

	for (now = from; now < to; now += step) {
		n = governor_allows(g, settings, now, 1000);
		for (all += n; n > 0; n--)
			governor_took(g, settings);
	}
	return all;
}

/* Each worker has its share, however often it looks; what it saves is little. */
static void
rate_is_held(void **state)
{
	static const struct {
		uint64_t rate, workers;
	} some[] = { { 1000, 4 }, { 1000, 1 }, { 7, 3 }, { 1, 1 }, { 3, 64 },
	    { 12345, 7 } };
	static const uint64_t steps[] = { 1, 3, 10, 50 };

	(void)state;
	for (size_t i = 0; i < NELEM(some); i++)
		for (size_t k = 0; k < NELEM(steps); k++) {
			struct config_listen settings = {
				.accept_rate = some[i].rate };
			uint64_t due = 1000 * some[i].rate / some[i].workers;
			uint64_t burst = some[i].rate / 10 / some[i].workers;
			struct governor g;
			uint64_t got;

			governor_init(&g, some[i].workers);
			got = rush(&g, &settings, 5000000, 6000000, steps[k]);
			assert_in_range(got, due - burst - 1, due + burst + 2);
		}
}

/* A minute of silence is no reason to let thousands in at once. */
static void
nothing_is_saved(void **state)
{
	struct config_listen settings = { .accept_rate = 1000 };
	struct governor g;

	(void)state;
	governor_init(&g, 2);
	(void)rush(&g, &settings, 1000000, 1001000, 10);
	assert_in_range(rush(&g, &settings, 1061000, 1062000, 10), 500, 553);
}

static void
no_limit(void **state)
{
	struct config_listen settings = { .accept_rate = 0 };
	struct governor g;

	(void)state;
	governor_init(&g, 0);
	assert_int_equal(rush(&g, &settings, 1, 101, 1), 100000);
	g.opening = 1000000;
	assert_int_equal(governor_allows(&g, &settings, 102, 64), 64);
	/* The setting may change at any time. */
	settings.accept_rate = 100;
	assert_in_range(rush(&g, &settings, 200, 1200, 1), 95, 111);
	settings.accept_rate = 0;
	assert_int_equal(governor_allows(&g, &settings, 1201, 64), 64);
}

static void
handshakes(void **state)
{
	struct config_listen settings = { .max_handshakes = 80 };
	struct governor g;

	(void)state;
	governor_init(&g, 1);
	assert_int_equal(governor_allows(&g, &settings, 1, 64), 64);
	g.opening = 75;
	assert_int_equal(governor_allows(&g, &settings, 1, 64), 5);
	g.opening = 80;
	assert_int_equal(governor_allows(&g, &settings, 1, 64), 0);
	/* Held back: not for each one that ends. */
	g.held = true;
	g.opening = 79;
	assert_int_equal(governor_allows(&g, &settings, 1, 64), 0);
	g.opening = 69;
	assert_int_equal(governor_allows(&g, &settings, 1, 64), 1);
	/* The least there can be. */
	settings.max_handshakes = 1;
	g.opening = 1;
	assert_int_equal(governor_allows(&g, &settings, 1, 64), 0);
	g.opening = 0;
	assert_int_equal(governor_allows(&g, &settings, 1, 64), 1);
	/* More than there may be, after a change. */
	g.opening = 1000;
	assert_int_equal(governor_allows(&g, &settings, 1, 64), 0);
}

/* A whole queue within the time, in whatever pieces. */
static void
queue_is_gone_through(void **state)
{
	static const uint64_t pieces[] = { 1, 7, 10, 1000 };

	(void)state;
	for (size_t i = 0; i < NELEM(pieces); i++) {
		uint64_t owed = 0, all = 0, ms;

		for (ms = 0; ms < 10000; ms += pieces[i])
			all += governor_owed(&owed, 4096, 10000, pieces[i]);
		assert_in_range(all, 4096, 4099);
		assert_true(owed < 10000);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(rate_is_held),
		cmocka_unit_test(nothing_is_saved),
		cmocka_unit_test(no_limit),
		cmocka_unit_test(handshakes),
		cmocka_unit_test(queue_is_gone_through),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
