/* SPDX-License-Identifier: MIT
 *
 * What workers that leave say of their hand-over: see handed.h.
 *
 * Runs in: master.  Owns: see handed.h.
 */
#include <inttypes.h>
#include <stdio.h>

#include "common/json.h"
#include "common/util.h"
#include "master/handed.h"
#include "master/master.h"

#define REASONS_MAX	16	/* told apart; more are "others" */

static struct handed	 last;		/* of a crew that is gone */
static struct reason {
	char		 why[sizeof(last.why)];
	uint64_t	 n;
} reasons[REASONS_MAX];
static unsigned		 n_reasons;

void
handed_begin(void)
{
	memset(&last, 0, sizeof(last));
	n_reasons = 0;
}

static void
reason_add(const char *why, uint64_t n)
{
	struct reason *r = reasons;

	while (r < reasons + n_reasons && strcmp(r->why, why) != 0)
		r++;
	if (r == reasons + REASONS_MAX) {
		r--;
		snprintf(r->why, sizeof(r->why), "others");
	} else if (r == reasons + n_reasons) {
		n_reasons++;
		snprintf(r->why, sizeof(r->why), "%s", why);
		r->n = 0;
	}
	r->n += n;
}

void
handed_progress(struct child *c, const struct msg_progress *m)
{
	struct handed *h = &c->handed, before = *h;

	h->moved = m->moved;
	if (c->told_to_stop)
		return;
	h->kept = m->kept;
	h->refused = m->refused;
	h->settled = m->settled != 0;
	snprintf(h->why, sizeof(h->why), "%.*s", (int)m->why.n,
	    m->why.n != 0 ? m->why.p : "");
	if (h->refused > before.refused)
		reason_add(h->why[0] != '\0' ? h->why : "no reason given",
		    h->refused - before.refused);
	if (h->settled && !before.settled && h->kept > h->refused &&
	    h->why[0] != '\0')
		reason_add(h->refused == 0 ? h->why : "others",
		    h->kept - h->refused);
	if (h->moved != before.moved || h->kept != before.kept || h->settled) {
		h->since_ms = clock_ms();
		h->warnings = 0;
	}
}

void
handed_give_up(struct child *c)
{
	struct handed *h = &c->handed;

	h->settled = true;
	h->kept = c->counters.connections;
	snprintf(h->why, sizeof(h->why), "not handed over in time");
	if (h->kept != 0)
		reason_add(h->why, h->kept);
}

/* What a dead worker kept is lost. */
static struct handed
sum(void)
{
	const struct crew *crew = master.crew[CREW_LEAVING];
	struct handed all = { 0 };

	if (crew == NULL)
		return last;
	for (unsigned i = SLOT_WORKER_FIRST; i < crew->n; i++) {
		all.moved += crew->at[i].handed.moved;
		all.refused += crew->at[i].handed.refused;
		if (crew->at[i].pid != 0)
			all.kept += crew->at[i].handed.kept;
	}
	return all;
}

void
handed_end(void)
{
	last = sum();
	last.kept = 0;
}

void
handed_json(struct buf *out)
{
	struct handed all = sum();

	buf_fmt(out, "\"moved\":%" PRIu64 ",\"kept\":%" PRIu64
	    ",\"refused\":%" PRIu64 ",\"reasons\":{", all.moved, all.kept,
	    all.refused);
	for (unsigned i = 0; i < n_reasons; i++) {
		buf_str(out, i != 0 ? "," : "");
		json_quote(out, bytes_str(reasons[i].why));
		buf_fmt(out, ":%" PRIu64, reasons[i].n);
	}
	buf_char(out, '}');
}
