/* SPDX-License-Identifier: MIT
 *
 * Tests src/common/json.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/json.h"
#include "common/util.h"

#define assert_bytes(b, literal) do {					\
	struct bytes got_ = (b);					\
	assert_int_equal(got_.n, sizeof(literal) - 1);			\
	assert_memory_equal(got_.p, literal, sizeof(literal) - 1);	\
} while (0)

static const struct {
	struct bytes	text;
	enum json_type	type;
} good[] = {
	{ BYTES("null"), JSON_NULL },
	{ BYTES(" \t\r\ntrue \t\r\n"), JSON_TRUE },
	{ BYTES("false"), JSON_FALSE },
	{ BYTES("0"), JSON_NUMBER },
	{ BYTES("-0"), JSON_NUMBER },
	{ BYTES("-12.50e+10"), JSON_NUMBER },
	{ BYTES("1E9"), JSON_NUMBER },
	{ BYTES("0.5e-3"), JSON_NUMBER },
	{ BYTES("123456789012345678901234567890"), JSON_NUMBER },
	{ BYTES("\"\""), JSON_STRING },
	{ BYTES("\"a\x7f\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\""), JSON_STRING },
	{ BYTES("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\uD83D\\uDE00\""),
	  JSON_STRING },
	{ BYTES("\"\\u0000\""), JSON_STRING },
	{ BYTES("[]"), JSON_ARRAY },
	{ BYTES("[ ]"), JSON_ARRAY },
	{ BYTES("[1 , \"two\",[3,[ ]],{\"four\" : 4}]"), JSON_ARRAY },
	{ BYTES("{}"), JSON_OBJECT },
	{ BYTES("{ }"), JSON_OBJECT },
	{ BYTES("{\"\":{\"\":{}},\"a\":[{}]}"), JSON_OBJECT },
	{ BYTES("{\"a\":1,\"a\":2}"), JSON_OBJECT },
};

static const struct bytes bad[] = {
	BYTES(""), BYTES(" "), BYTES("nul"), BYTES("nulll"), BYTES("True"),
	BYTES("01"), BYTES("-"), BYTES("-01"), BYTES("1."), BYTES(".5"),
	BYTES("1e"), BYTES("1e+"), BYTES("+1"), BYTES("0x10"), BYTES("1 2"),
	BYTES("NaN"), BYTES("Infinity"), BYTES("- 1"), BYTES("1.e5"),
	BYTES("\""), BYTES("\"a"), BYTES("\"a\\"), BYTES("\"a\\\""),
	BYTES("'a'"), BYTES("\"\\x41\""), BYTES("\"\\a\""), BYTES("\"\n\""),
	BYTES("\"\t\""), BYTES("\"\0\""), BYTES("\"\x1f\""),
	BYTES("\"12345678\x01""12345678\""),
	BYTES("\"\\u12\""), BYTES("\"\\u123\""), BYTES("\"\\u123g\""),
	BYTES("\"\\u+123\""), BYTES("\"\\U1234\""), BYTES("\"\\u12"),
	BYTES("\"\\ud800\""), BYTES("\"\\ud800x\""), BYTES("\"\\udc00\""),
	BYTES("\"\\ud800\\ud800\""), BYTES("\"\\ud800\\u0041\""),
	BYTES("\"\\udc00\\ud800\""), BYTES("\"\\ud83d\\ude"),
	BYTES("\"\\ud83d\\n\""),
	BYTES("\"\x80\""), BYTES("\"\xc3\""), BYTES("\"\xc3\"\""),
	BYTES("\"\xed\xa0\x80\""), BYTES("\"\xf5\x80\x80\x80\""),
	BYTES("\"\xc0\x80\""), BYTES("\"\xe2\x82\""),
	BYTES("["), BYTES("]"), BYTES("[1"), BYTES("[1,"), BYTES("[1,]"),
	BYTES("[,1]"), BYTES("[1 2]"), BYTES("[1}"), BYTES("[]]"),
	BYTES("{"), BYTES("}"), BYTES("{]"), BYTES("{\"a\"}"),
	BYTES("{\"a\":}"), BYTES("{\"a\":1"), BYTES("{\"a\":1,}"),
	BYTES("{,}"), BYTES("{\"a\" 1}"), BYTES("{a:1}"), BYTES("{1:1}"),
	BYTES("{\"a\":1 \"b\":2}"), BYTES("{\"a\":1]"), BYTES("{\"a\"::1}"),
	BYTES("{}{}"), BYTES("null,"), BYTES("[1]\0"), BYTES("\xef\xbb\xbf""1"),
	BYTES("\x0b""1"), BYTES("\xc2\xa0""1"), BYTES("/**/1"), BYTES("1//"),
};

