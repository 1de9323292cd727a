/* SPDX-License-Identifier: MIT
 *
 * What becomes of channels and members.
 *
 * Runs in: the router.
 */
#include "router/state.h"

#include "router/router.h"

void
state_channel(struct route *t, bool occupied)
{
	struct router *r = t->census->router;

	if (r->sync.on)
		return;
	if (r->taps.n != 0)
		tap_channel(t, occupied);
	hooks_channel(t);
}

void
state_member(struct route *t, struct member *who, bool present)
{
	struct router *r = t->census->router;

	if (r->sync.on)
		return;
	if (r->taps.n != 0)
		tap_member(t, who, present);
	hooks_member(t, who, present);
}
