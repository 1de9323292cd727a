/* SPDX-License-Identifier: MIT
 *
 * Tests src/common/counters.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/counters.h"

static uint64_t
value_of(const struct counters *c, size_t i)
{
	uint64_t v;

	memcpy(&v, (const char *)c + counter_info[i].offset, sizeof(v));
	return v;
}

static void
test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < counter_count; i++) {
		if (i != 0)
			assert_true(counter_info[i].offset >
			    counter_info[i - 1].offset);
		assert_true(counter_info[i].name[0] != '\0');
		assert_true(counter_info[i].help[0] != '\0');
	}
	assert_string_equal(counter_info[0].name, "connections");
	assert_true(counter_info[0].is_gauge);
	counter.accepted++;
	for (size_t i = 0; i < counter_count; i++) {
		bool it = strcmp(counter_info[i].name, "accepted") == 0;

		assert_int_equal(value_of(&counter, i), it);
		if (it)
			assert_false(counter_info[i].is_gauge);
	}
}

#define NUMBERS		(sizeof(struct counters) / sizeof(uint64_t))

static void
fill(struct counters *c, uint64_t step)
{
	uint64_t *v = (uint64_t *)(void *)c;

	for (size_t i = 0; i < NUMBERS; i++)
		v[i] = step * (i + 1);
}

static void
test_pack(void **state)
{
	struct counters in, out = { 0 };
	struct buf b = { 0 };

	(void)state;
	fill(&in, UINT64_C(0x1234567890));
	in.accepted = UINT64_MAX;
	counters_pack(&in, &b);
	assert_int_equal(counters_unpack(&out, buf_view(&b)), 0);
	assert_memory_equal(&in, &out, sizeof(in));
	/* Cut anywhere, or with something behind: refused, nothing changed. */
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(counters_unpack(&out, bytes_of(b.p, n)), -1);
	buf_char(&b, 0);
	assert_int_equal(counters_unpack(&out, buf_view(&b)), -1);
	assert_memory_equal(&in, &out, sizeof(in));
	buf_done(&b);
}

static void
array_head(struct buf *b, size_t n)
{
	buf_char(b, '\xdc');
	buf_char(b, (char)(n >> 8));
	buf_char(b, (char)n);
}

static void
test_refused(void **state)
{
	struct counters out = { 0 }, zero = { 0 };
	struct buf b = { 0 };

	(void)state;
	assert_int_equal(counters_unpack(&out, B("")), -1);
	assert_int_equal(counters_unpack(&out, B("\xc0")), -1);
	assert_int_equal(counters_unpack(&out, B("\xdd\xff\xff\xff\xff")), -1);
	/* An array of the right length with another thing in it. */
	array_head(&b, NUMBERS);
	for (size_t i = 1; i < NUMBERS; i++)
		buf_char(&b, 1);
	buf_str(&b, "\xa0");
	assert_int_equal(counters_unpack(&out, buf_view(&b)), -1);
	assert_memory_equal(&out, &zero, sizeof(out));
	b.p[b.n - 1] = 1;
	assert_int_equal(counters_unpack(&out, buf_view(&b)), 0);
	buf_done(&b);
}

/* A release that has fewer counters, and one that has more. */
static void
test_releases(void **state)
{
	struct counters out, in = { 0 };
	struct buf b = { 0 };

	(void)state;
	fill(&out, 9);
	in.connections = 7;
	assert_int_equal(counters_unpack(&out, B("\x91\x07")), 0);
	assert_memory_equal(&out, &in, sizeof(in));
	assert_int_equal(counters_unpack(&out, B("\x90")), 0);
	assert_int_equal(out.connections, 0);

	array_head(&b, NUMBERS + 2);
	for (size_t i = 0; i < NUMBERS + 2; i++)
		buf_char(&b, 5);
	assert_int_equal(counters_unpack(&out, buf_view(&b)), 0);
	assert_int_equal(value_of(&out, counter_count - 1), 5);
	assert_int_equal(out.publish_seconds.counts[0], 5);
	assert_int_equal(out.route_seconds.sum, 5);
	buf_done(&b);
}

