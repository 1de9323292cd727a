/* SPDX-License-Identifier: MIT
 *
 * HTTP: a head, then a chunked body.  What we accept, http-parser must read as
 * the same request; what it would refuse, we must refuse.
 */
#include "fuzz.h"

#ifdef HAVE_HTTP_PARSER
/* Both name their methods alike. */
#define http_method	their_method
#define HTTP_GET	THEIR_GET
#define HTTP_HEAD	THEIR_HEAD
#define HTTP_POST	THEIR_POST
#define HTTP_OPTIONS	THEIR_OPTIONS
#include <http_parser.h>
#undef http_method
#undef HTTP_GET
#undef HTTP_HEAD
#undef HTTP_POST
#undef HTTP_OPTIONS
#endif

#include "worker/http.h"

#define HEADERS	32
#define BODY_MAX	1000

static const struct http_limits limits = { 4096, HEADERS };

static ssize_t
parse(struct bytes in, struct http_header *room, struct http_request *r)
{
	unsigned status = 0;
	const char *why = NULL;
	ssize_t n = http_parse_head(in, &limits, room, r, &status, &why);

	MUST(n >= -1 && n <= (ssize_t)in.n);
	MUST(n >= 0 || (why != NULL && status >= 400 && status <= 505));
	return n;
}

static void
must_be_inside(struct bytes span, struct bytes in)
{
	MUST(span.n == 0 || (span.p >= in.p && span.p + span.n <= in.p + in.n));
}

/* Any front part needs more octets, or fails if the whole does. */
static void
check_prefix(struct bytes in, size_t cut, ssize_t whole)
{
	struct http_header room[HEADERS];
	struct http_request r;
	ssize_t n = parse(bytes_of(in.p, cut), room, &r);

	if (whole > (ssize_t)cut)
		MUST(n == 0);
	else if (whole > 0)
		MUST(n == whole);
	else if (whole == 0)
		MUST(n == 0);
}

static void
check_queries(const struct http_request *r)
{
	static struct buf out;
	struct bytes name, value;
	size_t pos = 0;

	while (http_query_next(r->query, &pos, &name, &value)) {
		must_be_inside(name, r->query);
		must_be_inside(value, r->query);
		buf_clear(&out);
		MUST(http_decode(value, true, &out) == 0 || out.n == 0);
		MUST(out.n <= value.n);
	}
}

/* Decodes from a copy, `step` octets more each time. */
static int
dechunk(struct bytes in, size_t step, char *p, struct http_chunks *ch)
{
	int used = 0;

	*ch = (struct http_chunks){ 0 };
	memcpy(p, in.p, in.n);
	for (size_t have = 0; have < in.n && used >= 0 && !ch->done;) {
		have = have + step < in.n ? have + step : in.n;
		used = http_chunks(ch, p, have, BODY_MAX);
		MUST(used <= (int)have && ch->out <= BODY_MAX);
	}
	return used;
}

#ifdef HAVE_HTTP_PARSER

struct theirs {
	struct buf	 url, body;
	bool		 head, whole;
	unsigned	 method, upgrade;
	bool		 keep;
	uint64_t	 length;
	unsigned	 flags;
};

static int
on_url(http_parser *parser, const char *p, size_t n)
{
	buf_add(&((struct theirs *)parser->data)->url, p, n);
	return 0;
}

static int
on_head(http_parser *parser)
{
	struct theirs *t = parser->data;

	t->head = true;
	t->method = parser->method;
	t->upgrade = parser->upgrade;
	t->flags = parser->flags;
	t->length = parser->content_length;
	t->keep = http_should_keep_alive(parser);
	parser->upgrade = 0;
	return 0;
}

static int
on_body(http_parser *parser, const char *p, size_t n)
{
	buf_add(&((struct theirs *)parser->data)->body, p, n);
	return 0;
}

static int
on_whole(http_parser *parser)
{
	((struct theirs *)parser->data)->whole = true;
	http_parser_pause(parser, 1);
	return 0;
}

