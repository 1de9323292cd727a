/* SPDX-License-Identifier: MIT
 *
 * Tests of src/worker/http.c, http_chunks.c and http_query.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/util.h"
#include "worker/http.h"

#define HEADERS	8

static struct http_header room[HEADERS];
static struct http_request r;
static unsigned status;
static const char *why;

static ssize_t
parse(const char *text)
{
	const struct http_limits limits = { 512, HEADERS };
	struct bytes b = bytes_str(text);
	char *exact = xmalloc(b.n + 1);
	static char *kept;
	ssize_t n;

	/* An allocation of its own: sanitizers see each octet too far. */
	free(kept);
	kept = exact;
	memcpy(exact, b.p, b.n);
	status = 0;
	n = http_parse_head(bytes_of(exact, b.n), &limits, room, &r, &status,
	    &why);
	assert_true(n >= 0 || (status >= 400 && why != NULL));
	return n;
}

static void
assert_bytes(struct bytes got, const char *want)
{
	assert_int_equal(got.n, strlen(want));
	assert_memory_equal(got.p != NULL ? got.p : "", want, got.n);
}

static const char handshake[] =
    "GET /app/key?protocol=7&client=js HTTP/1.1\r\n"
    "Host: example.org:8080\r\n"
    "Origin:\thttps://page.example \t\r\n"
    "upgrade: WebSocket\r\n"
    "Connection: keep-alive, Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

static void
fields_of_a_handshake(void **state)
{
	(void)state;
	assert_int_equal(parse(handshake), sizeof(handshake) - 1);
	assert_int_equal(r.method, HTTP_GET);
	assert_bytes(r.method_text, "GET");
	assert_bytes(r.target, "/app/key?protocol=7&client=js");
	assert_bytes(r.path, "/app/key");
	assert_bytes(r.query, "protocol=7&client=js");
	assert_int_equal(r.minor, 1);
	assert_bytes(r.host, "example.org:8080");
	assert_true(r.has_origin);
	assert_bytes(r.origin, "https://page.example");
	assert_bytes(r.upgrade, "WebSocket");
	assert_true(r.connection_upgrade);
	assert_true(r.keep_alive);
	assert_bytes(r.ws_key, "dGhlIHNhbXBsZSBub25jZQ==");
	assert_false(r.ws_key_twice);
	assert_bytes(r.ws_version, "13");
	assert_bytes(r.ws_extensions, "permessage-deflate");
	assert_int_equal(r.ws_protocol.n, 0);
	assert_false(r.chunked || r.has_length || r.expect_continue);
	assert_int_equal(r.n_headers, 7);
	assert_bytes(http_header(&r, B("HOST")), "example.org:8080");
	assert_null(http_header(&r, B("cookie")).p);
}

static void
each_prefix_needs_more(void **state)
{
	char part[sizeof(handshake)];

	(void)state;
	for (size_t n = 0; n < sizeof(handshake) - 1; n++) {
		memcpy(part, handshake, n);
		part[n] = '\0';
		assert_int_equal(parse(part), 0);
	}
}

static void
octets_behind_the_head_stay(void **state)
{
	(void)state;
	assert_int_equal(parse("GET / HTTP/1.0\r\n\r\nGET /2"), 18);
	assert_int_equal(r.n_headers, 0);
	/* Empty lines in front belong to the head (RFC 9112 2.2). */
	assert_int_equal(parse("\r\n\r\nGET / HTTP/1.0\r\n\r\n"), 22);
}

static void
a_body_is_announced(void **state)
{
	(void)state;
	assert_true(parse("POST /x HTTP/1.1\r\nHost: a\r\n"
	    "Content-Length: 18446744073709551615\r\n"
	    "Expect: 100-Continue\r\n\r\n") > 0);
	assert_int_equal(r.method, HTTP_POST);
	assert_true(r.has_length && r.expect_continue && !r.chunked);
	assert_true(r.length == UINT64_MAX);
	assert_true(parse("PUT /x HTTP/1.1\r\nHost: a\r\n"
	    "Transfer-Encoding: Chunked\r\n\r\n") > 0);
	assert_int_equal(r.method, HTTP_OTHER);
	assert_true(r.chunked && !r.has_length);
	/* Nobody speaking 1.0 waits for a 100. */
	assert_true(parse("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n") > 0);
	assert_false(r.expect_continue);
}

