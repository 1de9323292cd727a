/* SPDX-License-Identifier: MIT
 *
 * One message to every subscriber of a channel on this worker: the hot loop and
 * nothing else.
 *
 * Runs in: workers.
 */
#ifndef PEAL_FANOUT_H
#define PEAL_FANOUT_H

#include "worker/channel.h"
#include "worker/message.h"

void	fanout(struct channel *, struct message *);

/*
 * A client that another worker had: what was numbered up to serial in this epoch
 * it has already, and fanout() leaves it out.  Sets client.applied.
 */
void	fanout_applied(struct client *, uint64_t epoch, uint64_t serial);
/* What message.serial is to be: 0 if no client can have it already. */
uint64_t fanout_serial(uint64_t epoch, uint64_t serial);

#endif
