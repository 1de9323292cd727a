/* SPDX-License-Identifier: MIT
 *
 * Members of a presence channel as this worker knows them: a copy of the
 * router's list, in join order, kept right by its messages.  The router alone
 * decides who is a member.
 *
 * Runs in: workers.  Owned by: its channel.
 */
#ifndef PEAL_PRESENCE_H
#define PEAL_PRESENCE_H

#include <sys/queue.h>

#include "common/hash.h"
#include "common/msg.h"

struct channel;

#define PRESENCE_TEXTS	2	/* a front may need two lists of the members */
#define PRESENCE_KEEP	32	/* shorter lists are written anew each time */

struct member {
	struct hash_link	 link;
	TAILQ_ENTRY(member)	 order;
	uint32_t		 seen;		/* roster that named it last */
	uint32_t		 user_n, member_n;
	struct {			/* his part of presence.texts, if it */
		uint32_t	 at, n;	/* is written: a frame is no longer */
	} piece[PRESENCE_TEXTS];
	bool			 fresh;		/* to be announced with it */
	char			 room[];	/* user, then member */
};

struct presence {
	struct hash		 by_user;
	TAILQ_HEAD(, member)	 order;
	struct buf		 texts[PRESENCE_TEXTS];
	struct member		*unwritten;	/* first whose pieces are not in
						   them; NULL: all are */
	uint32_t		 gone;		/* at most: whose pieces are still
						   there */
	uint32_t		 roster;	/* number of the roster being read */
	uint32_t		 in_roster;
	bool			 known;		/* a whole roster has come */
};

static inline struct bytes
member_user(const struct member *m)
{
	return (struct bytes){ m->room, m->user_n };
}
/* The JSON object shown to others: {"user_id":...,"user_info":...}. */
static inline struct bytes
member_object(const struct member *m)
{
	return (struct bytes){ m->room + m->user_n, m->member_n };
}

struct presence *presence_new(void);
void	presence_free(struct presence *);
uint32_t presence_count(const struct presence *);

/* The object of a member, or empty bytes. */
struct bytes presence_object(struct presence *, struct bytes user);

/*
 * All members as a front writes them, in join order, for everybody who joins:
 * write() adds a piece of one member to each text, never nothing.  Pieces are
 * kept, so that a list of thousands is not written anew for each who comes;
 * there is one front that has members.  The texts are good until the next call.
 */
void	presence_texts(struct presence *,
	    void (*write)(const struct member *, struct buf *texts),
	    struct bytes texts[PRESENCE_TEXTS]);

/* What the router says; each calls the fronts' member() for subscribers. */
void	presence_on_member(const struct msg_member *);
void	presence_on_roster(const struct msg_roster *);
void	presence_on_added(const struct msg_member_added *);
void	presence_on_removed(const struct msg_member_removed *);

#endif
