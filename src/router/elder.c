/* SPDX-License-Identifier: MIT
 *
 * A router that is replaced: see elder.h.
 *
 * Runs in: the router.
 */
#include "router/elder.h"

#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/log.h"
#include "common/util.h"
#include "router/control.h"
#include "router/router.h"

#define ROWS_MAX	(48u << 10)	/* octets of one legacy_rows, about */
#define LOOK_MS		5

enum { PART_ROUTES, PART_CACHES, PART_ROOMS, PART_HOSTS, PART_TOLD, PART_USERS,
       PART_WATCHERS, PARTS };

#define MSG_ROLE	elder
#define MSG_CTX		struct router
#include "common/dispatch.inc"

struct buf *
elder_out(const struct router *r)
{
	return r->elder.tell != NULL ? ipc_out(r->elder.tell) : NULL;
}

uint64_t
legacy_hash(const struct router *r, struct bytes text)
{
	uint64_t key[2] = { r->node, r->incarnation };

	return hash_siphash13(key, text);
}

/* ---- rows ----------------------------------------------------------------- */

static void
rows_out(struct router *r)
{
	struct elder *e = &r->elder;
	struct buf *out = elder_out(r);

	if (e->rows.n == 0)
		return;
	if (out != NULL)
		msg_pack_legacy_rows(out, &(struct msg_legacy_rows){
		    .node = e->rows_of, .rows = buf_view(&e->rows) });
	buf_reuse(&e->rows);
}

static void
row_add(struct router *r, uint64_t node, const struct item *it, uint64_t n)
{
	struct elder *e = &r->elder;
	struct item_name name;

	if (e->rows_of != node || e->rows.n >= ROWS_MAX)
		rows_out(r);
	if (e->rows.n == 0)
		e->pen = (struct wire_pen){ .out = &e->rows };
	e->rows_of = node;
	item_ops(it->kind)->name(it, &name);
	wire_row(&e->pen, &name, n);
}

/* ---- what changes ---------------------------------------------------------- */

void
elder_topic(const struct route *t, bool joined)
{
	struct router *r = t->census->router;
	struct buf *out = elder_out(r);
	unsigned lane;

	if (out != NULL && joined && r->elder.stage > ELDER_TELLS) {
		lane = route_topic(t).lane;
		r->elder.late[lane / 64] |= 1ull << lane % 64;
	}
	if (out != NULL && joined)
		msg_pack_legacy_topic(out, &(struct msg_legacy_topic){
		    .app = t->census->app, .channel = route_name(t) });
	else if (out != NULL)
		msg_pack_legacy_left(out, &(struct msg_legacy_left){
		    .app = t->census->app, .channel = route_name(t) });
}

void
elder_user(struct router *r, struct bytes app, struct bytes user, bool online)
{
	struct buf *out = elder_out(r);

	if (out != NULL)
		msg_pack_legacy_user(out, &(struct msg_legacy_user){
		    .app = app, .user = user, .online = online });
}

void
elder_watcher(struct router *r, const struct peer *peer, uint64_t conn,
    bool gone)
{
	struct buf *out = elder_out(r);

	if (out != NULL)
		msg_pack_legacy_watcher(out, &(struct msg_legacy_watcher){
		    .slot = peer->slot, .generation = peer->generation,
		    .conn = conn, .gone = gone });
}

void
elder_said(struct router *r, const struct envelope *e)
{
	struct buf *out = elder_out(r);

	if (out == NULL)
		return;
	rows_out(r);
	msg_pack_legacy_said(out, &(struct msg_legacy_said){
	    .node = e->node, .incarnation = e->incarnation, .kind = e->kind,
	    .payload = e->payload });
}

void
elder_lost(const struct host *h)
{
	struct buf *out = elder_out(h->router);

	if (out == NULL)
		return;
	rows_out(h->router);
	msg_pack_legacy_lost(out, &(struct msg_legacy_lost){
	    .node = h->node });
}

static void
own_heard(struct elder *e, uint64_t number, unsigned lane)
{
	if (number > e->heard[lane])
		e->heard[lane] = number;
	e->heard_any = true;
	if (e->awaited[lane] == 0 || number < e->awaited[lane])
		return;
	e->awaited[lane] = 0;
	e->n_awaited--;
}

