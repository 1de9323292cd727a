/* SPDX-License-Identifier: MIT
 *
 * A connection goes from one worker to another: subscriptions, seats, sign-in,
 * watch list and loads change rows in one step, and nobody hears of it.
 *
 * Runs in: the router.
 */
#ifndef PEAL_SHIFT_H
#define PEAL_SHIFT_H

#include "common/msg.h"

struct peer;
struct router;

/* The old worker may be dead already: then the connection is new. */
void	shift_connection(struct router *, struct peer *to,
	    const struct msg_moved *);

#endif
