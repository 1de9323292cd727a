/* SPDX-License-Identifier: MIT
 *
 * A router that is replaced tells its successor (heir.h) what workers and hosts
 * would not: what is kept of cache channels and rooms, which topics it listens
 * to, what was seen of other hosts and what these hold, what it has told them,
 * who is online, which watchers have heard so, and counts that were pushed.
 *
 *	master: router_heir	the heir's link is there
 *	heir: legacy_ask	all goes to the heir, in slices; from then on
 *				what changes goes too, in order: legacy_told
 *	master: yield		workers are read no more; what is in flight comes
 *				to its end, pealctl gets its answers, and the heir
 *				says that it listens to all topics (legacy_live);
 *				what was under way to us before that comes
 *				(then the broker is not heard any more: frozen)
 *				all links are written, the broker has taken all
 *				(or the heir gets what it has not), the courier
 *				has acknowledged all (or had HOOKS_YIELD);
 *				legacy_end, and yielded is said
 *	master: stop		exit, without a word to other hosts: we live on
 *
 * Each of these waits for YIELD_MOST at most.  What is not read of workers, or
 * not delivered then, they tell the heir again.
 *
 * A dump is walked like a snapshot (snapshot.h): cursors stand in the lists, who
 * takes a thing out of one moves them on (elder_skip_*()).  Of lists that grow
 * at their end (what is kept) nothing is told by changes before the cursor has
 * come to the end; all else may be told twice.
 *
 * If the heir is lost, everything goes on as if there had been none: what came
 * from the broker meanwhile was kept.
 *
 * Runs in: the router.  Part of: struct router.
 */
#ifndef PEAL_ROUTER_ELDER_H
#define PEAL_ROUTER_ELDER_H

#include "backplane/backplane.h"
#include "router/census_wire.h"

struct away;
struct cached;
struct census;
struct envelope;
struct event;
struct host;
struct ipc;
struct item;
struct kept;
struct peer;
struct route;
struct router;

#define YIELD_FLIGHTS	1200	/* ms: then nothing is waited for */
#define YIELD_MOST	2000	/* ms: then it ends in any case */
#define ELDER_QUEUE	(1u << 20)	/* octets of the dump that wait */
#define ELDER_QUEUE_MAX	(256u << 20)	/* of all: an heir that does not read */
#define ELDER_SLICE	2000	/* things told at a time */

enum elder_stage {
	ELDER_NONE,
	ELDER_WAITS,		/* for the heir to ask */
	ELDER_TELLS,
	ELDER_HAS_TOLD,
	ELDER_YIELDS,
	ELDER_WRITES,		/* frozen from here on */
	ELDER_ENDS,		/* legacy_end is on its way */
	ELDER_YIELDED
};

struct elder {
	enum elder_stage	 stage;
	struct ipc		*ipc;		/* to the heir, or NULL */
	struct ipc		*tell;		/* the same while it is to hear of
						   changes */
	bool			 lost;		/* ipc is to be freed */
	bool			 live;		/* the heir listens */
	/* Lanes of topics joined lately, and the number of our own envelope
	 * there that must come back first: what came before the heir listened
	 * is ours to take. */
	uint64_t		 late[LANES / 64];
	uint64_t		 awaited[LANES];
	unsigned		 n_awaited;
	bool			 anew;		/* others need a snapshot of ours */
	uint64_t		 since;		/* clock_ms() of yield */
	struct event		*timer;

	/* the dump */
	unsigned		 part;
	struct census		**censuses;	/* those at its start */
	uint32_t		 n_censuses, census;
	bool			 begun;		/* the cursor of this part */
	bool			 rests;		/* until the next turn */
	struct route		*route;
	struct cached		*cached;
	struct kept		*kept;
	struct host		*host;
	struct away		*row;
	struct item		*item;
	bool			 caches_told, rooms_told, rows_told;

	/* collected for one message */
	struct buf		 rows;
	struct wire_pen		 pen;
	uint64_t		 rows_of;	/* node */

	/* own envelopes that came back in this turn, by lane */
	uint64_t		 heard[LANES];
	bool			 heard_any;
};

/* The heir's link; takes the descriptor. */
void	elder_begin(struct router *, int fd);
void	elder_yield(struct router *);
/* Takes nothing from the broker any more and says nothing to other hosts. */
bool	elder_frozen(const struct router *);
/* Has this router an heir that knows all?  Then it ends in silence. */
bool	elder_yielded(const struct router *);
/* A new link to a worker. */
void	elder_peer(struct router *, struct peer *);
/* The end of a turn. */
void	elder_turn(struct router *);
void	elder_done(struct router *);

/* Where changes are told; NULL: nobody is to hear of them. */
struct buf *elder_out(const struct router *);

/* What changes.  Nothing if there is no heir. */
void	elder_topic(const struct route *, bool joined);
void	elder_user(struct router *, struct bytes app, struct bytes user,
	    bool online);
void	elder_watcher(struct router *, const struct peer *, uint64_t conn,
	    bool gone);
/* Another host has said this of itself / is lost by our judgement. */
void	elder_said(struct router *, const struct envelope *);
void	elder_lost(const struct host *);
/* An envelope came / of this publisher / a raw text. */
void	elder_heard(struct router *, const struct envelope *, unsigned lane);
void	elder_seen(const struct host *, unsigned lane, uint64_t number,
	    uint64_t origin, uint64_t serial);
void	elder_raw(struct router *, const struct topic *, struct bytes text);
/* Other hosts were told n of it / that rows are gone / nothing they can use. */
void	elder_row(struct router *, const struct item *, uint64_t n);
void	elder_gone(struct router *, struct bytes rows);
void	elder_anew(struct router *);

/* It goes out of its list. */
void	elder_skip_route(struct router *, const struct route *);
void	elder_skip_host(struct router *, const struct host *);
void	elder_skip_row(struct router *, const struct away *);
void	elder_skip_item(struct router *, const struct item *);

/* The same for both of them: a raw text. */
uint64_t legacy_hash(const struct router *, struct bytes text);

#endif
