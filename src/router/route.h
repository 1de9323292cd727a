/* SPDX-License-Identifier: MIT
 *
 * A channel as the router sees it: which workers have subscribers, where it
 * stands, what is kept of it.
 *
 * A route exists while it has a subscriber on any host, a worker that expects
 * some (JOIN_HEIR: it hears all that those with subscribers hear, and counts for
 * nothing), a cached message or a room's history.  Its position starts with a
 * new epoch each time it is made.
 *
 * Runs in: the router.  Owned by: its census.  Dies: route_release().
 */
#ifndef PEAL_ROUTE_H
#define PEAL_ROUTE_H

#include <sys/queue.h>

#include "backplane/backplane.h"
#include "common/hash.h"
#include "common/msg.h"
#include "router/pending.h"
#include "router/item.h"
#include "router/tally.h"

struct cached;
struct census;
struct counting;
struct members;
struct peer;
struct replay;

#define LEGACY_HELD	1	/* the elder told of it: heir.h */
#define LEGACY_TOPIC	2	/* we listen to it, as the elder did */

struct route {
	struct hash_link	 link;
	TAILQ_ENTRY(route)	 order;		/* in its census */
	struct census		*census;
	struct tally		 subs;		/* of this host */
	struct tally		 heirs;		/* expecting workers, 1 each */
	struct item		 item;
	struct members		*members;	/* presence channels */
	struct cached		*cached;	/* the last message */
	struct replay		*replay;	/* the last ones of a room */
	struct counting		*counting;	/* where counts are pushed */
	uint64_t		 epoch, offset;	/* of the last message */
	uint64_t		 flown;		/* last one put in flight */
	bool			 joined;	/* the backplane listens */
	bool			 hooked;	/* the courier was told that it is
						   occupied */
	uint8_t			 legacy;	/* LEGACY_*, until all workers
						   have told */
	struct pending_list	 waiting;	/* for that: pending.c */
	uint64_t		 fetch;		/* cookie of the one under way */
	uint64_t		 known;		/* the cached message is the last
						   one since this reach->era */
	uint64_t		 missed;	/* clock_ms() of the last cache_miss */
	uint16_t		 name_n;
	char			 name[];
};

static inline struct bytes
route_name(const struct route *t)
{
	return (struct bytes){ t->name, t->name_n };
}

struct route *route_find(struct census *, struct bytes name);
/* Finds or makes. */
struct route *route_get(struct census *, struct bytes name);
/* Frees it if nothing holds it any more. */
void	route_release(struct route *);

/* n subscribers of a worker more; true if they are its first. */
bool	route_add(struct route *, struct peer *, uint64_t n);
/* n fewer, at most; how many it were.  The route stays until released. */
uint64_t route_take(struct route *, struct peer *, uint64_t n);

/* A subscriber that counted for a worker counts for another; false if the first
 * had none. */
bool	route_move(struct route *, struct peer *from, struct peer *to);
/* A worker expects subscribers / does not any more (false: it did not). */
void	route_expect(struct route *, struct peer *);
bool	route_expect_no_more(struct route *, struct peer *);

/* Does a worker hear of it? */
static inline bool
route_heard(const struct route *t)
{
	return t->subs.n > 0 || t->heirs.n > 0;
}
bool	route_heard_by(const struct route *, const struct peer *);
/* Does this host want to hear of it? */
static inline bool
route_wanted(const struct route *t)
{
	return route_heard(t) || t->replay != NULL ||
	    (t->legacy & LEGACY_TOPIC) != 0;
}
/* Not any more. */
void	route_leave(struct route *);

/* The workers that hear of it, each once, without this one (or NULL): start with
 * *pos = 0; NULL ends. */
struct peer *route_next(const struct route *, const struct peer *without,
	    uint32_t *pos);
/* All of them get it. */
void	route_cast(struct route *, struct bytes frame);

/* What the backplane calls it. */
struct topic route_topic(const struct route *);
/* Subscribers on all workers of all hosts. */
uint64_t route_count(const struct route *);

#endif
