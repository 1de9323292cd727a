/* SPDX-License-Identifier: MIT
 *
 * All that we hold, told to other hosts.
 *
 * Runs in: the router.
 */
#include "router/snapshot.h"

#include "common/counters.h"
#include "common/util.h"
#include "router/router.h"

void
snapshot_want(struct router *r)
{
	r->tell.snapshot.wanted = true;
}

void
snapshot_echo(struct router *r)
{
	if (r->tell.snapshot.flying > 0)
		r->tell.snapshot.flying--;
}

void
snapshot_skip(struct router *r, const struct item *it)
{
	if (r->tell.snapshot.next == it)
		r->tell.snapshot.next = TAILQ_NEXT(it, telling);
}

static uint64_t
free_at(const struct snapshot *s)
{
	return s->flying < SNAPSHOT_FLYING ? 0 : s->flew + SNAPSHOT_FLIGHT;
}

uint64_t
snapshot_due(const struct router *r)
{
	const struct snapshot *s = &r->tell.snapshot;

	if (s->on)
		return free_at(s);
	return s->wanted ? s->earliest : UINT64_MAX;
}

bool
snapshot_ready(const struct router *r)
{
	return r->now >= snapshot_due(r);
}

static void
snapshot_start(struct router *r)
{
	struct snapshot *s = &r->tell.snapshot;

	s->wanted = false;
	s->on = true;
	s->id++;
	s->index = 0;
	s->base = r->tell.number;
	s->earliest = r->now + SNAPSHOT_EVERY;
	s->next = TAILQ_FIRST(&r->tell.told);
	counter.snapshots_sent++;
}

/* Rows for one chunk; false if they were the last. */
static bool
add_rows(struct snapshot *s, struct buf *out)
{
	struct wire_pen pen = { .out = out };
	struct item_name name;

	while (s->next != NULL && s->next->told_at <= s->base) {
		item_ops(s->next->kind)->name(s->next, &name);
		if (out->n > TELL_PAYLOAD / 2 &&
		    out->n + wire_row_size(&name) > TELL_PAYLOAD)
			return true;
		wire_row(&pen, &name, s->next->told);
		s->next = TAILQ_NEXT(s->next, telling);
	}
	return false;
}

static void
snapshot_chunk(struct router *r)
{
	struct snapshot *s = &r->tell.snapshot;
	uint64_t head[HEAD_OF_SNAPSHOT] = { tell_epoch(r), r->tell.number,
	    s->id, s->index++, 0 };
	struct buf rows = { 0 };

	head[HEAD_LAST] = !add_rows(s, &rows);
	buf_clear(&r->tell.payload);
	wire_head(&r->tell.payload, head, NELEM(head));
	buf_bytes(&r->tell.payload, buf_view(&rows));
	buf_done(&rows);
	s->on = !head[HEAD_LAST];
	s->flying += (r->backplane->flags & BACKPLANE_ECHOES) != 0;
	s->flew = r->now;
	if (!carrier_broadcast(r, ENVELOPE_SNAPSHOT,
	    buf_view(&r->tell.payload), false)) {
		s->on = false;
		tell_failed(r);
	}
}

void
snapshot_turn(struct router *r)
{
	struct snapshot *s = &r->tell.snapshot;

	for (unsigned i = 0; i < SNAPSHOT_TURN && snapshot_ready(r); i++) {
		if (s->flying >= SNAPSHOT_FLYING)
			s->flying = 0;	/* they are lost */
		if (!s->on)
			snapshot_start(r);
		snapshot_chunk(r);
		if (!s->on || r->tell.broken)
			return;
	}
}
