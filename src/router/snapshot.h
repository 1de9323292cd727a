/* SPDX-License-Identifier: MIT
 *
 * All that we hold, told to other hosts in chunks.
 *
 * Items go out from the one told longest ago on, as they were told.  What
 * changes meanwhile is told as a change and goes to the end of that list, so
 * chunks and changes together are all there is.  No chunk goes out while a
 * change waits, and only a few before earlier ones have come back from the
 * broker: a large snapshot neither floods it nor holds the loop up.
 *
 * One at a time serves all who want it; who comes too late gets the next.
 *
 * Runs in: the router.  Part of: struct tell.
 */
#ifndef PEAL_SNAPSHOT_H
#define PEAL_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#define SNAPSHOT_TURN	2		/* chunks in a turn */
#define SNAPSHOT_FLYING	4		/* chunks not back yet */
#define SNAPSHOT_FLIGHT	1000		/* ms; then they will not come back */
#define SNAPSHOT_EVERY	250		/* ms from one start to the next */

struct item;
struct router;

struct snapshot {
	bool		 wanted, on;
	uint64_t	 id, index;
	uint64_t	 base;		/* change number at its start */
	uint64_t	 earliest;	/* clock_ms(): the next may start */
	struct item	*next;
	unsigned	 flying;
	uint64_t	 flew;		/* clock_ms() of the last chunk */
};

/* Somebody needs all. */
void	snapshot_want(struct router *);
/* One of our chunks came back. */
void	snapshot_echo(struct router *);
/* An item leaves the list of those told. */
void	snapshot_skip(struct router *, const struct item *);

/* Can a chunk go out now? */
bool	snapshot_ready(const struct router *);
/* The chunks of this turn.  All changes must have been told. */
void	snapshot_turn(struct router *);
/* clock_ms() when there is more to do; UINT64_MAX: not by itself. */
uint64_t snapshot_due(const struct router *);

#endif
