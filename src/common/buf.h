/* SPDX-License-Identifier: MIT
 *
 * Bytes with their length, borrowed (struct bytes) or owned and growing
 * (struct buf).
 *
 * What came from a client is never a C string: it travels as struct bytes, may
 * hold NULs and ends where n says.
 *
 * Runs in: every process.  Owns: a buf owns its memory; a bytes owns nothing
 * and is good as long as what it points into.
 */
#ifndef PEAL_BUF_H
#define PEAL_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

struct bytes {
	const char	*p;
	size_t		 n;
};

/* A string literal as bytes, usable in static initialisers. */
#define BYTES(literal)	{ (literal), sizeof(literal) - 1 }
#define B(literal)	((struct bytes)BYTES(literal))

static inline struct bytes
bytes_of(const void *p, size_t n)
{
	return (struct bytes){ p, n };
}

/* A C string as bytes; NULL gives empty bytes. */
static inline struct bytes
bytes_str(const char *s)
{
	return (struct bytes){ s, s != NULL ? strlen(s) : 0 };
}

static inline bool
bytes_eq(struct bytes a, struct bytes b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool
bytes_starts(struct bytes a, struct bytes prefix)
{
	return a.n >= prefix.n &&
	    (prefix.n == 0 || memcmp(a.p, prefix.p, prefix.n) == 0);
}

/* a without its first n octets; n must not be larger than a.n. */
static inline struct bytes
bytes_skip(struct bytes a, size_t n)
{
	/* Not even 0 may be added to NULL. */
	return (struct bytes){ n != 0 ? a.p + n : a.p, a.n - n };
}

/* Equal but for the case of ASCII letters (header names, hosts). */
bool	bytes_ieq(struct bytes, struct bytes);
/* Orders as memcmp, then the shorter first. */
int	bytes_cmp(struct bytes, struct bytes);
/* Offset of the first c, or -1. */
ptrdiff_t bytes_find(struct bytes, char c);
/* Without spaces and tabs at both ends (RFC 9110 5.6.3 OWS). */
struct bytes bytes_trim(struct bytes);
/* A whole decimal number without sign, spaces or overflow; -1 if it is not. */
int	bytes_u64(struct bytes, uint64_t *);
/* A NUL-terminated copy; caller frees.  NULs inside are kept as they are. */
char	*bytes_dup(struct bytes);
/* Strict UTF-8 (RFC 3629): no surrogates, no overlong forms. */
bool	utf8_valid(struct bytes);
/* Octets of the one character that text starts with; 0 if there is none. */
size_t	utf8_length(struct bytes text);

/*
 * UTF-8 checked piece by piece, for messages that arrive in fragments.
 * state starts as 0; false at the first octet that can never become valid;
 * at the end of the text the state must be 0 again.
 */
bool	utf8_step(uint32_t *state, struct bytes);

struct buf {
	char	*p;
	size_t	 n, cap;
};

/* Makes room for `more` octets after n that it has not; see buf_room(). */
char	*buf_grow(struct buf *, size_t more);

/* Room for `more` octets after n; returns where they go. */
static inline char *
buf_room(struct buf *b, size_t more)
{
	if (__builtin_expect(b->cap - b->n < more || b->p == NULL, 0))
		return buf_grow(b, more);
	return b->p + b->n;
}

static inline void
buf_add(struct buf *b, const void *p, size_t n)
{
	if (n == 0)
		return;
	memcpy(buf_room(b, n), p, n);
	b->n += n;
}

static inline void
buf_bytes(struct buf *b, struct bytes bytes)
{
	buf_add(b, bytes.p, bytes.n);
}

static inline void
buf_char(struct buf *b, char c)
{
	*buf_room(b, 1) = c;
	b->n++;
}

void	buf_str(struct buf *, const char *);
void	buf_u64(struct buf *, uint64_t);
void	buf_fmt(struct buf *, const char *, ...)
	    __attribute__((format(printf, 2, 3)));
void	buf_vfmt(struct buf *, const char *, va_list)
	    __attribute__((format(printf, 2, 0)));
/* Lower-case hexadecimal. */
void	buf_hex(struct buf *, struct bytes);
/* Drops the first n octets and moves the rest down. */
void	buf_drop(struct buf *, size_t n);
/* A NUL behind the text, not counted in n. */
char	*buf_cstr(struct buf *);
/* Empties it; keeps the memory for the next use. */
static inline void buf_clear(struct buf *b) { b->n = 0; }
/* Frees the memory; the buf can be used again. */
void	buf_done(struct buf *);

/* Empties a buf that is kept for ever: what one unusual use needed is given back
 * at the next. */
static inline void
buf_reuse(struct buf *b)
{
	if (b->cap > 1u << 20)
		buf_done(b);
	b->n = 0;
}

static inline struct bytes
buf_view(const struct buf *b)
{
	return (struct bytes){ b->p, b->n };
}

#endif
