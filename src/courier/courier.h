/* SPDX-License-Identifier: MIT
 *
 * The courier process: all HTTP that this host sends by itself, which is webhooks.
 * A slow or hostile target stops nobody: nothing waits for the courier.
 *
 *	router --hook_state, hook_event--> facts, misses: is it news?
 *	    -> choice: is it ours to say?  -> the queues of targets  -> http
 *
 * Whatever counts is in the journal before the router is told so (hook_ack) and
 * before it is sent: a courier that is killed is replaced by one that goes on where
 * it was.  At the end of a turn, in this order: requests are made of what waits,
 * the journal is written, the router is answered, requests are sent.
 *
 * Stop with no time given (a reload): what is under way may end, for two seconds;
 * all else stays in the journal for the next courier.  With time, and a journal
 * that ends with the service: what is held back is announced, and delivered as far
 * as time goes.
 *
 * Runs in: the courier; there is one per process.
 */
#ifndef PEAL_COURIER_H
#define PEAL_COURIER_H

#include "common/config.h"
#include "courier/address.h"
#include "courier/choice.h"
#include "courier/said.h"
#include "courier/journal.h"
#include "courier/link.h"
#include "courier/miss.h"
#include "courier/name.h"
#include "courier/target.h"

#define COURIER_END_MS	2000	/* for requests under way */

struct event_base;
struct http;

struct courier {
	struct event_base *base;
	struct event	*second, *wake;
	struct config	*config;
	uint64_t	 now;		/* clock_ms() of this turn */
	bool		 going;		/* go was said */
	bool		 stopping;
	bool		 deliver;	/* and delivers what it can */
	bool		 done;
	uint64_t	 last_moment;
	struct link	*master;
	struct link_list routers;
	bool		 reading;	/* the journal: nothing is put into it */
	bool		 held;		/* routers are not read */
	uint64_t	 epoch, serial;	/* taken so far, of this router */
	bool		 moved;		/* and not in the journal yet */
	struct said	 said;
	struct misses	 misses;
	struct choice	 choice;
	struct targets	 targets;
	struct journal	 journal;
	uint64_t	 rewrite;	/* not before, if it cannot be written */
	struct names	 names;
	struct address_rules rules;
	struct http	*http;
	struct buf	 authorities;	/* PEM */
	struct buf	 scratch, text;
	struct target	**to;		/* of the event being said */
	size_t		 cap_to;
};

/* Everything from descriptor 3 on; returns the exit status. */
int	courier_main(void);

/* For tests: a courier on a loop, with its link to the master. */
struct courier *courier_new(struct event_base *, int master_fd);
void	courier_free(struct courier *);
/* What is to be done behind each turn of the loop; true: at once again. */
bool	courier_turn(struct courier *);
void	courier_tick(struct courier *);
/* The link to the master is at its end. */
void	courier_orphaned(struct courier *);

#endif