static void
test_good(void **state)
{
	const char *why = NULL;
	struct json v;

	(void)state;
	for (size_t i = 0; i < NELEM(good); i++) {
		struct bytes want = good[i].text;

		if (json_parse(want, &v, &why) < 0)
			fail_msg("%s: %s", good[i].text.p, why);
		assert_int_equal(v.type, good[i].type);
		while (strchr(" \t\r\n", want.p[0]) != NULL)
			want = bytes_skip(want, 1);
		while (strchr(" \t\r\n", want.p[want.n - 1]) != NULL)
			want.n--;
		assert_true(bytes_eq(v.raw, want));
	}
}

static void
test_bad(void **state)
{
	struct json v;

	(void)state;
	for (size_t i = 0; i < NELEM(bad); i++) {
		const char *why = NULL;

		if (json_parse(bad[i], &v, &why) == 0)
			fail_msg("accepted: %s", bad[i].p);
		assert_non_null(why);
		assert_true(why[0] != '\0');
		assert_int_equal(v.type, JSON_MISSING);
	}
}

/* A good text cut anywhere is bad, and nothing behind its end is looked at. */
static void
test_cut(void **state)
{
	static const char text[] =
	    "{\"a\":[1.5e3,true,null,{\"b\\u00e4\\ud83d\\ude00\":\"\xe2\x82\xac"
	    "12345678\"}],\"c\":\"\"}";
	const char *why;
	struct json v;

	(void)state;
	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		char *copy = xmalloc(n + 1);

		memcpy(copy, text, n);
		assert_int_equal(json_parse(bytes_of(copy, n), &v, &why), -1);
		free(copy);
	}
	assert_int_equal(json_parse(B(text), &v, &why), 0);
}

static void
test_depth(void **state)
{
	struct buf b = { 0 };
	const char *why;
	struct json v;

	(void)state;
	for (int depth = JSON_DEPTH - 1; depth <= JSON_DEPTH + 1; depth++) {
		buf_clear(&b);
		for (int i = 0; i < depth; i++)
			buf_str(&b, i % 2 ? "[" : "{\"a\":");
		buf_str(&b, "1");
		for (int i = depth; i-- > 0;)
			buf_str(&b, i % 2 ? "]" : "}");
		assert_int_equal(json_parse(buf_view(&b), &v, &why),
		    depth <= JSON_DEPTH ? 0 : -1);
	}
	/* Many side by side are no depth. */
	buf_clear(&b);
	buf_str(&b, "[");
	for (int i = 0; i < 1000; i++)
		buf_str(&b, "[{}],");
	buf_str(&b, "1]");
	assert_int_equal(json_parse(buf_view(&b), &v, &why), 0);
	/* A bomb ends at once, without recursion. */
	buf_clear(&b);
	for (int i = 0; i < 1000000; i++)
		buf_char(&b, '[');
	assert_int_equal(json_parse(buf_view(&b), &v, &why), -1);
	assert_string_equal(why, "JSON is nested too deeply");
	buf_done(&b);
}

static void
test_pick(void **state)
{
	struct json v, event, data, channel, none, inner;
	const char *why;
	const struct json_want wants[] = {
		{ BYTES("event"), &event }, { BYTES("data"), &data },
		{ BYTES("channel"), &channel }, { BYTES("none"), &none },
	};

	(void)state;
	assert_int_equal(json_parse(B(" { \"event\" : \"a\\n\" ,"
	    "\"other\":{\"data\":1,\"x\":[\"}\\\"]\"]}, \"data\":1,"
	    "\"\\u0064ata\" : {\"k\":[1,2]} , \"ch\\u0061nnel\":\"x\","
	    "\"even\":0,\"eventt\":0,\"event\\u0000\":0,\"n\\ud83d\\ude00\":0}"),
	    &v, &why), 0);
	assert_int_equal(json_pick(&v, wants, NELEM(wants)), 0);
	assert_int_equal(event.type, JSON_STRING);
	assert_false(event.plain);
	assert_bytes(event.raw, "\"a\\n\"");
	assert_int_equal(data.type, JSON_OBJECT);	/* the last one */
	assert_bytes(data.raw, "{\"k\":[1,2]}");
	assert_true(channel.plain);
	assert_bytes(channel.raw, "\"x\"");
	assert_int_equal(none.type, JSON_MISSING);
	inner = data;
	assert_int_equal(json_pick(&channel, wants, NELEM(wants)), -1);
	assert_int_equal(event.type, JSON_MISSING);

	/* From what was picked, too, even into itself. */
	assert_int_equal(json_pick(&inner, wants, NELEM(wants)), 0);
	assert_int_equal(data.type, JSON_MISSING);
	assert_int_equal(json_parse(B("{\"data\":{\"data\":[7]}}"), &data,
	    &why), 0);
	assert_int_equal(json_pick(&data, wants, NELEM(wants)), 0);
	assert_bytes(data.raw, "{\"data\":[7]}");
	assert_int_equal(json_pick(&data, wants, NELEM(wants)), 0);
	assert_bytes(data.raw, "[7]");
}

