/* SPDX-License-Identifier: MIT
 *
 * What brokers tell about where to go: addresses from Sentinels, from MOVED and
 * from CLUSTER SLOTS.  Only reading; nothing is done here.
 *
 * A host is taken as it is told, name or number, but never as the path of a
 * socket; where none is told it is the one that was asked.
 *
 * Runs in: the router.  Fuzzed: tests/fuzz/fuzz_redis_told.c.
 */
#ifndef PEAL_REDIS_TOLD_H
#define PEAL_REDIS_TOLD_H

#include "backplane/backplane.h"
#include "backplane/redis_link.h"

struct redisReply;

/* -1: they cannot be; *place is untouched then. */
int	redis_told_place(struct redis_place *, struct bytes host, uint64_t port);

/* Answer to SENTINEL get-master-addr-by-name: two texts.  -1: it is not. */
int	redis_told_master(struct redis_place *, const struct redisReply *);
/* The text of +switch-master: NAME OLD-HOST OLD-PORT HOST PORT.  -1 if it is
 * about another master than name, or is none. */
int	redis_told_switch(struct redis_place *, struct bytes text,
	    struct bytes name);

/* The text of an error: MOVED SLOT HOST:PORT; host may be empty (then it is
 * asked), and an IPv6 address has no brackets.  -1: it is not. */
int	redis_told_moved(struct redis_place *, unsigned *slot, struct bytes text,
	    const char *asked);

/* Of the text that CLUSTER INFO answers: cluster_current_epoch, or 0. */
uint64_t redis_told_epoch(struct bytes text);

/* Who serves which lane. */
#define REDIS_LAYOUT_PLACES	256

struct redis_layout {
	struct redis_place	place[REDIS_LAYOUT_PLACES];
	unsigned		masters, n;	/* masters first, then replicas */
	int			lane[LANES];	/* index in place, or -1 */
};

/* Answer to CLUSTER SLOTS.  Masters that serve no lane may be missing, and
 * what is too much.  -1: it is no such answer. */
int	redis_told_layout(struct redis_layout *, const struct redisReply *,
	    const char *asked);

#endif
