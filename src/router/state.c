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
	if (t->census->router->sync.on)
		return;
	(void)occupied;
	hooks_channel(t);
}

void
state_member(struct route *t, struct member *who, bool present)
{
	if (t->census->router->sync.on)
		return;
	hooks_member(t, who, present);
}
