/* SPDX-License-Identifier: MIT
 *
 * Connections of an application over all workers, and the limit on them.
 *
 * A grant counts as a connection from the moment it is given.  The worker tells
 * with its numbers how many grants it had read by then, so none is counted
 * twice and none is forgotten.
 *
 * A connection that is handed over counts once at every moment, although three
 * messages say so in any order: the load of its elder, which has given it away
 * (went), that of its heir, which has it (came), and moved, with which it changes
 * rows here.  A worker's numbers are taken without what it has handed over, and
 * with what the router knows to have moved:
 *
 *	open - came + went + moved to it - moved away from it
 *
 * The first three are what it would say if it had handed over nothing, so none
 * of its messages changes that; moved takes one from a row and adds it to the
 * other.  A row may be negative for as long as the link is young; no sum is.
 *
 * A limit for all hosts counts what they have told: two that grant the last
 * connection in the same instant are one over it.
 *
 * Runs in: the router.  Owned by: its census.
 */
#ifndef PEAL_LOAD_H
#define PEAL_LOAD_H

#include <stdbool.h>

#include "common/msg.h"

struct census;
struct peer;

/* What one worker said last, without what it has handed over. */
struct load {
	struct peer	*peer;
	uint64_t	 open, subscribed;
	uint64_t	 given, read;	/* grants */
	/* moved to it less moved away; modulo 2^64, as all of these */
	uint64_t	 moved, moved_subscribed;
};

struct load_sum {
	uint64_t	 open, subscribed;
	uint64_t	 granted;	/* not among the open ones yet */
};

void	load_init(struct census *);
/* Of all hosts, as far as they have told. */
struct load_sum load_total(const struct census *);
void	load_set(struct census *, struct peer *, const struct msg_load *);
/* Answers with a grant. */
void	load_connect(struct census *, struct peer *,
	    const struct msg_connect *);
/* A connection came to a worker / left it, in a moved. */
void	load_came(struct census *, struct peer *, bool subscribed);
void	load_went(struct census *, struct peer *, bool subscribed);
void	load_forget(struct census *, const struct peer *);
void	load_done(struct census *);

#endif
