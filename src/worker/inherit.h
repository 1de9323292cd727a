/* SPDX-License-Identifier: MIT
 *
 * The new side of a hand-over, see handover.h.  Several elders are served one
 * slice after the other.
 *
 * Runs in: a worker that replaces others.  Owned by: the process.
 */
#ifndef PEAL_INHERIT_H
#define PEAL_INHERIT_H

#include <stdbool.h>

#include "common/msg.h"

struct channel;
struct event_base;

#define INHERIT_HOLD_MS	2000	/* so long the router is not read for a slice */

void	inherit_on_elder(struct event_base *, const struct msg_elder *);
/* A channel that was expected is live. */
void	inherit_channel_live(struct channel *);
void	inherit_on_marked(const struct msg_marked *);
/* A watch for a connection that has come, but which may have missed one that
 * its elder is about to pass on: it is kept.  False: not so. */
bool	inherit_watch(const struct msg_watch *);
/* The router was lost or is about to be replaced. */
void	inherit_router_lost(void);
/* The end of a turn. */
void	inherit_turn(void);

#endif
