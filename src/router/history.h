/* SPDX-License-Identifier: MIT
 *
 * The last message of each cache channel.  It keeps its channel's route alive,
 * so that it is there for the first subscriber after a while without any.
 *
 * Kept in the order in which they came: the oldest is the first to expire and
 * the first to go when there is no more room.
 *
 * Runs in: the router.  Owned by: the router.  Dies: history_done().
 */
#ifndef PEAL_HISTORY_H
#define PEAL_HISTORY_H

#include <sys/queue.h>

#include "common/buf.h"

struct cached;
struct route;
struct router;

struct history {
	TAILQ_HEAD(, cached)	 order;		/* oldest first */
	uint64_t		 octets;	/* kept now */
	uint64_t		 ttl, size;	/* ms, octets: settings */
};

void	history_init(struct history *);
void	history_done(struct history *);
/* New limits; what is over them goes. */
void	history_limits(struct history *, uint64_t ttl, uint64_t size,
	    uint64_t now);
/* Is a channel of this name a cache channel? */
bool	is_cache_channel(struct bytes name);

/* Keeps it as the last message of the channel, in place of another. */
void	history_put(struct route *, struct bytes event, struct bytes data);
/* The same for ttl ms, if that is less than the settings give. */
void	history_put_for(struct route *, struct bytes event, struct bytes data,
	    uint64_t ttl);
/* The last message if there is one and it has not expired. */
bool	history_get(const struct route *, struct bytes *event,
	    struct bytes *data);
/* How long it will be kept; 0 if there is none. */
uint64_t history_ttl(const struct route *);
/* As it was kept by a router before this one, since then. */
void	history_inherit(struct route *, struct bytes event, struct bytes data,
	    uint64_t since);
/* Tells the heir some of what is kept (elder.h); true: that was all. */
bool	history_bequeath(struct router *);
/* Drops what has expired. */
void	history_purge(struct history *, uint64_t now);

#endif
