/* SPDX-License-Identifier: MIT
 *
 * When was a cache_miss of a channel said last?  Who misses a cache asks for it
 * to be filled; a crowd that comes at once need not ask for each of them.
 *
 * Runs in: the courier.  Owned by: the courier.  Dies: misses_done().
 */
#ifndef PEAL_COURIER_MISS_H
#define PEAL_COURIER_MISS_H

#include <sys/queue.h>

#include "common/hash.h"

#define MISS_MS		10000	/* no second one of a channel so soon */
#define MISSES_MAX	100000	/* channels; then the oldest is forgotten */

struct misses {
	struct hash	 all;
	TAILQ_HEAD(, miss) queue;	/* oldest first */
	struct buf	 key;
};

void	misses_init(struct misses *);
void	misses_done(struct misses *);
/* Is this one to be said?  It counts as said then. */
bool	misses_say(struct misses *, struct bytes app, struct bytes channel,
	    uint64_t now);

#endif
