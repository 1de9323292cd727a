/* SPDX-License-Identifier: MIT
 *
 * Tests src/backplane/redis_reply.c: each reply whole, and cut at every octet.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <hiredis/hiredis.h>
#include <stdio.h>

#include "backplane/redis_reply.h"
#include "common/util.h"

#define MAX	1000

static void
show(struct buf *out, const redisReply *r)
{
	switch (r->type) {
	case REDIS_REPLY_INTEGER:
		buf_fmt(out, ":%lld", r->integer);
		break;
	case REDIS_REPLY_NIL:
		buf_str(out, "nil");
		break;
	case REDIS_REPLY_ARRAY:
		buf_char(out, '[');
		for (size_t i = 0; i < r->elements; i++) {
			buf_str(out, i != 0 ? "," : "");
			show(out, r->element[i]);
		}
		buf_char(out, ']');
		break;
	default:
		buf_char(out, r->type == REDIS_REPLY_ERROR ? '-' : '\'');
		buf_bytes(out, redis_reply_text(r));
	}
}

/* What comes of the octets when they arrive `step` at a time. */
static const char *
read_by(struct bytes in, size_t step)
{
	static struct buf out;
	struct redis_replies r;
	enum redis_got got;
	size_t at = 0, have = 0, used;

	buf_clear(&out);
	redis_replies_init(&r, MAX);
	while (have < in.n) {
		have = have + step < in.n ? have + step : in.n;
		do {
			got = redis_replies_next(&r, bytes_of(in.p + at,
			    have - at), &used);
			assert_true(used <= have - at);
			at += used;
			if (got == REDIS_GOT_REPLY)
				show(&out, r.reply);
			else if (got == REDIS_GOT_MESSAGE)
				buf_fmt(&out, "<%.*s=%.*s>", (int)r.channel.n,
				    r.channel.p, (int)r.payload.n, r.payload.p);
			else if (got == REDIS_GOT_TOO_LONG)
				buf_str(&out, "LONG");
			else if (got == REDIS_GOT_GARBAGE)
				buf_str(&out, "BAD");
			if (got == REDIS_GOT_GARBAGE)
				goto done;
			if (got != REDIS_GOT_NOTHING)
				buf_char(&out, ' ');
		} while (got != REDIS_GOT_NOTHING && at < have);
	}
 done:
	redis_replies_done(&r);
	return buf_cstr(&out);
}

static void
check(struct bytes in, const char *want)
{
	const char *got;

	for (size_t step = 1; step <= in.n; step++) {
		got = read_by(in, step);
		if (strcmp(got, want) != 0)
			fail_msg("%.*s by %zu: \"%s\" instead of \"%s\"",
			    (int)in.n, in.p, step, got, want);
	}
}

#define CHECK(text, want)	check(B(text), want)

static void
test_good(void **state)
{
	(void)state;
	CHECK(":1\r\n", ":1 ");
	CHECK(":-12\r\n:0\r\n", ":-12 :0 ");
	CHECK("+OK\r\n-ERR bad\r\n+\r\n", "'OK -ERR bad ' ");
	CHECK("$5\r\nhello\r\n$0\r\n\r\n$-1\r\n", "'hello ' nil ");
	CHECK("$4\r\n\r\n\r\n\r\n:7\r\n", "'\r\n\r\n :7 ");
	CHECK("*0\r\n*-1\r\n*2\r\n:1\r\n$-1\r\n", "[] nil [:1,nil] ");
	CHECK("*3\r\n*1\r\n:1\r\n*0\r\n*2\r\n$1\r\na\r\n*1\r\n+b\r\n:9\r\n",
	    "[[:1],[],['a,['b]]] :9 ");
	CHECK("*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", "[[[[:1]]]] ");
}

