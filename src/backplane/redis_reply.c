/* SPDX-License-Identifier: MIT
 *
 * Replies, see redis_reply.h.
 *
 * The look at a reply goes on where it stopped when more octets come, so that a
 * long one is not read from its start again and again.
 *
 * Runs in: the router.
 */
#include "backplane/redis_reply.h"

#include <hiredis/hiredis.h>

#include "common/log.h"
#include "common/util.h"

#define NUMBER_LINE	32	/* octets of a line with a number */

static struct redisReply number = { .type = REDIS_REPLY_INTEGER };

void
redis_replies_init(struct redis_replies *r, size_t max)
{
	*r = (struct redis_replies){ .max = max };
	if ((r->reader = redisReaderCreate()) == NULL)
		fatal("no memory for a reader");
}

static void
forget(struct redis_replies *r)
{
	if (r->made != NULL)
		freeReplyObject(r->made);
	r->made = NULL;
	r->reply = NULL;
}

void
redis_replies_done(struct redis_replies *r)
{
	forget(r);
	if (r->reader != NULL)
		redisReaderFree(r->reader);
	r->reader = NULL;
}

/* The last result stays: its owner may look at it just now. */
void
redis_replies_reset(struct redis_replies *r)
{
	r->at = r->gone = 0;
	r->depth = r->elements = 0;
	r->too_long = r->ended = r->bulk = false;
}

/* ---- the guard ---------------------------------------------------------- */

/* -1: no number, or one too large to be meant. */
static int
take_number(struct bytes line, int64_t *n)
{
	bool negative = line.n > 0 && line.p[0] == '-';
	uint64_t u;

	if (bytes_u64(bytes_skip(line, negative), &u) < 0 || u > INT64_MAX)
		return -1;
	*n = negative ? -(int64_t)u : (int64_t)u;
	return 0;
}

/* The line at r->at without its end: 1, 0 if it is not whole, -1. */
static int
take_line(struct redis_replies *r, struct bytes in, size_t limit,
    struct bytes *line)
{
	struct bytes rest = bytes_skip(in, r->at);
	ptrdiff_t end = bytes_find(bytes_of(rest.p,
	    rest.n < limit ? rest.n : limit), '\n');

	if (end < 0)
		return rest.n < limit ? 0 : -1;
	if (end < 2 || rest.p[end - 1] != '\r')
		return -1;
	*line = bytes_of(rest.p + 1, (size_t)end - 2);
	r->at += (size_t)end + 1;
	return 1;
}

static int
take_bulk(struct redis_replies *r, int64_t n)
{
	if (n == -1)
		return 0;
	if (n < 0 || n > REPLY_BULK_ANY)
		return -1;
	r->at += (size_t)n + 2;
	r->bulk = true;
	return 0;
}

/* Counts of arrays within arrays add up. */
static int
take_array(struct redis_replies *r, int64_t n)
{
	if (n == -1 || n == 0)
		return 0;
	if (n < 0 || n > REPLY_ELEMENTS ||
	    r->elements + (unsigned)n > REPLY_ELEMENTS ||
	    r->depth == REPLY_DEPTH)
		return -1;
	r->elements += (unsigned)n;
	r->left[r->depth++] = (uint32_t)n + 1;	/* itself; see item_ended() */
	return 0;
}

/* True when the whole reply has ended with it. */
static bool
item_ended(struct redis_replies *r)
{
	while (r->depth > 0 && --r->left[r->depth - 1] == 0)
		r->depth--;
	return r->depth == 0;
}

/* One line, and what belongs to it: 1, 0 or -1. */
static int
take_item(struct redis_replies *r, struct bytes in)
{
	char type = in.p[r->at];
	bool text = type == '+' || type == '-';
	struct bytes line;
	int64_t n = 0;
	int got;

	if (memchr("+-:$*", type, 5) == NULL)
		return -1;
	got = take_line(r, in, text ? REPLY_LINE : NUMBER_LINE, &line);
	if (got <= 0)
		return got;
	if (!text && take_number(line, &n) < 0)
		return -1;
	if ((type == '$' && take_bulk(r, n) < 0) ||
	    (type == '*' && take_array(r, n) < 0))
		return -1;
	if (r->gone + r->at > r->max)
		r->too_long = true;
	return 1;
}

/* Behind a bulk string stands the end of a line. */
static bool
bulk_ends(struct redis_replies *r, struct bytes in)
{
	bool good = !r->bulk || r->too_long ||
	    (in.p[r->at - 2] == '\r' && in.p[r->at - 1] == '\n');

	r->bulk = false;
	return good;
}

