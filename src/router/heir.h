/* SPDX-License-Identifier: MIT
 *
 * A router that replaces one that lives (elder.h).  Until the master says
 * take_over it only listens: to its elder, and to the broker on the topics that
 * this one listens to, so that nothing is missed in between; it says nothing to
 * other hosts and nothing to workers.
 *
 * Then the workers come (sync.h).  What the elder has delivered already is not
 * delivered again, and whoever changed in that moment (members, users, counts)
 * is announced once.
 *
 * If the elder dies before it has told all, this is a router after a crash.
 *
 * Runs in: the router.  Part of: struct router.
 */
#ifndef PEAL_ROUTER_HEIR_H
#define PEAL_ROUTER_HEIR_H

#include <stdbool.h>
#include <stdint.h>

struct router;

/* The elder's link; takes the descriptor. */
void	heir_begin(struct router *, int fd);
void	heir_take_over(struct router *, uint64_t expect);
/* Not in force yet: says nothing to anybody. */
bool	heir_waits(const struct router *);
/* The end of a turn. */
void	heir_turn(struct router *);
void	heir_done(struct router *);

#endif