void
elder_heard(struct router *r, const struct envelope *e, unsigned lane)
{
	struct elder *elder = &r->elder;
	struct buf *out = elder_out(r);

	if (out == NULL)
		return;
	if (e->node == r->node && e->incarnation == r->incarnation) {
		own_heard(elder, e->number, lane);
		return;
	}
	msg_pack_legacy_heard(out, &(struct msg_legacy_heard){
	    .node = e->node, .incarnation = e->incarnation, .lane = lane,
	    .number = e->number });
}

static void
heard_out(struct router *r)
{
	struct elder *e = &r->elder;
	struct buf *out = elder_out(r);

	if (!e->heard_any || out == NULL)
		return;
	e->heard_any = false;
	for (unsigned lane = 0; lane < LANES; lane++) {
		if (e->heard[lane] == 0)
			continue;
		msg_pack_legacy_heard(out, &(struct msg_legacy_heard){
		    .node = r->node, .incarnation = r->incarnation,
		    .lane = lane, .number = e->heard[lane] });
		e->heard[lane] = 0;
	}
}

void
elder_seen(const struct host *h, unsigned lane, uint64_t number,
    uint64_t origin, uint64_t serial)
{
	struct buf *out = elder_out(h->router);

	if (out != NULL)
		msg_pack_legacy_heard(out, &(struct msg_legacy_heard){
		    .node = h->node, .incarnation = h->incarnation,
		    .lane = lane, .number = number,
		    .origin = origin, .serial = serial });
}

void
elder_raw(struct router *r, const struct topic *topic, struct bytes text)
{
	struct buf *out = elder_out(r);

	if (out != NULL)
		msg_pack_legacy_raw(out, &(struct msg_legacy_raw){
		    .channel = topic->channel,
		    .hash = legacy_hash(r, text) });
}

void
elder_row(struct router *r, const struct item *it, uint64_t n)
{
	if (r->elder.tell != NULL)
		row_add(r, r->node, it, n);
}

void
elder_gone(struct router *r, struct bytes rows)
{
	struct buf *out = elder_out(r);

	if (out == NULL || rows.n == 0)
		return;
	rows_out(r);
	msg_pack_legacy_rows(out, &(struct msg_legacy_rows){
	    .node = r->node, .rows = rows });
}

/* What was told to others is told to them anew, and to the heir not at all. */
void
elder_anew(struct router *r)
{
	r->elder.anew |= r->elder.tell != NULL;
}

/* ---- cursors ---------------------------------------------------------------- */

void
elder_skip_route(struct router *r, const struct route *t)
{
	if (r->elder.route == t)
		r->elder.route = TAILQ_NEXT(t, order);
}

void
elder_skip_host(struct router *r, const struct host *h)
{
	if (r->elder.host != h)
		return;
	r->elder.host = TAILQ_NEXT(h, link);
	r->elder.rows_told = false;
	r->elder.row = NULL;
}

void
elder_skip_row(struct router *r, const struct away *a)
{
	if (r->elder.row == a)
		r->elder.row = TAILQ_NEXT(a, of_host);
}

void
elder_skip_item(struct router *r, const struct item *it)
{
	/* It is among the changed ones now, and told all the same. */
	if (r->elder.tell != NULL && r->elder.part <= PART_TOLD)
		row_add(r, r->node, it, it->told);
	if (r->elder.item == it)
		r->elder.item = TAILQ_NEXT(it, telling);
}

/* ---- the dump: each of these tells a slice; true: that was all --------------- */

static void
route_out(struct route *t)
{
	if (t->replay != NULL)
		replay_bequeath(t);
	if (route_wanted(t) && !carrier_alone(t->census->router))
		elder_topic(t, true);
	count_bequeath(t);
}

static bool
slice_routes(struct router *r)
{
	struct elder *e = &r->elder;

	for (unsigned i = 0; i < ELDER_SLICE; i++) {
		if (!e->begun && e->census == e->n_censuses)
			return true;
		if (!e->begun)
			e->route = TAILQ_FIRST(&e->censuses[e->census++]->order);
		e->begun = e->route != NULL;
		if (e->route == NULL)
			continue;
		route_out(e->route);
		e->route = TAILQ_NEXT(e->route, order);
		e->begun = e->route != NULL;
	}
	return false;
}

static void
seen_out(void *ctx, unsigned lane, uint64_t number, uint64_t origin,
    uint64_t serial)
{
	elder_seen(ctx, lane, number, origin, serial);
}

