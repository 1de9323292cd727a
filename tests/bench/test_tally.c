/* SPDX-License-Identifier: MIT
 *
 * Would crowd notice?  What its clients hear is played here.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../contrib/bench/crowd.h"

struct shared *shared;
struct stats *stats;

uint64_t
now_us(void)
{
	return 1000000;
}

void
fault(uint64_t *count, const char *fmt, ...)
{
	(void)fmt;
	(*count)++;
}

static struct channel *ch;
static struct sub sub;

static int
setup(void **state)
{
	(void)state;
	shared = calloc(1, sizeof *shared + 2 * sizeof *ch);
	assert_non_null(shared);
	shared->channels = 2;
	stats = &shared->stats[0];
	ch = &shared->channel[1];
	memset(&sub, 0, sizeof sub);
	sub.channel = 1;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	free(shared);
	return 0;
}

static void
send_until(uint32_t n)
{
	for (uint32_t i = atomic_load(&ch->sent[FROM_API]); i < n; i++)
		tally_sending(ch, FROM_API, i);
}

static void
hear(uint32_t number)
{
	struct event e;
	char text[64];
	int n = snprintf(text, sizeof text, "{\"data\":\"~a 1 %u 7 8\"}",
	    number);

	assert_true(event_read(text, (size_t)n, &e));
	assert_int_equal(e.due, 7);
	assert_int_equal(e.sent, 8);
	tally_event(&sub, &e);
}

static void
hear_all(uint32_t from, uint32_t to)
{
	while (from < to)
		hear(from++);
}

static void
assert_faults(unsigned missing, unsigned away, unsigned doubled,
    unsigned disordered)
{
	assert_int_equal(stats->missing, missing);
	assert_int_equal(stats->missing_away, away);
	assert_int_equal(stats->doubled, doubled);
	assert_int_equal(stats->disordered, disordered);
	assert_int_equal(stats->strange, 0);
}

static void
test_good(void **state)
{
	(void)state;
	send_until(5);
	tally_entered(&sub);
	send_until(200);
	hear_all(3, 200);	/* some that were under way when it came */
	assert_true(tally_complete(&sub, false, true));
	assert_faults(0, 0, 0, 0);
}

static void
test_first_missing(void **state)
{
	(void)state;
	send_until(5);
	tally_entered(&sub);
	send_until(8);
	hear_all(6, 8);
	assert_faults(1, 0, 0, 0);
}

static void
test_middle_and_end(void **state)
{
	(void)state;
	tally_entered(&sub);
	send_until(100);
	hear_all(0, 50);
	hear_all(53, 99);
	assert_faults(3, 0, 0, 0);
	assert_false(tally_complete(&sub, false, false));
	assert_faults(3, 0, 0, 0);
	tally_complete(&sub, false, true);
	assert_faults(4, 0, 0, 0);
}

static void
test_doubled(void **state)
{
	(void)state;
	tally_entered(&sub);
	send_until(200);
	hear_all(0, 100);
	hear(99);
	hear(98);
	hear(5);		/* long ago */
	hear_all(100, 200);
	assert_true(tally_complete(&sub, false, true));
	assert_faults(0, 0, 3, 0);
}

/* The first that comes again is no earlier one. */
static void
test_doubled_at_once(void **state)
{
	(void)state;
	tally_entered(&sub);
	send_until(2);
	hear(0);
	hear(0);
	hear(1);
	assert_faults(0, 0, 1, 0);
}

static void
test_disordered(void **state)
{
	(void)state;
	tally_entered(&sub);
	send_until(10);
	hear_all(0, 4);
	hear(5);
	hear(4);
	hear_all(6, 10);
	assert_true(tally_complete(&sub, false, true));
	assert_faults(0, 0, 0, 1);
	hear(4);
	assert_faults(0, 0, 1, 1);
}

