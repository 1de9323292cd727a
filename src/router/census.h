/* SPDX-License-Identifier: MIT
 *
 * Everything known of one application, over all workers and hosts: its
 * channels, who is in them, who is signed in, how many connections it has.
 *
 * Each worker tells what it holds; what a worker told goes away with it.  So it
 * is with other hosts (host.h).
 *
 * Runs in: the router.  Owned by: the router's table.  Dies: with the router
 * (an application that is taken out of the settings may still have clients).
 */
#ifndef PEAL_CENSUS_H
#define PEAL_CENSUS_H

#include <sys/queue.h>

#include "common/hash.h"
#include "common/msg.h"
#include "router/item.h"

#define CENSUSES_MAX	100000		/* through other hosts' words */

struct load;
struct peer;
struct route;
struct router;

struct census {
	struct hash_link	 link;
	struct router		*router;
	struct bytes		 app;		/* its id; owned */
	struct hash		 routes;	/* channels by name */
	TAILQ_HEAD(, route)	 order;		/* and in order of age */
	struct hash		 users;		/* owned by users.c */
	struct item		 open, subscribed;	/* load.c */
	struct load		*loads;		/* owned by load.c */
	uint32_t		 n_loads;
	uint64_t		 max_connections;	/* 0: any number */
	bool			 limit_all_hosts;	/* that, for all */
	uint64_t		 max_members;
	unsigned		 hooks;		/* HOOKED_*: what webhooks want */
};

void	census_init(struct router *);
void	census_done(struct router *);
struct census *census_find(struct router *, struct bytes app);
/* Finds or makes. */
struct census *census_get(struct router *, struct bytes app);
/* For what another host holds: NULL if there is none, or no more are made. */
struct census *census_away(struct router *, struct bytes app, bool make);
/* Takes the applications' limits from new settings. */
void	census_settings(struct router *);

/* One message each: subscribers come and go. */
void	census_join(struct router *, struct peer *, const struct msg_join *);
void	census_leave(struct router *, struct peer *, const struct msg_leave *);
/* A worker is dead: all it had leaves. */
void	census_forget(struct router *, struct peer *);
/* All of them; good while none is added. */
struct census **census_all(struct router *, uint32_t *n);
/* Rosters to the workers of all channels that need one. */
void	census_rosters(struct router *);

#endif
