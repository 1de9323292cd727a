/* SPDX-License-Identifier: MIT
 *
 * What carries messages between hosts, plugged into the router: one struct of
 * function pointers for each kind of broker and one line in the list of
 * backplane.c.
 *
 * Every publish of this host goes into publish() and comes back by the
 * message() upcall, so that all hosts see the order that the broker gives.  The
 * backplane "none" calls message() from inside publish(); another calls it when
 * the broker has sent the message back.
 *
 * A topic is what the router listens to and publishes on: a channel of an
 * application.  What name it has on the broker, and whether several topics
 * share one there (a log with partitions), is the driver's business.
 *
 * What comes from a broker is untrusted: a driver bounds every size before it
 * reads, and the router checks the envelope.
 *
 * Runs in: the router.  Owned by: the router, between open() and close().  No
 * verb may block; no upcall comes before open() has returned.
 */
#ifndef PEAL_BACKPLANE_H
#define PEAL_BACKPLANE_H

#include "common/config.h"

struct event_base;

struct topic {
	struct bytes	app, channel;
};

/* Where a topic stands.  epoch 0: the backplane has no positions, and the
 * router counts for itself. */
struct position {
	uint64_t	epoch, offset;
};

/* Who published: the host's node and incarnation, and its number there. */
struct origin {
	uint64_t	node, incarnation, number;
};

#define BACKPLANE_LOCAL		1	/* nothing leaves this host: it is not
					   given any bytes, only cookies, and
					   calls back from inside the verb */
#define BACKPLANE_ORDERED	2	/* one order per topic for all hosts */
#define BACKPLANE_DURABLE	4	/* messages outlive the broker */
#define BACKPLANE_ECHOES	8	/* own publishes come back */

/* What a backplane tells the router; ctx is what open() was given. */
struct backplane_up {
	/* The topic is live: what is published from now on arrives.  why is
	 * NULL, or the reason it is not; then the driver goes on trying and
	 * calls again. */
	void	(*joined)(void *ctx, const struct topic *, struct position,
		    const char *why);
	/* The publish with this cookie was taken over, or was not (why). */
	void	(*published)(void *ctx, uint64_t cookie, struct position,
		    const char *why);
	/* A message of a topic.  cookie: of our own publish that came back,
	 * or 0.  bytes are good until return. */
	void	(*message)(void *ctx, const struct topic *, struct position,
		    const struct origin *, uint64_t cookie, struct bytes);
	/* Messages of a topic between two positions are lost. */
	void	(*gap)(void *ctx, const struct topic *, struct position from,
		    struct position to);
	/* The broker can be reached again / not any more. */
	void	(*up)(void *ctx);
	void	(*down)(void *ctx, const char *why);
};

struct backplane {
	const char	*name;		/* as in [backplane] driver */
	unsigned	 flags;		/* BACKPLANE_* */

	/* What the other verbs get as self, or NULL with why.  An unreachable
	 * broker is no error: the driver says down() and tries again. */
	void	*(*open)(const struct config_backplane *, struct event_base *,
		    const struct backplane_up *, void *ctx, const char **why);
	void	(*close)(void *self);

	/* Listen to a topic, from `since` on if the backplane keeps messages
	 * (epoch 0: from now on); joined() follows. */
	void	(*join)(void *self, const struct topic *,
		    struct position since);
	void	(*leave)(void *self, const struct topic *);

	/* Publish.  key groups what must stay in order.  published() and, with
	 * BACKPLANE_ECHOES, message() follow with the cookie. */
	void	(*publish)(void *self, const struct topic *, struct bytes key,
		    struct bytes, uint64_t cookie);
	/* To all hosts, whatever topics they have; also the own one. */
	void	(*broadcast)(void *self, struct bytes, uint64_t cookie);

	/* Ask for at most n messages after a position: message() each.  NULL
	 * if the backplane keeps none. */
	void	(*fetch)(void *self, const struct topic *,
		    struct position since, unsigned n);
	/* Keep as the topic's last message for ttl_ms, and publish it, in one
	 * step.  NULL if it cannot; the router then keeps its own. */
	void	(*store)(void *self, const struct topic *, struct bytes,
		    uint64_t ttl_ms, uint64_t cookie);
};

extern const struct backplane backplane_none;

/* By its name in [backplane] driver's list of words, or NULL: not built in. */
const struct backplane *backplane_by_driver(int driver);

#endif
