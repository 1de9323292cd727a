/* SPDX-License-Identifier: MIT
 *
 * Questions about single connections: asked of all workers of this host, as
 * nobody else knows them.  What they answer is kept until all have, or until
 * INSPECT_MS have passed; those that have not, or
 * have too many questions already, are named.
 *
 * A connection that changes workers meanwhile may be told twice or not at all.
 *
 * Runs in: the router.  Owned by: who asked, until it ends.  Fuzzed:
 * tests/fuzz/fuzz_control.c.
 */
#ifndef PEAL_ROUTER_INSPECT_H
#define PEAL_ROUTER_INSPECT_H

#include <sys/queue.h>

#include "common/msg.h"

struct inspection;
struct peer;
struct router;

#define INSPECT_MS		2000
#define INSPECT_ROWS		100	/* if not said */
#define INSPECT_ROWS_MAX	1000
#define INSPECT_OCTETS		(8u << 20)	/* of the rows of one answer */
#define INSPECT_SLOTS		256

struct inspection_end {
	struct bytes	rows;		/* lines; good until return */
	uint64_t	total;		/* with those over the limit */
	bool		kick;		/* it was */
	uint64_t	missing[INSPECT_SLOTS / 64];	/* slots, a bit each */
};

typedef void inspect_done(void *to, const struct inspection_end *);

/* The cookie is set here.  done() comes once, in a later turn, and ends it. */
struct inspection *inspect_begin(struct router *, const struct msg_inspect *,
	    inspect_done *, void *to);
/* Who asked has gone; no done() comes. */
void	inspect_cancel(struct inspection *);

/* A worker's part of an answer. */
void	inspect_heard(struct peer *, const struct msg_inspected *);
/* A worker is dead. */
void	inspections_forget(struct router *, const struct peer *);
/* In a turn: ends those that have all. */
void	inspections_turn(struct router *);
/* Each second: ends those that have waited too long. */
void	inspections_tick(struct router *);

#endif
