/* SPDX-License-Identifier: MIT
 *
 * What a hand-over carries of a connection (tables/record.def), as a struct and
 * as octets.  freeze.c fills it in from a conn, thaw.c makes a conn of it.
 *
 *	struct record r = { .stage = RECORD_HTTP, ... };
 *	record_pack(&r, &out);
 *
 *	if (record_unpack(octets, &r, &why) == 0)
 *		...
 *	record_done(&r);
 *
 * Octets are borrowed: after unpacking they point into what was unpacked.  The
 * arrays of lists are owned by the record that was unpacked.
 *
 * Runs in: workers.
 */
#ifndef PEAL_RECORD_H
#define PEAL_RECORD_H

#include "common/buf.h"

enum record_stage {		/* never changed: they stand in records */
	RECORD_HTTP = 1, RECORD_PROXY = 2, RECORD_WEBSOCKET = 3,
	RECORD_STREAM = 4
};

struct record_list {
	struct bytes	*at;
	uint32_t	 n;
};

struct record {
#define NUM(number, name, max, def)	uint64_t name;
#define FLAG(number, name)		bool name;
#define OCTETS(number, name, max)	struct bytes name;
#define LIST(number, name, max, each)	struct record_list name;
#include "tables/record.def"
};

/* Appends.  -1 with why: a field is over its maximum; nothing is appended. */
int	record_pack(const struct record *, struct buf *, const char **why);
/* Sets all of it: what is missing has its default.  -1 with why, which names the
 * field and is good until the next call; then there is nothing to free. */
int	record_unpack(struct bytes, struct record *, const char **why);
/* Frees the arrays of an unpacked one. */
void	record_done(struct record *);

#endif
