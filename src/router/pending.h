/* SPDX-License-Identifier: MIT
 *
 * Subscriptions that wait until the backplane listens to their topic (and, for
 * a cache channel, until its last message was fetched).
 *
 * Runs in: the router.  Owned by: the router's list, and its route's.  Dies:
 * with its answer, or with its peer or route.
 */
#ifndef PEAL_PENDING_H
#define PEAL_PENDING_H

#include <sys/queue.h>

#include "common/msg.h"

struct peer;
struct pending;
struct route;
struct router;

TAILQ_HEAD(pending_list, pending);

/* Answers a join: now, or when the topic is live.  Nobody waits longer than
 * echo_timeout, nor for a broker that is gone: the answer comes then, and the
 * topic becomes live later. */
void	pending_answer(struct route *, struct peer *, const struct msg_join *);
/* A peer or a route that ends takes its own with it (the other is NULL). */
void	pending_forget(struct router *, const struct peer *,
	    struct route *);

/* The route's topic is live. / Its last message was fetched, or cannot be. */
void	pending_joined(struct route *);
void	pending_fetched(struct route *);
/* The broker can be reached. / Nobody waits for it any more. */
void	pending_up(struct router *);
void	pending_down(struct router *);
/* Answers those who have waited too long, at r->now. */
void	pending_turn(struct router *);
/* clock_ms() when pending_turn() has something to do; 0: never. */
uint64_t pending_due(const struct router *);

#endif
