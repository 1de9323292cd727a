/* SPDX-License-Identifier: MIT
 *
 * What was taken from another host already: messages come twice when its
 * connection to the broker broke while it wrote, and when its router was
 * replaced and its workers told again what was not acknowledged.
 *
 * Of each lane the highest number, of each publisher and lane the highest
 * serial: both rise with what one host says on one lane.
 *
 * Runs in: the router.  Owned by: a struct host.
 */
#ifndef PEAL_SEEN_H
#define PEAL_SEEN_H

#include <sys/queue.h>

#include "backplane/backplane.h"
#include "common/hash.h"

#define SEEN_MAX	16384	/* publishers and lanes; the stalest goes */
#define SEEN_ALL	(1u << 20)	/* of all hosts; then only ... */
#define SEEN_LEAST	1024		/* ... so many of each */

struct seen_row;

struct seen {
	uint64_t		 numbers[LANES];
	struct hash		 rows;
	TAILQ_HEAD(, seen_row)	 order;		/* the stalest first */
	uint64_t		*all;		/* rows of all */
};

struct seen *seen_new(uint64_t *all);
void	seen_free(struct seen *);
/* Has it been?  Notes it if not. */
bool	seen_before(struct seen *, unsigned lane, uint64_t number,
	    uint64_t origin, uint64_t serial);

/* Notes it; origin 0: of the lane only.  Nothing is lowered. */
void	seen_note(struct seen *, unsigned lane, uint64_t number,
	    uint64_t origin, uint64_t serial);
/* All that was noted: of each lane, and of each publisher there, the stalest
 * first. */
void	seen_each(const struct seen *, void *ctx, void (*each)(void *ctx,
	    unsigned lane, uint64_t number, uint64_t origin,
	    uint64_t serial));

#endif
