/* SPDX-License-Identifier: MIT
 *
 * Tests of src/worker/websocket.c and websocket_handshake.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/crypto.h"
#include "common/util.h"
#include "worker/deflate.h"
#include "worker/websocket.h"

#define FIN	0x80
#define RSV1	0x40

/* What the reader found, one line each: "text abc\n". */
static struct buf found;
static int answer;		/* of all callbacks */
static struct websocket *to_end;	/* a callback ends it */

static int
note(const char *what, struct bytes body)
{
	buf_str(&found, what);
	buf_bytes(&found, body);
	buf_char(&found, '\n');
	if (to_end != NULL)
		websocket_done(to_end);
	return answer;
}

static int
on_message(void *ctx, enum websocket_kind kind, struct bytes body)
{
	assert_ptr_equal(ctx, &found);
	return note(kind == WEBSOCKET_TEXT ? "text " : "binary ", body);
}

static int
on_ping(void *ctx, struct bytes body)
{
	(void)ctx;
	return note("ping ", body);
}

static int
on_pong(void *ctx, struct bytes body)
{
	(void)ctx;
	return note("pong ", body);
}

static int
on_close(void *ctx, unsigned code, struct bytes reason)
{
	(void)ctx;
	buf_fmt(&found, "close %u ", code);
	return note("", reason);
}

static const struct websocket_events events = {
	on_message, on_ping, on_pong, on_close
};
static struct websocket_limits limits = { 1000, 20 };

/* Adds a frame of a client with some mask. */
static void
frame(struct buf *b, unsigned first, struct bytes body)
{
	static const unsigned char mask[4] = { 0xa1, 0x00, 0x7f, 0xff };
	size_t at = b->n;

	websocket_head(b, first & 15, false, body.n);
	b->p[at] = (char)first;
	b->p[at + 1] |= (char)0x80;
	buf_add(b, mask, 4);
	for (size_t i = 0; i < body.n; i++)
		buf_char(b, body.p[i] ^ (char)mask[i & 3]);
}

static void
text_frame(struct buf *b, unsigned first, const char *body)
{
	frame(b, first, bytes_str(body));
}

/*
 * Gives the octets as a caller would, `piece` at a time: what was not used is
 * shown again.  0, or the reason.
 */
static enum close_reason
feed(struct websocket *ws, struct bytes in, size_t piece)
{
	enum close_reason why = CLOSE_NONE;
	size_t from = 0, to = 0;

	buf_clear(&found);
	while (to < in.n) {
		size_t n;
		ssize_t used;
		char *p;

		to = to + piece < in.n ? to + piece : in.n;
		n = to - from;
		p = xmalloc(n);		/* exact, for the sanitizer */
		memcpy(p, in.p + from, n);
		used = websocket_read(ws, &limits, p, n, &events, &found, &why);
		free(p);
		if (used < 0) {
			assert_int_not_equal(why, CLOSE_NONE);
			return why;
		}
		assert_true((size_t)used <= n);
		assert_true(n - used < 14 + 125);
		from += used;
	}
	return CLOSE_NONE;
}

static void
assert_found(const char *want)
{
	assert_string_equal(buf_cstr(&found), want);
}

/* The same result however the octets are cut. */
static void
expect(const struct buf *b, enum close_reason why, const char *want)
{
	static const size_t pieces[] = { 100000, 1, 2, 3, 7, 64 };

	for (size_t i = 0; i < NELEM(pieces); i++) {
		struct websocket ws = { .deflate = true };

		assert_int_equal(feed(&ws, buf_view(b), pieces[i]), why);
		assert_found(want);
		websocket_done(&ws);
	}
}

/* ---- what the RFC shows ------------------------------------------------- */