static void
refused_heads(void **state)
{
	static const struct {
		unsigned	 status;
		const char	*text;
	} cases[] = {
		/* the request line */
		{ 400, " GET / HTTP/1.1\r\n" },
		{ 400, "\x16\x03\x01\x02" },
		{ 400, "GET\t/ HTTP/1.1\r\n" },
		{ 400, "GET  / HTTP/1.1\r\n" },
		{ 400, "GET /  HTTP/1.1\r\n" },
		{ 400, "GET / HTTP/1.1 \r\n" },
		{ 400, "GET / HTTP/1.1\n" },
		{ 400, "GET / HTTP/1.1\rX" },
		{ 400, "GET / HTTP/1.x\r\n" },
		{ 400, "GET / HTTP/1\r\n" },
		{ 400, "GET / http/1.1\r\n" },
		{ 400, "GET /\r\n" },
		{ 400, "GET /a#b HTTP/1.1\r\n" },
		{ 400, "GET /\x7f HTTP/1.1\r\n" },
		{ 400, "GET /\xc3\xa4 HTTP/1.1\r\n" },
		{ 400, "THISISNOMETHODTHATANYBODYWOULDSEND" },
		{ 400, "GET a HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 505, "GET / HTTP/2.0\r\n" },
		{ 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" },
		{ 505, "GET / HTTP/0.9\r\n" },
		/* header lines */
		{ 400, "GET / HTTP/1.0\r\nA : b\r\n" },
		{ 400, "GET / HTTP/1.0\r\nA: b\r\n c\r\n" },
		{ 400, "GET / HTTP/1.0\r\n: b\r\n" },
		{ 400, "GET / HTTP/1.0\r\nA\r\n" },
		{ 400, "GET / HTTP/1.0\r\nA: b\nC: d\r\n" },
		{ 400, "GET / HTTP/1.0\r\nA: b\rC: d\r\n" },
		{ 400, "GET / HTTP/1.0\r\nA: \x01\r\n" },
		{ 400, "GET / HTTP/1.0\r\nA: \x7f\r\n" },
		{ 400, "GET / HTTP/1.0\r\nA\x80: b\r\n" },
		{ 400, "GET / HTTP/1.0\r\n\rX" },
		/* Host */
		{ 400, "GET / HTTP/1.1\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: u@b\r\n\r\n" },
		/* lengths */
		{ 400, "POST / HTTP/1.0\r\nContent-Length: \r\n\r\n" },
		{ 400, "POST / HTTP/1.0\r\nContent-Length: +1\r\n\r\n" },
		{ 400, "POST / HTTP/1.0\r\nContent-Length: -1\r\n\r\n" },
		{ 400, "POST / HTTP/1.0\r\nContent-Length: 0x1\r\n\r\n" },
		{ 400, "POST / HTTP/1.0\r\nContent-Length: 1, 1\r\n\r\n" },
		{ 400, "POST / HTTP/1.0\r\nContent-Length: "
		    "18446744073709551616\r\n\r\n" },
		{ 400, "POST / HTTP/1.0\r\nContent-Length: 1\r\n"
		    "Content-Length: 1\r\n\r\n" },
		{ 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
		    "Transfer-Encoding: chunked\r\n\r\n" },
		{ 400, "POST / HTTP/1.1\r\nHost: a\r\n"
		    "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n" },
		{ 400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" },
		{ 400, "POST / HTTP/1.1\r\nHost: a\r\n"
		    "Transfer-Encoding: chunked\r\n"
		    "Transfer-Encoding: chunked\r\n\r\n" },
		{ 501, "POST / HTTP/1.1\r\nHost: a\r\n"
		    "Transfer-Encoding: gzip, chunked\r\n\r\n" },
		{ 501, "POST / HTTP/1.1\r\nHost: a\r\n"
		    "Transfer-Encoding: identity\r\n\r\n" },
		{ 501, "POST / HTTP/1.1\r\nHost: a\r\n"
		    "Transfer-Encoding: \r\n\r\n" },
		/* what may stand once */
		{ 400, "GET / HTTP/1.0\r\nOrigin: a\r\nOrigin: b\r\n\r\n" },
		{ 400, "GET / HTTP/1.0\r\nSec-WebSocket-Version: 13\r\n"
		    "Sec-WebSocket-Version: 13\r\n\r\n" },
		/* how much */
		{ 431, "GET / HTTP/1.0\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\n"
		    "a:\r\na:\r\na:\r\n\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		if (parse(cases[i].text) != -1 || status != cases[i].status)
			fail_msg("%s: %u instead of %u", cases[i].text, status,
			    cases[i].status);
	}
}

static void
nul_in_a_head(void **state)
{
	static const char line[] = "GET / HTTP/1.0\r\nA: b\0c\r\n\r\n";
	const struct http_limits limits = { 512, HEADERS };

	(void)state;
	assert_int_equal(http_parse_head(bytes_of(line, sizeof(line) - 1),
	    &limits, room, &r, &status, &why), -1);
	assert_int_equal(status, 400);
}

static void
large_heads(void **state)
{
	struct buf b = { 0 };

	(void)state;
	buf_str(&b, "GET /");
	while (b.n < 600)
		buf_char(&b, 'a');
	assert_int_equal(parse(buf_cstr(&b)), -1);
	assert_int_equal(status, 414);

	buf_clear(&b);
	buf_str(&b, "GET / HTTP/1.0\r\nA: ");
	while (b.n < 508)
		buf_char(&b, 'a');
	assert_int_equal(parse(buf_cstr(&b)), 0);
	buf_str(&b, "\r\n\r\n");		/* 512: just so */
	assert_int_equal(parse(buf_cstr(&b)), 512);
	b.n -= 4;
	buf_str(&b, "a\r\n\r\n");
	assert_int_equal(parse(buf_cstr(&b)), -1);
	assert_int_equal(status, 431);
	buf_done(&b);
}

static void
forms_of_the_target(void **state)
{
	static const struct {
		const char	*target, *path, *query, *host;
	} cases[] = {
		{ "/", "/", "", "h" },
		{ "/?", "/", "", "h" },
		{ "/a?b?c", "/a", "b?c", "h" },
		{ "//a/b", "//a/b", "", "h" },
		{ "http://other:1/a/b?c=d", "/a/b", "c=d", "other:1" },
		{ "WSS://other", "/", "", "other" },
		{ "https://other?x", "/", "x", "other" },
	};
	struct buf b = { 0 };

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		buf_clear(&b);
		buf_fmt(&b, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n",
		    cases[i].target);
		assert_true(parse(buf_cstr(&b)) > 0);
		assert_bytes(r.target, cases[i].target);
		assert_bytes(r.path, cases[i].path);
		assert_bytes(r.query, cases[i].query);
		assert_bytes(r.host, cases[i].host);
	}
	buf_done(&b);
	assert_true(parse("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n") > 0);
	assert_int_equal(r.method, HTTP_OPTIONS);
	assert_bytes(r.path, "*");
}

static void
connections_that_stay(void **state)
{
	static const struct {
		int		 minor;
		bool		 keep;
		const char	*lines;
	} cases[] = {
		{ 1, true, "" },
		{ 1, false, "Connection: close\r\n" },
		{ 1, false, "Connection: x, CLOSE\r\n" },
		{ 1, false, "Connection: keep-alive\r\nConnection: close\r\n" },
		{ 1, true, "Connection: closer\r\n" },
		{ 0, false, "" },
		{ 0, true, "Connection: Keep-Alive\r\n" },
		{ 0, false, "Connection: close, keep-alive\r\n" },
	};
	struct buf b = { 0 };

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		buf_clear(&b);
		buf_fmt(&b, "GET / HTTP/1.%d\r\nHost: h\r\n%s\r\n",
		    cases[i].minor, cases[i].lines);
		assert_true(parse(buf_cstr(&b)) > 0);
		assert_int_equal(r.keep_alive, cases[i].keep);
	}
	buf_done(&b);
}

static void
a_second_key_is_noticed(void **state)
{
	(void)state;
	assert_true(parse("GET / HTTP/1.1\r\nHost: a\r\n"
	    "Sec-WebSocket-Key: a\r\nSec-WebSocket-Key: a\r\n\r\n") > 0);
	assert_true(r.ws_key_twice);
}

static void
empty_origin_is_an_origin(void **state)
{
	(void)state;
	assert_true(parse("GET / HTTP/1.0\r\nOrigin:\r\n\r\n") > 0);
	assert_true(r.has_origin);
	assert_int_equal(r.origin.n, 0);
	assert_true(parse("GET / HTTP/1.0\r\nOrigins: a\r\n\r\n") > 0);
	assert_false(r.has_origin);
}

static void
tokens_of_a_list(void **state)
{
	(void)state;
	assert_true(http_list_has(B("a, Upgrade ,b"), B("upgrade")));
	assert_true(http_list_has(B(",,upgrade"), B("upgrade")));
	assert_false(http_list_has(B("upgraded, up grade"), B("upgrade")));
	assert_false(http_list_has(B(""), B("upgrade")));
}

/* ---- chunks ------------------------------------------------------------- */

/* Gives text in pieces of `piece` octets; the result and the body. */
static int
chunked(const char *text, size_t piece, size_t max, struct buf *body,
    bool *done)
{
	struct http_chunks ch = { 0 };
	size_t n = strlen(text), have = 0;
	char *p = xmalloc(n + 1);
	int used = 0;

	memcpy(p, text, n);
	while (used >= 0 && have < n && !ch.done) {
		have = have + piece < n ? have + piece : n;
		used = http_chunks(&ch, p, have, max);
	}
	buf_clear(body);
	if (used >= 0)
		buf_add(body, p, ch.out);
	*done = ch.done;
	free(p);
	return used;
}

static void
chunked_bodies(void **state)
{
	static const struct {
		const char	*text, *body;
		int		 used;
	} cases[] = {
		{ "0\r\n\r\n", "", 5 },
		{ "5\r\nHello\r\n0\r\n\r\n", "Hello", 15 },
		{ "5\r\nHello\r\n0\r\n\r\nGET /", "Hello", 15 },
		{ "2;a=b\r\nHe\r\n003\r\nllo\r\n000\r\nA: b\r\n\r\n", "Hello",
		    34 },
		{ "A\r\n0123456789\r\n0\r\n\r\n", "0123456789", 20 },
	};
	struct buf body = { 0 };
	bool done;

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++)
		for (size_t piece = 1; piece < 50; piece += 3) {
			assert_int_equal(chunked(cases[i].text, piece, 10,
			    &body, &done), cases[i].used);
			assert_true(done);
			assert_bytes(buf_view(&body), cases[i].body);
		}
	buf_done(&body);
}

static void
bad_chunks(void **state)
{
	static const char *const cases[] = {
		"\r\n", "g\r\n", "5 \r\n", "-1\r\n", "0x5\r\n", "5\n", "5\rX",
		"2\r\nabc", "2\r\nab\n", "2\r\nab\rX",
		"b\r\n", "ffffffffffffffff\r\n", "10000000000000001\r\n",
		"5\r\nHello\r\n6\r\n",			/* together too long */
		"0\r\n a\r\n", "0\r\n\rX", "0\r\na\n", "0\r\n\n", "1;\x01",
		"0\r\na\r\n", "0\r\n: a\r\n", "0\r\na :",
	};
	struct buf body = { 0 };
	bool done;

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++)
		for (size_t piece = 1; piece < 20; piece += 6)
			if (chunked(cases[i], piece, 10, &body, &done) != -1)
				fail_msg("accepted: %s", cases[i]);
	buf_done(&body);
}