/* Checked and picked at once. */
static void
test_read(void **state)
{
	struct json v, event, data, none;
	const char *why;
	const struct json_want wants[] = {
		{ BYTES("event"), &event }, { BYTES("data"), &data },
		{ BYTES("none"), &none },
	};

	(void)state;
	assert_int_equal(json_read(B(" { \"event\" : \"a\\n\" ,"
	    "\"other\":{\"none\":1,\"x\":[\"}\\\"]\"]}, \"data\":1,\"e\":{},"
	    "\"\\u0064ata\" : {\"k\":[1,\"\\n\"]} , \"event\":\"x\" } "),
	    &v, wants, NELEM(wants), &why), 0);
	assert_int_equal(v.type, JSON_OBJECT);
	assert_true(event.plain);
	assert_bytes(event.raw, "\"x\"");		/* the last one */
	assert_int_equal(data.type, JSON_OBJECT);
	assert_false(data.plain);
	assert_bytes(data.raw, "{\"k\":[1,\"\\n\"]}");
	assert_int_equal(none.type, JSON_MISSING);
	assert_int_equal(json_read(B("{\"data\":\"\\n\",\"event\":[[]]}"), &v,
	    wants, NELEM(wants), &why), 0);
	assert_int_equal(data.type, JSON_STRING);
	assert_false(data.plain);
	assert_bytes(event.raw, "[[]]");
	assert_int_equal(json_read(B("[{\"data\":1},\"data\",2]"), &v, wants,
	    NELEM(wants), &why), 0);
	assert_int_equal(v.type, JSON_ARRAY);
	assert_int_equal(data.type, JSON_MISSING);
	assert_int_equal(event.type, JSON_MISSING);
	assert_int_equal(json_read(B("{\"data\":1} x"), &v, wants, NELEM(wants),
	    &why), -1);
	assert_int_equal(v.type, JSON_MISSING);
	assert_int_equal(data.type, JSON_MISSING);
}

static void
test_pick_utf8_name(void **state)
{
	struct json v, out;
	const char *why;
	const struct json_want want[] = { { BYTES("\xf0\x9f\x98\x80\xc3\xa4"),
	    &out } };

	(void)state;
	assert_int_equal(json_parse(B("{\"\\uD83D\\uDE00\\u00E4\":7}"), &v,
	    &why), 0);
	assert_int_equal(json_pick(&v, want, 1), 0);
	assert_int_equal(out.type, JSON_NUMBER);
	assert_int_equal(json_parse(B("{\"\xf0\x9f\x98\x80\\u00E4\":8}"), &v,
	    &why), 0);
	assert_int_equal(json_pick(&v, want, 1), 0);
	assert_bytes(out.raw, "8");
}

static void
test_next(void **state)
{
	struct json v, key, value;
	const char *why;
	size_t pos = 0;

	(void)state;
	assert_int_equal(json_parse(B("[ 1 ,\"a]\" , [2,[3]],{\"b\":4}, null,"
	    "true , false]"), &v, &why), 0);
	assert_true(json_next(&v, &pos, NULL, &value));
	assert_bytes(value.raw, "1");
	assert_true(json_next(&v, &pos, &key, &value));
	assert_int_equal(key.type, JSON_MISSING);
	assert_bytes(value.raw, "\"a]\"");
	assert_true(json_next(&v, &pos, NULL, &value));
	assert_bytes(value.raw, "[2,[3]]");
	assert_true(json_next(&v, &pos, NULL, &value));
	assert_bytes(value.raw, "{\"b\":4}");
	assert_int_equal(value.type, JSON_OBJECT);
	assert_true(json_next(&v, &pos, NULL, &value));
	assert_int_equal(value.type, JSON_NULL);
	assert_bytes(value.raw, "null");
	assert_true(json_next(&v, &pos, NULL, &value));
	assert_int_equal(value.type, JSON_TRUE);
	assert_bytes(value.raw, "true");
	assert_true(json_next(&v, &pos, NULL, &value));
	assert_bytes(value.raw, "false");
	assert_false(json_next(&v, &pos, NULL, &value));
	assert_false(json_next(&v, &pos, NULL, &value));

	pos = 0;
	assert_int_equal(json_parse(B("{ }"), &v, &why), 0);
	assert_false(json_next(&v, &pos, &key, &value));
	pos = 0;
	assert_int_equal(json_parse(B("[ ]"), &v, &why), 0);
	assert_false(json_next(&v, &pos, &key, &value));
	pos = 0;
	assert_int_equal(json_parse(B("\"[1]\""), &v, &why), 0);
	assert_false(json_next(&v, &pos, &key, &value));
	pos = 0;
	assert_int_equal(json_parse(B("{\"k\":\"v\"}"), &v, &why), 0);
	assert_true(json_next(&v, &pos, &key, &value));
	assert_bytes(key.raw, "\"k\"");
	assert_false(json_next(&v, &pos, &key, &value));
}

