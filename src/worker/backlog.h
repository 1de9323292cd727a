/* SPDX-License-Identifier: MIT
 *
 * What waits in this worker for all who read slowly, and its limit.
 *
 * Counted is memory: a frame once, however many clients wait for it, and the
 * rings of those who wait.  So a thousand clients of one channel that read
 * nothing cost little more than one of them.  frame.c and conn_queue.c count;
 * nothing is counted for a frame that is sent.
 *
 * Over websocket.max_backlog_total those are closed who hold most for longest,
 * until an eighth of it is free again.  Only they are looked at whose socket
 * takes nothing, and all of them only when the limit is passed: between two
 * such walks lies an eighth of the limit, or some time.
 *
 * Runs in: workers.
 */
#ifndef PEAL_BACKLOG_H
#define PEAL_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>

#include "common/counters.h"

static inline void
backlog_add(size_t octets)
{
	counter.backlog += octets;
}

static inline void
backlog_sub(size_t octets)
{
	counter.backlog -= octets;
}

/* At the end of a turn.  True: more are to be closed in the next. */
bool	backlog_turn(void);

#endif