static void
chunks_with_little_inside(void **state)
{
	struct buf b = { 0 }, body = { 0 };
	bool done;

	(void)state;
	for (int i = 0; i < 5000; i++)
		buf_str(&b, "1\r\na\r\n");
	assert_true(chunked(buf_cstr(&b), 4096, 10000, &body, &done) > 0);
	assert_int_equal(body.n, 5000);

	buf_clear(&b);
	for (int i = 0; i < 100; i++)
		buf_fmt(&b, "1;%0200d\r\na\r\n", i);
	assert_int_equal(chunked(buf_cstr(&b), 4096, 10000, &body, &done), -1);

	buf_clear(&b);
	buf_fmt(&b, "1;%0300d\r\na\r\n", 1);
	assert_int_equal(chunked(buf_cstr(&b), 4096, 10000, &body, &done), -1);
	buf_done(&b);
	buf_done(&body);
}

static void
too_long_is_told_apart(void **state)
{
	struct http_chunks ch = { 0 };
	char text[] = "b\r\n", junk[] = "x\r\n";

	(void)state;
	assert_int_equal(http_chunks(&ch, text, 3, 10), -1);
	assert_true(ch.too_long);
	ch = (struct http_chunks){ 0 };
	assert_int_equal(http_chunks(&ch, junk, 3, 10), -1);
	assert_false(ch.too_long);
}