static struct bytes
text_of(struct bytes text, struct buf *scratch)
{
	const char *why;
	struct json v;

	assert_int_equal(json_parse(text, &v, &why), 0);
	return json_text(&v, scratch);
}

static void
test_text(void **state)
{
	struct buf s = { 0 };
	struct bytes in = B("\"plain \xe2\x82\xac\""), out;

	(void)state;
	out = text_of(in, &s);
	assert_ptr_equal(out.p, in.p + 1);
	assert_bytes(out, "plain \xe2\x82\xac");
	assert_int_equal(s.n, 0);
	assert_bytes(text_of(B("\"\""), &s), "");
	assert_bytes(text_of(B("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), &s),
	    "\"\\/\b\f\n\r\t");
	assert_bytes(text_of(B("\"\\u0000\\u007f\\u0080\\u07ff\\u0800\\uffff\""),
	    &s), "\0\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf");
	assert_bytes(text_of(B("\"\\ud800\\udc00\\uDBFF\\uDFFF\""), &s),
	    "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf");
	assert_bytes(text_of(B("\"a\\u00E4b\xc3\xa4\\\\u0041\""), &s),
	    "a\xc3\xa4""b\xc3\xa4\\u0041");
	/* All of them stand in scratch, one behind the other. */
	assert_int_equal(s.n, 8 + 12 + 8 + 12);
	assert_bytes(text_of(B("12"), &s), "");
	buf_done(&s);
}

static void
test_u64(void **state)
{
	static const struct {
		struct bytes	text;
		int		result;
		uint64_t	value;
	} numbers[] = {
		{ BYTES("0"), 0, 0 }, { BYTES("42"), 0, 42 },
		{ BYTES("18446744073709551615"), 0, UINT64_MAX },
		{ BYTES("18446744073709551616"), -1, 0 },
		{ BYTES("-0"), -1, 0 }, { BYTES("1.0"), -1, 0 },
		{ BYTES("1e2"), -1, 0 }, { BYTES("\"1\""), -1, 0 },
		{ BYTES("true"), -1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(numbers); i++) {
		const char *why;
		uint64_t value = 0;
		struct json v;

		assert_int_equal(json_parse(numbers[i].text, &v, &why), 0);
		assert_int_equal(json_u64(&v, &value), numbers[i].result);
		assert_true(value == numbers[i].value);
	}
}

static void
test_quote(void **state)
{
	struct buf b = { 0 };

	(void)state;
	json_quote(&b, B("a\"b\\c/\b\f\n\r\t\x01\x1f\x7f\0\xe2\x82\xac"));
	assert_bytes(buf_view(&b), "\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0001\\u001f"
	    "\x7f\\u0000\xe2\x82\xac\"");
	buf_clear(&b);
	json_escape(&b, B("{\"k\":\"v\"}"));
	json_escape(&b, bytes_of(NULL, 0));
	assert_bytes(buf_view(&b), "{\\\"k\\\":\\\"v\\\"}");
	buf_done(&b);
}

/* What is quoted is read back as it was: all code points, all controls. */
static void
test_round_trip(void **state)
{
	struct buf text = { 0 }, quoted = { 0 }, s = { 0 };

	(void)state;
	for (unsigned c = 0; c < 0x80; c++)
		buf_char(&text, (char)c);
	buf_str(&text, "\xc2\x80\xef\xbf\xbf\xf4\x8f\xbf\xbf");
	for (size_t n = 0; n <= 0x80; n++) {
		struct bytes part = bytes_skip(buf_view(&text), n);

		buf_clear(&quoted);
		buf_clear(&s);
		json_quote(&quoted, part);
		assert_true(bytes_eq(text_of(buf_view(&quoted), &s), part));
	}
	buf_done(&text);
	buf_done(&quoted);
	buf_done(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_pick),
		cmocka_unit_test(test_pick_utf8_name),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_next),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_u64),
		cmocka_unit_test(test_quote),
		cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
