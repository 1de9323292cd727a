/* SPDX-License-Identifier: MIT
 *
 * The router's side of the backplane: the calls down to the driver, and the
 * upcalls, sorted by what they are about.
 *
 * Runs in: the router.  Part of: struct router.
 */
#ifndef PEAL_CARRIER_H
#define PEAL_CARRIER_H

#include "backplane/backplane.h"
#include "router/envelope.h"

struct route;
struct router;

/* From the settings; a failure ends the process.  Before the jail. */
void	carrier_open(struct router *);
void	carrier_close(struct router *);
/* Behind the jail. */
void	carrier_start(struct router *);
/* End of a turn; each second. */
void	carrier_turn(struct router *);
void	carrier_tick(struct router *);

/* Are there other hosts at all? */
bool	carrier_alone(const struct router *);
/* Can they be reached now? */
bool	carrier_up(const struct router *);

/* A route has its first subscriber of this host / has lost the last one. */
void	carrier_join(struct route *);
void	carrier_leave(struct route *);

/*
 * Says something to all hosts on the cluster's own topic: makes the envelope,
 * gives it the next number of this host.  What one host says there arrives in
 * the order in which it was said.  Nothing if alone; kept in the backlog if the
 * broker is away and `urgent`, else dropped then (false).
 */
bool	carrier_broadcast(struct router *, enum envelope_kind,
	    struct bytes payload, bool urgent);

#endif
