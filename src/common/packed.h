/* SPDX-License-Identifier: MIT
 *
 * The msgpack in which hosts, and releases of Peal, write to each other: numbers,
 * byte strings, arrays of known length, and maps whose unknown keys are skipped.
 *
 *	struct packed in = packed_open(octets);
 *	packed_array(&in, 2);
 *	id = packed_u64(&in);
 *	name = packed_bytes(&in, 200);
 *	if (!packed_end(&in))
 *		return -1;
 *
 * The octets are untrusted.  Reading copies and allocates nothing, checks each
 * length against what is there, and goes on with zeros after the first fault, so
 * that one look at the end is enough.
 *
 * Runs in: every process.
 */
#ifndef PEAL_PACKED_H
#define PEAL_PACKED_H

#include "common/buf.h"

struct packed {
	const unsigned char	*p, *end;
	bool			 bad;
};

static inline struct packed
packed_open(struct bytes b)
{
	const unsigned char *p = (const unsigned char *)b.p;

	return (struct packed){ .p = p, .end = b.n != 0 ? p + b.n : p };
}

uint64_t packed_u64(struct packed *);
/* A byte string of at most max octets; it points into what was opened. */
struct bytes packed_bytes(struct packed *, size_t max);
/* The head of an array: how many elements follow, at most max.  No more than
 * there are octets. */
uint32_t packed_count(struct packed *, uint32_t max);
/* The head of an array of exactly n. */
void	packed_array(struct packed *, uint32_t n);
/* The head of a map: how many pairs follow, at most max. */
uint32_t packed_map(struct packed *, uint32_t max);
/* Takes a nil if the next value is one. */
bool	packed_nil(struct packed *);
/* Passes over one value of any kind, however deep. */
void	packed_skip(struct packed *);
/* What is behind; for a signature. */
static inline struct bytes
packed_rest(const struct packed *in)
{
	return bytes_of(in->p, (size_t)(in->end - in->p));
}

/* Nothing was wrong and nothing is left. */
static inline bool
packed_end(const struct packed *in)
{
	return !in->bad && in->p == in->end;
}

/* Writing; each appends. */
void	pack_array(struct buf *, uint32_t n);
void	pack_map(struct buf *, uint32_t n);
void	pack_nil(struct buf *);
void	pack_u64(struct buf *, uint64_t);
void	pack_bytes(struct buf *, struct bytes);

#endif
