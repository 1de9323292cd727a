/* SPDX-License-Identifier: MIT
 *
 * Tests src/common/closes.c and the table behind it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/closes.h"

static void
test_names(void **state)
{
	(void)state;
	assert_string_equal(close_info[CLOSE_NONE].name, "NONE");
	assert_string_equal(close_info[CLOSE_NO_APP].name, "NO_APP");
	assert_int_equal(close_info[CLOSE_NO_APP].wire, 4001);
	assert_string_equal(close_info[CLOSE_NO_APP].words,
	    "Application does not exist");
	assert_true(close_info[CLOSE_SLOW_READER].is_error);
	assert_false(close_info[CLOSE_DRAIN].is_error);
}

/* Each code may go on the wire: RFC 6455 7.4, and the ranges of Pusher clients
 * (4000 switches them to TLS for good). */
static void
test_codes(void **state)
{
	(void)state;
	for (int i = 0; i < CLOSE_REASONS; i++) {
		unsigned code = close_info[i].wire;

		assert_non_null(close_info[i].name);
		assert_true(close_info[i].words[0] != '\0');
		/* A close frame holds 125 octets, two of them the code. */
		assert_true(strlen(close_info[i].words) <= 123);
		if (code != 0 && !(code >= 1000 && code <= 1003) &&
		    !(code >= 1007 && code <= 1014) &&
		    !(code > 4000 && code <= 4299))
			fail_msg("%s has code %u", close_info[i].name, code);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
