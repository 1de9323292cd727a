/* SPDX-License-Identifier: MIT
 *
 * What is announced: which channels are occupied and who is a member of a presence
 * channel, as webhooks were told.  A fact is a channel (user empty) or a member.
 *
 *	told by the router	was here	
 *	it is there		no		announce it
 *				held		silence: it is back
 *	it is gone		yes		hold it; announce that after
 *						[courier] hold_back
 *
 * A roll is the router's word for all that is there: what it does not name is
 * gone.  So it does not matter what was missed while a router or a courier was not
 * there; until the first roll on a link is at its end nothing that is held is
 * announced.  Of an application that no roll has told of yet it is taken silently:
 * nothing has changed, we only come to know it.
 *
 * Runs in: the courier.  Owned by: the courier.  Owns: its facts.  Dies:
 * said_done().
 */
#ifndef PEAL_COURIER_SAID_H
#define PEAL_COURIER_SAID_H

#include <sys/queue.h>

#include "common/hash.h"

/* What is known of an application. */
#define SAID_CHANNELS	1u
#define SAID_MEMBERS	2u
#define SAID_APPS_MAX	100000	/* more are not remembered */

struct fact;

struct said_ops {
	/* Tell webhooks, and keep in the journal. */
	void	(*announce)(void *ctx, struct bytes app, struct bytes channel,
		    struct bytes user, bool present);
	/* Keep that it is there. */
	void	(*silent)(void *ctx, struct bytes app, struct bytes channel,
		    struct bytes user);
	/* Keep that these classes of an application are known from here on. */
	void	(*known)(void *ctx, struct bytes app, unsigned classes);
};

struct said {
	struct hash	 all;
	struct hash	 apps;		/* of which something is known */
	TAILQ_HEAD(, fact) held;	/* longest first */
	uint64_t	 roll;		/* number of the last one */
	bool		 rolling;
	bool		 settled;	/* a roll is at its end since the link */
	struct buf	 key;
	const struct said_ops *ops;
	void		*ctx;
};

void	said_init(struct said *, const struct said_ops *, void *ctx);
void	said_done(struct said *);

/* What the router says. */
void	said_state(struct said *, struct bytes app, struct bytes channel,
	    struct bytes user, bool present, uint64_t now);
void	said_roll_begin(struct said *);
/* False: its beginning was not heard, and it says nothing. */
bool	said_roll_end(struct said *, uint64_t now);
/* Its link is at its end. */
void	said_unsettle(struct said *);

/* All of these classes was told by now, also if there is nothing of it. */
void	said_know(struct said *, struct bytes app, unsigned classes);
/* Nobody wants these any more: they are dropped without a word. */
void	said_forget(struct said *, struct bytes app, unsigned classes);
/* The same for all that is not wanted; forgotten() for what there was. */
void	said_only(struct said *, unsigned (*wanted)(void *ctx,
	    struct bytes app), void (*forgotten)(void *ctx, struct bytes app,
	    unsigned classes), void *ctx);

/* Announces what has been held for so long; true: there is more at once. */
bool	said_expire(struct said *, uint64_t now, uint64_t hold_back);
/* clock_ms() when there is something to expire; 0: nothing is held. */
uint64_t said_due(const struct said *, uint64_t hold_back);

/* From the journal, and for it. */
void	said_keep(struct said *, struct bytes app, struct bytes channel,
	    struct bytes user, bool present);
void	said_each(struct said *, void (*fact)(void *ctx, struct bytes app,
	    struct bytes channel, struct bytes user),
	    void (*known)(void *ctx, struct bytes app, unsigned classes),
	    void *ctx);

#endif
