/* SPDX-License-Identifier: MIT
 *
 * Tests src/router/tally.c.
 */
#include "driver.h"

static struct peer *const a = (struct peer *)8, *const b = (struct peer *)16,
    *const c = (struct peer *)24;

static void
test_counts(void **state)
{
	struct tally t = { 0 };

	(void)state;
	assert_true(tally_add(&t, a, 2));
	assert_false(tally_add(&t, a, 1));
	assert_true(tally_add(&t, b, 1));
	assert_true(tally_add(&t, c, 1));
	assert_false(tally_add(&t, c, 0));
	assert_int_equal(t.total, 5);
	assert_int_equal(t.n, 3);
	assert_int_equal(tally_take(&t, a, 1), 1);
	assert_int_equal(tally_take(&t, a, 9), 2);
	assert_int_equal(tally_take(&t, a, 1), 0);
	assert_int_equal(t.n, 2);
	assert_int_equal(tally_drop(&t, c), 1);
	assert_int_equal(tally_drop(&t, c), 0);
	assert_int_equal(t.total, 1);
	assert_ptr_equal(t.at[0].peer, b);
	tally_done(&t);
}

static void
test_empty_frees(void **state)
{
	struct tally t = { 0 };

	(void)state;
	tally_add(&t, a, UINT32_MAX);
	tally_add(&t, a, UINT32_MAX);
	assert_int_equal(t.total, 2 * (uint64_t)UINT32_MAX);
	assert_int_equal(tally_drop(&t, a), 2 * (uint64_t)UINT32_MAX);
	assert_null(t.at);
	assert_int_equal(t.total, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_empty_frees),
	};

	return cmocka_run_group_tests_name("tally", tests, NULL, NULL);
}
