/* SPDX-License-Identifier: MIT
 *
 * Framing of RFC 6455: frames of clients in, heads of our frames out.
 *
 * The reader looks at a frame's head when all of it is there.  A control frame
 * waits with the caller until it is whole; a message that is whole is used
 * where it lies; of any other, the octets are taken as they come, so that one
 * octet at a time costs no more than all at once.
 *
 * A length that is not written in the fewest octets possible is accepted: it
 * does no harm and there are clients that send it.
 *
 * Runs in: workers.
 */
#include <stdlib.h>

#include "common/util.h"
#include "worker/deflate.h"
#include "worker/websocket.h"

enum opcode {
	OP_CONTINUE = 0, OP_TEXT = 1, OP_BINARY = 2,
	OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10
};

#define CONTROL_MAX	125
#define PARTIAL_FIRST	512	/* octets of the first room for a message */
#define INFLATED_KEPT	65536	/* larger room is given back at once */

struct websocket_partial {
	uint64_t		 left;		/* of the frame at hand */
	size_t			 n, cap;
	uint32_t		 utf8;		/* state of utf8_step() */
	unsigned		 fragments;
	enum websocket_kind	 kind;
	bool			 compressed, fin;
	unsigned char		 mask[4];	/* turned: [0] is the next */
	char			 p[];
};

struct head {
	unsigned	 opcode, n;		/* n: octets of the head itself */
	bool		 fin, rsv1;
	uint64_t	 length;
	unsigned char	 mask[4];
};

/* One call of websocket_read(). */
struct reader {
	struct websocket		*ws;
	const struct websocket_limits	*limits;
	const struct websocket_events	*events;
	void				*ctx;
	char				*p, *end;
	enum close_reason		*why;
};

enum outcome { FAIL = -1, GO_ON = 0, STOP = 1 };

static enum outcome
fail(struct reader *rd, enum close_reason why)
{
	*rd->why = why;
	return FAIL;
}

/* XORs with the mask, which is turned for what follows. */
static void
unmask(char *p, size_t n, unsigned char mask[4])
{
	unsigned char twice[8];
	uint64_t wide, octets;
	size_t i = 0;

	memcpy(twice, mask, 4);
	memcpy(twice + 4, mask, 4);
	memcpy(&wide, twice, 8);
	for (; n - i >= 8; i += 8) {
		memcpy(&octets, p + i, 8);
		octets ^= wide;
		memcpy(p + i, &octets, 8);
	}
	for (unsigned k = 0; i < n; i++, k++)
		p[i] ^= mask[k & 3];
	memcpy(mask, twice + (n & 3), 4);
}

/* ---- heads -------------------------------------------------------------- */

/* Everything that the first two octets alone can do wrong, and whether the
 * frame may come now. */
static bool
head_ok(const struct websocket *ws, const unsigned char *p)
{
	const struct websocket_partial *part = ws->partial;
	unsigned opcode = p[0] & 15, length = p[1] & 127;
	bool fin = p[0] & 0x80, rsv1 = p[0] & 0x40;

	if ((p[0] & 0x30) != 0 || (p[1] & 0x80) == 0)
		return false;
	switch (opcode) {
	case OP_CONTINUE:
		return part != NULL && !rsv1;
	case OP_TEXT:
	case OP_BINARY:
		return part == NULL && (!rsv1 || ws->deflate);
	case OP_CLOSE:
	case OP_PING:
	case OP_PONG:
		return fin && !rsv1 && length <= CONTROL_MAX;
	default:
		return false;
	}
}

