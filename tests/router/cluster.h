/* SPDX-License-Identifier: MIT
 *
 * Several routers in this process, joined by a broker that the test plays: what
 * one publishes comes to all that listen, itself included, in one order.
 *
 *	struct cluster *c = cluster_new("");
 *	struct rig *a = cluster_host(c, 1, 0), *b = cluster_host(c, 2, 0);
 *	cluster_run(c);
 *	cluster_later(c, 6000);
 */
#ifndef TESTS_ROUTER_CLUSTER_H
#define TESTS_ROUTER_CLUSTER_H

#include "driver.h"

#define CLUSTER_MOST	8

struct line;

/* A host's connection to the broker. */
struct port {
	struct cluster			*cluster;
	struct rig			*rig;
	const struct backplane_up	*up;
	void				*ctx;
	bool				 started, connected;
	bool				 cut;	/* kept from connecting */
	bool				 frozen;
	char				**topics;	/* "app channel" */
	size_t				 n_topics, n_live;
};

struct cluster {
	const char	*ini;
	struct port	 ports[CLUSTER_MOST];
	size_t		 n;
	TAILQ_HEAD(, line) lines;	/* published, not delivered yet */
	uint64_t	 published[ENVELOPE_KINDS];
	/* Asked for each message and receiver; true: it is lost. */
	bool		 (*lose)(struct cluster *, const struct envelope *,
			    const struct port *to);
};

struct cluster *cluster_new(const char *ini);
void	cluster_free(struct cluster *);
/* A new host; its number is its node. */
struct rig *cluster_host(struct cluster *, uint64_t node, uint64_t generation);
/* Dies without a word; its place can be taken by another. */
void	cluster_kill(struct cluster *, struct rig *);
/* Loses the broker / gets it back. */
void	cluster_cut(struct cluster *, struct rig *);
void	cluster_mend(struct cluster *, struct rig *);
/* Stands still: neither hears nor turns.  Thawed, it gets all at once. */
void	cluster_freeze(struct cluster *, struct rig *, bool);
/* Until nothing happens any more. */
void	cluster_run(struct cluster *);
/* Time passes for all, in small steps. */
void	cluster_later(struct cluster *, uint64_t ms);
/* Somebody publishes octets on the hosts' topic. */
void	cluster_say(struct cluster *, struct bytes octets);

#endif
