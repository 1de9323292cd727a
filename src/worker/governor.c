/* SPDX-License-Identifier: MIT
 *
 * Who may come in: see governor.h.
 */
#include "worker/governor.h"

#define BURST_MS	100	/* of the rate that may come at once */
#define ONE(g)		(1000 * (g)->workers)

void
governor_init(struct governor *g, uint64_t workers)
{
	memset(g, 0, sizeof(*g));
	g->workers = workers > 0 ? workers : 1;
}

unsigned
governor_rate_allows(struct governor *g, const struct config_listen *settings,
    uint64_t now_ms, unsigned want)
{
	uint64_t passed = now_ms - g->as_of, most;

	if (settings->accept_rate == 0)
		return want;
	most = settings->accept_rate * BURST_MS + ONE(g);
	/* Longer than it takes for one at the lowest rate is as good. */
	if (passed > ONE(g) + BURST_MS)
		passed = ONE(g) + BURST_MS;
	g->credit += passed * settings->accept_rate;
	g->as_of = now_ms;
	if (g->credit > most)
		g->credit = most;
	return g->credit / ONE(g) < want ? (unsigned)(g->credit / ONE(g)) :
	    want;
}

unsigned
governor_allows(struct governor *g, const struct config_listen *settings,
    uint64_t now_ms, unsigned want)
{
	uint64_t most = settings->max_handshakes;

	if (most != 0) {
		if (g->held)
			most -= most / 8;
		if (g->opening >= most)
			want = 0;
		else if (want > most - g->opening)
			want = (unsigned)(most - g->opening);
	}
	return governor_rate_allows(g, settings, now_ms, want);
}

void
governor_took(struct governor *g, const struct config_listen *settings)
{
	if (settings->accept_rate != 0)
		g->credit -= g->credit < ONE(g) ? g->credit : ONE(g);
}

unsigned
governor_owed(uint64_t *owed, uint64_t backlog, uint64_t timeout_ms,
    uint64_t ms)
{
	unsigned n;

	*owed += backlog * ms;
	n = (unsigned)(*owed / timeout_ms);
	*owed %= timeout_ms;
	return n;
}
