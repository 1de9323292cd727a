/* SPDX-License-Identifier: MIT
 *
 * What the router counts (common/counters.h), as the master hears it.
 *
 * route_seconds is measured by turns: from the first message that a turn passes on
 * to workers until all links of that turn have been written to, one event for each
 * turn that passes something on.  What a link did not take then is in the gauge
 * queued.
 *
 * Runs in: the router.
 */
#ifndef PEAL_ROUTER_REPORT_H
#define PEAL_ROUTER_REPORT_H

struct router;

/* A message goes to workers. */
void	report_passed(struct router *);
/* The end of a turn: links were written to. */
void	report_turn(struct router *);
/* Each second, and once more at the end. */
void	report_send(struct router *);
/* All of it has left, or could not for a second. */
void	report_last(struct router *);

#endif