static void
frames_of_the_rfc(void **state)
{
	static const struct {
		struct bytes	 octets;
		const char	*want;
	} cases[] = {
		{ BYTES("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
		    "text Hello\n" },
		{ BYTES("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
		    "pong Hello\n" },
	};
	struct buf b = { 0 };

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		buf_clear(&b);
		buf_bytes(&b, cases[i].octets);
		expect(&b, CLOSE_NONE, cases[i].want);
	}
	buf_done(&b);
}

static void
a_conversation(void **state)
{
	struct buf b = { 0 };

	(void)state;
	text_frame(&b, FIN | 1, "");
	text_frame(&b, 1, "one ");
	text_frame(&b, FIN | 9, "p");
	text_frame(&b, 0, "");
	text_frame(&b, 0, "two \xc3");
	text_frame(&b, FIN | 10, "");
	text_frame(&b, FIN | 0, "\xa4");
	text_frame(&b, FIN | 2, "\xff\xfe");
	text_frame(&b, 2, "");
	text_frame(&b, FIN, "");
	text_frame(&b, FIN | 8, "\x03\xe8" "bye");
	text_frame(&b, FIN | 1, "not read");
	text_frame(&b, 0x70, "nor this");
	expect(&b, CLOSE_NONE, "text \nping p\npong \ntext one two \xc3\xa4\n"
	    "binary \xff\xfe\nbinary \nclose 1000 bye\n");
	buf_done(&b);
}

static void
lengths_of_all_forms(void **state)
{
	static const size_t sizes[] = { 0, 1, 125, 126, 127, 128, 999, 1000 };
	struct buf b = { 0 }, body = { 0 }, want = { 0 };

	(void)state;
	for (size_t i = 0; i < NELEM(sizes); i++) {
		while (body.n < sizes[i])
			buf_char(&body, (char)('a' + body.n % 26));
		frame(&b, FIN | 1, buf_view(&body));
		buf_fmt(&want, "text %s\n", buf_cstr(&body));
	}
	/* Not the shortest form, but no harm either. */
	buf_add(&b, "\x81\xfe\0\1\0\0\0\0a", 9);
	buf_add(&b, "\x81\xff\0\0\0\0\0\0\0\1\0\0\0\0b", 15);
	buf_str(&want, "text a\ntext b\n");
	expect(&b, CLOSE_NONE, buf_cstr(&want));
	buf_done(&b);
	buf_done(&body);
	buf_done(&want);
}

/* ---- what is refused ---------------------------------------------------- */

static void
broken_frames(void **state)
{
	static const struct bytes cases[] = {
		BYTES("\x91\x80"), BYTES("\xa1\x80"), BYTES("\xf2\x80"),
		BYTES("\x83\x80"), BYTES("\x87\x80"), BYTES("\x8b\x80"),
		BYTES("\x8f\x80"), BYTES("\xc9\x80"), BYTES("\xc8\x80"),
		BYTES("\x81\x00"), BYTES("\x81\x7f"),	/* no mask */
		BYTES("\x80\x80"), BYTES("\x00\x80"),	/* nothing to go on */
		BYTES("\x09\x80"), BYTES("\x0a\x80"), BYTES("\x08\x80"),
		BYTES("\x89\xfe"), BYTES("\x8a\xff"), BYTES("\x88\xfe"),
		BYTES("\x01\x80\0\0\0\0\x81\x80"),	/* a second start */
		BYTES("\x01\x80\0\0\0\0\x02\x80"),
		BYTES("\x01\x80\0\0\0\0\xc0\x80"),	/* RSV1 later on */
		BYTES("\x81\xff\x80\0\0\0\0\0\0\0\0\0\0\0"),
		BYTES("\x88\x81\0\0\0\0\x03"),		/* half a code */
	};
	struct buf b = { 0 };

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		buf_clear(&b);
		buf_bytes(&b, cases[i]);
		expect(&b, CLOSE_WS_PROTOCOL, "");
	}
	buf_done(&b);
}

static void
rsv1_needs_negotiation(void **state)
{
	struct websocket ws = { .deflate = false };

	(void)state;
	assert_int_equal(feed(&ws, B("\xc1\x80\0\0\0\0"), 100),
	    CLOSE_WS_PROTOCOL);
}

