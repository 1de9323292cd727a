/* SPDX-License-Identifier: MIT
 *
 * The time before a stop ([peal] stop_delay).  For so long everything goes on,
 * also what is repaired and replaced, but workers tell those who ask that they
 * are not ready (/ready): so load balancers send nobody here any more when
 * clients are told to go.
 *
 * A reload that runs is finished; the time goes on over its exec.
 *
 * Runs in: master; there is one.
 */
#ifndef PEAL_STOP_H
#define PEAL_STOP_H

#include <stdint.h>

struct state;

/* master_stop(grace_ms), when the time is over; asked again, it is. */
void	stop_ask(uint64_t grace_ms);
/* Over an exec. */
void	stop_save(struct state *);
void	stop_restore(const struct state *);
/* The end of the service. */
void	stop_done(void);

#endif
