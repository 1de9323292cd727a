/* SPDX-License-Identifier: MIT
 *
 * The worker's side of the link to the router: what goes up, what waits for an
 * answer, and what is told again to a new router.
 *
 * A publish is kept in a bounded ring until the router has acknowledged it, and
 * sent again if the router was replaced meanwhile; so a router that is killed
 * loses nothing that the API answered with 200.
 *
 * Runs in: workers.  Owned by: the worker.
 */
#ifndef PEAL_UPLINK_H
#define PEAL_UPLINK_H

#include <sys/queue.h>

#include "common/ipc.h"
#include "common/msg.h"
#include "worker/app.h"

/* Somebody who waits for an acknowledgement.  Embedded; must be taken back with
 * waiter_cancel() if its owner dies first. */
struct waiter {
	TAILQ_ENTRY(waiter)	 link;
	uint64_t		 serial;
	void			(*done)(struct waiter *);
	bool			 armed;
};

/* Somebody who waits for rows.  The same holds. */
struct query {
	TAILQ_ENTRY(query)	 link;
	uint64_t		 cookie;
	unsigned		 kind;
	char			*app, *name;	/* kept, to ask a new router */
	void			(*row)(struct query *, const struct msg_row *);
	void			(*done)(struct query *);
	/* Asked again from the start: throw away the rows so far. */
	void			(*restart)(struct query *);
	bool			 armed;
};

/* The ring is full or the router is under pressure: let publishers wait (API:
 * api_wait.h; clients: they are not read). */
bool	uplink_full(void);
/* Octets in the ring. */
uint64_t uplink_unacknowledged(void);

/* Fills in the serial and sends.  Returns the serial. */
uint64_t uplink_publish(struct msg_publish *);
uint64_t uplink_kick(struct bytes app, struct bytes user);
/* The same for a connection that has begun or ended, for webhooks. */
void	uplink_connection(struct msg_connection *);
/* done() when everything up to serial is acknowledged. */
void	waiter_arm(struct waiter *, uint64_t serial);
void	waiter_cancel(struct waiter *);

void	query_send(struct query *, unsigned kind, struct bytes app,
	    struct bytes name);
void	query_cancel(struct query *);

/* Counts of an app changed; told at the end of the turn. */
void	uplink_load(struct app *);

/* The link itself; NULL while the router is being replaced: what would be sent
 * then is state, and resync tells it. */
struct ipc *uplink(void);

/* ---- for a hand-over (handover.h) ------------------------------------------ */

/* Asks the router for a mark: handover_on_marked() follows. */
void	uplink_mark(uint64_t cookie);
/* Nothing of ours waits for an acknowledgement, an answer or the kernel. */
bool	uplink_settled(void);

struct client;
/* Where a client was before: its elder, the conn's number there, and the epoch
 * that its record was packed under. */
struct uplink_elder {
	uint64_t	 slot, generation, was, epoch;
};

/*
 * The heir's side, two steps.  came: thaw has made it and adopted its channels
 * (established is set as it was); it is among the app's counts from here on.
 * moved: it is taken; the router is told, and until then nothing of the client
 * is told to a new router either.  A client that goes in between (refused after
 * all) must be given back with uplink_went() and channel_let_go_all(), not
 * client_release(): the elder has it.
 */
void	uplink_came(struct client *, const struct uplink_elder *);
void	uplink_moved(struct client *);
/* This elder has read which ones were taken so far (it begins another slice), or
 * is gone: a new router is told of them as of any other client. */
void	uplink_known(uint64_t slot, uint64_t generation);
/*
 * The elder's side.  went: a client that is elsewhere now is not among the
 * app's counts any more; comes before channel_let_go_all(), and marks it as not
 * established.  died: appends frames that tell the router that a client which
 * an heir took went with that heir; pack them before uplink_went(), keep them
 * until the heir says take for the next slice, and uplink_say() them if it dies
 * before.
 */
void	uplink_went(struct client *);
void	uplink_died(struct buf *, const struct client *);
void	uplink_say(struct bytes frames);
/* A client that is frozen, told to a new router: clients_resync() calls it. */
void	uplink_frozen(const struct client *);

/* ---- for worker.c ---------------------------------------------------------- */
struct event_base;
void	uplink_connect(struct event_base *, int fd, const struct ipc_ops *, void *);
/* The router asks publishers to wait (xoff) or to go on (xon). */
void	uplink_hold(bool hold);
void	uplink_on_ack(const struct msg_ack *);
void	uplink_on_row(const struct msg_row *);
void	uplink_on_done(const struct msg_done *);
void	uplink_lost(void);
void	uplink_turn(void);

#endif