static void
close_codes(void **state)
{
	static const unsigned good[] = { 1000, 1001, 1002, 1003, 1007, 1008,
		1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999 };
	static const unsigned bad[] = { 0, 999, 1004, 1005, 1006, 1015, 1016,
		1100, 2000, 2999, 5000, 65535 };
	struct buf b = { 0 };
	char want[32], body[2];

	(void)state;
	for (size_t i = 0; i < NELEM(good) + NELEM(bad); i++) {
		bool ok = i < NELEM(good);
		unsigned code = ok ? good[i] : bad[i - NELEM(good)];

		body[0] = (char)(code >> 8);
		body[1] = (char)code;
		buf_clear(&b);
		frame(&b, FIN | 8, bytes_of(body, 2));
		snprintf(want, sizeof(want), "close %u \n", code);
		expect(&b, ok ? CLOSE_NONE : CLOSE_WS_PROTOCOL, ok ? want : "");
	}
	buf_clear(&b);
	text_frame(&b, FIN | 8, "");
	expect(&b, CLOSE_NONE, "close 1005 \n");
	buf_clear(&b);
	text_frame(&b, FIN | 8, "\x03\xe8" "\xed\xa0\x80");
	expect(&b, CLOSE_WS_UTF8, "");
	buf_done(&b);
}

static void
bad_text(void **state)
{
	struct buf b = { 0 };

	(void)state;
	text_frame(&b, FIN | 1, "good");
	text_frame(&b, FIN | 1, "bad \xc0\x80");
	expect(&b, CLOSE_WS_UTF8, "text good\n");
	buf_clear(&b);
	text_frame(&b, FIN | 1, "cut \xe2\x82");
	expect(&b, CLOSE_WS_UTF8, "");
	buf_clear(&b);
	text_frame(&b, 1, "cut \xe2\x82");
	text_frame(&b, FIN, "");
	expect(&b, CLOSE_WS_UTF8, "");
	/* Binary may hold anything. */
	buf_clear(&b);
	text_frame(&b, FIN | 2, "\xc0\x80\xff");
	expect(&b, CLOSE_NONE, "binary \xc0\x80\xff\n");
	buf_done(&b);
}

/* Neither the frame nor the message must be complete for bad text to fail. */
static void
bad_text_fails_at_once(void **state)
{
	struct buf b = { 0 };
	struct websocket ws = { 0 };

	(void)state;
	text_frame(&b, FIN | 1, "abc\xf4\x90 and more of it");
	assert_int_equal(feed(&ws, bytes_of(b.p, 6 + 4), 100), CLOSE_NONE);
	assert_int_equal(feed(&ws, bytes_of(b.p + 6 + 4, 1), 100),
	    CLOSE_WS_UTF8);
	websocket_done(&ws);
	buf_clear(&b);
	text_frame(&b, 1, "abc");
	text_frame(&b, 0, "\x80");
	ws = (struct websocket){ 0 };
	assert_int_equal(feed(&ws, buf_view(&b), 100), CLOSE_WS_UTF8);
	websocket_done(&ws);
	buf_done(&b);
}

/* ---- limits ------------------------------------------------------------- */

static void
declared_length_is_enough(void **state)
{
	static const struct bytes cases[] = {
		BYTES("\x82\xfe\x03\xe9\0\0\0\0"),	/* 1001 */
		BYTES("\x02\xfe\x03\xe9\0\0\0\0"),
		BYTES("\x82\xff\0\0\0\1\0\0\0\0\0\0\0\0"),
		BYTES("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"),
		BYTES("\xc2\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"),
		BYTES("\x02\x81\0\0\0\0a\x80\xfe\x03\xe8\0\0\0\0"),
		BYTES("\x02\x81\0\0\0\0a"
		    "\x80\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"),
	};
	struct buf b = { 0 };

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		buf_clear(&b);
		buf_bytes(&b, cases[i]);
		expect(&b, CLOSE_WS_TOO_BIG, "");
	}
	buf_done(&b);
}

