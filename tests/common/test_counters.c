/* SPDX-License-Identifier: MIT
 *
 * Tests src/common/counters.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
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
	assert_int_equal(counter_count * sizeof(uint64_t), sizeof(counter));
	for (size_t i = 0; i < counter_count; i++) {
		assert_int_equal(counter_info[i].offset, i * sizeof(uint64_t));
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

static void
fill(struct counters *c, uint64_t step)
{
	uint64_t *v = (uint64_t *)(void *)c;

	for (size_t i = 0; i < counter_count; i++)
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
test_refused(void **state)
{
	struct counters out = { 0 }, zero = { 0 };
	struct buf b = { 0 };

	(void)state;
	assert_int_equal(counters_unpack(&out, B("")), -1);
	assert_int_equal(counters_unpack(&out, B("\xc0")), -1);
	assert_int_equal(counters_unpack(&out, B("\xdd\xff\xff\xff\xff")), -1);
	/* An array of the right length with another thing in it. */
	buf_add(&b, "\xdc\0", 2);
	buf_char(&b, (char)counter_count);
	for (size_t i = 1; i < counter_count; i++)
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

	buf_add(&b, "\xdc\0", 2);
	buf_char(&b, (char)(counter_count + 2));
	for (size_t i = 0; i < counter_count + 2; i++)
		buf_char(&b, 5);
	assert_int_equal(counters_unpack(&out, buf_view(&b)), 0);
	assert_int_equal(value_of(&out, counter_count - 1), 5);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_pack),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_releases),
		cmocka_unit_test(test_add),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
