/* SPDX-License-Identifier: MIT
 *
 * The Redis driver from inside.
 *
 *	redis.c		the verbs
 *	redis_health.c	whether all is up
 *	redis_settings.c  what the settings say
 *	redis_node.c	one Redis: a link to publish and one to subscribe
 *	redis_link.c	one connection		redis_dial.c	making it
 *	redis_sign.c	the first words
 *	redis_reply.c	what comes in, bounded
 *	redis_outbox.c	what goes out, until it is answered
 *	redis_topics.c	what is listened to
 *	redis_fixed.c	finder: the address in the settings
 *	redis_sentinel.c, redis_cluster.c	finders
 *
 * A finder knows where nodes are.  Standalone and Sentinel have one node that
 * serves all lanes; a cluster has one for each master.  The map lane -> node is
 * changed by redis_lane_set() only: with the lane go its topics and what waits
 * in the outbox.
 *
 * Runs in: the router.  Owned by: the router (backplane.h).
 */
#ifndef PEAL_REDIS_H
#define PEAL_REDIS_H

#include <sys/queue.h>

#include "backplane/backplane.h"
#include "backplane/redis_link.h"
#include "backplane/redis_outbox.h"
#include "backplane/redis_settings.h"
#include "backplane/redis_topics.h"

struct event;
struct redis;
struct redis_node;

struct redis_finder {
	const char	*name;		/* "", "sentinel", "cluster" */
	bool		 sharded;	/* names have a lane's tag; SSUBSCRIBE */

	/* What the others get as self; NULL with why: settings that cannot
	 * be.  Before the jail. */
	void	*(*open)(struct redis *, const char **why);
	void	(*close)(void *self);
	/* Makes nodes (redis_node_new), gives them lanes and tells them where
	 * to go (redis_node_open), now or when it has found out. */
	void	(*start)(void *self);
	/* A link of the node failed or broke and waits for redis_node_open(),
	 * with the same place or another, now or later. */
	void	(*lost)(void *self, struct redis_node *, struct redis_link *,
		    const char *why);
	/* The node said of this lane that it is not (or not now) served there:
	 * MOVED, ASK, CLUSTERDOWN, TRYAGAIN to a command; the finder calls
	 * redis_lane_set() (with NULL if it does not know yet: commands wait),
	 * or leaves it: then they are sent there again in a moment.  lane is
	 * LANES if it is not known: the error to a SSUBSCRIBE.  error: the
	 * text after the dash.  NULL: pub/sub of the lane ended unasked. */
	void	(*moved)(void *self, struct redis_node *, unsigned lane,
		    const char *error);
	/* Every second.  May be NULL. */
	void	(*tick)(void *self);
	/* The hash tag of a lane.  Only if sharded. */
	struct bytes (*tag)(void *self, unsigned lane);
};

extern const struct redis_finder redis_fixed, redis_sentinel, redis_cluster;

struct redis_node {
	TAILQ_ENTRY(redis_node)	 link;
	struct redis		*redis;
	struct redis_place	 place;
	struct redis_link	*publish, *subscribe;
	struct redis_outbox	 outbox;
	struct redis_topic_list	 ask;		/* joins and leaves to send */
	bool			 refused;	/* a subscription was; ask again */
	bool			 was_up, gone;	/* gone: both links broke */
	uint64_t		 held_until_ms;	/* nothing is published */
	unsigned		 lanes;		/* how many it serves */
};

/* What is logged at most every ten seconds. */
enum redis_complaints {
	COMPLAIN_DROPPED, COMPLAIN_REFUSED, COMPLAIN_KEEPS,
	COMPLAIN_SUBSCRIBE, COMPLAINTS
};
struct redis_complaint {
	uint64_t	said_ms, unsaid;
};

TAILQ_HEAD(redis_nodes, redis_node);
TAILQ_HEAD(redis_links, redis_link);

struct redis {
	struct event_base	*base;
	const struct backplane_up *up;
	void			*ctx;
	struct redis_settings	 settings;
	const struct redis_finder *finder;
	void			*finding;	/* the finder's self */

	struct redis_links	 links;		/* all, also a finder's own */
	uint64_t		 last_cookie;	/* of resolve */
	struct redis_nodes	 nodes;
	struct redis_node	*lane[LANES];
	uint64_t		 held_ms[LANES];	/* until then; or 0 */
	struct event		*held;
	struct redis_outbox	 limbo;		/* of lanes without a node, or held */
	struct redis_backlog	 backlog;
	bool			 adopted;	/* some of it */
	struct redis_topics	 topics;

	bool			 told_up;	/* up() was the last word */
	bool			 connected;	/* all nodes are up */
	uint64_t		 connected_ms, since_ms;
	struct event		*second, *soon;
	char			 why[300];	/* of the last failure */
	struct redis_complaint	 complaint[COMPLAINTS];
};

/* ---- nodes and lanes ------------------------------------------------------ */

struct redis_node *redis_node_new(struct redis *);
/* Its lanes are without a node then. */
void	redis_node_free(struct redis_node *);
/* (Re)opens those of its links that are not up, or all if the place is new. */
void	redis_node_open(struct redis_node *, const struct redis_place *);
/* Both links are up. */
bool	redis_node_up(const struct redis_node *);
/* node NULL: not known where.  gap() for its joined topics, which are
 * subscribed anew there; what waits in the outbox goes along, in order. */
void	redis_lane_set(struct redis *, unsigned lane, struct redis_node *);
/* What is to be published waits for so long: after a change that all hosts learn
 * of, those that are quick would speak to nobody. */
void	redis_lane_hold(struct redis *, unsigned lane, unsigned ms);
/* Where what is to be published on a lane waits. */
struct redis_outbox *redis_lane_outbox(struct redis *, unsigned lane);
/* Of the timer: those that were held long enough. */
void	redis_lanes_release(struct redis *);

/* ---- whether all is up (redis_health.c) ----------------------------------- */

/* A link of a node went up, a topic was joined, lanes were set: are we up? */
void	redis_health_check(struct redis *);
/* Something broke: down(), if that is news, and a line in the log. */
void	redis_health_down(struct redis *, const char *where, const char *why);
/* A finder cannot find anything: why nothing is up. */
void	redis_say_why(struct redis *, const char *why);
void	redis_health_tick(struct redis *, uint64_t now_ms);
void	redis_complain(struct redis *, enum redis_complaints, const char *why);
/* "redis://10.0.0.1:6379 (sentinel)", good until the next call. */
const char *redis_broker(const struct redis *);
/* The router has to be told something, from the loop. */
void	redis_soon(struct redis *);

#endif