static void
host_out(const struct host *h)
{
	struct router *r = h->router;

	/* Who is heard of is not lost, so this comes first. */
	if (h->seen != NULL)
		seen_each(h->seen, (void *)(uintptr_t)h, seen_out);
	msg_pack_legacy_host(elder_out(r), &(struct msg_legacy_host){
	    .node = h->node, .incarnation = h->incarnation,
	    .heard = h->heard, .state = h->state, .begun = h->begun,
	    .epoch = h->epoch, .number = h->number, .crowded = h->crowded,
	    .name = bytes_str(h->name) });
}

static bool
slice_hosts(struct router *r)
{
	struct elder *e = &r->elder;

	if (!e->begun)
		e->host = TAILQ_FIRST(&r->hosts);
	e->begun = true;
	for (unsigned i = 0; e->host != NULL && i < ELDER_SLICE; i++) {
		if (!e->rows_told) {
			host_out(e->host);
			e->row = TAILQ_FIRST(&e->host->rows);
			e->rows_told = true;
		} else if (e->row != NULL) {
			row_add(r, e->host->node, e->row->item, e->row->n);
			e->row = TAILQ_NEXT(e->row, of_host);
		} else {
			e->host = TAILQ_NEXT(e->host, link);
			e->rows_told = false;
		}
	}
	rows_out(r);
	return e->host == NULL;
}

static bool
slice_told(struct router *r)
{
	struct elder *e = &r->elder;
	const struct item *it;

	/* How many there were of what is gone is not known any more, until
	 * others have been told; if they cannot be, it is told anew. */
	if (!e->begun && r->tell.gone.n > 0) {
		e->rests = r->reach.up;
		e->anew |= !e->rests;
		if (e->rests)
			return false;
	}
	if (!e->begun) {
		e->item = TAILQ_FIRST(&r->tell.told);
		TAILQ_FOREACH(it, &r->tell.changed, telling) {
			if (it->told > 0)
				row_add(r, r->node, it, it->told);
		}
	}
	e->begun = true;
	for (unsigned i = 0; e->item != NULL && i < ELDER_SLICE; i++) {
		row_add(r, r->node, e->item, e->item->told);
		e->item = TAILQ_NEXT(e->item, telling);
	}
	rows_out(r);
	return e->item == NULL;
}

static bool
slice_users(struct router *r)
{
	struct elder *e = &r->elder;

	if (!e->begun)
		e->census = 0;
	e->begun = true;
	if (e->census == e->n_censuses)
		return true;
	users_bequeath(e->censuses[e->census++]);
	return false;
}

static bool
slice_watchers(struct router *r)
{
	watchers_bequeath(r);
	return true;
}

static bool (*const slices[PARTS])(struct router *) = {
	[PART_ROUTES] = slice_routes, [PART_CACHES] = history_bequeath,
	[PART_ROOMS] = replays_bequeath, [PART_HOSTS] = slice_hosts,
	[PART_TOLD] = slice_told, [PART_USERS] = slice_users,
	[PART_WATCHERS] = slice_watchers,
};

static uint64_t
backlog(const struct ipc *ipc)
{
	return ipc_queued(ipc) - ipc_written(ipc);
}

static void
dump(struct router *r)
{
	struct elder *e = &r->elder;

	e->rests = false;
	while (e->stage == ELDER_TELLS && !e->rests &&
	    backlog(e->ipc) < ELDER_QUEUE) {
		if (slices[e->part](r)) {
			e->part++;
			e->begun = false;
		}
		if (e->part == PARTS) {
			msg_pack_legacy_told(ipc_out(e->ipc),
			    &(struct msg_legacy_told){ .end_ = "" });
			e->stage = ELDER_HAS_TOLD;
		}
		ipc_flush(e->ipc);
	}
}

void
elder_on_legacy_ask(struct router *r, struct ipc *ipc,
    const struct msg_legacy_ask *m)
{
	struct elder *e = &r->elder;

	(void)m;
	if (e->stage != ELDER_WAITS || e->tell != NULL)
		return;
	e->tell = ipc;
	e->anew = r->tell.broken;
	e->censuses = census_all(r, &e->n_censuses);
	/* One that has just begun knows too little yet. */
	if (!r->sync.on)
		e->stage = ELDER_TELLS;
}

/* ---- the end ----------------------------------------------------------------- */

static void
hold_peers(struct router *r, bool hold)
{
	struct peer *p;

	TAILQ_FOREACH(p, &r->peers, link)
		ipc_hold(p->ipc, hold, 0);
}

static bool
is_yielding(const struct elder *e)
{
	return e->stage >= ELDER_YIELDS;
}

