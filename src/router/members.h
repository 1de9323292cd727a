/* SPDX-License-Identifier: MIT
 *
 * Who is in a presence channel, over all workers and hosts: each user once, in
 * the order in which they were first known here, with the object given then.
 *
 * Runs in: the router.  Owned by: its route.  Dies: with it.
 */
#ifndef PEAL_MEMBERS_H
#define PEAL_MEMBERS_H

#include <sys/queue.h>

#include "common/hash.h"
#include "common/msg.h"
#include "router/item.h"
#include "router/tally.h"

struct peer;
struct route;

struct member {
	struct hash_link	 link;
	TAILQ_ENTRY(member)	 order;
	struct route		*route;
	struct tally		 seats;		/* connections, by worker */
	struct item		 item;
	uint32_t		 user_n, object_n;
	bool			 hooked;	/* the courier knows him */
	char			 room[];	/* user, then object */
};

struct members {
	struct hash		 by_user;
	TAILQ_HEAD(, member)	 order;
	bool			 stale;		/* workers need the roster */
};

static inline struct bytes
member_user(const struct member *m)
{
	return (struct bytes){ m->room, m->user_n };
}

static inline struct bytes
member_object(const struct member *m)
{
	return (struct bytes){ m->room + m->user_n, m->object_n };
}

/* With all that are in them. */
void	members_free(struct route *);
uint32_t members_count(const struct members *);

/* A join of a presence channel, and its answer. */
void	members_join(struct route *, struct peer *, const struct msg_join *);
/* The same of a worker that expects subscribers. */
void	members_expect(struct route *, struct peer *, const struct msg_join *);
/* A seat changes workers; false if the first has none of this user. */
bool	members_move(struct route *, struct peer *from, struct peer *to,
	    struct bytes user);
/* A seat of somebody who was let in elsewhere. */
void	members_arrive(struct route *, struct peer *, struct bytes user,
	    struct bytes object);
struct member *members_find(const struct members *, struct bytes user);
/* Seats were taken from a member, and from the route: removes him and tells the
 * others if they were his last. */
void	members_left(struct route *, struct member *);
/* A worker is dead. */
void	members_forget(struct route *, struct peer *);
/* Tells all workers of a route who its members are. */
void	members_roster(struct route *);

#endif