static void
fragments_are_counted(void **state)
{
	struct buf b = { 0 };

	(void)state;
	text_frame(&b, 2, "");
	for (int i = 0; i < 18; i++)
		text_frame(&b, 0, "");
	text_frame(&b, FIN, "");
	expect(&b, CLOSE_NONE, "binary \n");
	b.n -= 6;
	text_frame(&b, 0, "");
	text_frame(&b, FIN, "");
	expect(&b, CLOSE_WS_FRAGMENTS, "");
	buf_done(&b);
}

/* Settings change under a message: it fails, no more. */
static void
limit_lowered_in_a_message(void **state)
{
	struct buf b = { 0 };
	struct websocket ws = { 0 };

	(void)state;
	text_frame(&b, 2, "0123456789");
	assert_int_equal(feed(&ws, buf_view(&b), 100), CLOSE_NONE);
	limits.message = 5;
	buf_clear(&b);
	text_frame(&b, FIN, "");
	assert_int_equal(feed(&ws, buf_view(&b), 100), CLOSE_WS_TOO_BIG);
	limits.message = 1000;
	websocket_done(&ws);
	buf_done(&b);
}

/* ---- compressed --------------------------------------------------------- */

static void
compressed_messages(void **state)
{
	struct buf b = { 0 };

	(void)state;
	/* RFC 7692 7.2.3.1: in one frame, and in two with a ping between. */
	frame(&b, FIN | RSV1 | 1, B("\xf2\x48\xcd\xc9\xc9\x07\x00"));
	frame(&b, RSV1 | 1, B("\xf2\x48\xcd"));
	text_frame(&b, FIN | 9, "");
	frame(&b, FIN, B("\xc9\xc9\x07\x00"));
	frame(&b, FIN | RSV1 | 1, B("\x00"));
	text_frame(&b, FIN | 1, "plain");
	expect(&b, CLOSE_NONE,
	    "text Hello\nping \ntext Hello\ntext \ntext plain\n");

	buf_clear(&b);
	frame(&b, FIN | RSV1 | 1, B("\xff\xff\xff"));
	expect(&b, CLOSE_WS_INFLATE, "");
	buf_done(&b);
}

static void
compressed_limits(void **state)
{
	struct buf b = { 0 }, plain = { 0 }, packed = { 0 };

	(void)state;
	while (plain.n < 1000)
		buf_char(&plain, 'x');
	deflate_message(buf_view(&plain), 15, &packed);
	frame(&b, FIN | RSV1 | 1, buf_view(&packed));
	buf_clear(&packed);
	buf_char(&plain, 'x');
	deflate_message(buf_view(&plain), 15, &packed);
	frame(&b, FIN | RSV1 | 1, buf_view(&packed));
	plain.n = 1000;
	buf_clear(&packed);
	buf_fmt(&packed, "text %s\n", buf_cstr(&plain));
	expect(&b, CLOSE_WS_TOO_BIG, buf_cstr(&packed));

	buf_clear(&b);
	buf_clear(&packed);
	deflate_message(B("\xc3\x28"), 15, &packed);
	frame(&b, FIN | RSV1 | 1, buf_view(&packed));
	expect(&b, CLOSE_WS_UTF8, "");
	buf_done(&b);
	buf_done(&plain);
	buf_done(&packed);
}

/* ---- callbacks ---------------------------------------------------------- */

static void
a_callback_stops_the_reader(void **state)
{
	static const unsigned firsts[] = { FIN | 1, FIN | 9, FIN | 10 };
	struct buf b = { 0 };

	(void)state;
	answer = -1;
	for (size_t i = 0; i < NELEM(firsts); i++) {
		struct websocket ws = { 0 };

		buf_clear(&b);
		text_frame(&b, firsts[i], "a");
		text_frame(&b, FIN | 1, "b");
		assert_int_equal(feed(&ws, buf_view(&b), 100), CLOSE_NONE);
		assert_null(memchr(found.p, 'b', found.n));
	}
	answer = 0;
	buf_done(&b);
}

