/* SPDX-License-Identifier: MIT
 *
 * A router that replaces one that lives (elder.h).  Until the master says
 * take_over it only listens: to its elder, and to the broker on the topics that
 * this one listens to, so that nothing is missed in between; it says nothing to
 * other hosts and reads nothing from workers.  What the broker brings is kept
 * (early.h), and dropped when the elder says that it has taken it.
 *
 *	master: router_elder, go	connects to the broker
 *	to the elder: legacy_ask	when it hears other hosts, or cannot
 *	elder: legacy_told		that was all; ready is said when the topics
 *					are joined
 *	elder: legacy_yield, _live	the topics joined last are live, too
 *	elder: legacy_end		the rest is ours
 *	master: take_over		workers are read: sync.h
 *
 * Then, when all workers have told: what was told to other hosts is compared to
 * what there is, and only what differs is told; users who came or went in that
 * moment are announced, and new watchers answered; counts are pushed that have
 * changed.  Then come the messages that were kept.
 *
 * If the elder dies before legacy_end, this is a router after a crash: it speaks
 * to other hosts as a new one, and rooms begin a new epoch.
 *
 * Runs in: the router.  Part of: struct router.  Fuzzed: tests/fuzz/fuzz_heir.c.
 */
#ifndef PEAL_ROUTER_HEIR_H
#define PEAL_ROUTER_HEIR_H

#include "common/hash.h"
#include "common/msg.h"
#include "router/census_wire.h"

struct envelope;
struct ipc;
struct peer;
struct route;
struct router;
struct topic;

#define HEIR_ASK	1000	/* ms from go: ask in any case */
#define HEIR_JOIN	2000	/* ms from legacy_told: ready in any case */
#define HEIR_LIVE	1000	/* ms from legacy_yield: the same */
#define HEIR_WORKERS	256

struct heir {
	bool			 waits;		/* until take_over */
	bool			 same;		/* the elder has ended well, and
						   sync is not over */
	struct ipc		*ipc;		/* to the elder, or NULL */
	bool			 lost;		/* ipc is to be freed */
	bool			 going, asked, told, ready, ended;
	bool			 yields, live;	/* it asked; we answered */
	bool			 over;		/* what it told can be freed */
	uint64_t		 going_since, told_since, yields_since;
	uint64_t		 unjoined;	/* topics */
	struct hash		 facts, heard;
	struct msg_legacy_end	 end;
	unsigned		 n_workers;
	struct msg_legacy_worker workers[HEIR_WORKERS];
};

void	heir_init(struct router *);
/* The elder's link; takes the descriptor. */
void	heir_begin(struct router *, int fd);
/* Setup is complete. */
void	heir_go(struct router *);
void	heir_take_over(struct router *, uint64_t expect);
/* Not in force yet: says nothing to anybody. */
bool	heir_waits(const struct router *);
/* A new link to a worker. */
void	heir_peer(struct router *, struct peer *);
/* The middle of a turn. */
void	heir_turn(struct router *);
void	heir_done(struct router *);

/* All workers have told what they hold / and nothing is waited for any more. */
void	heir_settle(struct router *);
void	heir_announce(struct router *);
void	heir_over(struct router *);

/* Goes on where the elder was: other hosts are known already. */
bool	heir_same(const struct router *);
/* Has the elder taken this envelope / this text? */
bool	heir_heard(struct router *, const struct envelope *, unsigned lane);
bool	heir_raw(struct router *, const struct topic *, struct bytes text);
/* A topic is live / not any more. */
void	heir_joined(struct route *, bool live);
/* A connection that a worker told of: the elder did not know it. */
bool	heir_news(struct router *, const struct peer *, uint64_t conn);
/* Was he online when the elder ended? */
bool	heir_online(struct router *, struct bytes app, struct bytes user);

#endif
