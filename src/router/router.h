/* SPDX-License-Identifier: MIT
 *
 * The router: orders and passes every message, knows who is where over all
 * workers, and talks to the backplane that joins hosts.
 *
 * It has one link to the master, from which everything comes that it needs, and
 * one to each worker.  Its loop handles what has arrived and does the rest
 * (answers, counts, writing, acknowledgements) once, at the end of the turn.
 *
 * Runs in: the router process.  Owned by: router_main().
 */
#ifndef PEAL_ROUTER_H
#define PEAL_ROUTER_H

#include "backplane/backplane.h"
#include "common/hash.h"
#include "common/msg.h"
#include "router/answer.h"
#include "router/carrier.h"
#include "router/census.h"
#include "router/count.h"
#include "router/elder.h"
#include "router/fetch.h"
#include "router/heir.h"
#include "router/history.h"
#include "router/hooks.h"
#include "router/host.h"
#include "router/load.h"
#include "router/mark.h"
#include "router/members.h"
#include "router/passage.h"
#include "router/peer.h"
#include "router/pending.h"
#include "router/replay.h"
#include "router/raw.h"
#include "router/route.h"
#include "router/shift.h"
#include "router/sync.h"
#include "router/tap.h"
#include "router/tell.h"
#include "router/users.h"

struct control;
struct event;
struct inspection;

struct router {
	struct event_base	*base;
	struct event		*second;	/* fires each second */
	struct peer		*master;
	struct config		*config;
	TAILQ_HEAD(, peer)	 peers;		/* workers */
	struct peer		*by_index[PEERS_MAX];
	uint64_t		 now;		/* clock_ms() of this turn */

	/* who this host is, from the master */
	uint64_t		 node, incarnation, generation;

	/* what numbers its messages */
	uint64_t		 epoch, serial;
	uint64_t		 last_epoch;	/* given to a channel */
	uint64_t		 own_serial;	/* of pealctl's publishes */
	uint64_t		 passing_since;	/* clock_ns(), in a turn: report.h */

	const struct backplane	*backplane;
	void			*carrier;	/* the backplane's self */
	TAILQ_HEAD(, host)	 hosts;		/* the others */
	struct contact		 contact;	/* with them */
	struct tell		 tell;		/* what they hear of us */
	struct reach		 reach;
	struct passage		 passage;
	struct fetches		 fetches;
	struct raws		 raws;

	struct hash		 censuses;	/* by application */
	struct hash		 watchers;	/* by connection */
	LIST_HEAD(, watcher)	 fresh;		/* those to be answered */
	uint64_t		 signins;
	struct history		 history;
	struct replays		 replays;
	struct sync		 sync;
	struct elder		 elder;		/* we have a successor */
	struct heir		 heir;		/* we are one */
	struct shifts		 shifts;
	struct answer_list	 answers;
	struct mark_list	 marks;
	struct pending_list	 pending;
	struct counting_list	 countings;	/* changed ones */
	struct hooks		 hooks;		/* what the courier is told */
	LIST_HEAD(, control)	 controls;
	unsigned		 n_controls, n_asks;	/* of pealctl, of workers */
	LIST_HEAD(, inspection)	 inspections;
	uint64_t		 last_inspection;	/* cookie */
	struct taps		 taps;
	struct buf		 scratch;	/* for one frame or roster */

	unsigned		 n_full;	/* links over the high mark */
	bool			 xoff;
	bool			 stopping, done;
	uint64_t		 last_moment;	/* stopping: exit by then */
};

/* Everything from descriptor 3 on; returns the exit status. */
int	router_main(void);

/* Its parts, for router_main() and tests.  master_fd is kept. */
struct router *router_new(struct event_base *, int master_fd);
void	router_free(struct router *);
/* New settings; takes them.  Must come before workers. */
void	router_settings(struct router *, struct config *);
/* The end of a turn.  True if the next one must not wait. */
bool	router_turn(struct router *);
/* What is done each second. */
void	router_tick(struct router *);

/* A message from one of its links. */
int	router_take(struct peer *, unsigned type, struct unpacker *,
	    const char **why);
/* The master is gone. */
void	router_orphaned(struct router *);

#endif