static void
test_add(void **state)
{
	struct counters a, b, three;

	(void)state;
	fill(&a, 1);
	fill(&b, 2);
	fill(&three, 3);
	counters_add(&a, &b);
	assert_memory_equal(&a, &three, sizeof(a));
}

/* What is held is gone with its process, what was counted stays. */
static void
test_retire(void **state)
{
	struct counters sum, c;

	(void)state;
	fill(&sum, 1);
	fill(&c, 2);
	counters_retire(&sum, &c);
	for (size_t i = 0; i < counter_count; i++) {
		uint64_t of = value_of(&c, i) / 2;

		assert_int_equal(value_of(&sum, i),
		    counter_info[i].is_gauge ? of : 3 * of);
	}
	assert_int_equal(sum.fanout_seconds.sum,
	    3 * (c.fanout_seconds.sum / 2));
	assert_int_equal(sum.fanout_seconds.counts[3],
	    3 * (c.fanout_seconds.counts[3] / 2));
}

/* ---- histograms ---------------------------------------------------------- */

static void
test_bounds(void **state)
{
	char *end;

	(void)state;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
		const struct histogram_bound *b = &histogram_bounds[i];

		/* The text is the number. */
		assert_true(strtod(b->seconds, &end) * 1e9 - (double)b->ns <
		    1e-3);
		assert_true((double)b->ns - strtod(b->seconds, &end) * 1e9 <
		    1e-3);
		assert_int_equal(*end, '\0');
		assert_true(i == 0 || b->ns > b[-1].ns);
	}
	assert_int_equal(histogram_bounds[0].ns, 50000);
	assert_int_equal(histogram_bounds[HISTOGRAM_BUCKETS - 2].ns,
	    10000000000);
}

static void
test_histogram(void **state)
{
	struct histogram h = { .sum = 0 };
	uint64_t sum = 0, last = histogram_bounds[HISTOGRAM_BUCKETS - 2].ns;

	(void)state;
	/* Each bound is in its bucket, one more is in the next. */
	for (size_t i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
		uint64_t ns = histogram_bounds[i].ns;

		histogram_add(&h, ns, 1);
		assert_int_equal(h.counts[i], i == 0 ? 1 : 2);
		histogram_add(&h, ns + 1, 1);
		assert_int_equal(h.counts[i + 1], 1);
		sum += 2 * ns + 1;
	}
	assert_int_equal(h.sum, sum);
	assert_int_equal(histogram_count(&h), 2 * (HISTOGRAM_BUCKETS - 1));
	histogram_add(&h, 0, 3);
	assert_int_equal(h.counts[0], 4);
	histogram_add(&h, 10 * last, 7);
	assert_int_equal(h.counts[HISTOGRAM_BUCKETS - 1], 8);
	assert_int_equal(h.sum, sum + 70 * last);
}

/* ---- by application ------------------------------------------------------ */

static void
test_usage(void **state)
{
	struct usage u = { .connections = 5, .opened = 9, .closed = 4,
	    .bytes_out = UINT64_MAX }, out, sum = { .connections = 1,
	    .closed = 2 };
	struct buf b = { 0 };

	(void)state;
	assert_int_equal(usage_count * sizeof(uint64_t), sizeof(u));
	assert_string_equal(usage_info[0].name, "connections");
	assert_true(usage_info[0].is_gauge);
	usage_pack(&u, &b);
	assert_int_equal(usage_unpack(&out, buf_view(&b)), 0);
	assert_memory_equal(&u, &out, sizeof(u));
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(usage_unpack(&out, bytes_of(b.p, n)), -1);
	buf_done(&b);
	assert_int_equal(usage_unpack(&out, B("\x92\x07\x08")), 0);
	assert_int_equal(out.connections, 7);
	assert_int_equal(out.opened, 8);
	assert_int_equal(out.requests, 0);

	u.bytes_out = 0;
	usage_add(&sum, &u);
	assert_int_equal(sum.connections, 6);
	assert_int_equal(sum.closed, 6);
	/* What was open is closed: opened - closed stays what is open. */
	usage_retire(&sum, &u);
	assert_int_equal(sum.connections, 6);
	assert_int_equal(sum.opened, 18);
	assert_int_equal(sum.closed, 15);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_pack),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_releases),
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_retire),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_histogram),
		cmocka_unit_test(test_usage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
