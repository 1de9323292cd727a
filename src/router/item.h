/* SPDX-License-Identifier: MIT
 *
 * One thing that every host counts for itself and adds up over all: the
 * subscribers of a channel, the connections of a member or of a signed-in user,
 * the connections of an application.  What is here is its owner's to know; the
 * item holds what other hosts have of it (away), and what we told them last.
 *
 * Runs in: the router.  Part of: a route, a member, a user, a census.  Dies:
 * with it, item_done().
 */
#ifndef PEAL_ITEM_H
#define PEAL_ITEM_H

#include <sys/queue.h>

#include "common/buf.h"

struct away;
struct host;
struct router;

enum item_kind {
	ITEM_CHANNEL = 1,	/* app, channel: subscriptions */
	ITEM_MEMBER,		/* app, channel, user, object: seats */
	ITEM_USER,		/* app, user: connections signed in */
	ITEM_OPEN,		/* app: connections */
	ITEM_SUBSCRIBED,	/* app: those with a subscription */
	ITEM_KINDS
};

/* What it is called everywhere; fields that its kind has not are empty. */
struct item_name {
	enum item_kind	 kind;
	struct bytes	 app, channel, user;
	struct bytes	 object;	/* of a member: JSON */
};

struct item {
	TAILQ_ENTRY(item)	 telling;	/* changed, or told: tell.h */
	struct away		*away;		/* by host */
	uint64_t		 away_n;	/* their sum */
	uint64_t		 told;		/* said of it last; 0: nothing */
	uint64_t		 told_at;	/* change number of that */
	enum item_kind		 kind;
	bool			 changed;	/* waits to be told */
};

TAILQ_HEAD(item_list, item);

/* What another host has of an item. */
struct away {
	TAILQ_ENTRY(away)	 of_host;	/* last told last */
	struct away		*next;		/* of the item */
	struct host		*host;
	struct item		*item;
	uint64_t		 n;		/* never 0 */
	uint64_t		 mark;		/* host's when it was told */
	uint32_t		 octets;	/* of its name */
};

/* What the owners of each kind do. */
struct item_ops {
	uint64_t	 (*here)(const struct item *);
	void		 (*name)(const struct item *, struct item_name *);
	/* The item of this name; with `make` one is made if there is none.
	 * NULL: there is none, or no room for more. */
	struct item	*(*find)(struct router *, const struct item_name *,
			    bool make);
	/* away_n was `before` until now.  May free the owner. */
	void		 (*turned)(struct router *, struct item *,
			    uint64_t before);
};

extern const struct item_ops route_item, member_item, user_item, open_item,
	    subscribed_item;

const struct item_ops *item_ops(enum item_kind);

void	item_init(struct item *, enum item_kind);
/* Its owner goes: what was told of it is taken back. */
void	item_done(struct router *, struct item *);

/* Another host says that it has n of what is called so.  -1: no room. */
int	item_set(struct host *, const struct item_name *, uint64_t n);
/* It has nothing of it any more. */
void	item_drop(struct away *);

#endif
