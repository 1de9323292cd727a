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

/* The ring is full or the router is under pressure: refuse (API: 503; clients:
 * an error). */
bool	uplink_full(void);

/* Fills in the serial and sends.  Returns the serial. */
uint64_t uplink_publish(struct msg_publish *);
uint64_t uplink_kick(struct bytes app, struct bytes user);
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

/* Asks the router for a mark: handover_on_marked() follows. */
void	uplink_mark(uint64_t cookie);
/* Tells it that a connection is here now; see messages.def. */
void	uplink_moved(const struct msg_moved *);
/* Nothing of ours waits for an acknowledgement or an answer. */
bool	uplink_settled(void);

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
