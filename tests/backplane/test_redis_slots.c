/* SPDX-License-Identifier: MIT
 *
 * Tests src/backplane/redis_slots.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "backplane/backplane.h"
#include "backplane/redis_slots.h"

/* What CLUSTER KEYSLOT of Redis 7.0.15 says. */
static void
test_as_redis(void **state)
{
	static const struct {
		const char	*name;
		unsigned	 slot;
	} said[] = {
		{ "123456789", 12739 },
		{ "foo", 12182 },
		{ "foo{bar}x", 5061 },
		{ "{}x", 10595 },
		{ "a{}{b}", 15033 },
		{ "{user1000}.following", 3443 },
		{ "foo{{bar}}zap", 4015 },
		{ "x{", 3596 },
		{ "x}y{z", 10687 },
		{ "peal:{0}:hosts", 13907 },
		{ "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++)
		assert_int_equal(redis_slot(bytes_str(said[i].name)),
		    said[i].slot);
}

/* Each lane has its own part of the slots, under any name with its tag. */
static void
test_spread(void **state)
{
	(void)state;
	for (unsigned lane = 0; lane < LANES; lane++) {
		char name[64];
		unsigned slot;

		snprintf(name, sizeof(name), "peal:{%s}:1001:room{x}",
		    redis_lane_tag(lane));
		slot = redis_slot(bytes_str(name));
		assert_int_equal(slot / (REDIS_SLOTS / LANES), lane);
		assert_int_equal(slot,
		    redis_slot(bytes_str(redis_lane_tag(lane))));
		assert_int_equal(slot, redis_lane_slot(lane));
		assert_int_equal(redis_slot_lane(slot), lane);
		assert_int_equal(redis_slot_lane(slot ^ 1), LANES);
		assert_in_range(strlen(redis_lane_tag(lane)), 1, 3);
	}
	assert_int_equal(redis_slot_lane(REDIS_SLOTS), LANES);
}

/* However many masters share the slots as redis-cli shares them out, none has
 * more than two lanes more than another. */
static void
test_masters(void **state)
{
	(void)state;
	for (unsigned masters = 1; masters <= 16; masters++) {
		unsigned lanes[16] = { 0 }, least = LANES, most = 0;

		for (unsigned lane = 0; lane < LANES; lane++)
			lanes[redis_slot(bytes_str(redis_lane_tag(lane))) *
			    masters / REDIS_SLOTS]++;
		for (unsigned m = 0; m < masters; m++) {
			least = lanes[m] < least ? lanes[m] : least;
			most = lanes[m] > most ? lanes[m] : most;
		}
		assert_in_range(most - least, 0, 2);
	}
}

/* They are part of the names on the broker: hosts of different versions must
 * have the same. */
static void
test_for_ever(void **state)
{
	(void)state;
	assert_string_equal(redis_lane_tag(0), "14");
	assert_string_equal(redis_lane_tag(1), "10");
	assert_string_equal(redis_lane_tag(64), "16");
	assert_string_equal(redis_lane_tag(127), "x");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_redis),
		cmocka_unit_test(test_spread),
		cmocka_unit_test(test_masters),
		cmocka_unit_test(test_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
