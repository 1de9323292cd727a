/* SPDX-License-Identifier: MIT
 *
 * A connection goes from one worker to another: subscriptions, seats, sign-in,
 * watch list and loads change rows in one step, and nobody hears of it.
 *
 * Its heir says so (moved), when its elder knows nothing of it any more or will
 * soon.  What both tell a new router at such a moment overlaps; therefore each
 * connection that is named is noted, by its elder and its number there, until
 * the elder is dead:
 *
 *	shifted		an heir has named it.  What its elder says of it by that
 *			name (that it is there; that it went with its heir) comes
 *			too late and is dropped
 *	named		its elder has told it by name, to a router that is new:
 *			it is in the elder's row, and moved takes it from there
 *	gone		its elder has said that it went with its heir
 *
 * A moved that carries the epoch of this router was counted for the elder by
 * this router: that is the way it usually is.  One that carries another was
 * counted by another router, and is in the elder's row only if it was named.  So
 * nothing counts twice or stays behind whoever tells first.
 *
 * Runs in: the router.  Part of: struct router.
 */
#ifndef PEAL_SHIFT_H
#define PEAL_SHIFT_H

#include "common/hash.h"
#include "common/msg.h"

struct peer;
struct router;

#define SHIFTS_MAX	(1u << 20)	/* connections noted at a time */

struct shifts {
	struct hash	by_name;
};

void	shifts_init(struct router *);
void	shifts_done(struct router *);
/* The old worker may be dead already: then the connection is new. */
void	shift_connection(struct router *, struct peer *from,
	    const struct msg_moved *);
/* A worker is dead: no more is told of what it had. */
void	shifts_forget(struct router *, const struct peer *);

#endif
