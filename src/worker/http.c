/* SPDX-License-Identifier: MIT
 *
 * The head of a request, read in one pass: each octet is looked at once, by a
 * table of what may stand where.
 *
 * Runs in: workers.
 */
#include <stddef.h>

#include "worker/http.h"

enum outcome { BAD = -1, MORE = 0, DONE = 1 };

#define METHOD_MAX	32

struct reader {
	const char			*at, *end;
	const struct http_limits	*limits;
	struct http_request		*r;
	bool				 close, keep;	/* Connection said so */
	bool				 coding;	/* Transfer-Encoding */
	bool				 line;	/* the request line is read */
	unsigned			 status;
	const char			*why;
};

/* ---- octets ------------------------------------------------------------- */

enum {
	TOKEN = 1,		/* RFC 9110 5.6.2 */
	TARGET = 2,		/* visible ASCII but '#' */
	VALUE = 4		/* visible, space, tab, 0x80 and above */
};
#define VISIBLE	(TARGET | VALUE)
#define ALL	(TOKEN | TARGET | VALUE)

static const uint8_t class[256] = {
	['\t'] = VALUE,
	[' '] = VALUE,
	['!'] = ALL,
	['"'] = VISIBLE,
	['#'] = TOKEN | VALUE,
	['$'... '\''] = ALL,
	['('... ')'] = VISIBLE,
	['*'... '+'] = ALL,
	[','] = VISIBLE,
	['-'... '.'] = ALL,
	['/'] = VISIBLE,
	['0'... '9'] = ALL,
	[':'... '@'] = VISIBLE,
	['A'... 'Z'] = ALL,
	['['... ']'] = VISIBLE,
	['^'... 'z'] = ALL,
	['{'] = VISIBLE,
	['|'] = ALL,
	['}'] = VISIBLE,
	['~'] = ALL,
	[0x80 ... 0xff] = VALUE,
};

static enum outcome
bad(struct reader *rd, unsigned status, const char *why)
{
	rd->status = status;
	rd->why = why;
	return BAD;
}

/* Octets of one class; the reader stands behind them. */
static struct bytes
span(struct reader *rd, unsigned kind)
{
	const char *start = rd->at, *p = start;

	while (p < rd->end && (class[(uint8_t)*p] & kind) != 0)
		p++;
	rd->at = p;
	return bytes_of(start, p - start);
}

static enum outcome
line_end(struct reader *rd)
{
	size_t have = rd->end - rd->at;

	if (have > 0 && rd->at[0] != '\r')
		return bad(rd, 400, "bad character in the head");
	if (have > 1 && rd->at[1] != '\n')
		return bad(rd, 400, "carriage return without line feed");
	if (have < 2)
		return MORE;
	rd->at += 2;
	return DONE;
}

/* ---- the request line --------------------------------------------------- */

static enum http_method
method_of(struct bytes text)
{
	static const struct {
		struct bytes	 text;
		enum http_method method;
	} methods[] = {
		{ BYTES("GET"), HTTP_GET },
		{ BYTES("POST"), HTTP_POST },
		{ BYTES("HEAD"), HTTP_HEAD },
		{ BYTES("OPTIONS"), HTTP_OPTIONS },
	};

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (bytes_eq(text, methods[i].text))
			return methods[i].method;
	return HTTP_OTHER;
}

/* A word and the one space behind it. */
static enum outcome
word(struct reader *rd, unsigned kind, struct bytes *out)
{
	*out = span(rd, kind);
	if (rd->at == rd->end)
		return MORE;
	if (out->n == 0 || *rd->at != ' ')
		return bad(rd, 400, "bad request line");
	rd->at++;
	return DONE;
}

static bool
digit(char c)
{
	return c >= '0' && c <= '9';
}

static enum outcome
version(struct reader *rd)
{
	const char *p = rd->at;
	size_t have = rd->end - p;

	if (memcmp(p, "HTTP/", have < 5 ? have : 5) != 0)
		return bad(rd, 400, "bad request line");
	if (have < 8)
		return MORE;
	if (!digit(p[5]) || p[6] != '.' || !digit(p[7]))
		return bad(rd, 400, "bad HTTP version");
	if (p[5] != '1')
		return bad(rd, 505, "HTTP version not supported");
	rd->r->minor = p[7] - '0';
	rd->at += 8;
	return line_end(rd);
}

/* Scheme and authority of an absolute target: returns their length, the
 * authority in *host; 0 if there is none. */
static size_t
authority(struct bytes target, struct bytes *host)
{
	static const struct bytes schemes[] = {
		BYTES("http://"), BYTES("https://"), BYTES("ws://"),
		BYTES("wss://"),
	};

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		size_t n = schemes[i].n, at;

		if (target.n < n ||
		    !bytes_ieq(bytes_of(target.p, n), schemes[i]))
			continue;
		for (at = n; at < target.n; at++)
			if (target.p[at] == '/' || target.p[at] == '?')
				break;
		*host = bytes_of(target.p + n, at - n);
		return at;
	}
	return 0;
}

