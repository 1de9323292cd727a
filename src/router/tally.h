/* SPDX-License-Identifier: MIT
 *
 * How many, by worker: subscribers of a channel, connections of a user or of a
 * member.  A handful of workers at most, so a small array without order.
 *
 * Runs in: the router.  Owned by: what it counts for.  Dies: tally_done(), or
 * by itself when the total is 0 again.
 */
#ifndef PEAL_TALLY_H
#define PEAL_TALLY_H

#include <stdbool.h>
#include <stdint.h>

struct peer;

struct share {
	struct peer	*peer;
	uint64_t	 n;		/* never 0 */
};

struct tally {
	struct share	*at;
	uint64_t	 total;
	uint32_t	 n, cap;
};

/* True if the worker had none before. */
bool	tally_add(struct tally *, struct peer *, uint64_t n);
/* At most n fewer; how many it were. */
uint64_t tally_take(struct tally *, struct peer *, uint64_t n);
/* All of a worker; how many it were. */
uint64_t tally_drop(struct tally *, struct peer *);
/* One of a worker is another's now; false if it had none. */
bool	tally_move(struct tally *, struct peer *from, struct peer *to);
bool	tally_has(const struct tally *, const struct peer *);
void	tally_done(struct tally *);

#endif
