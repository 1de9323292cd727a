/* SPDX-License-Identifier: MIT
 *
 * What the router counts: see report.h.
 *
 * Runs in: the router.
 */
#include "router/report.h"

#include "common/counters.h"
#include "common/process.h"
#include "common/util.h"
#include "router/router.h"

#define LAST_MS		1000

void
report_passed(struct router *r)
{
	if (r->passing_since == 0)
		r->passing_since = clock_ns();
}

void
report_turn(struct router *r)
{
	if (r->passing_since == 0)
		return;
	histogram_add(&counter.route_seconds, clock_ns() - r->passing_since,
	    1);
	r->passing_since = 0;
}

static void
take_stock(const struct router *r)
{
	struct backplane_state s = { 0 };
	const struct peer *p;

	counter.queued = 0;
	TAILQ_FOREACH(p, &r->peers, link)
		if (!p->gone)
			counter.queued += peer_backlog(p);
	counter.flights = r->passage.flights.live;
	if (r->config != NULL && !carrier_alone(r) &&
	    r->backplane->state != NULL)
		r->backplane->state(r->carrier, &s);
	counter.backplane_lag_us = s.lag_us;
}

void
report_send(struct router *r)
{
	if (r->master->gone)
		return;
	take_stock(r);
	process_report(r->master->ipc);
}

void
report_last(struct router *r)
{
	report_send(r);
	if (!r->master->gone)
		(void)ipc_flush_wait(r->master->ipc, LAST_MS);
}