static void
test_messages(void **state)
{
	(void)state;
	CHECK("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n"
	    "*3\r\n$8\r\nsmessage\r\n$1\r\nd\r\n$0\r\n\r\n:1\r\n",
	    "<c=hi> <d=> :1 ");
	CHECK("*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n",
	    "['subscribe,'c,:1] ");
	/* Like one, but not quite. */
	CHECK("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n:1\r\n", "['message,'c,:1] ");
	CHECK("*3\r\n$7\r\nmessage\r\n$-1\r\n$1\r\nx\r\n",
	    "['message,nil,'x] ");
	CHECK("*4\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n:1\r\n",
	    "['message,'c,'x,:1] ");
}

static void
test_bad(void **state)
{
	(void)state;
	CHECK("hello", "BAD");
	CHECK(":x\r\n", "BAD");
	CHECK(":\r\n", "BAD");
	CHECK(":1\n", "BAD");
	CHECK(":12345678901234567890123456789012345678901234\r\n", "BAD");
	CHECK(":99999999999999999999\r\n", "BAD");
	CHECK("$-2\r\n", "BAD");
	CHECK("$3\r\nabcde", "BAD");
	CHECK("$536870913\r\n", "BAD");
	CHECK("$99999999999999999999999\r\n", "BAD");
	CHECK("*-2\r\n", "BAD");
	CHECK("*32769\r\n", "BAD");
	CHECK("*100000000\r\n", "BAD");
	CHECK("*4294967297\r\n", "BAD");
	CHECK("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", "BAD");
	CHECK("*2\r\n:1\r\n%1\r\n", "BAD");
	CHECK("%1\r\n:1\r\n:2\r\n", "BAD");
	CHECK(":1\r\n_\r\n", ":1 BAD");
}

/* Arrays in arrays count together. */
static void
test_elements(void **state)
{
	struct buf text = { 0 };

	(void)state;
	buf_str(&text, "*3\r\n");
	for (int i = 0; i < 3; i++) {
		buf_fmt(&text, "*%d\r\n", i == 2 ? 32760 : 4);
		for (int j = 0; j < 4; j++)
			buf_str(&text, ":1\r\n");
	}
	assert_string_equal(read_by(buf_view(&text), 1000), "BAD");
	buf_done(&text);
}

static void
test_long_line(void **state)
{
	struct buf text = { 0 };

	(void)state;
	buf_char(&text, '+');
	for (int i = 0; i < REPLY_LINE; i++)
		buf_char(&text, 'x');
	assert_string_equal(read_by(buf_view(&text), 100), "BAD");
	buf_done(&text);
}

/* Skipped in whole, whatever it is, and what follows is read. */
static void
test_too_long(void **state)
{
	struct buf text = { 0 };

	(void)state;
	buf_str(&text, "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2000\r\n");
	for (int i = 0; i < 2000; i++)
		buf_char(&text, "\r\n$*:"[i % 5]);
	buf_str(&text, "\r\n:5\r\n*2\r\n$1500\r\n");
	for (int i = 0; i < 1500; i++)
		buf_char(&text, 'y');
	buf_str(&text, "\r\n*1\r\n$600\r\n");
	for (int i = 0; i < 600; i++)
		buf_char(&text, 'z');
	buf_str(&text, "\r\n+OK\r\n");
	for (size_t step = 1; step <= text.n; step += step < 50 ? 1 : 97)
		assert_string_equal(read_by(buf_view(&text), step),
		    "LONG :5 LONG 'OK ");
	buf_done(&text);
}

/* Many small ones make a long reply too. */
static void
test_too_many(void **state)
{
	struct buf text = { 0 };

	(void)state;
	buf_str(&text, "*400\r\n");
	for (int i = 0; i < 400; i++)
		buf_str(&text, ":1\r\n");
	buf_str(&text, "+OK\r\n");
	for (size_t step = 1; step <= text.n; step += 13)
		assert_string_equal(read_by(buf_view(&text), step),
		    "LONG 'OK ");
	buf_done(&text);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_elements),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
