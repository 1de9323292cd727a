/* SPDX-License-Identifier: MIT
 *
 * The end of a worker: clients are told to reconnect (4200), spread over a
 * time, because they all do so at once.
 *
 * Runs in: workers.
 */
#ifndef PEAL_DRAIN_H
#define PEAL_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

struct event_base;

/* Closes all conns within grace_ms; may be called again with less. */
void	drain_start(struct event_base *, uint64_t grace_ms);
/* Everybody is gone, or had the time to. */
bool	drain_done(void);

#endif