/*
 * They know their own list of methods, do not take a tab for white space behind
 * a value, and see a Transfer-Encoding in Transfer-Encoding-X.
 */
static bool
theirs_differ(const struct http_request *r, struct bytes head)
{
	if (r->method == HTTP_OTHER || bytes_find(head, '\t') >= 0)
		return true;
	for (unsigned i = 0; i < r->n_headers; i++) {
		struct bytes name = r->headers[i].name;

		if (name.n > 17 && bytes_ieq(bytes_of(name.p, 17),
		    B("transfer-encoding")))
			return true;
	}
	return false;
}

/* They read a Content-Length in a trailer as if it meant something. */
static bool
bad_trailer(const http_parser *parser)
{
	enum http_errno e = HTTP_PARSER_ERRNO(parser);

	return e == HPE_INVALID_CONTENT_LENGTH ||
	    e == HPE_UNEXPECTED_CONTENT_LENGTH ||
	    e == HPE_INVALID_TRANSFER_ENCODING;
}

static void
compare(struct bytes in, const struct http_request *r, size_t head, bool done,
    struct bytes body)
{
	static struct theirs t;
	const http_parser_settings settings = {
		.on_url = on_url, .on_headers_complete = on_head,
		.on_body = on_body, .on_message_complete = on_whole,
	};
	http_parser parser;

	if (r->length >> 60 != 0 || theirs_differ(r, bytes_of(in.p, head)))
		return;
	buf_clear(&t.url);
	buf_clear(&t.body);
	t.head = t.whole = false;
	http_parser_init(&parser, HTTP_REQUEST);
	parser.data = &t;
	http_parser_execute(&parser, &settings, in.p, in.n);
	MUST(t.head);
	MUST(bytes_eq(bytes_str(http_method_str(t.method)), r->method_text));
	MUST(bytes_eq(buf_view(&t.url), r->target));
	MUST(((t.flags & F_CHUNKED) != 0) == r->chunked);
	MUST(!r->has_length || t.length == r->length);
	if (r->chunked && done && !bad_trailer(&parser)) {
		MUST(t.whole);
		MUST(bytes_eq(buf_view(&t.body), body));
	}
	/* They stumble over empty elements of a list. */
	if (bytes_find(http_header(r, B("connection")), ',') < 0)
		MUST(t.keep == r->keep_alive);
}

#else

static void
compare(struct bytes in, const struct http_request *r, size_t head, bool done,
    struct bytes body)
{
	(void)in, (void)r, (void)head, (void)done, (void)body;
}

#endif

static void
check_body(struct bytes in, const struct http_request *r, size_t head,
    size_t step)
{
	static char one[1 << 16], two[1 << 16];
	struct bytes rest = bytes_skip(in, head);
	struct http_chunks a, b;
	int used, again;

	if (rest.n > sizeof(one))
		rest.n = sizeof(one);
	used = dechunk(rest, sizeof(one), one, &a);
	again = dechunk(rest, step, two, &b);
	MUST(used == again && a.done == b.done);
	MUST(used < 0 || (a.out == b.out && memcmp(one, two, a.out) == 0));
	compare(in, r, head, used >= 0 && a.done, bytes_of(one, a.out));
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct http_header room[HEADERS];
	struct http_request r;
	struct bytes in;
	size_t step;
	ssize_t head;

	if (n < 2)
		return 0;
	/* The last octet says where to cut: a head can be read as it is. */
	step = (size_t)p[n - 1] + 1;
	in = bytes_of(p, n - 1);
	head = parse(in, room, &r);
	check_prefix(in, step < in.n ? step : in.n, head);
	if (head <= 0)
		return 0;
	must_be_inside(r.target, in);
	must_be_inside(r.host, in);
	for (unsigned i = 0; i < r.n_headers; i++) {
		must_be_inside(r.headers[i].name, in);
		must_be_inside(r.headers[i].value, in);
	}
	check_queries(&r);
	check_body(in, &r, head, step);
	return 0;
}
