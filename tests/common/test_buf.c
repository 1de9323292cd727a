/* SPDX-License-Identifier: MIT
 *
 * Tests src/common/buf.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/util.h"

#define assert_bytes(b, literal) do {					\
	struct bytes got_ = (b);					\
	assert_int_equal(got_.n, sizeof(literal) - 1);			\
	assert_memory_equal(got_.p, literal, sizeof(literal) - 1);	\
} while (0)

static void
test_compare(void **state)
{
	(void)state;
	assert_true(bytes_eq(B(""), bytes_of(NULL, 0)));
	assert_true(bytes_eq(B("a\0b"), B("a\0b")));
	assert_false(bytes_eq(B("a\0b"), B("a\0c")));
	assert_true(bytes_starts(B("private-x"), B("private-")));
	assert_false(bytes_starts(B("priv"), B("private-")));
	assert_true(bytes_ieq(B("Content-LENGTH"), B("content-length")));
	/* '@' and '`' differ from letters by the same bit as case does. */
	assert_false(bytes_ieq(B("@["), B("`{")));
	assert_false(bytes_ieq(B("abc"), B("abcd")));
	assert_true(bytes_cmp(B("a"), B("b")) < 0);
	assert_true(bytes_cmp(B("b"), B("a")) > 0);
	assert_true(bytes_cmp(B("a"), B("aa")) < 0);
	assert_true(bytes_cmp(B("aa"), B("a")) > 0);
	assert_true(bytes_cmp(B("\xff"), B("a")) > 0);
	assert_int_equal(bytes_cmp(B(""), bytes_str(NULL)), 0);
}

static void
test_find_and_trim(void **state)
{
	char *copy;

	(void)state;
	assert_int_equal(bytes_find(B("k=v=w"), '='), 1);
	assert_int_equal(bytes_find(B("kv"), '='), -1);
	assert_int_equal(bytes_find(bytes_of(NULL, 0), '='), -1);
	assert_bytes(bytes_trim(B(" \t a b\t ")), "a b");
	assert_bytes(bytes_trim(B(" \t ")), "");
	assert_bytes(bytes_trim(B("\na")), "\na");
	copy = bytes_dup(B("x\0y"));
	assert_memory_equal(copy, "x\0y", 4);
	free(copy);
}

