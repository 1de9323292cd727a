/* SPDX-License-Identifier: MIT
 *
 * The chunked coding (RFC 9112 7.1), decoded where it lies.
 *
 * What is not body is bounded: a line by CHUNK_LINE, all of it by a small
 * multiple of the body, so that one octet cannot be wrapped in a kilobyte of
 * chunk extensions.
 *
 * Runs in: workers.
 */
#include "worker/http.h"

#define CHUNK_LINE	256	/* octets of a size line or a trailer */
#define OVERHEAD_FIXED	4096	/* octets beside the body ... */
#define OVERHEAD_EACH	8	/* ... and for each octet of it */

enum state {
	FIRST_DIGIT, DIGITS, EXTENSION, SIZE_LF, DATA, DATA_CR, DATA_LF,
	TRAILER_START, TRAILER_NAME, TRAILER, TRAILER_LF, LAST_LF, FAILED
};

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 32;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A character of a line: no control but tab. */
static bool
text(char c)
{
	return (uint8_t)c >= ' ' ? c != 127 : c == '\t';
}

/* A character of a field's name. */
static bool
name(char c)
{
	return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
	    (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static enum state
size_digit(struct http_chunks *ch, char c, size_t max)
{
	int v = hex(c);

	if (v >= 0) {
		ch->left = ch->left << 4 | (unsigned)v;
		ch->too_long = ch->out > max || ch->left > max - ch->out;
		return ch->too_long ? FAILED : DIGITS;
	}
	if (ch->state == FIRST_DIGIT)
		return FAILED;
	return c == ';' ? EXTENSION : c == '\r' ? SIZE_LF : FAILED;
}

static enum state
size_end(const struct http_chunks *ch, char c)
{
	if (c != '\n')
		return FAILED;
	return ch->left > 0 ? DATA : TRAILER_START;
}

/* One octet that is not body. */
static enum state
step(struct http_chunks *ch, char c, size_t max)
{
	switch (ch->state) {
	case FIRST_DIGIT:
	case DIGITS:
		return size_digit(ch, c, max);
	case EXTENSION:
		return c == '\r' ? SIZE_LF : text(c) ? EXTENSION : FAILED;
	case SIZE_LF:
		return size_end(ch, c);
	case DATA_CR:
		return c == '\r' ? DATA_LF : FAILED;
	case DATA_LF:
		return c == '\n' ? FIRST_DIGIT : FAILED;
	case TRAILER_START:
		if (c == '\r')
			return LAST_LF;
		return name(c) ? TRAILER_NAME : FAILED;
	case TRAILER_NAME:
		return c == ':' ? TRAILER : name(c) ? TRAILER_NAME : FAILED;
	case TRAILER:
		return c == '\r' ? TRAILER_LF : text(c) ? TRAILER : FAILED;
	case TRAILER_LF:
		return c == '\n' ? TRAILER_START : FAILED;
	case LAST_LF:
		ch->done = c == '\n';
		return c == '\n' ? LAST_LF : FAILED;
	default:
		return FAILED;
	}
}

/* Moves octets of the body to where they belong. */
static void
data(struct http_chunks *ch, char *p, size_t n)
{
	size_t have = n - ch->in;

	if (have > ch->left)
		have = ch->left;
	memmove(p + ch->out, p + ch->in, have);
	ch->in += have;
	ch->out += have;
	ch->left -= have;
	if (ch->left == 0)
		ch->state = DATA_CR;
}

static bool
too_much(const struct http_chunks *ch)
{
	return ch->line > CHUNK_LINE ||
	    ch->in - ch->out > OVERHEAD_FIXED + OVERHEAD_EACH * ch->out;
}

int
http_chunks(struct http_chunks *ch, char *p, size_t n, size_t max)
{
	if (ch->in > n)		/* the octets of another one */
		return -1;
	while (!ch->done && ch->in < n) {
		if (ch->state == DATA) {
			data(ch, p, n);
			continue;
		}
		ch->state = step(ch, p[ch->in++], max);
		ch->line = ch->state == DATA || ch->state == FIRST_DIGIT ||
		    ch->state == TRAILER_START ? 0 : ch->line + 1;
		if (ch->state == FAILED || too_much(ch))
			return -1;
	}
	return (int)ch->in;
}

bool
http_chunks_ok(const struct http_chunks *ch, size_t n)
{
	return ch->state >= FIRST_DIGIT && ch->state <= LAST_LF && !ch->done &&
	    !ch->too_long && ch->in <= n && ch->out <= ch->in;
}
