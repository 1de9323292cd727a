/* SPDX-License-Identifier: MIT
 *
 * A broker that the test plays, with several routers of this process as its
 * hosts.  Nothing moves but by the test's will: what a host publishes waits in
 * its outbox until port_take(), what it is to get in its inbox until
 * port_give().  Publishing and listening are two connections, as with Redis.
 *
 *	struct broker b = { 0 };
 *	struct rig *g = broker_rig(&b, "", 1);
 *	broker_run(&b);				all moves until nothing does
 */
#ifndef TESTS_ROUTER_BROKER_H
#define TESTS_ROUTER_BROKER_H

#include "driver.h"

#define PORTS	64

enum parcel_kind { PARCEL_MESSAGE, PARCEL_JOINED, PARCEL_JOIN, PARCEL_LEAVE, PARCEL_STORE,
	PARCEL_FETCH, PARCEL_FETCHED, PARCEL_TAKEN };

struct parcel {
	TAILQ_ENTRY(parcel)	 link;
	enum parcel_kind		 kind;
	char			*app, *channel;
	size_t			 app_n, channel_n;
	bool			 raw;
	char			*octets;
	size_t			 n;
	uint64_t		 cookie, ttl;
};
TAILQ_HEAD(parcels, parcel);

/* One host's connections. */
struct port {
	struct broker		*broker;
	struct rig		*rig;
	const struct backplane_up *upcalls;
	void			*ctx;
	bool			 up;
	struct parcels		 publish;	/* to the broker */
	struct parcels		 answered;	/* taken; may be sent again */
	struct parcels		 listen;	/* joins and leaves */
	struct parcels		 inbox;
	struct parcels		 wanted;	/* topics the driver is to join */
	struct parcels		 topics;	/* joined at the broker */
	bool			 deaf, mute;	/* broker_run() leaves it alone */
};

struct broker {
	struct port	ports[PORTS];
	unsigned	n;
	struct parcels	kept;
	uint64_t	taken;		/* messages that came */
	uint64_t	lost;		/* to a host that did not listen */
};

/* A host, up; node: who it is. */
struct rig *broker_rig(struct broker *, const char *ini, uint64_t node);
/* The one that is to follow another of the same host; its connections are
 * down yet. */
struct rig *broker_heir(struct broker *, const char *ini, struct rig *elder);
/* It is gone. */
void	broker_drop(struct broker *, struct rig *);
void	broker_done(struct broker *);
struct port *port_of(struct broker *, const struct rig *);

/* One step of one connection; false: nothing to do. */
bool	port_take(struct port *);	/* what it published, oldest */
bool	port_listen(struct port *);	/* its oldest join or leave */
bool	port_give(struct port *);	/* oldest of the inbox */
/* Its connections break; again: so many of those taken are sent again. */
void	port_down(struct port *, unsigned again);
void	port_up(struct port *);
/* Everything moves, and the routers turn, until nothing happens. */
void	broker_run(struct broker *);
/* The routers turn. */
void	broker_turn(struct broker *);
/* Octets come on a topic, from who knows where. */
void	port_hears(struct port *, struct bytes app, struct bytes channel,
	    struct bytes octets);

#endif
