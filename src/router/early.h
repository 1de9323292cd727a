/* SPDX-License-Identifier: MIT
 *
 * Messages of the broker that come while a new router does not know yet what
 * its workers hold (sync.h): a worker that has not told its channels would miss
 * them.  They wait until all have told; what is over the limit does not.
 *
 * Runs in: the router.  Part of: struct reach.
 */
#ifndef PEAL_EARLY_H
#define PEAL_EARLY_H

#include <sys/queue.h>

#include "backplane/backplane.h"

#define EARLY_MAX	(16u << 20)	/* octets kept */

struct early;
struct router;

struct earlies {
	TAILQ_HEAD(, early)	 list;
	size_t			 octets;
};

void	early_init(struct earlies *);
void	early_done(struct earlies *);
/* Keeps a copy; false if there is no room. */
bool	early_keep(struct earlies *, const struct topic *, struct bytes);
/* Drops those in front for which drop() is true. */
void	early_prune(struct earlies *, void *ctx, bool (*drop)(void *ctx,
	    const struct topic *, struct bytes));
/* Drops the first of a topic for which it is; false: there is none. */
bool	early_remove(struct earlies *, const struct topic *, void *ctx,
	    bool (*drop)(void *ctx, const struct topic *, struct bytes));
/* Hands all out, in order. */
void	early_over(struct earlies *, struct router *, void (*take)(void *ctx,
	    const struct topic *, struct position, struct bytes));

#endif