/* STOP: there is not enough of it yet. */
static enum outcome
read_head(struct reader *rd, struct head *h)
{
	const unsigned char *p = (const unsigned char *)rd->p;
	size_t have = rd->end - rd->p;
	unsigned octets;

	if (have < 2)
		return STOP;
	if (!head_ok(rd->ws, p))
		return fail(rd, CLOSE_WS_PROTOCOL);
	h->opcode = p[0] & 15;
	h->fin = p[0] & 0x80;
	h->rsv1 = p[0] & 0x40;
	h->length = p[1] & 127;
	octets = h->length == 127 ? 8 : h->length == 126 ? 2 : 0;
	h->n = 2 + octets + 4;
	if (have < h->n)
		return STOP;
	if (octets > 0)
		h->length = 0;
	for (unsigned i = 0; i < octets; i++)
		h->length = h->length << 8 | p[2 + i];
	if (h->length >> 63 != 0)
		return fail(rd, CLOSE_WS_PROTOCOL);
	memcpy(h->mask, p + 2 + octets, 4);
	return GO_ON;
}

/* ---- control frames ----------------------------------------------------- */

/* RFC 6455 7.4, with the codes that were registered since. */
static bool
code_ok(unsigned code)
{
	return (code >= 1000 && code <= 1003) ||
	    (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

static enum outcome
close_frame(struct reader *rd, struct bytes body)
{
	const unsigned char *p = (const unsigned char *)body.p;
	unsigned code = 1005;

	if (body.n == 1)
		return fail(rd, CLOSE_WS_PROTOCOL);
	if (body.n >= 2) {
		code = (unsigned)p[0] << 8 | p[1];
		body = bytes_skip(body, 2);
		if (!code_ok(code))
			return fail(rd, CLOSE_WS_PROTOCOL);
		if (!utf8_valid(body))
			return fail(rd, CLOSE_WS_UTF8);
	}
	rd->ws->closing = true;
	rd->events->on_close(rd->ctx, code, body);
	return STOP;
}

/* What a callback's result means: see struct websocket_events. */
static enum outcome
after(struct reader *rd, int result)
{
	if (result < 0)
		rd->p = rd->end;
	return result != 0 ? STOP : GO_ON;
}

static enum outcome
control_frame(struct reader *rd, struct head *h)
{
	struct bytes body = bytes_of(rd->p + h->n, h->length);
	int result;

	if ((uint64_t)(rd->end - rd->p) - h->n < h->length)
		return STOP;
	unmask(rd->p + h->n, h->length, h->mask);
	rd->p += h->n + h->length;
	if (h->opcode == OP_CLOSE)
		return close_frame(rd, body);
	if (h->opcode == OP_PING)
		result = rd->events->on_ping(rd->ctx, body);
	else
		result = rd->events->on_pong(rd->ctx, body);
	return after(rd, result);
}

/* ---- messages ----------------------------------------------------------- */

/* How many octets may come over the wire; data that does not compress grows a
 * little when deflated. */
static uint64_t
wire_limit(const struct reader *rd, bool compressed)
{
	uint64_t max = rd->limits->message;

	return compressed ? max + (max >> 4) + 64 : max;
}

static enum outcome
message(struct reader *rd, enum websocket_kind kind, struct bytes text)
{
	return after(rd, rd->events->on_message(rd->ctx, kind, text));
}

static enum outcome
compressed_message(struct reader *rd, enum websocket_kind kind,
    struct bytes body)
{
	static struct buf inflated;
	enum outcome o;
	int result;

	buf_clear(&inflated);
	result = inflate_message(body, rd->limits->message, &inflated);
	if (result != 0)
		o = fail(rd, result == -2 ? CLOSE_WS_TOO_BIG : CLOSE_WS_INFLATE);
	else if (kind == WEBSOCKET_TEXT && !utf8_valid(buf_view(&inflated)))
		o = fail(rd, CLOSE_WS_UTF8);
	else
		o = message(rd, kind, buf_view(&inflated));
	if (inflated.cap > INFLATED_KEPT)
		buf_done(&inflated);
	return o;
}

/* A message in one frame that is all there. */
static enum outcome
whole_message(struct reader *rd, struct head *h)
{
	enum websocket_kind kind = (enum websocket_kind)h->opcode;
	struct bytes body = bytes_of(rd->p + h->n, h->length);

	unmask(rd->p + h->n, h->length, h->mask);
	rd->p += h->n + h->length;
	if (h->rsv1)
		return compressed_message(rd, kind, body);
	if (kind == WEBSOCKET_TEXT && !utf8_valid(body))
		return fail(rd, CLOSE_WS_UTF8);
	return message(rd, kind, body);
}

/* The last octet of a message in pieces was taken. */
static enum outcome
partial_message(struct reader *rd)
{
	struct websocket_partial *part = rd->ws->partial;
	struct bytes body = bytes_of(part->p, part->n);
	enum outcome o;

	rd->ws->partial = NULL;		/* the callback may end the websocket */
	if (part->compressed)
		o = compressed_message(rd, part->kind, body);
	else if (part->kind == WEBSOCKET_TEXT && part->utf8 != 0)
		o = fail(rd, CLOSE_WS_UTF8);
	else
		o = message(rd, part->kind, body);
	free(part);
	return o;
}

/* Room for `more` octets: doubled, but not beyond what may still come. */
static struct websocket_partial *
partial_room(struct reader *rd, size_t more)
{
	struct websocket_partial *part = rd->ws->partial;
	uint64_t most = wire_limit(rd, part->compressed), cap = part->cap * 2;

	if (part->cap - part->n >= more)
		return part;
	if (part->fin)
		most = part->n + part->left;
	if (cap < PARTIAL_FIRST)
		cap = PARTIAL_FIRST;
	if (cap > most)
		cap = most;
	if (cap < part->n + more)
		cap = part->n + more;
	part = xrealloc(part, sizeof(*part) + cap);
	part->cap = cap;
	rd->ws->partial = part;
	return part;
}

/* Takes what is there of the frame at hand. */
static enum outcome
partial_octets(struct reader *rd)
{
	struct websocket_partial *part = rd->ws->partial;
	size_t n = rd->end - rd->p;
	char *to;

	if (n > part->left)
		n = part->left;
	if (n > 0) {
		part = partial_room(rd, n);
		to = part->p + part->n;
		memcpy(to, rd->p, n);
		unmask(to, n, part->mask);
		rd->p += n;
		part->n += n;
		part->left -= n;
		if (part->kind == WEBSOCKET_TEXT && !part->compressed &&
		    !utf8_step(&part->utf8, bytes_of(to, n)))
			return fail(rd, CLOSE_WS_UTF8);
	}
	return part->left == 0 && part->fin ? partial_message(rd) : GO_ON;
}

static enum outcome
data_frame(struct reader *rd, struct head *h)
{
	struct websocket_partial *part = rd->ws->partial;
	bool compressed = part != NULL ? part->compressed : h->rsv1;
	uint64_t before = part != NULL ? part->n : 0;
	uint64_t max = wire_limit(rd, compressed);

	if (h->length > max || before > max - h->length)
		return fail(rd, CLOSE_WS_TOO_BIG);
	if (part == NULL && h->fin &&
	    (uint64_t)(rd->end - rd->p) - h->n >= h->length)
		return whole_message(rd, h);
	if (part == NULL) {
		part = xcalloc(1, sizeof(*part));
		part->kind = (enum websocket_kind)h->opcode;
		part->compressed = h->rsv1;
		rd->ws->partial = part;
	}
	if (++part->fragments > rd->limits->fragments)
		return fail(rd, CLOSE_WS_FRAGMENTS);
	part->fin = h->fin;
	part->left = h->length;
	memcpy(part->mask, h->mask, 4);
	rd->p += h->n;
	return partial_octets(rd);
}

/* ---- the reader --------------------------------------------------------- */

static enum outcome
next(struct reader *rd)
{
	struct head h;
	enum outcome o;

	if (rd->ws->partial != NULL && rd->ws->partial->left > 0)
		return partial_octets(rd);
	o = read_head(rd, &h);
	if (o != GO_ON)
		return o;
	return h.opcode >= OP_CLOSE ? control_frame(rd, &h) :
	    data_frame(rd, &h);
}

ssize_t
websocket_read(struct websocket *ws, const struct websocket_limits *limits,
    char *p, size_t n, const struct websocket_events *events, void *ctx,
    enum close_reason *why)
{
	struct reader rd = { ws, limits, events, ctx, p, p + n, why };
	enum outcome o = GO_ON;

	if (ws->closing)
		return n;
	while (o == GO_ON && rd.p < rd.end)
		o = next(&rd);
	if (o == FAIL)
		return -1;
	return ws->closing ? (ssize_t)n : rd.p - p;
}

void
websocket_done(struct websocket *ws)
{
	free(ws->partial);
	ws->partial = NULL;
}

/* ---- a hand-over --------------------------------------------------------- */

/* Whoever adds a field adds it to struct websocket_half, freeze.c, thaw.c and
 * tables/record.def, and thinks of records that do not have it. */
_Static_assert(sizeof(void *) != 8 || sizeof(struct websocket_partial) == 48,
    "struct websocket_partial has changed: see above");

bool
websocket_freeze(const struct websocket *ws, struct websocket_half *half)
{
	const struct websocket_partial *part = ws->partial;

	if (part == NULL)
		return false;
	*half = (struct websocket_half){
		.left = part->left, .fragments = part->fragments,
		.kind = part->kind, .compressed = part->compressed,
		.fin = part->fin, .octets = bytes_of(part->p, part->n),
	};
	memcpy(half->mask, part->mask, sizeof(half->mask));
	return true;
}

int
websocket_thaw(struct websocket *ws, const struct websocket_half *half)
{
	struct websocket_partial *part;
	uint32_t utf8 = 0;

	if ((half->kind != WEBSOCKET_TEXT && half->kind != WEBSOCKET_BINARY) ||
	    (half->compressed && !ws->deflate) ||
	    (half->fin && half->left == 0))
		return -1;
	/* Where a character is cut, the octets tell. */
	if (half->kind == WEBSOCKET_TEXT && !half->compressed &&
	    !utf8_step(&utf8, half->octets))
		return -1;
	part = xcalloc(1, sizeof(*part) + half->octets.n);
	part->n = part->cap = half->octets.n;
	if (part->n > 0)
		memcpy(part->p, half->octets.p, part->n);
	part->left = half->left;
	part->utf8 = utf8;
	part->fragments = half->fragments;
	part->kind = half->kind;
	part->compressed = half->compressed;
	part->fin = half->fin;
	memcpy(part->mask, half->mask, sizeof(part->mask));
	ws->partial = part;
	return 0;
}

/* ---- out ---------------------------------------------------------------- */

void
websocket_head(struct buf *out, unsigned opcode, bool rsv1, uint64_t length)
{
	unsigned octets = length > 65535 ? 8 : length > CONTROL_MAX ? 2 : 0;

	buf_char(out, (char)(0x80 | (rsv1 ? 0x40 : 0) | opcode));
	buf_char(out, (char)(octets == 8 ? 127 : octets == 2 ? 126 : length));
	while (octets-- > 0)
		buf_char(out, (char)(length >> 8 * octets));
}

/* The longest front part of at most max octets that ends with a character. */
static struct bytes
utf8_cut(struct bytes words, size_t max)
{
	if (words.n <= max)
		return words;
	words.n = max;
	while (words.n > 0 && ((unsigned char)words.p[words.n] & 0xc0) == 0x80)
		words.n--;
	return words;
}

void
websocket_close_frame(struct buf *out, unsigned code, struct bytes words)
{
	if (code == 1005) {
		websocket_head(out, OP_CLOSE, false, 0);
		return;
	}
	words = utf8_cut(words, CONTROL_MAX - 2);
	websocket_head(out, OP_CLOSE, false, 2 + words.n);
	buf_char(out, (char)(code >> 8));
	buf_char(out, (char)code);
	buf_bytes(out, words);
}
