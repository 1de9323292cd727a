/* SPDX-License-Identifier: MIT
 *
 * Connections of an application over all workers, and the limit on them.
 *
 * A grant counts as a connection from the moment it is given.  The worker tells
 * with its numbers how many grants it had read by then, so none is counted
 * twice and none is forgotten.
 *
 * A limit for all hosts counts what they have told: two that grant the last
 * connection in the same instant are one over it.
 *
 * Runs in: the router.  Owned by: its census.
 */
#ifndef PEAL_LOAD_H
#define PEAL_LOAD_H

#include "common/msg.h"

struct census;
struct peer;

/* What one worker said last. */
struct load {
	struct peer	*peer;
	uint64_t	 open, subscribed;
	uint64_t	 given, read;	/* grants */
};

struct load_sum {
	uint64_t	 open, subscribed;
	uint64_t	 granted;	/* not among the open ones yet */
};

void	load_init(struct census *);
/* Of this host; of all hosts, as far as they have told. */
struct load_sum load_sum(const struct census *);
struct load_sum load_total(const struct census *);
void	load_set(struct census *, struct peer *, const struct msg_load *);
/* Answers with a grant. */
void	load_connect(struct census *, struct peer *,
	    const struct msg_connect *);
void	load_forget(struct census *, const struct peer *);
void	load_done(struct census *);

#endif