/* Refused by the API: it may come or not, but once. */
static void
test_unsure(void **state)
{
	(void)state;
	tally_entered(&sub);
	send_until(10);
	tally_unsure(ch, FROM_API, 3);
	tally_unsure(ch, FROM_API, 5);
	tally_unsure(ch, FROM_API, 9);
	hear_all(0, 3);
	hear_all(4, 5);
	hear_all(6, 9);
	assert_true(tally_complete(&sub, false, true));
	hear(5);
	assert_faults(0, 0, 0, 0);
	hear(5);
	assert_faults(0, 0, 1, 0);
}

/* A number is used again after a while: doubts of old do not count. */
static void
test_unsure_is_forgotten(void **state)
{
	(void)state;
	tally_entered(&sub);
	send_until(4);
	tally_unsure(ch, FROM_API, 3);
	hear_all(0, 4);
	send_until(UNSURE_RING + 4);
	hear_all(4, UNSURE_RING + 3);
	assert_false(tally_complete(&sub, false, true));
	assert_faults(1, 0, 0, 0);
}

static void
test_away(void **state)
{
	(void)state;
	tally_entered(&sub);
	assert_int_equal(ch->present, 1);
	send_until(10);
	hear_all(0, 10);
	tally_left(&sub);
	assert_int_equal(ch->present, 0);
	assert_int_equal(ch->changes, 1);
	send_until(15);
	tally_entered(&sub);
	send_until(20);
	hear_all(15, 18);
	assert_faults(0, 5, 0, 0);
	hear(19);		/* it is back: that one is its own loss */
	assert_faults(1, 5, 0, 0);
}

/* Nobody waits for what was lost while it was away. */
static void
test_away_at_the_end(void **state)
{
	(void)state;
	tally_entered(&sub);
	send_until(3);
	tally_left(&sub);
	tally_entered(&sub);
	assert_true(tally_complete(&sub, false, false));
	send_until(4);
	assert_false(tally_complete(&sub, false, false));
	tally_complete(&sub, false, true);
	assert_faults(1, 3, 0, 0);
}

static void
test_client_events(void **state)
{
	(void)state;
	tally_entered(&sub);
	tally_sending(ch, FROM_CLIENT, 0);
	assert_true(tally_complete(&sub, true, true));
	assert_faults(0, 0, 0, 0);
	assert_false(tally_complete(&sub, false, true));
	assert_faults(1, 0, 0, 0);
}

static void
test_never_sent(void **state)
{
	(void)state;
	tally_entered(&sub);
	send_until(3);
	hear(3);
	assert_int_equal(stats->strange, 1);
}

static void
test_read(void **state)
{
	static const char *const bad[] = { "", "~", "~a", "~a 1 2 3",
	    "~b 1 2 3 4", "~a 1 2 3 x", "~a 2 1 1 1", "~a  1 2 3 4",
	    "{\"event\":\"pusher:pong\"}" };
	struct event e;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(event_read(bad[i], strlen(bad[i]), &e));
	assert_true(event_read("~c 1 23 45 67", 13, &e));
	assert_int_equal(e.stream, FROM_CLIENT);
	assert_int_equal(e.number, 23);
}

static void
test_percentiles(void **state)
{
	static uint32_t buckets[BUCKETS];

	(void)state;
	assert_true(log_percentile(buckets, 0.5) < 0.001);
	for (unsigned i = 1; i <= 1000; i++)
		log_value(buckets, i * 1000);
	assert_in_range(log_percentile(buckets, 0.5), 500, 540);
	assert_in_range(log_percentile(buckets, 0.99), 990, 1060);
	log_value(buckets, 0);
	log_value(buckets, UINT64_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_good), T(test_first_missing), T(test_middle_and_end),
		T(test_doubled), T(test_doubled_at_once), T(test_disordered),
		T(test_unsure), T(test_unsure_is_forgotten), T(test_away),
		T(test_away_at_the_end),
		T(test_client_events), T(test_never_sent), T(test_read),
		T(test_percentiles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
