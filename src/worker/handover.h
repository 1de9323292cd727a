/* SPDX-License-Identifier: MIT
 *
 * The old side of a hand-over: a worker that is replaced gives its connections
 * to its heirs, a slice at a time, while it goes on serving the others.
 *
 * Over a SOCK_SEQPACKET pair (master's heir / elder), one msgpack array [kind,
 * ...] a packet (worker/parcel.h):
 *
 *	elder -> heir	channel app name kind	it will need this one
 *	elder -> heir	offered n		all channels of the next slice
 *	(heir: when they are live, mark to the router, marked)
 *	heir -> elder	take			and I have stopped reading the
 *						router
 *	(elder: freeze_begin() for each, mark to the router, marked)
 *	elder -> heir	record ... + fd		one for each connection; a record
 *						over 32 KB lies in a memfd that
 *						comes as a second descriptor
 *	elder -> heir	sliced			that was the slice
 *	heir -> elder	taken was | refused was why again	for each
 *	(heir: moved to the router, wakes the conns, reads the router again)
 *	elder -> heir	watch was online offline	what came for one that
 *						had gone already
 *	elder -> heir	over			nothing more comes
 *
 * Why no message is lost, doubled or reordered: the heir's routes are live
 * before the slice is frozen; while it does not read the router it has applied no
 * more than the elder, who freezes behind a mark that the router answered after
 * that; a connection skips what its elder had applied (client.applied).  A router
 * answers a mark when the kernel has taken what went before it to all workers, and
 * a new one when all workers have told it what they hold: so this is true also if
 * it dies in between.  An heir whose router is replaced while it holds one, or
 * that would have to hold it for too long, reads it and refuses what comes of the
 * slice yet, to be offered again.
 *
 * A connection belongs to the elder until `taken` has arrived; the heir serves it
 * only after it was sent.  If an heir dies, what it had not taken goes on here,
 * and is offered to the next.
 *
 * What a router sends to one connection alone (watch) goes where it believes it
 * to be.  The heir's mark comes behind its moved messages, and the elder's mark
 * behind that: at an heir's next slice, which may be empty, nothing is under way
 * any more for those of its last.  Until then the elder passes on what comes, and
 * the heir keeps back what came to itself.
 *
 * Runs in: a worker that leaves.  Owned by: the process.
 */
#ifndef PEAL_HANDOVER_H
#define PEAL_HANDOVER_H

#include <stdbool.h>

#include "common/msg.h"

struct conn;
struct event_base;

void	handover_on_heir(struct event_base *, const struct msg_heir *);
void	handover_on_depart(struct event_base *, const struct msg_depart *);
void	handover_on_marked(const struct msg_marked *);
/* A watch for a connection that is not here any more, or perhaps so soon: it is
 * passed on or kept.  False: it is none of those. */
bool	handover_watch(const struct msg_watch *);
/* The router was lost or is about to be replaced: a mark under way will not be
 * answered. */
void	handover_router_lost(void);
/* The end of a turn. */
void	handover_turn(void);
/* All has gone, and the process may end? */
bool	handover_done(void);
/* Is this one to be closed, since it cannot be moved?  For the drain. */
bool	handover_keeps(const struct conn *);

#endif
