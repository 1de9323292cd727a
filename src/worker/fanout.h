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

#endif
