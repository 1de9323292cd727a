/* SPDX-License-Identifier: MIT
 *
 * What the log hears of a cluster's layout: a change at once; of those behind it
 * one line when there are no more, and one in MOVES_AGAIN_MS while nodes dispute
 * who serves what.
 *
 * Runs in: the router.  Part of: struct cluster (redis_cluster.c); zeroed at
 * first.
 */
#ifndef PEAL_REDIS_MOVES_H
#define PEAL_REDIS_MOVES_H

#include <stdint.h>

#define MOVES_LAST_MS	2000	/* so long it must stay as it is */
#define MOVES_AGAIN_MS	10000

struct redis_moves {
	uint64_t	 said_ms, last_ms;
	unsigned	 masters;
	unsigned	 changes, lanes;	/* since a line was written */
};

/* The layout has changed: so many lanes have another node.  now: clock_ms(). */
void	redis_moves_add(struct redis_moves *, unsigned masters, unsigned lanes,
	    uint64_t now);
/* About once a second. */
void	redis_moves_tick(struct redis_moves *, uint64_t now);

#endif
