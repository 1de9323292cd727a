/* SPDX-License-Identifier: MIT
 *
 * What becomes of channels and members, over all workers and hosts: the one
 * place that hears of it, for those who want to know (hooks.h, tap.h).
 *
 * It is called where a sum goes from nothing to something or back, and a member
 * of a presence channel comes or goes; not for connections that change workers.
 * A channel and its members change in the same moment in any order.  While a new
 * router learns what there is (sync.h) nobody hears of anything.
 *
 * Runs in: the router.  Owns: nothing.
 */
#ifndef PEAL_ROUTER_STATE_H
#define PEAL_ROUTER_STATE_H

#include <stdbool.h>

struct member;
struct route;

/* A channel has its first subscriber / lost its last one. */
void	state_channel(struct route *, bool occupied);
/* A member is new / about to be freed. */
void	state_member(struct route *, struct member *, bool present);

#endif
