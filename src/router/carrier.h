/* SPDX-License-Identifier: MIT
 *
 * The router's side of the backplane: the calls down to the driver, and the
 * upcalls, sorted by what they are about.
 *
 * What the broker brings is checked here: the envelope, its signature, that it
 * came on the topic that it names.  What is wrong is counted, logged once in a
 * while, and dropped.
 *
 * Runs in: the router.  Part of: struct router.
 */
#ifndef PEAL_CARRIER_H
#define PEAL_CARRIER_H

#include "backplane/backplane.h"
#include "router/early.h"
#include "router/envelope.h"

struct event;
struct route;
struct router;

/* What of a kind was dropped. */
struct grumble {
	uint64_t	n;		/* not logged yet */
	uint64_t	last;		/* clock_ms() of the last line */
};

/* How far this host can be heard. */
struct reach {
	bool		 up;		/* the broker can be reached */
	bool		 live;		/* the cluster's own topic is joined */
	bool		 tried;		/* it was up once, or has had its time */
	bool		 met;		/* hosts_up() was the last word */
	uint64_t	 started;	/* clock_ms() of carrier_start() */
	uint64_t	 era;		/* counts each time that it went down */
	struct event	*timer;		/* for what waits */
	struct buf	 name;		/* of a raw topic, or of its room */
	struct earlies	 early;
	struct grumble	 grumbles[ENVELOPE_FAULTS];
};

/* From the settings; a failure ends the process.  Before the jail. */
void	carrier_open(struct router *);
void	carrier_close(struct router *);
/* Behind the jail. */
void	carrier_start(struct router *);
/* In a turn: what has waited too long goes on without the broker; at its end:
 * what was published leaves. */
void	carrier_due(struct router *);
void	carrier_turn(struct router *);

/* Are there other hosts at all? */
bool	carrier_alone(const struct router *);
/* Can they be reached now? */
bool	carrier_up(const struct router *);
/* What envelopes are signed with; empty: they are not. */
struct bytes carrier_key(const struct router *);

/* What the backplane calls a channel; good until the next call. */
struct topic carrier_topic(struct router *, struct bytes app,
	    struct bytes channel);
/* The cluster's own topic. */
struct topic carrier_cluster(void);

unsigned carrier_lane(const struct topic *);

/* A route has its first subscriber of this host / has lost the last one. */
void	carrier_join(struct route *);
void	carrier_leave(struct route *);

/* Gives a sealed envelope to the driver.  keep: as the topic's last message. */
void	carrier_publish(struct router *, const struct topic *, struct bytes,
	    uint64_t number, bool keep);

/*
 * Says something to all hosts on the cluster's own topic: makes the envelope,
 * gives it the next number of this host.  What one host says there arrives in
 * the order in which it was said.  Nothing if alone; kept in the backlog if the
 * broker is away and `urgent`, else dropped then (false).
 */
bool	carrier_broadcast(struct router *, enum envelope_kind,
	    struct bytes payload, bool urgent);

/* Says something to ourselves on a channel's topic, behind all that was given
 * to the driver on it before: fetch_marked() follows. */
void	carrier_mark(struct router *, const struct topic *,
	    struct bytes payload);

/* Drops what came from the broker: counts it, and says so once in a while. */
void	carrier_grumble(struct router *, enum envelope_fault,
	    const struct topic *);

#endif