static void
test_numbers(void **state)
{
	uint64_t v = 7;

	(void)state;
	assert_int_equal(bytes_u64(B("0"), &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(bytes_u64(B("18446744073709551615"), &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(bytes_u64(B("18446744073709551616"), &v), -1);
	assert_int_equal(bytes_u64(B("99999999999999999999"), &v), -1);
	assert_int_equal(bytes_u64(B(""), &v), -1);
	assert_int_equal(bytes_u64(B("-1"), &v), -1);
	assert_int_equal(bytes_u64(B("+1"), &v), -1);
	assert_int_equal(bytes_u64(B(" 1"), &v), -1);
	assert_int_equal(bytes_u64(B("1a"), &v), -1);
	assert_int_equal(bytes_u64(B("1\0"), &v), -1);
	/* Not touched by a refusal. */
	assert_true(v == UINT64_MAX);
}

/* The first and last character of each length, and what lies beside them. */
static const struct {
	struct bytes	text;
	bool		valid;
} utf8[] = {
	{ BYTES(""), true },
	{ BYTES("plain text, longer than eight octets"), true },
	{ BYTES("\0"), true },
	{ BYTES("\x7f"), true },
	{ BYTES("\xc2\x80"), true },
	{ BYTES("\xdf\xbf"), true },
	{ BYTES("\xe0\xa0\x80"), true },
	{ BYTES("\xed\x9f\xbf"), true },
	{ BYTES("\xee\x80\x80"), true },
	{ BYTES("\xef\xbf\xbf"), true },
	{ BYTES("\xf0\x90\x80\x80"), true },
	{ BYTES("\xf4\x8f\xbf\xbf"), true },
	{ BYTES("12345678\xe2\x82\xac""12345678\xf0\x9f\x98\x80"), true },
	{ BYTES("\x80"), false },
	{ BYTES("\xbf"), false },
	{ BYTES("\xc0\x80"), false },
	{ BYTES("\xc1\xbf"), false },
	{ BYTES("\xe0\x9f\xbf"), false },
	{ BYTES("\xed\xa0\x80"), false },		/* surrogate */
	{ BYTES("\xed\xbf\xbf"), false },
	{ BYTES("\xf0\x8f\xbf\xbf"), false },
	{ BYTES("\xf4\x90\x80\x80"), false },		/* above U+10FFFF */
	{ BYTES("\xf5\x80\x80\x80"), false },
	{ BYTES("\xff"), false },
	{ BYTES("\xfe"), false },
	{ BYTES("\xc2"), false },
	{ BYTES("\xe2\x82"), false },
	{ BYTES("\xf0\x9f\x98"), false },
	{ BYTES("\xc2\x41"), false },
	{ BYTES("\xe2\x82\x41"), false },
	{ BYTES("\xe2\x82\xac\xac"), false },
	{ BYTES("12345678\xff"), false },
};

static void
test_utf8(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEM(utf8); i++) {
		if (utf8_valid(utf8[i].text) != utf8[i].valid)
			fail_msg("UTF-8 text %zu", i);
	}
	assert_true(utf8_valid(bytes_of(NULL, 0)));
}

/* Cut at every place, the answer is the same. */
static void
test_utf8_pieces(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEM(utf8); i++) {
		struct bytes t = utf8[i].text;

		for (size_t cut = 0; cut <= t.n; cut++) {
			uint32_t s = 0;
			bool ok = utf8_step(&s, bytes_of(t.p, cut)) &&
			    utf8_step(&s, bytes_skip(t, cut)) && s == 0;

			if (ok != utf8[i].valid)
				fail_msg("UTF-8 text %zu cut at %zu", i, cut);
		}
	}
}

/* All code points and all pairs of octets. */
static void
test_utf8_all(void **state)
{
	char octets[4];

	(void)state;
	for (uint32_t c = 0x80; c <= 0x10ffff; c++) {
		size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
		uint32_t rest = c;

		for (size_t i = n - 1; i > 0; i--, rest >>= 6)
			octets[i] = (char)(0x80 | (rest & 0x3f));
		octets[0] = (char)(0xff00u >> n | rest);
		if (utf8_valid(bytes_of(octets, n)) ==
		    (c >= 0xd800 && c <= 0xdfff))
			fail_msg("U+%04X", c);
	}
	for (unsigned pair = 0x8000; pair <= 0xffff; pair++) {
		octets[0] = (char)(pair >> 8);
		octets[1] = (char)pair;
		if (utf8_valid(bytes_of(octets, 2)) !=
		    (pair >> 8 >= 0xc2 && pair >> 8 <= 0xdf &&
		    (pair & 0xc0) == 0x80))
			fail_msg("octets %04x", pair);
	}
}

static void
test_utf8_length(void **state)
{
	(void)state;
	assert_int_equal(utf8_length(B("")), 0);
	assert_int_equal(utf8_length(B("ab")), 1);
	assert_int_equal(utf8_length(B("\xc3\xa4z")), 2);
	assert_int_equal(utf8_length(B("\xe2\x82\xacz")), 3);
	assert_int_equal(utf8_length(B("\xf0\x9f\x98\x80z")), 4);
	assert_int_equal(utf8_length(B("\xf0\x9f\x98")), 0);
	assert_int_equal(utf8_length(B("\x80")), 0);
	assert_int_equal(utf8_length(B("\xed\xa0\x80")), 0);
}

static void
test_add(void **state)
{
	struct buf b = { 0 };

	(void)state;
	assert_int_equal(buf_view(&b).n, 0);
	assert_string_equal(buf_cstr(&b), "");
	buf_str(&b, "x");
	buf_char(&b, '=');
	buf_u64(&b, 0);
	buf_u64(&b, UINT64_MAX);
	buf_bytes(&b, B("a\0b"));
	buf_bytes(&b, bytes_of(NULL, 0));
	buf_hex(&b, B("\x00\x9f\xff"));
	buf_hex(&b, B(""));
	assert_bytes(buf_view(&b), "x=018446744073709551615a\0b009fff");
	buf_drop(&b, 2);
	assert_bytes(buf_view(&b), "018446744073709551615a\0b009fff");
	buf_drop(&b, b.n);
	assert_int_equal(b.n, 0);
	buf_drop(&b, 0);
	buf_done(&b);
	assert_null(b.p);
	buf_str(&b, "again");
	assert_string_equal(buf_cstr(&b), "again");
	assert_int_equal(b.n, 5);
	buf_done(&b);
}

/* Of every length, so that each one meets the end of the room once. */
static void
test_format(void **state)
{
	char expect[300];

	(void)state;
	for (int width = 0; width < 200; width++) {
		struct buf b = { 0 };

		buf_str(&b, "<");
		buf_fmt(&b, "%*d|%s", width, 7, "end");
		snprintf(expect, sizeof(expect), "<%*d|%s", width, 7, "end");
		assert_int_equal(b.n, strlen(expect));
		assert_string_equal(buf_cstr(&b), expect);
		buf_done(&b);
	}
}

static void
test_growth(void **state)
{
	struct buf b = { 0 };
	size_t moves = 0;
	const char *p = NULL;

	(void)state;
	for (unsigned i = 0; i < 1000000; i++) {
		buf_char(&b, (char)i);
		moves += b.p != p;
		p = b.p;
	}
	assert_int_equal(b.n, 1000000);
	assert_true(moves < 64);
	for (unsigned i = 0; i < 1000000; i += 997)
		assert_true(b.p[i] == (char)i);
	p = b.p;
	buf_clear(&b);
	buf_str(&b, "memory is kept");
	assert_ptr_equal(b.p, p);
	buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compare),
		cmocka_unit_test(test_find_and_trim),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_utf8_pieces),
		cmocka_unit_test(test_utf8_all),
		cmocka_unit_test(test_utf8_length),
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_growth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
