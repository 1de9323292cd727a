/* SPDX-License-Identifier: MIT
 *
 * What the courier is told, of which it makes webhooks: what becomes of channels
 * and members over all hosts, and what happens once (client events, misses of
 * caches, numbers of subscribers, connections).  Only what a [webhook] wants;
 * for an application without one it costs the test of a bit.
 *
 * The courier decides what is sent, when, and by which host.  So here is nothing
 * but facts, each with a serial that grows; one that is not acknowledged is kept,
 * and told again by the next link.
 *
 *	new link	hook_hosts, what was not acknowledged, then a roll (roll.h)
 *	a host comes or goes	hook_hosts
 *	overflow	states are forgotten, and a roll follows when there is room;
 *			events that find no room are dropped and counted
 *
 * Nothing is said before this router is in force and knows what there is
 * (sync.h), and nobody waits for the courier, but for HOOKS_YIELD when this
 * router is replaced, HOOKS_END when it ends, and HOOKS_ELDER when it has been
 * replaced and ends: in a reload the courier may be replaced too, and the next one
 * is linked to both.
 *
 * Runs in: the router.  Part of: struct router.  Dies: hooks_done().
 */
#ifndef PEAL_HOOKS_H
#define PEAL_HOOKS_H

#include <sys/queue.h>

#include "common/hooked.h"
#include "common/msg.h"
#include "router/roll.h"

#define HOOKS_QUEUE	(16u << 20)	/* octets not acknowledged */
#define HOOKS_WINDOW	(1u << 20)	/* octets that wait on the link */
#define HOOKS_LOST	8		/* hosts that fell silent, untold */
#define HOOKS_MISS	1000		/* ms between misses of a channel */
#define HOOKS_YIELD	250		/* ms: for the courier, when replaced */
#define HOOKS_END	1000		/* ms: the same at the end */
#define HOOKS_ELDER	4000		/* ms: at the end of one that was replaced;
					   the master waits for five seconds */

struct envelope;
struct hook;
struct host;
struct ipc;
struct member;
struct route;
struct router;

struct hooks {
	unsigned	 wanted;	/* HOOKED_* by any application */
	struct ipc	*ipc;		/* to the courier, or NULL */
	bool		 lost;		/* ipc is to be freed */
	bool		 greeted;	/* hosts were named on it */
	bool		 hosts_due;	/* to be named */
	uint64_t	 serial;	/* given out last */
	uint64_t	 sent;		/* on this link, the last */
	TAILQ_HEAD(, hook) queue;	/* not acknowledged */
	struct hook	*next;		/* the first not sent on this link */
	size_t		 octets;	/* of the queue */
	bool		 blind;		/* states were forgotten: a roll must
					   follow, and none is kept until then */
	bool		 full;		/* the last event was dropped */
	uint64_t	 ends;		/* clock_ms(): is waited for until then */
	struct roll	 roll;
	uint64_t	 silent[HOOKS_LOST];	/* nodes, untold */
	unsigned	 n_silent;
	struct buf	 pen;		/* one frame */
	struct buf	 text;		/* of a JSON string */
};

void	hooks_init(struct router *);
void	hooks_done(struct router *);
/* New settings are in force. */
void	hooks_settings(struct router *);
/* A courier's link; takes the descriptor.  The one before is dead. */
void	hooks_link(struct router *, int fd);
/* Before links are written.  True if the next turn must not wait. */
bool	hooks_turn(struct router *);

/* Has the courier taken all?  Or is there none, and nothing for it? */
bool	hooks_settled(const struct router *);
/* This router ends: has the courier been told all, or had its time? */
bool	hooks_ended(struct router *);
/* It is over: what nobody was told is counted. */
void	hooks_give_up(struct router *);

/* ---- facts ------------------------------------------------------------------ */

/* Something has become of a channel: state.h. */
void	hooks_channel(struct route *);
/* A member is new / about to be freed. */
void	hooks_member(struct route *, struct member *, bool present);
/* A worker has published this, and it is new. */
void	hooks_client(struct router *, const struct msg_publish *);
/* Somebody has subscribed to a cache channel of which nothing is kept. */
void	hooks_miss(struct route *);
/* A channel has so many subscribers now. */
void	hooks_count(struct route *, uint64_t count);
/* A connection of an application that has a webhook for that. */
void	hooks_connection(struct router *, const struct msg_connection *);
/* Another host says what has happened there (ENVELOPE_HOOK); -1: its payload is
 * wrong. */
int	hooks_heard(struct router *, const struct envelope *);
/* Hosts have come or gone; lost: this one fell silent, or NULL. */
void	hooks_hosts(struct router *, const struct host *lost);

/* Does a channel count as occupied?  One of its members may be known first. */
bool	hooks_occupied(const struct route *);
/* ---- for hooks_tell.c and roll.c -------------------------------------------- */

/* The frame in pen, with the serial given out last, is told; kept until it is
 * acknowledged.  state: a roll can replace it. */
void	hooks_put(struct router *, bool state);
/* Octets that the link has not written. */
uint64_t hooks_backlog(const struct router *);

#endif
