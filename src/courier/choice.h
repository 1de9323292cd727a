/* SPDX-License-Identifier: MIT
 *
 * Which of the hosts that a broker joins sends a webhook?  All of them know what
 * is announced; the one with the highest hash of node and channel says it, so one
 * channel's events come from one host, and few of them move when a host comes or
 * goes.
 *
 * What another host was to say in the ten seconds before it fell silent is
 * remembered until that is noticed: it may have died before it did, and who is
 * chosen in its place says it again.
 *
 * Runs in: the courier.  Owned by: the courier.  Owns: what is remembered.  Dies:
 * choice_done().
 */
#ifndef PEAL_COURIER_CHOICE_H
#define PEAL_COURIER_CHOICE_H

#include <sys/queue.h>

#include "common/buf.h"
#include "common/msg.h"

#define RECENT_MS	10000		/* before it fell silent */
#define RECENT_OCTETS	(16u << 20)	/* then the oldest is forgotten */

struct recent;

struct choice {
	uint64_t	 own;
	uint64_t	*nodes;		/* ours among them; none: we are alone */
	uint32_t	 n;
	TAILQ_HEAD(, recent) recent;	/* oldest first */
	size_t		 octets;
	uint64_t	 window;	/* ms it is remembered for */
};

/* What an announcement is about; kind: EVENT_* of body.h. */
struct notice {
	unsigned	 kind;
	struct bytes	 app, channel, user;
};

void	choice_init(struct choice *);
void	choice_done(struct choice *);
/* It takes so many ms, [backplane] host_timeout, to notice that a host is lost. */
void	choice_timeout(struct choice *, uint64_t ms);

/* nodes as in hook_hosts. */
void	choice_set(struct choice *, uint64_t own, const struct msg_list *nodes);
/* The node that sends what happens to a channel. */
uint64_t choice_choose(const struct choice *, struct bytes app,
	    struct bytes channel);
bool	choice_chosen(const struct choice *, struct bytes app,
	    struct bytes channel);
/* Are there others? */
static inline bool
choice_many(const struct choice *h)
{
	return h->n > 1;
}

/* Somebody else sends this. */
void	choice_remember(struct choice *, const struct notice *, uint64_t now);
/* A node fell silent and is among the nodes no more: say() for what it was to
 * send of late and is now ours. */
void	choice_lost(struct choice *, uint64_t node, uint64_t now,
	    void (*say)(void *ctx, const struct notice *), void *ctx);

#endif