/* ---- queries ------------------------------------------------------------ */

static void
percent_encoding(void **state)
{
	struct buf b = { 0 };

	(void)state;
	assert_int_equal(http_decode(B("a%20b+c%C3%bc"), false, &b), 0);
	assert_bytes(buf_view(&b), "a b+c\xc3\xbc");
	buf_clear(&b);
	assert_int_equal(http_decode(B("a+%2b"), true, &b), 0);
	assert_bytes(buf_view(&b), "a +");
	assert_int_equal(http_decode(B(""), true, &b), 0);
	assert_int_equal(http_decode(B("x%"), true, &b), -1);
	assert_int_equal(http_decode(B("x%2"), true, &b), -1);
	assert_int_equal(http_decode(B("x%2g"), true, &b), -1);
	assert_int_equal(http_decode(B("x%-1"), true, &b), -1);
	assert_bytes(buf_view(&b), "a +");	/* as it was */
	buf_done(&b);
}

static void
query_strings(void **state)
{
	struct bytes query = B("&a=1&&b&c==&=d&"), name, value;
	size_t pos = 0;

	(void)state;
	assert_true(http_query_next(query, &pos, &name, &value));
	assert_bytes(name, "a");
	assert_bytes(value, "1");
	assert_true(http_query_next(query, &pos, &name, &value));
	assert_bytes(name, "b");
	assert_bytes(value, "");
	assert_true(http_query_next(query, &pos, &name, &value));
	assert_bytes(name, "c");
	assert_bytes(value, "=");
	assert_true(http_query_next(query, &pos, &name, &value));
	assert_bytes(name, "");
	assert_bytes(value, "d");
	assert_false(http_query_next(query, &pos, &name, &value));
	pos = 0;
	assert_false(http_query_next(B(""), &pos, &name, &value));
}

static void
reasons(void **state)
{
	(void)state;
	assert_string_equal(http_reason(404), "Not Found");
	assert_string_equal(http_reason(799), "Unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_of_a_handshake),
		cmocka_unit_test(each_prefix_needs_more),
		cmocka_unit_test(octets_behind_the_head_stay),
		cmocka_unit_test(a_body_is_announced),
		cmocka_unit_test(refused_heads),
		cmocka_unit_test(nul_in_a_head),
		cmocka_unit_test(large_heads),
		cmocka_unit_test(forms_of_the_target),
		cmocka_unit_test(connections_that_stay),
		cmocka_unit_test(a_second_key_is_noticed),
		cmocka_unit_test(empty_origin_is_an_origin),
		cmocka_unit_test(tokens_of_a_list),
		cmocka_unit_test(chunked_bodies),
		cmocka_unit_test(bad_chunks),
		cmocka_unit_test(chunks_with_little_inside),
		cmocka_unit_test(too_long_is_told_apart),
		cmocka_unit_test(percent_encoding),
		cmocka_unit_test(query_strings),
		cmocka_unit_test(reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
