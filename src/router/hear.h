/* SPDX-License-Identifier: MIT
 *
 * What other hosts say of themselves, taken into our census.
 *
 * Changes are applied as they come.  A snapshot is taken only by who lacks
 * something: its rows, and those of changes meanwhile, are marked, and what is
 * not marked at its end is dropped (host.c); so what stays the same is never
 * away for a moment.
 *
 * Runs in: the router.
 */
#ifndef PEAL_HEAR_H
#define PEAL_HEAR_H

#include "router/host.h"

/* HELLO to BYE of another host.  -1: the payload is wrong, nothing of it was
 * taken. */
int	hear(struct host *, const struct envelope *);

#endif