/* What comes behind it is kept and can be read later. */
static void
a_callback_pauses_the_reader(void **state)
{
	enum close_reason why = CLOSE_NONE;
	struct websocket ws = { 0 };
	struct buf b = { 0 };
	ssize_t used;

	(void)state;
	answer = 1;
	buf_clear(&found);
	text_frame(&b, FIN | 1, "a");
	text_frame(&b, 1, "b");
	text_frame(&b, FIN, "c");
	text_frame(&b, FIN | 9, "d");
	used = websocket_read(&ws, &limits, b.p, b.n, &events, &found, &why);
	assert_int_equal(used, 7);
	assert_found("text a\n");
	buf_drop(&b, (size_t)used);
	used = websocket_read(&ws, &limits, b.p, b.n, &events, &found, &why);
	assert_int_equal(used, 14);
	buf_drop(&b, (size_t)used);
	used = websocket_read(&ws, &limits, b.p, b.n, &events, &found, &why);
	assert_int_equal(used, 7);
	assert_found("text a\ntext bc\nping d\n");
	assert_int_equal(why, CLOSE_NONE);
	answer = 0;
	buf_done(&b);
}

static void
a_callback_ends_the_websocket(void **state)
{
	struct websocket ws = { 0 };
	struct buf b = { 0 };

	(void)state;
	answer = -1;
	to_end = &ws;
	text_frame(&b, 1, "a");
	text_frame(&b, FIN, "b");
	assert_int_equal(feed(&ws, buf_view(&b), 100), CLOSE_NONE);
	assert_found("text ab\n");
	assert_null(ws.partial);
	answer = 0;
	to_end = NULL;
	buf_done(&b);
}

/* ---- out ---------------------------------------------------------------- */

static void
heads_of_a_server(void **state)
{
	static const struct {
		uint64_t	 length;
		struct bytes	 head;
	} cases[] = {
		{ 0, BYTES("\x81\x00") },
		{ 125, BYTES("\x81\x7d") },
		{ 126, BYTES("\x81\x7e\x00\x7e") },
		{ 65535, BYTES("\x81\x7e\xff\xff") },
		{ 65536, BYTES("\x81\x7f\0\0\0\0\0\1\0\0") },
	};
	struct buf b = { 0 };

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		buf_clear(&b);
		websocket_head(&b, 1, false, cases[i].length);
		assert_true(bytes_eq(buf_view(&b), cases[i].head));
	}
	buf_clear(&b);
	websocket_head(&b, 2, true, 7);
	assert_true(bytes_eq(buf_view(&b), B("\xc2\x07")));
	buf_done(&b);
}

static void
close_frames_of_a_server(void **state)
{
	struct buf b = { 0 }, words = { 0 };

	(void)state;
	websocket_close_frame(&b, 1005, B("unsaid"));
	websocket_close_frame(&b, 4201, B("late"));
	assert_true(bytes_eq(buf_view(&b), B("\x88\x00\x88\x06\x10\x69late")));
	/* Cut at a character. */
	while (words.n < 122)
		buf_char(&words, 'a');
	buf_str(&words, "\xc3\xa4");
	buf_clear(&b);
	websocket_close_frame(&b, 1000, buf_view(&words));
	assert_int_equal(b.n, 2 + 2 + 122);
	assert_int_equal(b.p[1], 124);
	buf_done(&b);
	buf_done(&words);
}

/* ---- handshake ---------------------------------------------------------- */

static int
check(const char *line, const char *lines)
{
	static struct buf b;
	static struct http_header room[16];
	const struct http_limits head = { 4096, 16 };
	struct http_request r;
	const char *why;
	unsigned status;

	buf_clear(&b);
	buf_fmt(&b, "%s\r\nHost: a\r\n%s\r\n", line, lines);
	assert_true(http_parse_head(buf_view(&b), &head, room, &r, &status,
	    &why) > 0);
	return websocket_check(&r, &why);
}

