/* SPDX-License-Identifier: MIT
 *
 * A [webhook] section: what it wants, what waits for it, how it does.
 *
 * Events of a target leave in the order in which they came.  One request is under
 * way at a time; what it carries, its time_ms and its X-Peal-Delivery are settled
 * when it is made and stay the same however often it is tried, also by another
 * courier.  After a failure there is a pause, twice as long each time; after
 * TARGET_OPEN_AFTER failures in a row the target counts as dead (open): others go
 * before it, and half of [courier] max_requests is theirs at least; but one of
 * those that fail is always tried, if more than one request may be under way.  Another
 * url ends a pause.  What was not taken for [webhook] retry_for is dropped
 * and counted.
 *
 *	IDLE	nothing waits
 *	WAITING	until a time: a pause, or for others to come along (batch_wait)
 *	READY	to be sent as soon as fewer than max_requests are under way
 *	BUSY	a request is under way
 *
 * For the master, each second in which something has changed (hook_report):
 *
 *	{"target":"LABEL","app":"1001","url":"https://host/path","state":"ok",
 *	"queued":N,"octets":N,"delivered":N,"requests":N,"refused":N,"dropped":N,
 *	"expired":N,"last_status":200,"last_error":"","last_ok":MS,"next_try":MS}
 *
 * state: ok, failing or open.  url is without query.  queued, delivered, dropped
 * and expired are events; requests and refused are requests; all but queued and
 * octets count from this courier's start.  last_ok and next_try are milliseconds
 * since 1970, 0 for never and none.
 *
 * Runs in: the courier.  Owned by: the courier.  Owns: its queue.  Dies: with its
 * section, or targets_done().
 */
#ifndef PEAL_COURIER_TARGET_H
#define PEAL_COURIER_TARGET_H

#include <sys/queue.h>

#include "common/config.h"
#include "common/hash.h"

#define TARGET_OPEN_AFTER	5
#define TARGET_PAUSE_FIRST	1000	/* ms; with chance, from 3/4 of it on */
#define TARGET_PAUSE_MAX	60000
#define TARGET_BODY_MAX		(1u << 20)	/* of a request with several */
#define TARGET_ITEM_COST	128	/* octets that an event costs beside text */
#define TARGET_ID		32	/* characters of X-Peal-Delivery */

struct courier;
struct event;
struct text;
struct transfer;

struct queued {
	TAILQ_ENTRY(queued) link;
	struct hash_link  hash;		/* of counts, by channel */
	struct text	 *text;
	uint64_t	  since;	/* clock_ms() when it came, to this courier */
	bool		  is_count;
};

enum target_state { TARGET_IDLE, TARGET_WAITING, TARGET_READY, TARGET_BUSY };

struct target {
	TAILQ_ENTRY(target) link;
	TAILQ_ENTRY(target) ready;	/* READY: among those that are */
	TAILQ_ENTRY(target) starting;
	struct hash_link hash;		/* by name */
	LIST_ENTRY(target) of_app;
	struct courier	*courier;
	/* Label, a NUL, application: what waits for one application is not another's
	 * if the section changes hands. */
	struct bytes	 name;
	const char	*label;		/* its beginning */
	/* Of the settings, NULL where the journal alone knows the target: */
	const struct config_webhook *set;
	const struct config_webhook *before;	/* in targets_settings() */
	struct bytes	 app, key, secret;
	unsigned	 wants;		/* 1 << EVENT_* */

	TAILQ_HEAD(, queued) items;
	uint64_t	 n, octets;
	struct hash	 counts;	/* that no request has */

	enum target_state state;
	struct event	*timer;
	uint64_t	 at;		/* WAITING: until then */

	/* The request that is made, under way or to be tried again: the first
	 * n_request items. */
	uint64_t	 n_request;
	uint64_t	 time_ms;
	char		 id[TARGET_ID + 1];
	struct buf	 body;
	struct transfer	*transfer;

	unsigned	 failures;	/* in a row */
	uint64_t	 failing_since, next_try;
	bool		 ready_failing;	/* READY or BUSY: as one that fails */
	bool		 full;		/* it was said that the queue is full */
	bool		 changed;	/* since it was reported */
	uint64_t	 delivered, requests, refused, dropped, expired;
	unsigned	 last_status;
	char		 last_error[200];
	uint64_t	 last_ok, next_ms;	/* since 1970 */
};

TAILQ_HEAD(target_list, target);

struct targets {
	struct target_list all;
	struct target_list ready, ready_failing, starting;
	struct hash	 by_name, by_app;
	unsigned	 busy, busy_failing;
	uint64_t	 n, octets;	/* of all queues */
	bool		 stopped;	/* no more requests are begun */
	bool		 hasty;		/* nobody waits for others to come along */
};

void	targets_init(struct targets *);
void	targets_done(struct courier *);

/* New settings: targets are matched by name. */
void	targets_settings(struct courier *, const struct config *);
/* The journal is read, too: who is in no settings is dropped with what waits. */
void	targets_settled(struct courier *);
/* What an application's targets want, as 1 << EVENT_*. */
unsigned targets_want(struct courier *, struct bytes app);
/* Each application that has targets. */
void	targets_each_app(struct courier *, void (*app)(void *ctx,
	    struct bytes id), void *ctx);
/* Is there one that wants this of the application (all targets of it are walked,
 * from NULL on)? */
struct target *targets_next(struct courier *, struct bytes app, unsigned kind,
	    struct bytes channel, struct target *after);

/* An event of n octets comes for it: counts as taken, unless it takes the place of
 * a count that waits.  Is there room?  If not it counts as dropped. */
bool	target_room(struct target *, unsigned kind, struct bytes channel,
	    size_t n);
/* Puts it into the queue; takes a reference.  A count takes the place of one
 * of its channel that no request has. */
void	target_push(struct target *, struct text *);

/* Makes requests of what is ready (records go into the journal), */
void	targets_turn(struct courier *);
/* and, when the journal is written, sends them. */
void	targets_send(struct courier *);
/* Each second: reports; times are looked at once more. */
void	targets_tick(struct courier *);
/* No new requests from here on. */
void	targets_stop(struct courier *);
/* Batches need not wait any more. */
void	targets_hurry(struct courier *);
/* Does anything wait for a target that is not dead? */
bool	targets_hopeful(const struct targets *);

/* What is to be done with it now? */
void	target_look(struct target *);
struct target *target_new(struct courier *, struct bytes name);
void	target_free(struct target *);

/* From the journal: */
struct target *target_get(struct courier *, struct bytes name);
void	target_kept_request(struct target *, struct bytes id, uint64_t time_ms,
	    uint64_t n);
void	target_kept_done(struct target *, uint64_t n);
void	target_kept_gone(struct courier *, struct bytes name);

#endif