void
elder_peer(struct router *r, struct peer *p)
{
	if (is_yielding(&r->elder))
		ipc_hold(p->ipc, true, 0);
}

/* Our next envelope on this lane is on its way. */
static void
await(struct router *r, unsigned lane)
{
	struct elder *e = &r->elder;

	e->late[lane / 64] &= ~(1ull << lane % 64);
	e->n_awaited += e->awaited[lane] == 0;
	e->awaited[lane] = r->passage.number;
}

static bool
any_late(const struct elder *e)
{
	uint64_t any = 0;

	for (unsigned i = 0; i < NELEM(e->late); i++)
		any |= e->late[i];
	return any != 0;
}

/* On each late lane something to ourselves, behind all that is on its way. */
static void
mark_lanes(struct router *r, struct census *c)
{
	struct elder *e = &r->elder;
	struct route *t;

	TAILQ_FOREACH(t, &c->order, order) {
		struct topic topic = route_topic(t);
		uint64_t bit = 1ull << topic.lane % 64;

		if (!any_late(e))
			return;
		if (!t->joined || topic.raw ||
		    !(e->late[topic.lane / 64] & bit))
			continue;
		fetch_mark(r, &topic);
		await(r, topic.lane);
	}
}

void
elder_on_legacy_live(struct router *r, struct ipc *ipc,
    const struct msg_legacy_live *m)
{
	struct elder *e = &r->elder;

	(void)ipc, (void)m;
	if (e->live)
		return;
	e->live = true;
	if (!r->reach.up || !r->reach.live ||
	    !(r->backplane->flags & BACKPLANE_ECHOES) || !any_late(e))
		return;
	free(e->censuses);
	e->censuses = census_all(r, &e->n_censuses);
	for (uint32_t i = 0; i < e->n_censuses; i++)
		mark_lanes(r, e->censuses[i]);
	/* Raw ones have no marks; most brokers keep one order for all. */
	if (any_late(e)) {
		hosts_beat(r);
		await(r, carrier_cluster().lane);
	}
}

/* Is nothing under way any more? */
static bool
has_landed(const struct router *r)
{
	const struct elder *e = &r->elder;

	return r->now >= e->since + YIELD_FLIGHTS ||
	    (r->passage.flights.live == 0 && !controls_busy(r) &&
	    e->n_awaited == 0 &&
	    (e->live || e->tell == NULL));
}

static bool
broker_has_all(const struct router *r)
{
	struct backplane_state state = { .backlog = 0 };

	if (!carrier_alone(r) && r->reach.up && r->backplane->state != NULL)
		r->backplane->state(r->carrier, &state);
	return state.backlog == 0;
}

static bool
has_written(const struct router *r)
{
	const struct peer *p;

	if (r->now >= r->elder.since + YIELD_MOST)
		return true;
	TAILQ_FOREACH(p, &r->peers, link) {
		if (!peer_written(p))
			return false;
	}
	return broker_has_all(r) && (hooks_settled(r) ||
	    r->now >= r->elder.since + HOOKS_YIELD);
}

static void
unsent_out(void *arg, const struct backplane_parcel *p)
{
	msg_pack_legacy_unsent(elder_out(arg), &(struct msg_legacy_unsent){
	    .lane = p->lane, .queued = p->queued, .commands = p->commands,
	    .plain_at = p->plain_at, .plain = p->plain_n, .wire = p->wire });
}

static void
tell_end(struct router *r)
{
	struct elder *e = &r->elder;
	const struct tell *tell = &r->tell;
	const struct peer *p;
	struct buf *out = elder_out(r);

	if (out == NULL)
		return;
	heard_out(r);
	rows_out(r);
	if (r->backplane->unsent != NULL)
		r->backplane->unsent(r->carrier, r, unsent_out);
	TAILQ_FOREACH(p, &r->peers, link) {
		msg_pack_legacy_worker(out, &(struct msg_legacy_worker){
		    .slot = p->slot, .generation = p->generation,
		    .serial = p->acked });
	}
	msg_pack_legacy_end(out, &(struct msg_legacy_end){
	    .same = tell->on && !tell->broken && !e->anew,
	    .epoch = tell_epoch(r), .number = tell->number,
	    .rows = tell->rows, .sum = tell->sum,
	    .snapshot = tell->snapshot.id,
	    .wanted = tell->snapshot.wanted || tell->snapshot.on,
	    .degraded = r->passage.degraded });
	e->tell = NULL;
}

