/* SPDX-License-Identifier: MIT
 *
 * Messages to every subscriber of a channel on this worker: the hot loop and
 * nothing else.
 *
 * Messages of one channel that one read has brought are gathered to a run
 * (message.h) and cost one walk over the subscribers, and each of these one
 * frame.  A run lives between two messages of the same channel and never longer
 * than the read: whatever else the router says, and whatever changes the list of
 * subscribers or a member, has fanout_flush() before it.  So everybody hears the
 * same, in the same order, as if each message had gone out alone.
 *
 * Runs in: workers.
 */
#ifndef PEAL_FANOUT_H
#define PEAL_FANOUT_H

#include "worker/channel.h"
#include "worker/message.h"

/* To all subscribers of its channel.  While messages are gathered what it points
 * at must be good until fanout_flush(). */
void	fanout(const struct message *);

/* The router has said something of this type, and it is handled next: may it
 * wait for more of its kind, or is it to find that all is said? */
void	fanout_before(unsigned type);
/* What waits goes out, and nothing waits any more. */
void	fanout_flush(void);

/* The end of a turn, when sockets were written: what is out was on its way for so
 * long (counter.fanout_seconds). */
void	fanout_turn(void);

/*
 * A client that another worker had: what was numbered up to serial in this epoch
 * it has already, and fanout() leaves it out.  Sets client.applied.
 */
void	fanout_applied(struct client *, uint64_t epoch, uint64_t serial);
/* What message.serial is to be: 0 if no client can have it already. */
uint64_t fanout_serial(uint64_t epoch, uint64_t serial);

#endif
