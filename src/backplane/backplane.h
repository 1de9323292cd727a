/* SPDX-License-Identifier: MIT
 *
 * What carries messages between hosts, plugged into the router: one struct of
 * function pointers for each kind of broker and one line in the list of
 * backplane.c.
 *
 * A driver carries octets and knows nothing of what they mean; the router makes
 * and checks the envelopes (router/envelope.h).  With BACKPLANE_ECHOES own
 * publishes come back by message() like those of others, so that all hosts see
 * the order that the broker gives.
 *
 * A topic is what the router listens to and publishes on.  What name it has on
 * the broker, and whether several topics share one there (a log with
 * partitions), is the driver's business.
 *
 * What comes from a broker is untrusted: a driver bounds every size before it
 * reads, and the router checks the envelope.
 *
 * Runs in: the router.  Owned by: the router, between open() and close().  No
 * verb may block; no upcall comes before open() has returned, and none from
 * inside a verb.
 */
#ifndef PEAL_BACKPLANE_H
#define PEAL_BACKPLANE_H

#include "common/config.h"
#include "common/msg.h"

struct event_base;

/*
 * A channel of an application; app empty: the cluster's own ("hosts").
 * lane: 0 to LANES - 1, from the names (carrier_topic()): topics that share one
 * keep their order among each other on any broker.
 * raw: channel is the broker's own name of it and messages have no envelope.
 */
#define LANES	128

struct topic {
	struct bytes	app, channel;
	unsigned	lane;
	bool		raw;
};

/* Where a topic stands.  epoch 0: the backplane has no positions, and the
 * router counts for itself. */
struct position {
	uint64_t	epoch, offset;
};

#define BACKPLANE_LOCAL		1	/* there are no other hosts: no verb but
					   open and close is ever called */
#define BACKPLANE_ECHOES	2	/* own publishes come back */

/* For pealctl backplane; texts are good until the next call of the driver. */
struct backplane_state {
	bool		 up;
	uint64_t	 since;		/* clock_ms() when that began */
	struct bytes	 broker;	/* "redis://10.0.0.1:6379 (sentinel)" */
	struct bytes	 why;		/* last failure, or empty */
	uint64_t	 topics;	/* listened to */
	uint64_t	 backlog, backlog_octets;	/* not written or answered */
	uint64_t	 lag_us;	/* last round trip; 0: none yet */
};

/* What a backplane tells the router; ctx is what open() was given.  Octets are
 * good until return. */
struct backplane_up {
	/* The topic is live: what is published from now on arrives.  Called
	 * again when it is live again after a gap(). */
	void	(*joined)(void *ctx, const struct topic *, struct position);
	/* A topic that was joined is not live any more: what is published now
	 * may be lost to this host.  The driver tries to get it back. */
	void	(*gap)(void *ctx, const struct topic *);
	/* The publish with this cookie was taken by the broker, or never will
	 * be (why). */
	void	(*published)(void *ctx, uint64_t cookie, const char *why);
	/* A message of a topic. */
	void	(*message)(void *ctx, const struct topic *, struct position,
		    struct bytes);
	/* Answer to fetch(): the kept message or, with n 0, none; ttl_ms it
	 * will be kept.  why: could not be asked. */
	void	(*fetched)(void *ctx, uint64_t cookie, struct bytes,
		    uint64_t ttl_ms, const char *why);
	/* The broker can be reached, and the topics joined so far are live /
	 * not any more. */
	void	(*up)(void *ctx);
	void	(*down)(void *ctx, const char *why);
	/* Wants the addresses of a host, or a connection to a unix socket
	 * (host begins with a slash), which a process in jail cannot get by
	 * itself: answered by resolved() or connected(), also with failure. */
	void	(*resolve)(void *ctx, uint64_t cookie, struct bytes host);
};

/* What was published and is not answered, as the driver would write it; only a
 * driver of the same kind, with the same settings, can make use of it.  plain:
 * if something is stored with it, the part that publishes. */
struct backplane_parcel {
	unsigned	 lane;
	uint64_t	 queued;	/* clock_ms() */
	unsigned	 commands;
	size_t		 plain_at, plain_n;
	struct bytes	 wire;
};

struct backplane {
	const char	*name;		/* as in [backplane] driver */
	unsigned	 flags;		/* BACKPLANE_* */

	/* What the other verbs get as self, or NULL with why: settings that
	 * cannot be, files that cannot be read (it is called before the jail).
	 * An unreachable broker is no error: the driver tries again. */
	void	*(*open)(const struct config_backplane *, struct event_base *,
		    const struct backplane_up *, void *ctx, const char **why);
	void	(*close)(void *self);
	/* The jail is closed, connecting may begin. */
	void	(*start)(void *self);
	/* End of a turn: write what the verbs have queued, in one go. */
	void	(*flush)(void *self);

	/* Listen to a topic, from `since` on if the backplane keeps messages
	 * (epoch 0: from now on); joined() follows. */
	void	(*join)(void *self, const struct topic *,
		    struct position since);
	void	(*leave)(void *self, const struct topic *);

	/* Publish; published() follows.  Kept in a bounded backlog while the
	 * broker is away; in what order, across topics, only lanes say. */
	void	(*publish)(void *self, const struct topic *, struct bytes,
		    uint64_t cookie);
	/* Publish and keep as the topic's last message for ttl_ms, in one
	 * step.  NULL if it cannot; the router then keeps its own. */
	void	(*store)(void *self, const struct topic *, struct bytes,
		    uint64_t ttl_ms, uint64_t cookie);
	/* Ask for the topic's last message; fetched() follows. */
	void	(*fetch)(void *self, const struct topic *, uint64_t cookie);

	/* Answers to up->resolve(): addresses of 4 or 16 octets; none with
	 * why.  A descriptor is the driver's to close. */
	void	(*resolved)(void *self, uint64_t cookie,
		    const struct msg_list *addresses, const char *why);
	void	(*connected)(void *self, uint64_t cookie, int fd);

	void	(*state)(const void *self, struct backplane_state *);

	/* Shows all that was published and is not answered, each lane's oldest
	 * first / takes it over from a process that ends (wire is copied).  May
	 * be NULL. */
	void	(*unsent)(const void *self, void *arg, void (*each)(void *arg,
		    const struct backplane_parcel *));
	void	(*adopt)(void *self, const struct backplane_parcel *);
};

extern const struct backplane backplane_none, backplane_redis;

/* By its name in [backplane] driver's list of words, or NULL: not built in. */
const struct backplane *backplane_by_driver(int driver);

#endif
