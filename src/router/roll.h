/* SPDX-License-Identifier: MIT
 *
 * Everything that is there, told to the courier: channels that are occupied and
 * members that are present, between hook_roll with on = 1 and with on = 0.  What
 * the courier holds and the roll does not name is gone.
 *
 * It goes out in slices, with what changes in between; that is kept until it is
 * acknowledged, the roll is not: a new link begins it anew, and so does a queue
 * that had no more room.  hook_roll with on = 1 ends one that was under way.
 *
 * Cursors stand in the lists of the census; who frees a route or a member moves
 * them on (roll_skip_*()).
 *
 * Runs in: the router.  Part of: struct hooks.
 */
#ifndef PEAL_ROUTER_ROLL_H
#define PEAL_ROUTER_ROLL_H

#include <stdbool.h>
#include <stdint.h>

#define ROLL_SLICE	500	/* rows in a turn */

struct census;
struct member;
struct route;
struct router;

struct roll {
	bool		 wanted;	/* as soon as it can be */
	bool		 on;
	uint64_t	 since;		/* clock_ms(): wanted */
	struct census	**all;		/* those at its start */
	uint32_t	 n, at;
	struct route	*route;		/* the next one, or where it stands */
	struct member	*member;	/* of that; the next one */
	bool		 inside;	/* its members are being told */
};

void	roll_done(struct router *);
/* All must be told, from the start. */
void	roll_want(struct router *);
/* Not now: the link is gone. */
void	roll_stop(struct router *);
/* A slice, if one is due; all that was kept is on the link.  True: there is
 * more. */
bool	roll_turn(struct router *);
/* Is one wanted, or under way? */
bool	roll_pending(const struct router *);

/* It is about to be freed. */
void	roll_skip_route(struct router *, const struct route *);
void	roll_skip_member(struct router *, const struct member *);

#endif
