/* SPDX-License-Identifier: MIT
 *
 * Users who are signed in, over all workers and hosts, and who watches whom:
 * the first connection of a user makes him online, the last one that goes makes
 * him offline.
 *
 * A watcher is one connection with the list it gave at sign-in; each entry is
 * an edge to the user it watches, who may well be absent.
 *
 * Runs in: the router.  Owned by: its census.  Dies: a user with his last
 * connection and watcher, a watcher with its connection.
 */
#ifndef PEAL_USERS_H
#define PEAL_USERS_H

#include <sys/queue.h>

#include "common/hash.h"
#include "common/msg.h"
#include "router/tally.h"

struct census;
struct peer;
struct router;

void	users_init(struct census *);
void	users_done(struct census *);

/* A connection signed in / is gone.  Watchers are told. */
void	users_signin(struct census *, struct peer *, const struct msg_signin *);
void	users_signout(struct census *, struct peer *,
	    const struct msg_signout *);

/* A connection is another worker's now; false if the first had none of this
 * user. */
bool	users_move(struct census *, struct peer *from, struct peer *to,
	    const struct msg_moved *);
/* A connection that was signed in elsewhere: it is as if it signed in, but it
 * has heard how those on its list are. */
void	users_arrive(struct census *, struct peer *, const struct msg_moved *);

/* End of a turn: new watchers hear how those on their lists are.  True if some
 * wait for the next turn. */
bool	users_turn(struct router *);

/* Connections of other hosts that signed in as this user. */
uint64_t users_away(struct census *, struct bytes id);

/* A worker is dead: first its watchers, then its users in each census. */
void	users_forget_watchers(struct peer *);
void	users_forget(struct census *, struct peer *);

/* Tells the heir who is online / which watchers have heard how it is. */
void	users_bequeath(struct census *);
void	watchers_bequeath(struct router *);
/* Who came or went while one router followed another. */
void	users_announce(struct census *);

/* The table of watchers, in struct router. */
void	watchers_init(struct hash *);

#endif
