/* SPDX-License-Identifier: MIT
 *
 * Requests that wait for room to publish: see api_wait.h.
 */
#include "worker/api_wait.h"

#include "common/counters.h"
#include "worker/api.h"
#include "worker/uplink.h"
#include "worker/worker.h"

#define HANDLED_A_TURN	256	/* others want to be heard, too */
#define REQUEST_COST	1024	/* octets beside head and body, about */

static TAILQ_HEAD(, request) waiting = TAILQ_HEAD_INITIALIZER(waiting);
static uint64_t	 octets;	/* of all that wait */
static bool	 handling;	/* the one that is handled is behind nobody */

static uint64_t
cost(const struct request *r)
{
	return REQUEST_COST + r->head.target.n + r->body.n;
}

bool
api_wait_none(void)
{
	return handling || TAILQ_EMPTY(&waiting);
}

bool
api_wait(struct request *r)
{
	uint64_t ms = worker.config->router.publish_wait;

	if (ms == 0 ||
	    octets + cost(r) > worker.config->router.publish_window)
		return false;
	/* A part of this second is over. */
	r->waits_until = worker.now + 1 + (uint32_t)((ms + 999) / 1000);
	octets += cost(r);
	counter.publishers_held++;
	TAILQ_INSERT_TAIL(&waiting, r, waiting);
	return true;
}

void
api_wait_forget(struct request *r)
{
	if (r->waits_until == 0)
		return;
	r->waits_until = 0;
	octets -= cost(r);
	TAILQ_REMOVE(&waiting, r, waiting);
}

void
api_wait_refuse(struct request *r)
{
	counter.publishers_refused++;
	request_answer(r, 503, "text/plain; charset=utf-8",
	    "Retry-After: 1\r\n", B("Over capacity."));
}

bool
api_wait_tick(struct request *r, uint32_t now)
{
	if (r->waits_until == 0 || now < r->waits_until)
		return false;
	api_wait_forget(r);
	api_wait_refuse(r);
	return true;
}

bool
api_wait_turn(void)
{
	struct request *r;
	unsigned n;

	handling = true;
	for (n = 0; n < HANDLED_A_TURN &&
	    (r = TAILQ_FIRST(&waiting)) != NULL && !uplink_full(); n++) {
		api_wait_forget(r);
		api_handle(r);
	}
	handling = false;
	return n == HANDLED_A_TURN;
}
