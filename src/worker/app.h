/* SPDX-License-Identifier: MIT
 *
 * Applications: who may connect with which key, from which origin, how often.
 *
 * Runs in: workers.  Owned by: the table of apps.  Lives as long as its settings
 * name it and a client is connected.
 */
#ifndef PEAL_APP_H
#define PEAL_APP_H

#include "common/config.h"
#include "common/counters.h"
#include "common/hash.h"
#include "common/msg.h"

#define APP_WAYS	6	/* in: the API and front doors, see usage.h */

struct app {
	struct hash_link	 link;		/* by id */
	const struct config_app	*set;		/* its settings */
	struct bytes		 id;
	struct hash		 channels;	/* of struct channel */
	uint32_t		 open;		/* established connections */
	uint32_t		 subscribed;	/* those with a subscription */
	uint32_t		 granted;	/* grants read on this router link */
	uint64_t		 came, went;	/* handed over, see msg load; on this
						   router link */
	uint64_t		 came_subscribed, went_subscribed;
	unsigned		 hooks;		/* HOOKED_*: what webhooks want */
	unsigned		 tailed;	/* and what somebody tails */
	bool			 load_changed;	/* the router is to be told */
	struct app		*next_changed;
	struct usage		 usage[APP_WAYS];	/* since the start */
	struct usage		 told[APP_WAYS];	/* to the master */
};

/*
 * Makes the table from the settings, which must outlive it.  Called again with
 * new settings, apps are matched by id: channels and clients live on.  An app
 * that is named no more is no longer found, but stays for its clients, and so
 * must its settings.
 */
void	apps_init(const struct config *);
struct app *app_by_key(struct bytes key);
struct app *app_by_id(struct bytes id);
/* Does this key belong to this app? */
bool	app_has_key(const struct app *, struct bytes key);
/* Does an app still have its settings from there? */
bool	apps_use(const struct config *);
/* The router says who is tailed; NULL: nobody any more. */
void	apps_tailed(const struct msg_tailed *);
/* Walks all: start with 0; NULL ends. */
struct app *app_next(size_t *pos);

/*
 * May a page of this Origin connect (reverb.md b.3)?  has_origin false: no
 * header was sent.  Hosts are compared in lower case; *.host matches any depth
 * below it.
 */
bool	app_origin_allowed(const struct app *, bool has_origin,
	    struct bytes origin);
/* The same by another list of hosts. */
bool	origin_allowed(const struct config_strings *, bool has_origin,
	    struct bytes origin);
/* Is the Origin of the host that a Host header names?  Ports do not count: a
 * proxy may have left its own out. */
bool	origin_same_host(struct bytes origin, struct bytes host);
/* Octets of one message of a client; never 0. */
size_t	app_max_message(const struct app *);

#endif
