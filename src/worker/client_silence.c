/* SPDX-License-Identifier: MIT
 *
 * Does a client live?  See client.h.
 *
 * Runs in: workers.
 */
#include "worker/client.h"
#include "worker/worker.h"

void
client_alive(struct client *cl)
{
	cl->state.seen = worker.now;
	cl->state.pinged = false;
}

/* Whole seconds, a part of one more counts. */
static uint64_t
seconds(uint64_t ms)
{
	return (ms + 999) / 1000;
}

void
client_check_silence(struct client *cl, uint64_t interval, uint32_t now,
    void (*ping)(struct client *))
{
	uint32_t silent = now - cl->state.seen;

	interval = seconds(interval);
	if (cl->held) {
		;	/* we do not listen */
	} else if (cl->state.pinged && silent >= 2 * interval) {
		client_close(cl, CLOSE_PONG_TIMEOUT);
	} else if (!cl->state.pinged && silent >= interval) {
		cl->state.pinged = true;
		/* The time for an answer starts now, however late this is. */
		cl->state.seen += silent - (uint32_t)interval;
		ping(cl);
	}
}
