/* SPDX-License-Identifier: MIT
 *
 * The end of a worker: see drain.h.
 */
#include <stddef.h>

#include <event2/event.h>

#include "common/log.h"
#include "common/util.h"
#include "worker/client.h"
#include "worker/conn.h"
#include "worker/drain.h"
#include "worker/worker.h"

#define STEP_MS		50
#define LINGER_MS	1000	/* for close frames to be answered */

static struct event	*timer;
static uint64_t		 deadline;	/* all are told by then */
static uint32_t		 to_tell;	/* in this step */

static void
tell_one(struct conn *c, void *arg)
{
	(void)arg;
	if (to_tell == 0 || c->closing || c->dead)
		return;
	client_close_conn(c, CLOSE_DRAIN);
	/* An HTTP request that is not answered yet stays. */
	if (c->closing || c->dead)
		to_tell--;
}

static void
count_one(struct conn *c, void *arg)
{
	if (!c->closing && !c->dead)
		++*(uint32_t *)arg;
}

static void
on_step(evutil_socket_t fd, short what, void *arg)
{
	struct timeval next = { 0, STEP_MS * 1000 };
	uint64_t now = clock_ms();
	uint32_t left = 0, steps;

	(void)fd, (void)what, (void)arg;
	worker_clock();
	conns_each(count_one, &left);
	steps = now < deadline ? (deadline - now) / STEP_MS + 1 : 1;
	to_tell = (left + steps - 1) / steps;
	if (to_tell > 0)
		conns_each(tell_one, NULL);
	event_add(timer, &next);
}

void
drain_start(struct event_base *base, uint64_t grace_ms)
{
	uint64_t by = clock_ms() + grace_ms;

	if (timer == NULL) {
		timer = event_new(base, -1, 0, on_step, NULL);
		deadline = by;
	} else if (by < deadline)
		deadline = by;
	if (timer == NULL)
		fatal("cannot make a timer");
	log_info("draining connections=%u grace_ms=%llu", conns_count(),
	    (unsigned long long)grace_ms);
	on_step(-1, 0, NULL);
}

bool
drain_done(void)
{
	return timer != NULL && (conns_count() == 0 ||
	    clock_ms() >= deadline + LINGER_MS);
}
