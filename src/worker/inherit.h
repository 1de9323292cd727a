/* SPDX-License-Identifier: MIT
 *
 * The new side of a hand-over, see handover.h.  Several elders are served one
 * slice after the other.
 *
 * Runs in: a worker that replaces others.  Owned by: the process.
 */
#ifndef PEAL_INHERIT_H
#define PEAL_INHERIT_H

#include "common/msg.h"

struct channel;
struct event_base;

void	inherit_on_elder(struct event_base *, const struct msg_elder *);
/* A channel that was expected is live. */
void	inherit_channel_live(struct channel *);
/* The end of a turn. */
void	inherit_turn(void);

#endif