/* Splits the target; host is left empty but for the absolute form. */
static enum outcome
split_target(struct reader *rd, struct bytes *host)
{
	struct http_request *r = rd->r;
	struct bytes rest = r->target;
	ptrdiff_t mark;

	if (rest.p[0] != '/' &&
	    !(bytes_eq(rest, B("*")) && r->method == HTTP_OPTIONS)) {
		size_t n = authority(rest, host);

		if (host->n == 0 || bytes_find(*host, '@') >= 0)
			return bad(rd, 400, "bad request target");
		rest = bytes_skip(rest, n);
	}
	mark = bytes_find(rest, '?');
	r->path = mark < 0 ? rest : bytes_of(rest.p, mark);
	if (mark >= 0)
		r->query = bytes_skip(rest, mark + 1);
	if (r->path.n == 0)
		r->path = B("/");
	return DONE;
}

static enum outcome
request_line(struct reader *rd)
{
	struct http_request *r = rd->r;
	enum outcome o;

	while (rd->at < rd->end && *rd->at == '\r')	/* RFC 9112 2.2 */
		if ((o = line_end(rd)) != DONE)
			return o;
	o = word(rd, TOKEN, &r->method_text);
	if (r->method_text.n > METHOD_MAX)
		return bad(rd, 400, "bad request line");
	if (o != DONE)
		return o;
	r->method = method_of(r->method_text);
	if ((o = word(rd, TARGET, &r->target)) != DONE)
		return o;
	return version(rd);
}

/* ---- headers that mean something here ----------------------------------- */

static enum outcome
take_connection(struct reader *rd, struct bytes value)
{
	rd->close |= http_list_has(value, B("close"));
	rd->keep |= http_list_has(value, B("keep-alive"));
	rd->r->connection_upgrade |= http_list_has(value, B("upgrade"));
	return DONE;
}

static enum outcome
take_length(struct reader *rd, struct bytes value)
{
	if (rd->r->has_length)
		return bad(rd, 400, "more than one Content-Length");
	if (bytes_u64(value, &rd->r->length) != 0)
		return bad(rd, 400, "bad Content-Length");
	rd->r->has_length = true;
	return DONE;
}

static enum outcome
take_coding(struct reader *rd, struct bytes value)
{
	if (rd->coding)
		return bad(rd, 400, "more than one Transfer-Encoding");
	rd->coding = true;
	rd->r->chunked = bytes_ieq(value, B("chunked"));
	return DONE;
}

static enum outcome
take_expect(struct reader *rd, struct bytes value)
{
	if (bytes_ieq(value, B("100-continue")))
		rd->r->expect_continue = true;
	return DONE;
}

static enum outcome
take_key(struct reader *rd, struct bytes value)
{
	if (rd->r->ws_key.p != NULL)
		rd->r->ws_key_twice = true;
	rd->r->ws_key = value;
	return DONE;
}

#define SPAN(field)	offsetof(struct http_request, field), NULL

/* Either a place for the value (the first one stays) or a function. */
static const struct known {
	struct bytes	 name;
	bool		 once;		/* a second one is malformed */
	size_t		 offset;
	enum outcome	(*take)(struct reader *, struct bytes value);
} known[] = {
	{ BYTES("host"), true, SPAN(host) },
	{ BYTES("origin"), true, SPAN(origin) },
	{ BYTES("accept"), false, SPAN(accept) },
	{ BYTES("expect"), false, 0, take_expect },
	{ BYTES("upgrade"), false, SPAN(upgrade) },
	{ BYTES("connection"), false, 0, take_connection },
	{ BYTES("authorization"), false, SPAN(authorization) },
	{ BYTES("content-length"), false, 0, take_length },
	{ BYTES("transfer-encoding"), false, 0, take_coding },
	{ BYTES("x-request-id"), false, SPAN(request_id) },
	{ BYTES("sec-websocket-key"), false, 0, take_key },
	{ BYTES("sec-websocket-version"), true, SPAN(ws_version) },
	{ BYTES("sec-websocket-protocol"), false, SPAN(ws_protocol) },
	{ BYTES("sec-websocket-extensions"), false, SPAN(ws_extensions) },
};

static enum outcome
take_header(struct reader *rd, struct bytes name, struct bytes value)
{
	const struct known *k = known, *end = known +
	    sizeof(known) / sizeof(known[0]);
	struct bytes *place;

	while (k < end && (k->name.n != name.n || !bytes_ieq(k->name, name)))
		k++;
	if (k == end)
		return DONE;
	if (k->take != NULL)
		return k->take(rd, value);
	place = (struct bytes *)(void *)((char *)rd->r + k->offset);
	if (place->p == NULL)
		*place = value;
	else if (k->once)
		return bad(rd, 400, "a header that may stand once came twice");
	return DONE;
}