#define UP	"Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define KEY	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define V13	"Sec-WebSocket-Version: 13\r\n"

static void
handshakes(void **state)
{
	static const struct {
		int		 status;
		const char	*line, *lines;
	} cases[] = {
		{ 0, "GET / HTTP/1.1", UP KEY V13 },
		{ 0, "GET / HTTP/1.1", UP KEY V13 "Content-Length: 0\r\n" },
		{ 0, "GET / HTTP/1.1", "Upgrade: h2c, WebSocket\r\n"
		    "Connection: keep-alive, upgrade\r\n" KEY V13 },
		{ 405, "POST / HTTP/1.1", UP KEY V13 },
		{ 426, "GET / HTTP/1.1", "" },
		{ 426, "GET / HTTP/1.1", "Upgrade: websocket\r\n" KEY V13 },
		{ 426, "GET / HTTP/1.1", "Connection: upgrade\r\n" KEY V13 },
		{ 426, "GET / HTTP/1.1", UP KEY },
		{ 426, "GET / HTTP/1.1", UP KEY
		    "Sec-WebSocket-Version: 8\r\n" },
		{ 400, "GET / HTTP/1.0", UP KEY V13 },
		{ 400, "GET / HTTP/1.1", UP V13 },
		{ 400, "GET / HTTP/1.1", UP KEY KEY V13 },
		{ 400, "GET / HTTP/1.1", UP V13 "Sec-WebSocket-Key: abc\r\n" },
		{ 400, "GET / HTTP/1.1", UP V13
		    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j!Q==\r\n" },
		{ 400, "GET / HTTP/1.1", UP V13
		    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWVl\r\n" },
		{ 400, "GET / HTTP/1.1", UP KEY V13 "Content-Length: 1\r\n" },
		{ 400, "GET / HTTP/1.1", UP KEY V13
		    "Transfer-Encoding: chunked\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		int status = check(cases[i].line, cases[i].lines);

		if (status != cases[i].status)
			fail_msg("case %zu: %d", i, status);
	}
}

static void
the_answer(void **state)
{
	struct http_request r = { .ws_key = B("dGhlIHNhbXBsZSBub25jZQ==") };
	struct buf b = { 0 };

	(void)state;
	websocket_answer(&r, B("permessage-deflate; x"), B(""), &b);
	assert_string_equal(buf_cstr(&b),
	    "HTTP/1.1 101 Switching Protocols\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
	    "Sec-WebSocket-Extensions: permessage-deflate; x\r\n\r\n");
	buf_clear(&b);
	websocket_answer(&r, B(""), B("chat"), &b);
	assert_non_null(strstr(buf_cstr(&b),
	    "xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n"));
	buf_done(&b);
}

static int
setup(void **state)
{
	(void)state;
	crypto_init();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_of_the_rfc),
		cmocka_unit_test(a_conversation),
		cmocka_unit_test(lengths_of_all_forms),
		cmocka_unit_test(broken_frames),
		cmocka_unit_test(rsv1_needs_negotiation),
		cmocka_unit_test(close_codes),
		cmocka_unit_test(bad_text),
		cmocka_unit_test(bad_text_fails_at_once),
		cmocka_unit_test(declared_length_is_enough),
		cmocka_unit_test(fragments_are_counted),
		cmocka_unit_test(limit_lowered_in_a_message),
		cmocka_unit_test(compressed_messages),
		cmocka_unit_test(compressed_limits),
		cmocka_unit_test(a_callback_stops_the_reader),
		cmocka_unit_test(a_callback_pauses_the_reader),
		cmocka_unit_test(a_callback_ends_the_websocket),
		cmocka_unit_test(heads_of_a_server),
		cmocka_unit_test(close_frames_of_a_server),
		cmocka_unit_test(handshakes),
		cmocka_unit_test(the_answer),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
