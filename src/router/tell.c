/* SPDX-License-Identifier: MIT
 *
 * Our own changes, told to other hosts.
 *
 * Runs in: the router.
 */
#include "router/tell.h"

#include "common/util.h"
#include "router/router.h"

void
tell_open(struct router *r)
{
	struct tell *tell = &r->tell;

	/* The first that others hear is all that we hold. */
	*tell = (struct tell){ .broken = true };
	TAILQ_INIT(&tell->changed);
	TAILQ_INIT(&tell->told);
	tell->gone_pen.out = &tell->gone;
}

uint64_t
tell_epoch(const struct router *r)
{
	return r->tell.inherited ? r->tell.epoch : r->generation;
}

void
tell_close(struct router *r)
{
	r->tell.on = false;
	buf_done(&r->tell.gone);
	buf_done(&r->tell.payload);
}

/* ---- noting ------------------------------------------------------------- */

static void
told_remove(struct router *r, struct item *it)
{
	if (it->told == 0)
		return;
	snapshot_skip(r, it);
	elder_skip_item(r, it);
	TAILQ_REMOVE(&r->tell.told, it, telling);
}

void
tell_changed(struct router *r, struct item *it)
{
	struct tell *tell = &r->tell;

	if (!tell->on || it->changed)
		return;
	told_remove(r, it);
	it->changed = true;
	TAILQ_INSERT_TAIL(&tell->changed, it, telling);
}

/* What was never told needs no taking back, and when all must be told anew what
 * is not told is gone. */
static void
gone_add(struct tell *tell, const struct item_name *name, uint64_t told)
{
	tell->gone_rows++;
	tell->gone_sum += told;
	if (tell->gone.n > TELL_GONE) {
		tell->broken = true;
		buf_done(&tell->gone);
	}
	if (tell->broken)
		return;
	if (tell->gone.n == 0)
		tell->gone_pen = (struct wire_pen){ .out = &tell->gone };
	wire_row(&tell->gone_pen, name, 0);
}

static void
gone_note(struct tell *tell, const struct item *it)
{
	struct item_name name;

	item_ops(it->kind)->name(it, &name);
	gone_add(tell, &name, it->told);
}

void
tell_gone(struct router *r, struct item *it)
{
	struct tell *tell = &r->tell;

	if (it->changed)
		TAILQ_REMOVE(&tell->changed, it, telling);
	else
		told_remove(r, it);
	if (tell->on && it->told > 0)
		gone_note(tell, it);
	it->changed = false;
	it->told = 0;
}

void
tell_legacy(struct router *r, const struct item_name *name, uint64_t n)
{
	struct tell *tell = &r->tell;
	struct item *it = item_ops(name->kind)->find(r, name, false);

	tell->rows++;
	tell->sum += n;
	if (it == NULL) {
		gone_add(tell, name, n);
		return;
	}
	it->told = n;
	it->told_at = tell->number;
	if (it->changed)
		return;
	TAILQ_INSERT_TAIL(&tell->told, it, telling);
	if (item_ops(it->kind)->here(it) != n)
		tell_changed(r, it);
}

/* ---- telling ------------------------------------------------------------ */

/* Moves a changed item to those told, as it is now. */
static void
settle(struct tell *tell, struct item *it, uint64_t n)
{
	TAILQ_REMOVE(&tell->changed, it, telling);
	it->changed = false;
	tell->rows += (n > 0) - (uint64_t)(it->told > 0);
	tell->sum += n - it->told;
	it->told = n;
	it->told_at = tell->number;
	if (n > 0)
		TAILQ_INSERT_TAIL(&tell->told, it, telling);
}

static void
settle_gone(struct tell *tell)
{
	tell->rows -= tell->gone_rows;
	tell->sum -= tell->gone_sum;
	tell->gone_rows = tell->gone_sum = 0;
}

/* All hosts need a snapshot, in which all is as it is now: the next number is
 * left out, so that each of them knows. */
static void
start_anew(struct router *r)
{
	struct tell *tell = &r->tell;
	struct item *it;

	elder_anew(r);
	tell->broken = false;
	tell->number += 2;
	tell->snapshot.on = false;
	buf_done(&tell->gone);
	settle_gone(tell);
	while ((it = TAILQ_FIRST(&tell->changed)) != NULL)
		settle(tell, it, item_ops(it->kind)->here(it));
	snapshot_want(r);
}

void
tell_failed(struct router *r)
{
	r->tell.broken = true;
	r->tell.even = r->now + TELL_AGAIN + TELL_BURST * TELL_EVERY;
}

/* One envelope of what is gone and what has changed. */
static void
tell_some(struct router *r)
{
	struct tell *tell = &r->tell;
	uint64_t head[] = { tell_epoch(r), ++tell->number };
	struct wire_pen pen = { .out = &tell->payload };
	struct item_name name;
	struct item *it;
	uint64_t n;

	buf_clear(&tell->payload);
	wire_head(&tell->payload, head, NELEM(head));
	buf_bytes(&tell->payload, buf_view(&tell->gone));
	elder_gone(r, buf_view(&tell->gone));
	buf_reuse(&tell->gone);
	settle_gone(tell);
	while ((it = TAILQ_FIRST(&tell->changed)) != NULL) {
		n = item_ops(it->kind)->here(it);
		item_ops(it->kind)->name(it, &name);
		if (tell->payload.n > TELL_PAYLOAD / 2 &&
		    tell->payload.n + wire_row_size(&name) > TELL_PAYLOAD)
			break;
		if (n != it->told) {
			wire_row(&pen, &name, n);
			elder_row(r, it, n);
		}
		settle(tell, it, n);
	}
	if (!carrier_broadcast(r, ENVELOPE_CHANGES, buf_view(&tell->payload),
	    false))
		tell_failed(r);
}

bool
tell_pending(const struct tell *tell)
{
	return tell->gone.n > 0 || !TAILQ_EMPTY(&tell->changed);
}

/* Items that are again as they were told need no words. */
static void
settle_unchanged(struct tell *tell)
{
	struct item *it;

	while ((it = TAILQ_FIRST(&tell->changed)) != NULL &&
	    item_ops(it->kind)->here(it) == it->told)
		settle(tell, it, it->told);
}

/* clock_ms() when changes may be told again. */
static uint64_t
free_at(const struct tell *tell)
{
	return tell->even < TELL_BURST * TELL_EVERY ? 0 :
	    tell->even - TELL_BURST * TELL_EVERY;
}

static void
told_once(struct router *r)
{
	struct tell *tell = &r->tell;

	if (tell->even < r->now)
		tell->even = r->now;
	tell->even += TELL_EVERY;
}

bool
tell_turn(struct router *r)
{
	struct tell *tell = &r->tell;
	bool due = r->now >= free_at(tell), told = false;

	if (tell->broken && !due)
		return false;
	if (tell->broken)
		start_anew(r);
	due |= snapshot_ready(r);
	for (unsigned i = 0; due && i < TELL_TURN; i++) {
		settle_unchanged(tell);
		if (!tell_pending(tell) || tell->broken)
			break;
		tell_some(r);
		told = true;
	}
	if (tell->broken)
		return false;
	if (told)
		told_once(r);
	if (tell_pending(tell))
		return due;
	snapshot_turn(r);
	buf_reuse(&tell->payload);
	return snapshot_ready(r);
}

uint64_t
tell_due(const struct router *r)
{
	const struct tell *tell = &r->tell;
	uint64_t at = snapshot_due(r);

	if ((tell->broken || tell_pending(tell)) && free_at(tell) < at)
		at = free_at(tell);
	return at;
}
