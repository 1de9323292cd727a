/* SPDX-License-Identifier: MIT
 *
 * Subscriptions that wait until the backplane listens to their topic (and, for
 * a cache channel, until its last message was fetched).
 *
 * Runs in: the router.  Owned by: the router's list.  Dies: with its answer, or
 * with its peer or route.
 */
#ifndef PEAL_PENDING_H
#define PEAL_PENDING_H

#include <sys/queue.h>

#include "common/msg.h"

struct peer;
struct pending;
struct route;
struct router;
struct topic;

TAILQ_HEAD(pending_list, pending);

/* Answers a join: now, or when the topic is live. */
void	pending_answer(struct route *, struct peer *, const struct msg_join *);
/* A peer or a route that ends takes its own with it (the other is NULL). */
void	pending_forget(struct router *, const struct peer *,
	    const struct route *);
/* The topic is live. */
void	pending_joined(struct router *, const struct topic *);

#endif
