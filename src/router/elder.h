/* SPDX-License-Identifier: MIT
 *
 * A router that is replaced tells its successor (heir.h) what workers and hosts
 * would not: what is kept of cache channels and rooms, where channels stand,
 * what was seen of other hosts and what these hold, who is online.
 *
 *	master: router_heir	all of it goes to the heir; from then on what
 *				changes goes too, in order
 *	master: yield		workers are read no more; what is in flight comes
 *				to its end; the rest is told, then legacy_end;
 *				all links are written, yielded is said
 *	master: stop		exit, without a word to other hosts: we live on
 *
 * Runs in: the router.  Part of: struct router.
 */
#ifndef PEAL_ROUTER_ELDER_H
#define PEAL_ROUTER_ELDER_H

#include <stdbool.h>

struct router;

/* The heir's link; takes the descriptor. */
void	elder_begin(struct router *, int fd);
void	elder_yield(struct router *);
/* Has this router an heir that knows all?  Then it ends in silence. */
bool	elder_yielded(const struct router *);
/* The end of a turn. */
void	elder_turn(struct router *);
void	elder_done(struct router *);

#endif
