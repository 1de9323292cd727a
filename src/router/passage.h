/* SPDX-License-Identifier: MIT
 *
 * A message's way through the router.  Alone, it is numbered and delivered at
 * once.  With a backplane it goes out in an envelope and is delivered when it
 * comes back, so that all hosts see one order; a worker's publish counts as
 * routed (and is acknowledged, peer.h) when it was delivered here and given to
 * the backplane.
 *
 * Own messages in flight are found by their number when they come back: each is
 * delivered once, and what comes back and is not in flight was delivered
 * already.  When they do not come back within echo_timeout, or the topic is not
 * live, the host is degraded: what is in flight is delivered in order without
 * waiting, later copies are dropped (decisions of doc/ARCHITECTURE, "Many
 * hosts").
 *
 * Messages of other hosts are dropped if they were seen: by number, per host
 * and lane; and, after that host's router was replaced, by publisher and
 * serial.
 *
 * Runs in: the router.  Part of: struct router.
 */
#ifndef PEAL_PASSAGE_H
#define PEAL_PASSAGE_H

#include "common/msg.h"

struct peer;
struct route;
struct router;
struct topic;

/* A message from a worker (origin NULL: from pealctl). */
void	passage_publish(struct router *, struct peer *origin,
	    const struct msg_publish *);
/* Ends a user's connections, on all workers of all hosts. */
void	passage_kick(struct router *, struct peer *origin,
	    const struct msg_kick *);

#endif