static void
yield_turn(struct router *r)
{
	struct elder *e = &r->elder;

	if (e->stage == ELDER_YIELDS && has_landed(r)) {
		if (r->passage.flights.live > 0)
			passage_degrade(r, "this router is replaced");
		e->stage = ELDER_WRITES;
		controls_freeze(r);
		controls_write(r);
		peers_flush(r);
	}
	if (e->stage == ELDER_WRITES && has_written(r)) {
		tell_end(r);
		e->stage = ELDER_ENDS;
	}
	if (e->ipc != NULL)
		ipc_flush(e->ipc);
	if (e->stage == ELDER_ENDS &&
	    (e->ipc == NULL || backlog(e->ipc) == 0)) {
		e->stage = ELDER_YIELDED;
		msg_pack_yielded(ipc_out(r->master->ipc),
		    &(struct msg_yielded){ .end_ = "" });
		log_debug("yielded after_ms=%llu",
		    (unsigned long long)(r->now - e->since));
	}
}

void
elder_yield(struct router *r)
{
	struct elder *e = &r->elder;

	if (is_yielding(e))
		return;
	/* Half of it is of no use. */
	if (e->stage != ELDER_HAS_TOLD)
		e->tell = NULL;
	e->stage = ELDER_YIELDS;
	e->since = r->now;
	hold_peers(r, true);
	controls_yield(r);
	if (e->tell != NULL)
		msg_pack_legacy_yield(ipc_out(e->tell),
		    &(struct msg_legacy_yield){ .end_ = "" });
}

bool
elder_frozen(const struct router *r)
{
	return r->elder.stage >= ELDER_WRITES;
}

bool
elder_yielded(const struct router *r)
{
	return r->elder.stage == ELDER_YIELDED;
}

/* ---- the link ----------------------------------------------------------------- */

static int
on_message(void *ctx, struct ipc *ipc, unsigned type, struct unpacker *u,
    const char **why)
{
	return elder_dispatch(ctx, ipc, type, u, why);
}

static void
on_gone(void *ctx, struct ipc *ipc, const char *why)
{
	struct router *r = ctx;

	(void)ipc;
	if (!elder_yielded(r))
		log_info("the router's successor has left why=\"%s\"", why);
	r->elder.lost = true;
}

static const struct ipc_ops ops = {
	.on_message = on_message, .on_gone = on_gone,
};

/* Cursors, and what was collected. */
static void
forget(struct elder *e)
{
	ipc_free(e->ipc);
	free(e->censuses);
	buf_done(&e->rows);
	if (e->timer != NULL)
		event_free(e->timer);
	*e = (struct elder){ .stage = ELDER_NONE };
}

/* We are in force, as before. */
static void
resume(struct router *r)
{
	bool yielding = is_yielding(&r->elder);

	forget(&r->elder);
	if (yielding)
		hold_peers(r, false);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;	/* elder_turn() looks */
}

void
elder_begin(struct router *r, int fd)
{
	struct elder *e = &r->elder;

	resume(r);
	e->stage = ELDER_WAITS;
	e->ipc = ipc_new(r->base, fd, false, &ops, r);
	e->timer = evtimer_new(r->base, on_timer, NULL);
	if (e->timer == NULL)
		fatal("no timer");
}

static void
look_again(struct elder *e)
{
	static const struct timeval soon = { 0, LOOK_MS * 1000 };

	if (e->timer != NULL && !evtimer_pending(e->timer, NULL))
		evtimer_add(e->timer, &soon);
}

void
elder_turn(struct router *r)
{
	struct elder *e = &r->elder;

	if (e->stage == ELDER_NONE)
		return;
	if (e->ipc != NULL && backlog(e->ipc) > ELDER_QUEUE_MAX) {
		log_warn("the router's successor does not read");
		e->lost = true;
	}
	if (e->lost && elder_yielded(r)) {
		/* It knows all, and is in force or is replaced itself. */
		ipc_free(e->ipc);
		e->ipc = e->tell = NULL;
		e->lost = false;
	}
	if (e->lost) {
		resume(r);
		return;
	}
	if (e->stage == ELDER_WAITS && e->tell != NULL && !r->sync.on)
		e->stage = ELDER_TELLS;
	dump(r);
	heard_out(r);
	rows_out(r);
	if (is_yielding(e))
		yield_turn(r);
	else if (e->ipc != NULL)
		ipc_flush(e->ipc);
	if (is_yielding(e) && !elder_yielded(r))
		look_again(e);
}

void
elder_done(struct router *r)
{
	forget(&r->elder);
}
