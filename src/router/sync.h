/* SPDX-License-Identifier: MIT
 *
 * The first moments of a router: until every live worker has told what it
 * holds, nothing is announced, and what would need the whole truth (messages,
 * queries, members who come and go, connections under a limit, sign-ins)
 * waits.  After
 * that each presence channel's list goes to its workers, which tell their
 * clients what differs from what they knew.
 *
 * With a backplane the other hosts must have told, too (hosts_awaited()).
 * Messages do not wait for that.
 *
 * Runs in: the router.  Part of: struct router.
 */
#ifndef PEAL_SYNC_H
#define PEAL_SYNC_H

#include <sys/queue.h>

#include "common/buf.h"

struct held;
struct peer;
struct router;

#define SYNC_TIMEOUT	5000	/* ms from go */

struct sync {
	bool			 on;		/* still waiting */
	bool			 told;		/* not for workers any more */
	bool			 going;		/* go has come */
	bool			 late;		/* members came after it */
	uint64_t		 expect;	/* workers */
	uint64_t		 settled;	/* have told all, or died */
	uint64_t		 deadline;	/* clock_ms() */
	TAILQ_HEAD(, held)	 held;		/* messages, in order */
};

void	sync_init(struct router *);
void	sync_done(struct router *);
void	sync_go(struct router *, uint64_t expect);
/* This worker has told all that it holds. */
void	sync_settled(struct router *, struct peer *);
/*
 * This worker has died, and is not waited for.  True: it is not to be buried yet,
 * as messages of it are held, which its clients believe to be on their way.
 */
bool	sync_keeps(struct router *, struct peer *);
/* This worker is buried: what else it said is not held any longer. */
void	sync_forget(struct router *, struct peer *);
/* Ends the wait if all have told, or if it has lasted too long. */
void	sync_turn(struct router *);
/* Keeps a message (a whole frame) until the wait is over. */
void	sync_hold(struct router *, struct peer *, unsigned type,
	    struct bytes frame);

#endif
