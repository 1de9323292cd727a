/* SPDX-License-Identifier: MIT
 *
 * A message's way through the router.  Alone, it is numbered and delivered at
 * once.  With a backplane it goes out in an envelope and is delivered when it
 * comes back, so that all hosts see one order; a worker's publish counts as
 * settled (and is acknowledged, peer.h) when it was delivered here and given to
 * the backplane.
 *
 * Own messages in flight are found by their number when they come back: each is
 * delivered once, and what comes back and is not in flight was delivered
 * already.  A topic that is not live (any more), or a broker that cannot be
 * reached, is not waited for.  What is not back within echo_timeout makes the host degraded:
 * all in flight is delivered in order, and what follows at once, until an
 * envelope that was sent after that is back in time.  All of it goes to the
 * broker nevertheless, and the copies that come back late are dropped.
 *
 * What is delivered without its copy is delivered behind everything older in
 * flight on its lane, so the order of each publisher in a channel stays.
 *
 * Messages of other hosts are dropped if they were seen (seen.h).
 *
 * Runs in: the router.  Part of: struct router.
 */
#ifndef PEAL_PASSAGE_H
#define PEAL_PASSAGE_H

#include "common/msg.h"
#include "router/envelope.h"
#include "router/flight.h"

struct host;
struct peer;
struct route;
struct router;

/* In flight at most; more is delivered without waiting. */
#define FLIGHTS_MAX		(1u << 20)
#define FLIGHTS_OCTETS_MAX	(64u << 20)

/* Does a lane bring back what is sent?  Asked while the host is degraded, and
 * of a lane on which something did not come back. */
struct probe {
	uint64_t	number;		/* the envelope waited for; 0: none */
	uint64_t	sent;		/* clock_ms() */
	bool		late;		/* nothing on it is waited for */
};

struct passage {
	uint64_t	 number;	/* given to the last envelope */
	struct flights	 flights;
	struct probe	 probes[LANES];
	uint64_t	 left[LANES];	/* up to there nothing comes back */
	bool		 any_left;
	struct buf	 payload;	/* of the envelope that is made */
	bool		 degraded;
	bool		 said;		/* it was logged */
	uint64_t	 since;		/* clock_ms() when that began */
	uint64_t	 seen_rows;	/* of all hosts: seen.h */
};

void	passage_init(struct router *);
void	passage_done(struct router *);
/* With the first settings and a generation: numbers begin. */
void	passage_start(struct router *);

/* A message from a worker (origin NULL: from pealctl). */
void	passage_publish(struct router *, struct peer *origin,
	    const struct msg_publish *);
/* Ends a user's connections, on all workers of all hosts. */
void	passage_kick(struct router *, struct peer *origin,
	    const struct msg_kick *);
/* A connection of a worker has begun or ended: for webhooks. */
void	passage_connection(struct router *, struct peer *origin,
	    const struct msg_connection *);
/* A worker is dead; what it published goes its way. */
void	passage_forget(struct router *, struct peer *);

/* ---- for carrier.c ------------------------------------------------------ */

/* The number of the next envelope; live: its topic is, so it will come back. */
uint64_t passage_number(struct router *, unsigned lane, bool live);
/* An own message is back: it is delivered if it is in flight; false if not.
 * An own one that is not, with what is in it; -1: it is not well-formed. */
bool	passage_back(struct router *, unsigned lane, uint64_t number);
int	passage_again(struct router *, const struct envelope *);
/* ENVELOPE_EVENT or ENVELOPE_KICK of another host; -1: not well-formed. */
int	passage_take(struct router *, struct host *, unsigned lane,
	    const struct envelope *);
/* A message that has no host. */
void	passage_foreign(struct router *, const struct msg_publish *);
/* A kept message of a channel, as it was fetched; -1: it is none. */
int	passage_fetched(struct route *, const struct envelope *,
	    uint64_t ttl_ms);

/* Nothing is waited for any more: the broker is gone / on this lane, up to this
 * number (the last one with UINT64_MAX). */
void	passage_degrade(struct router *, const char *why);
void	passage_release(struct router *, unsigned lane, uint64_t number);
/* The topic is not listened to any more: what is in flight on it, up to this
 * number, does not come back and is not waited for after this turn. */
void	passage_left(struct router *, unsigned lane, uint64_t number);
/* The end of a turn. */
void	passage_settle(struct router *);
/* What has been waited for too long, at r->now. */
void	passage_turn(struct router *);
/* clock_ms() when passage_turn() has something to do; 0: never. */
uint64_t passage_due(const struct router *);

#endif