/* An array that has just begun has not ended, but its head is an item. */
static int
scan(struct redis_replies *r, struct bytes in)
{
	int got;

	for (;;) {
		if (r->at > in.n)
			return 0;
		if (!bulk_ends(r, in))
			return -1;
		if (r->ended)
			return 1;
		if (r->at == in.n)
			return 0;
		if ((got = take_item(r, in)) <= 0)
			return got;
		r->ended = item_ended(r);
	}
}

/* ---- results ------------------------------------------------------------- */

/* A bulk string at *at of a reply that was scanned; false if it is none. */
static bool
bulk_at(struct bytes whole, size_t *at, struct bytes *out)
{
	struct bytes rest = bytes_skip(whole, *at);
	uint64_t n = 0;
	size_t i = 1;

	if (rest.n < 2 || rest.p[0] != '$' || rest.p[1] == '-')
		return false;
	for (; rest.p[i] != '\r'; i++)
		n = n * 10 + (uint64_t)(rest.p[i] - '0');
	*out = bytes_of(rest.p + i + 2, (size_t)n);
	*at += i + 2 + (size_t)n + 2;
	return true;
}

static bool
is_message(struct redis_replies *r, struct bytes whole)
{
	static const struct bytes classic = BYTES("*3\r\n$7\r\nmessage\r\n"),
	    sharded = BYTES("*3\r\n$8\r\nsmessage\r\n");
	size_t at;

	if (bytes_starts(whole, classic))
		at = classic.n;
	else if (bytes_starts(whole, sharded))
		at = sharded.n;
	else
		return false;
	return bulk_at(whole, &at, &r->channel) &&
	    bulk_at(whole, &at, &r->payload);
}

static enum redis_got
garbage(struct redis_replies *r, const char *why)
{
	r->why = why;
	return REDIS_GOT_GARBAGE;
}

static enum redis_got
by_hiredis(struct redis_replies *r, struct bytes whole)
{
	void *made = NULL;

	if (redisReaderFeed(r->reader, whole.p, whole.n) != REDIS_OK ||
	    redisReaderGetReply(r->reader, &made) != REDIS_OK || made == NULL) {
		redisReaderFree(r->reader);
		if ((r->reader = redisReaderCreate()) == NULL)
			fatal("no memory for a reader");
		return garbage(r, "a reply that cannot be read");
	}
	r->reply = r->made = made;
	return REDIS_GOT_REPLY;
}

static enum redis_got
result(struct redis_replies *r, struct bytes whole)
{
	int64_t n;

	if (is_message(r, whole))
		return REDIS_GOT_MESSAGE;
	if (whole.p[0] == ':' &&
	    take_number(bytes_of(whole.p + 1, whole.n - 3), &n) == 0) {
		number.integer = n;
		r->reply = &number;
		return REDIS_GOT_REPLY;
	}
	return by_hiredis(r, whole);
}

/* What is skipped need not wait until it is whole. */
static void
skip(struct redis_replies *r, struct bytes in, size_t *used)
{
	*used = r->at < in.n ? r->at : in.n;
	r->at -= *used;
	r->gone += *used;
}

enum redis_got
redis_replies_next(struct redis_replies *r, struct bytes in, size_t *used)
{
	struct bytes whole;
	int got;

	*used = 0;
	forget(r);
	got = scan(r, in);
	if (got < 0)
		return garbage(r, "it does not speak RESP2, or says more than "
		    "it may");
	if (r->too_long)
		skip(r, in, used);
	if (got != 1)
		return REDIS_GOT_NOTHING;
	whole = bytes_of(in.p, r->at);
	if (r->too_long) {
		redis_replies_reset(r);
		return REDIS_GOT_TOO_LONG;
	}
	*used = whole.n;
	redis_replies_reset(r);
	return result(r, whole);
}

bool
redis_reply_is(const struct redisReply *reply, const char *text)
{
	return reply != NULL && bytes_eq(redis_reply_text(reply),
	    bytes_str(text));
}

struct bytes
redis_reply_text(const struct redisReply *reply)
{
	if (reply->type != REDIS_REPLY_STRING &&
	    reply->type != REDIS_REPLY_STATUS &&
	    reply->type != REDIS_REPLY_ERROR)
		return B("");
	return bytes_of(reply->str, (size_t)reply->len);
}