static enum outcome
header_line(struct reader *rd)
{
	struct http_request *r = rd->r;
	struct bytes name = span(rd, TOKEN), value;
	enum outcome o;

	if (rd->at == rd->end)
		return MORE;
	if (name.n == 0 || *rd->at != ':')
		return bad(rd, 400, "bad header line");
	rd->at++;
	value = bytes_trim(span(rd, VALUE));
	if ((o = line_end(rd)) != DONE)
		return o;
	if (r->n_headers == rd->limits->headers)
		return bad(rd, 431, "too many header lines");
	r->headers[r->n_headers++] = (struct http_header){ name, value };
	return take_header(rd, name, value);
}

/* ---- the head as a whole ------------------------------------------------ */

/* RFC 3986 3.2.2 and a port, but for the comma that joins two of them. */
static bool
host_ok(struct bytes host)
{
	static const char others[] = "-._~!$&'()*+;=%:[]";

	for (size_t i = 0; i < host.n; i++) {
		char c = host.p[i], lower = c | 32;

		if (!(lower >= 'a' && lower <= 'z') && !digit(c) &&
		    memchr(others, c, sizeof(others) - 1) == NULL)
			return false;
	}
	return true;
}

/* What can be judged only when all lines are there. */
static enum outcome
check_head(struct reader *rd)
{
	struct http_request *r = rd->r;
	struct bytes host = { NULL, 0 };

	if (split_target(rd, &host) != DONE)
		return BAD;
	if (r->host.p == NULL && r->minor > 0)
		return bad(rd, 400, "no Host");
	if (host.n > 0)			/* RFC 9112 3.2.2 */
		r->host = host;
	if (!host_ok(r->host))
		return bad(rd, 400, "bad Host");
	if (rd->coding && (r->has_length || r->minor == 0))
		return bad(rd, 400, "Transfer-Encoding where it may not be");
	if (rd->coding && !r->chunked)
		return bad(rd, 501, "transfer coding not supported");
	r->has_origin = r->origin.p != NULL;
	r->expect_continue &= r->minor > 0;
	r->keep_alive = !rd->close && (r->minor > 0 || rd->keep);
	return DONE;
}

static enum outcome
read_head(struct reader *rd)
{
	enum outcome o = request_line(rd);

	rd->line = o == DONE;
	while (o == DONE) {
		if (rd->at == rd->end)
			return MORE;
		if (*rd->at == '\r') {
			o = line_end(rd);
			return o == DONE ? check_head(rd) : o;
		}
		o = header_line(rd);
	}
	return o;
}

ssize_t
http_parse_head(struct bytes in, const struct http_limits *limits,
    struct http_header *room, struct http_request *r, unsigned *status,
    const char **why)
{
	size_t n = in.n < limits->head ? in.n : limits->head;
	struct reader rd = { .at = in.p, .end = in.p + n, .limits = limits,
		.r = r };
	enum outcome o;

	memset(r, 0, sizeof(*r));
	r->headers = room;
	if (n == 0)
		return 0;
	o = read_head(&rd);
	if (o == MORE && n == limits->head)
		o = rd.line ? bad(&rd, 431, "head too large") :
		    bad(&rd, 414, "request target too long");
	if (o == BAD) {
		*status = rd.status;
		*why = rd.why;
		return -1;
	}
	return o == DONE ? rd.at - in.p : 0;
}

struct bytes
http_header(const struct http_request *r, struct bytes name)
{
	for (unsigned i = 0; i < r->n_headers; i++)
		if (r->headers[i].name.n == name.n &&
		    bytes_ieq(r->headers[i].name, name))
			return r->headers[i].value;
	return bytes_of(NULL, 0);
}

struct bytes
http_list_first(struct bytes list)
{
	ptrdiff_t comma = bytes_find(list, ',');
	struct bytes first = bytes_trim(bytes_of(list.p,
	    comma < 0 ? list.n : (size_t)comma));

	for (size_t i = 0; i < first.n; i++)
		if ((class[(uint8_t)first.p[i]] & TOKEN) == 0)
			return bytes_of(NULL, 0);
	return first;
}

bool
http_list_has(struct bytes list, struct bytes token)
{
	while (list.n > 0) {
		ptrdiff_t comma = bytes_find(list, ',');
		size_t n = comma < 0 ? list.n : (size_t)comma;

		if (bytes_ieq(bytes_trim(bytes_of(list.p, n)), token))
			return true;
		list = bytes_skip(list, comma < 0 ? n : n + 1);
	}
	return false;
}

const char *
http_reason(unsigned status)
{
	static const struct {
		unsigned	 status;
		const char	*words;
	} reasons[] = {
		{ 100, "Continue" },
		{ 101, "Switching Protocols" },
		{ 200, "OK" },
		{ 204, "No Content" },
		{ 302, "Found" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 408, "Request Timeout" },
		{ 409, "Conflict" },
		{ 411, "Length Required" },
		{ 413, "Content Too Large" },
		{ 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" },
		{ 417, "Expectation Failed" },
		{ 422, "Unprocessable Content" },
		{ 426, "Upgrade Required" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 503, "Service Unavailable" },
		{ 505, "HTTP Version Not Supported" },
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].words;
	return "Unknown";
}
