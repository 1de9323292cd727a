/* SPDX-License-Identifier: MIT
 *
 * The last messages of rooms, for clients that come back and name the last one
 * they have heard (JOIN_REPLAY).
 *
 * Kept of a room from the first such client on, as many and as long as its
 * section says, and all together within router.cache_size, beside the cached
 * messages of cache channels; the oldest go first.  A room that its last client
 * of this host leaves goes on listening for history_ttl, so that who comes back
 * in time has missed nothing; then it is forgotten, and its next position has a
 * new epoch.
 *
 * Runs in: the router.  Owned by: the router.  Dies: replays_done().
 */
#ifndef PEAL_REPLAY_H
#define PEAL_REPLAY_H

#include <sys/queue.h>

#include "common/msg.h"

struct kept;
struct peer;
struct replay;
struct route;
struct router;

struct replays {
	TAILQ_HEAD(, kept)	 order;		/* messages, oldest first */
	TAILQ_HEAD(deserted_list, replay) deserted;	/* rooms, in that order */
	uint64_t		 octets;	/* kept now */
};

void	replays_init(struct replays *);
void	replays_done(struct router *);
/* Each second: drops what is too old or too much. */
void	replays_tick(struct router *);

/* Somebody wants to come back to this channel; keeps what comes from now on, if
 * it is a room with a history. */
void	replay_want(struct route *);
/* A message that was just numbered. */
void	replay_put(struct route *, const struct msg_publish *);
/* What is kept of it behind this position, for the join with this cookie. */
void	replay_send(const struct route *, struct peer *, uint64_t cookie,
	    uint64_t epoch, uint64_t offset);

/* As it was with a router before this one: where the room stands, since when it
 * is deserted (0: it is not) / a message of it / it is not kept any more.  The
 * route stays until released. */
void	replay_inherit(struct route *, uint64_t epoch, uint64_t offset,
	    uint64_t left);
void	replay_inherit_kept(struct route *, const struct msg_legacy_kept *);
void	replay_disinherit(struct route *);
/* All positions begin a new epoch, and nothing is kept. */
void	replays_anew(struct router *);
/* Tells the heir of a room / some of what is kept; true: that was all. */
void	replay_bequeath(const struct route *);
bool	replays_bequeath(struct router *);

/* The last subscriber has left: true if the route goes on listening. */
bool	replay_lingers(struct route *);
/* The first one is there: true if the route did. */
bool	replay_resumes(struct route *);

#endif
