/* SPDX-License-Identifier: MIT
 *
 * Bytes and growing buffers, see buf.h.
 */
#include "common/buf.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/util.h"

static unsigned char
lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

bool
bytes_ieq(struct bytes a, struct bytes b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++) {
		if (lower((unsigned char)a.p[i]) !=
		    lower((unsigned char)b.p[i]))
			return false;
	}
	return true;
}

int
bytes_cmp(struct bytes a, struct bytes b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int order = n != 0 ? memcmp(a.p, b.p, n) : 0;

	if (order != 0)
		return order;
	return a.n < b.n ? -1 : a.n > b.n;
}

ptrdiff_t
bytes_find(struct bytes b, char c)
{
	const char *at = b.n != 0 ? memchr(b.p, c, b.n) : NULL;

	return at != NULL ? at - b.p : -1;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct bytes
bytes_trim(struct bytes b)
{
	while (b.n > 0 && is_blank(b.p[0]))
		b = bytes_skip(b, 1);
	while (b.n > 0 && is_blank(b.p[b.n - 1]))
		b.n--;
	return b;
}

int
bytes_u64(struct bytes b, uint64_t *out)
{
	uint64_t value = 0;

	if (b.n == 0)
		return -1;
	for (size_t i = 0; i < b.n; i++) {
		unsigned digit = (unsigned char)b.p[i] - '0';

		if (digit > 9 ||
		    __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, digit, &value))
			return -1;
	}
	*out = value;
	return 0;
}

char *
bytes_dup(struct bytes b)
{
	char *copy = xmalloc(b.n + 1);

	if (b.n != 0)
		memcpy(copy, b.p, b.n);
	copy[b.n] = '\0';
	return copy;
}

/* ---- UTF-8 -------------------------------------------------------------- */

/*
 * The state between octets of a character: how many more must come, and the
 * range that the next one must be in (it is narrower behind E0, ED, F0 and F4:
 * there stand the overlong forms, the surrogates and what is above U+10FFFF).
 */
#define STATE(more, low, high)	((more) | (low) << 8 | (uint32_t)(high) << 16)

static uint32_t
utf8_start(unsigned char c)
{
	if (c >= 0xc2 && c <= 0xdf)
		return STATE(1, 0x80, 0xbf);
	if (c == 0xe0)
		return STATE(2, 0xa0, 0xbf);
	if (c == 0xed)
		return STATE(2, 0x80, 0x9f);
	if (c >= 0xe1 && c <= 0xef)
		return STATE(2, 0x80, 0xbf);
	if (c == 0xf0)
		return STATE(3, 0x90, 0xbf);
	if (c >= 0xf1 && c <= 0xf3)
		return STATE(3, 0x80, 0xbf);
	if (c == 0xf4)
		return STATE(3, 0x80, 0x8f);
	return 0;
}

static bool
utf8_next(uint32_t *state, unsigned char c)
{
	uint32_t more = *state & 0xff;

	if (c < (*state >> 8 & 0xff) || c > *state >> 16)
		return false;
	*state = more > 1 ? STATE(more - 1, 0x80, 0xbf) : 0;
	return true;
}

/* The first octet that is not ASCII. */
static const char *
skip_ascii(const char *p, const char *end)
{
	uint64_t eight;

	while (end - p >= 8) {
		memcpy(&eight, p, 8);
		if ((eight & UINT64_C(0x8080808080808080)) != 0)
			break;
		p += 8;
	}
	while (p < end && (*p & 0x80) == 0)
		p++;
	return p;
}

bool
utf8_step(uint32_t *state, struct bytes text)
{
	const char *p = text.p, *end;
	uint32_t s = *state;

	if (text.n == 0)
		return true;
	end = p + text.n;
	while (p < end) {
		if (s != 0) {
			if (!utf8_next(&s, (unsigned char)*p))
				return false;
			p++;
		} else if ((*p & 0x80) == 0) {
			p = skip_ascii(p, end);
		} else {
			s = utf8_start((unsigned char)*p);
			if (s == 0)
				return false;
			p++;
		}
	}
	*state = s;
	return true;
}

bool
utf8_valid(struct bytes text)
{
	uint32_t state = 0;

	return utf8_step(&state, text) && state == 0;
}

size_t
utf8_length(struct bytes text)
{
	uint32_t state;
	size_t n = 1;

	if (text.n == 0)
		return 0;
	if ((text.p[0] & 0x80) == 0)
		return 1;
	state = utf8_start((unsigned char)text.p[0]);
	if (state == 0)
		return 0;
	for (; state != 0; n++) {
		if (n == text.n ||
		    !utf8_next(&state, (unsigned char)text.p[n]))
			return 0;
	}
	return n;
}

/* ---- struct buf --------------------------------------------------------- */

char *
buf_grow(struct buf *b, size_t more)
{
	size_t need, cap;

	if (__builtin_add_overflow(b->n, more, &need) || need > SIZE_MAX / 2)
		fatal("a buffer of %zu octets cannot grow by %zu", b->n, more);
	if (need > b->cap) {
		for (cap = b->cap > 32 ? b->cap : 64; cap < need;)
			cap += cap / 2;
		b->p = xrealloc(b->p, cap);
		b->cap = cap;
	}
	/* An empty buf that was asked for nothing still has no memory. */
	return b->p != NULL ? b->p + b->n : NULL;
}

void
buf_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void
buf_u64(struct buf *b, uint64_t value)
{
	char digits[20], *p = digits + sizeof(digits);

	do {
		*--p = (char)('0' + value % 10);
		value /= 10;
	} while (value != 0);
	buf_add(b, p, (size_t)(digits + sizeof(digits) - p));
}

void
buf_fmt(struct buf *b, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	buf_vfmt(b, format, args);
	va_end(args);
}

void
buf_vfmt(struct buf *b, const char *format, va_list args)
{
	va_list again;
	size_t room;
	char *at;
	int n;

	va_copy(again, args);
	at = buf_room(b, 64);
	room = b->cap - b->n;
	n = vsnprintf(at, room, format, args);
	if (n < 0)
		fatal("format \"%s\" cannot be printed", format);
	if ((size_t)n >= room) {
		at = buf_room(b, (size_t)n + 1);
		vsnprintf(at, (size_t)n + 1, format, again);
	}
	b->n += (size_t)n;
	va_end(again);
}

void
buf_hex(struct buf *b, struct bytes bytes)
{
	static const char digits[] = "0123456789abcdef";
	char *to = buf_room(b, bytes.n * 2);

	for (size_t i = 0; i < bytes.n; i++) {
		*to++ = digits[(unsigned char)bytes.p[i] >> 4];
		*to++ = digits[bytes.p[i] & 15];
	}
	b->n += bytes.n * 2;
}

void
buf_drop(struct buf *b, size_t n)
{
	if (n > b->n)
		fatal("%zu octets dropped from a buffer of %zu", n, b->n);
	b->n -= n;
	if (n != 0 && b->n != 0)
		memmove(b->p, b->p + n, b->n);
}

char *
buf_cstr(struct buf *b)
{
	*buf_room(b, 1) = '\0';
	return b->p;
}

void
buf_done(struct buf *b)
{
	free(b->p);
	*b = (struct buf){ 0 };
}
