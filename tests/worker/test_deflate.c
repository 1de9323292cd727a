/* SPDX-License-Identifier: MIT
 *
 * Tests of src/worker/deflate.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/util.h"
#include "worker/deflate.h"

#define ANSWER "permessage-deflate; server_no_context_takeover; " \
	"client_no_context_takeover"

static void
offers(void **state)
{
	static const struct {
		unsigned	 bits;
		const char	*list, *answer;
	} cases[] = {
		{ 0, "", "" },
		{ 0, "x-webkit-deflate-frame", "" },
		{ 15, "permessage-deflate", ANSWER },
		{ 15, "Permessage-Deflate", ANSWER },
		{ 15, "permessage-deflate; client_max_window_bits", ANSWER },
		{ 15, "permessage-deflate;client_max_window_bits=8", ANSWER },
		{ 15, "permessage-deflate; server_no_context_takeover",
		    ANSWER },
		{ 15, "permessage-deflate; client_no_context_takeover ; "
		    "server_no_context_takeover", ANSWER },
		{ 9, "permessage-deflate; server_max_window_bits=9",
		    ANSWER "; server_max_window_bits=9" },
		{ 15, "permessage-deflate; server_max_window_bits=15",
		    ANSWER "; server_max_window_bits=15" },
		{ 10, "permessage-deflate; server_max_window_bits=\"10\"",
		    ANSWER "; server_max_window_bits=10" },
		/* declined, and the next one is looked at */
		{ 0, "permessage-deflate; server_max_window_bits=8", "" },
		{ 0, "permessage-deflate; server_max_window_bits=16", "" },
		{ 0, "permessage-deflate; server_max_window_bits=09", "" },
		{ 0, "permessage-deflate; server_max_window_bits=9x", "" },
		{ 0, "permessage-deflate; server_max_window_bits=", "" },
		{ 0, "permessage-deflate; server_max_window_bits", "" },
		{ 0, "permessage-deflate; client_max_window_bits=16", "" },
		{ 0, "permessage-deflate; client_max_window_bits=7", "" },
		{ 0, "permessage-deflate; client_max_window_bits=", "" },
		{ 0, "permessage-deflate; server_no_context_takeover=1", "" },
		{ 0, "permessage-deflate; client_max_window_bits; "
		    "client_max_window_bits", "" },
		{ 0, "permessage-deflate; server_no_context_takeover; "
		    "server_no_context_takeover", "" },
		{ 0, "permessage-deflate; unheard_of", "" },
		{ 0, "permessage-deflate;", "" },
		{ 0, "permessage-deflate x", "" },
		{ 0, "permessage-deflate; server_max_window_bits=\"10", "" },
		{ 0, "x; y=\", permessage-deflate\"", "" },
		{ 0, ";,=,\",", "" },
		{ 15, ",, permessage-deflate", ANSWER },
		{ 15, "x; y=\"a,b\", permessage-deflate", ANSWER },
		{ 11, "permessage-deflate; server_max_window_bits=8, "
		    "permessage-deflate; server_max_window_bits=11, "
		    "permessage-deflate",
		    ANSWER "; server_max_window_bits=11" },
	};
	struct buf b = { 0 };

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		unsigned bits;

		buf_clear(&b);
		bits = deflate_negotiate(bytes_str(cases[i].list), &b);
		if (bits != cases[i].bits)
			fail_msg("%s: %u", cases[i].list, bits);
		assert_string_equal(buf_cstr(&b), cases[i].answer);
	}
	buf_done(&b);
}

static void
messages_of_the_rfc(void **state)
{
	static const struct bytes cases[] = {
		BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00"),		/* 7.2.3.1 */
		BYTES("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"),
		BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),	/* BFINAL */
		BYTES("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"),
		/* What some make of it: a final block and nothing behind. */
		BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00"),
	};
	struct buf b = { 0 };

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		buf_clear(&b);
		buf_str(&b, ">");		/* it is appended */
		assert_int_equal(inflate_message(cases[i], 5, &b), 0);
		assert_string_equal(buf_cstr(&b), ">Hello");
		b.n = 1;
		assert_int_equal(inflate_message(cases[i], 4, &b), -2);
		assert_int_equal(b.n, 1);
	}
	buf_clear(&b);
	deflate_message(B("Hello"), 15, &b);
	assert_true(bytes_eq(buf_view(&b), cases[0]));
	buf_done(&b);
}

static void
empty_messages(void **state)
{
	struct buf b = { 0 };

	(void)state;
	assert_int_equal(inflate_message(B("\x00"), 0, &b), 0);
	assert_int_equal(inflate_message(B(""), 0, &b), 0);
	assert_int_equal(b.n, 0);
	deflate_message(B(""), 15, &b);
	assert_true(bytes_eq(buf_view(&b), B("\x00")));
	buf_done(&b);
}

static void
bad_data(void **state)
{
	static const struct bytes cases[] = {
		BYTES("\xff\xff\xff"), BYTES("\x06"),	/* block type 3 */
		BYTES("\xf2\x00\x11\x00\x00"),	/* refers to an older message */
		BYTES("\x00\x06\x00\xf9\xff\x48"),	/* cut */
		BYTES("\x00\x05\x00\xfa\xfe\x48"),
		BYTES("\xf2\x48\xcd\xc9"),
	};
	struct buf b = { 0 };

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		/* A good one before and between: nothing is carried over. */
		assert_int_equal(inflate_message(
		    B("\xf2\x48\xcd\xc9\xc9\x07\x00"), 100, &b), 0);
		if (inflate_message(cases[i], 100, &b) != -1)
			fail_msg("case %zu", i);
	}
	buf_done(&b);
}

static void
there_and_back(void **state)
{
	static const size_t sizes[] = { 1, 100, 4096, 70000, 300000 };
	struct buf plain = { 0 }, packed = { 0 }, back = { 0 };
	uint32_t random = 1;

	(void)state;
	for (size_t i = 0; i < NELEM(sizes); i++)
		for (unsigned bits = 9; bits <= 15; bits++) {
			/* Half of it text, half noise. */
			buf_clear(&plain);
			while (plain.n < sizes[i] / 2)
				buf_fmt(&plain, "{\"n\":%zu}", plain.n);
			while (plain.n < sizes[i]) {
				random = random * 1664525 + 1013904223;
				buf_char(&plain, (char)(random >> 24));
			}
			buf_clear(&packed);
			buf_clear(&back);
			deflate_message(buf_view(&plain), bits, &packed);
			assert_int_equal(inflate_message(buf_view(&packed),
			    plain.n, &back), 0);
			assert_true(bytes_eq(buf_view(&plain),
			    buf_view(&back)));
		}
	buf_done(&plain);
	buf_done(&packed);
	buf_done(&back);
}

/* 64 MiB of zeros in 64 KiB: no more memory is used than the limit is worth. */
static void
bombs(void **state)
{
	struct buf zeros = { 0 }, bomb = { 0 }, out = { 0 };

	(void)state;
	memset(buf_room(&zeros, 64 << 20), 0, 64 << 20);
	zeros.n = 64 << 20;
	deflate_message(buf_view(&zeros), 15, &bomb);
	assert_true(bomb.n < 70000);
	assert_int_equal(inflate_message(buf_view(&bomb), 10000, &out), -2);
	assert_int_equal(out.n, 0);
	assert_true(out.cap < 40000);
	buf_done(&zeros);
	buf_done(&bomb);
	buf_done(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offers),
		cmocka_unit_test(messages_of_the_rfc),
		cmocka_unit_test(empty_messages),
		cmocka_unit_test(bad_data),
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(bombs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
