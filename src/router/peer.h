/* SPDX-License-Identifier: MIT
 *
 * The other end of a link: a worker (or the master, whose link has no part in
 * acknowledgements and pressure).
 *
 * Acknowledgements: at the end of a turn all that was routed in it is flushed.
 * A worker's publishes are acknowledged when they are not in flight on the
 * backplane (any more) and the kernel has taken what they caused on every other
 * link.  Its own link needs no such check, because the
 * acknowledgement comes behind the message there.
 *
 * Nobody waits for that of a client event: it goes with the next thing that the
 * worker is told, so that none is woken for it alone; but within a second, and
 * before much piles up.
 *
 * Runs in: the router.  Owns: its link.  Owned by: the router's list.  Dies:
 * peers_bury(), at the end of the turn in which it was lost.
 */
#ifndef PEAL_PEER_H
#define PEAL_PEER_H

#include <sys/queue.h>

#include "common/ipc.h"

struct router;
struct watcher;

#define PEERS_MAX	256	/* links at a time */
#define BATCHES_MAX	64	/* of a worker that wait for the kernel */

/* Publishes up to serial wait until these links have written so much. */
struct batch {
	TAILQ_ENTRY(batch)	 link;
	uint64_t		 serial;
	unsigned		 n;
	struct {
		struct peer	*peer;
		uint64_t	 need;
	} at[];
};

struct peer {
	struct router		*router;
	struct ipc		*ipc;
	TAILQ_ENTRY(peer)	 link;
	LIST_HEAD(, watcher)	 watchers;	/* owned by users.c */
	TAILQ_HEAD(batch_list, batch) batches;
	unsigned		 n_batches;
	unsigned		 index;		/* in router->by_index */
	uint64_t		 slot, generation;
	uint64_t		 version;	/* MSG_VERSION, as it said hello */
	uint64_t		 origin;	/* its name in deliver */
	uint64_t		 highest;	/* last serial taken */
	uint64_t		 settled;	/* all up to it are delivered */
	/* The numbers of its oldest and newest message in flight; 0: none. */
	uint64_t		 first_flight, last_flight;
	uint64_t		 batched;	/* last one due or stored */
	uint64_t		 due;		/* may be acknowledged */
	uint64_t		 acked;		/* and was */
	uint64_t		 awaited;	/* somebody waits for all up to it */
	uint64_t		 unawaited;	/* octets since then, or since all
						   was acknowledged; about */
	uint64_t		 mark;		/* queued when the turn ends */
	size_t			 last_words;	/* held, and good when it is dead */
	/* Links that what is not batched yet was put on, without its own. */
	uint64_t		 touched[PEERS_MAX / 64];
	bool			 hello, synced;
	bool			 full;		/* its queue is over the mark */
	bool			 stalled;	/* the master was told */
	bool			 gone;		/* to be buried */
	bool			 master;
};

/* A new worker; takes the descriptor.  NULL if there are too many. */
struct peer *peer_new(struct router *, int fd, uint64_t slot,
	    uint64_t generation);
/* The master's link. */
struct peer *peer_master(struct router *, int fd);
void	peer_free(struct peer *);

/* It broke the protocol: ends the link at the end of the turn. */
void	peer_refuse(struct peer *, const char *why);

/* A publish of `from` was put on the link of `to`. */
static inline void
peer_touch(struct peer *from, const struct peer *to)
{
	if (from != NULL && from != to)
		from->touched[to->index / 64] |= 1ull << to->index % 64;
}

/* A worker published this; may its client wait for the acknowledgement? */
void	peer_published(struct peer *, const struct msg_publish *);
/* It said something else that is acknowledged, and that nobody waits for. */
void	peer_unawaited(struct peer *, size_t octets);
/* Somebody waits for that of all that it has published so far. */
static inline void
peer_hurry(struct peer *p)
{
	p->awaited = p->highest;
	p->unawaited = 0;
}

/* Octets that the kernel has not taken yet. */
static inline uint64_t
peer_backlog(const struct peer *p)
{
	return ipc_queued(p->ipc) - ipc_written(p->ipc);
}

/* Has the kernel taken all that is for it, and what it published for others? */
bool	peer_written(const struct peer *);
/* A router before this one has delivered what it published, up to there. */
void	peer_inherit(struct peer *, uint64_t serial);

/* Reads what all links have now. */
void	peers_read(struct router *);
/* The same if one was lost: where its connections are now, others may have said
 * before it ended. */
void	peers_last_words(struct router *);
/* Everything that lost workers held leaves. */
void	peers_bury(struct router *);
/* Writes all links and the acknowledgements that are due and awaited.  True if
 * more of them are due already. */
bool	peers_flush(struct router *);
/* Once a second: acknowledgements that nobody waits for, and to the master which
 * workers do not drain their queue. */
void	peers_watch(struct router *);
/* All of them get it. */
void	peers_cast(struct router *, struct bytes frame);

#endif
