/* SPDX-License-Identifier: MIT
 *
 * A message's way from one worker to the others, on this host and on all.
 *
 * Runs in: the router.
 */
#include "router/passage.h"

#include <inttypes.h>

#include "common/counters.h"
#include "common/log.h"
#include "common/util.h"
#include "router/payload.h"
#include "router/report.h"
#include "router/router.h"

#define LANE_SHIFT	56	/* of the lane in an origin that workers see */

/* A message and who published it. */
struct passing {
	const struct msg_publish	*m;
	struct peer			*from;	/* NULL: nobody who waits */
	uint64_t			 origin;
};

/* ---- delivery on this host ---------------------------------------------- */

/* The worker that need not hear of it: nobody is there but the sender.  On the
 * backplane time may pass until it is delivered, and others may have come. */
static const struct peer *
spared(const struct route *t, const struct passing *p)
{
	return (p->m->flags & PUBLISH_ALONE) != 0 && t->replay == NULL &&
	    carrier_alone(t->census->router) ? p->from : NULL;
}

/* Encoded once; a single worker gets it without a copy. */
static void
deliver_to(struct route *t, const struct passing *p,
    const struct msg_deliver *d)
{
	struct buf *scratch = &t->census->router->scratch;
	const struct peer *without = spared(t, p);
	uint32_t pos = 0;
	struct peer *first = route_next(t, without, &pos), *next;

	if (first == NULL)
		return;
	peer_touch(p->from, first);
	next = route_next(t, without, &pos);
	if (next == NULL) {
		msg_pack_deliver(ipc_out(first->ipc), d);
		return;
	}
	buf_clear(scratch);
	msg_pack_deliver(scratch, d);
	ipc_put(first->ipc, buf_view(scratch));
	for (; next != NULL; next = route_next(t, without, &pos)) {
		peer_touch(p->from, next);
		ipc_put(next->ipc, buf_view(scratch));
	}
}

static void
route_deliver(struct route *t, const struct passing *p)
{
	struct router *r = t->census->router;
	const struct msg_publish *m = p->m;
	struct msg_deliver d = {
		.epoch = r->epoch, .serial = ++r->serial,
		.origin = p->origin, .origin_serial = m->serial,
		.app = m->app, .channel = m->channel,
		.position_epoch = t->epoch, .position_offset = t->offset,
		.event = m->event, .data = m->data, .user = m->user,
		.except_a = m->except_a, .except_b = m->except_b,
		.flags = m->flags & ~(uint64_t)PUBLISH_ALONE,
	};

	deliver_to(t, p, &d);
}

static bool
is_cached(const struct msg_publish *m)
{
	return (m->flags & (PUBLISH_CACHE | PUBLISH_CLIENT)) == PUBLISH_CACHE;
}

static void
keep(struct route *t, const struct msg_publish *m)
{
	history_put(t, m->event, m->data);
	if (t->joined)
		t->known = t->census->router->reach.era;
}

/* Numbered, kept if it is to be, and out to the workers that want it. */
static void
deliver(struct router *r, const struct passing *p)
{
	const struct msg_publish *m = p->m;
	bool kept = is_cached(m);
	struct census *c = kept ? census_get(r, m->app)
	    : census_find(r, m->app);
	struct route *t;

	counter.routed++;
	if (r->taps.n != 0)
		tap_message(r, m);
	report_passed(r);
	if (c == NULL)
		return;
	t = kept ? route_get(c, m->channel) : route_find(c, m->channel);
	if (t == NULL)
		return;
	t->offset++;
	if (t->replay != NULL)
		replay_put(t, m);
	if (route_heard(t))
		route_deliver(t, p);
	if (kept)
		keep(t, m);
	route_release(t);
}

static void
terminate(struct router *r, struct peer *from, struct bytes app,
    struct bytes user)
{
	struct msg_terminate out = {
		.epoch = r->epoch, .serial = ++r->serial,
		.app = app, .user = user,
	};
	struct peer *p;

	TAILQ_FOREACH(p, &r->peers, link)
		peer_touch(from, p);
	buf_clear(&r->scratch);
	msg_pack_terminate(&r->scratch, &out);
	peers_cast(r, buf_view(&r->scratch));
}

/* Workers drop what they have seen of an origin; only a lane has an order. */
static uint64_t
origin_on(uint64_t origin, unsigned lane)
{
	return origin | (uint64_t)lane << LANE_SHIFT;
}

/* ---- in flight ---------------------------------------------------------- */

static void
flight_deliver(struct router *r, const struct flight *f)
{
	struct passing p = {
		.from = f->from, .origin = origin_on(f->origin, f->lane),
	};
	struct msg_publish m;
	struct msg_kick k;
	struct envelope e;
	uint64_t origin;

	if (envelope_open_own(flight_octets(&r->passage.flights, f),
	    carrier_key(r), &e) != ENVELOPE_GOOD)
		fatal("an envelope of our own cannot be read");
	if (e.kind == ENVELOPE_KICK && kick_unpack(&e, &origin, &k) == 0) {
		terminate(r, f->from, k.app, k.user);
	} else if (event_unpack(&e, &origin, &m) == 0) {
		p.m = &m;
		deliver(r, &p);
	}
}

void
passage_release(struct router *r, unsigned lane, uint64_t number)
{
	struct flights *fs = &r->passage.flights;
	struct flight *f;

	while ((f = flight_first_of(fs, lane)) != NULL && f->number <= number) {
		flight_deliver(r, f);
		flight_end(fs, f);
	}
}

/* Not at once: the route is being left. */
void
passage_left(struct router *r, unsigned lane, uint64_t number)
{
	struct passage *ps = &r->passage;

	if (flight_find(&ps->flights, number) == NULL)
		return;
	if (number > ps->left[lane])
		ps->left[lane] = number;
	ps->any_left = true;
}

void
passage_settle(struct router *r)
{
	struct passage *ps = &r->passage;

	if (!ps->any_left)
		return;
	ps->any_left = false;
	for (unsigned lane = 0; lane < LANES; lane++) {
		passage_release(r, lane, ps->left[lane]);
		ps->left[lane] = 0;
	}
}

static void
release_all(struct router *r)
{
	struct flights *fs = &r->passage.flights;
	struct flight *f;

	while ((f = flight_first(fs)) != NULL) {
		flight_deliver(r, f);
		flight_end(fs, f);
	}
}

/* Will it come back, and is there somebody to wait for it? */
static bool
is_awaited(const struct router *r, unsigned lane, bool live)
{
	const struct passage *ps = &r->passage;

	return live && !ps->degraded && !ps->probes[lane].late &&
	    (r->backplane->flags & BACKPLANE_ECHOES);
}

/* The sealed envelope at the end of the tail, n octets, is in flight. */
static void
fly(struct router *r, const struct passing *p, uint64_t number, unsigned lane,
    size_t n, uint64_t settled)
{
	struct flights *fs = &r->passage.flights;
	struct flight *f = flight_add(fs, number, lane, (uint32_t)n);

	f->sent = clock_ms();
	f->origin = p->origin;
	if (p->from != NULL)
		flight_of(fs, f, p->from, settled);
	if (fs->live > FLIGHTS_MAX || flights_octets(fs) > FLIGHTS_OCTETS_MAX)
		passage_degrade(r, "too much in flight");
}

/* ---- while nothing is waited for ---------------------------------------- */

void
passage_degrade(struct router *r, const char *why)
{
	struct passage *ps = &r->passage;

	if (!ps->degraded) {
		ps->degraded = ps->said = true;
		ps->since = r->now;
		counter.backplane_degraded = 1;
		log_warn("messages are delivered without the broker why=\"%s\" "
		    "in_flight=%" PRIu64, why, ps->flights.live);
	}
	release_all(r);
}

static void
recover(struct router *r, uint64_t now)
{
	struct passage *ps = &r->passage;

	ps->degraded = false;
	counter.backplane_degraded = 0;
	if (ps->said)
		log_info("messages pass through the broker again after_ms=%"
		    PRIu64, now - ps->since);
	ps->said = false;
}

uint64_t
passage_number(struct router *r, unsigned lane, bool live)
{
	struct passage *ps = &r->passage;
	struct probe *probe = &ps->probes[lane];
	uint64_t now;

	ps->number++;
	if (!live || (!ps->degraded && !probe->late))
		return ps->number;
	now = clock_ms();
	if (probe->number == 0 ||
	    now - probe->sent > r->config->backplane.echo_timeout) {
		probe->number = ps->number;
		probe->sent = now;
	}
	return ps->number;
}

/* An envelope that was sent while nothing was waited for is back. */
static void
probe_back(struct router *r, unsigned lane, uint64_t number)
{
	struct probe *probe = &r->passage.probes[lane];
	uint64_t now;

	if (probe->number == 0 || number != probe->number)
		return;
	probe->number = 0;
	now = clock_ms();
	if (now - probe->sent > r->config->backplane.echo_timeout)
		return;
	probe->late = false;
	if (r->passage.degraded)
		recover(r, now);
}

uint64_t
passage_due(const struct router *r)
{
	const struct flight *f = flight_first(&r->passage.flights);

	return f != NULL ? f->sent + r->config->backplane.echo_timeout : 0;
}

/* Lanes with something that is not back in time. */
static unsigned
mark_late(struct router *r)
{
	struct passage *ps = &r->passage;
	uint64_t limit = r->config->backplane.echo_timeout;
	unsigned n = 0;

	for (unsigned lane = 0; lane < LANES; lane++) {
		const struct flight *f = flight_first_of(&ps->flights, lane);

		if (f == NULL || f->sent + limit > r->now)
			continue;
		ps->probes[lane] = (struct probe){ .late = true };
		n++;
	}
	return n;
}

void
passage_turn(struct router *r)
{
	uint64_t due = passage_due(r);

	if (due == 0 || due > r->now)
		return;
	counter.backplane_echo_timeouts += mark_late(r);
	passage_degrade(r, "no answer in time");
}

/* ---- from workers ------------------------------------------------------- */

/* Has this worker's message been taken before?  Notes it if not. */
static bool
taken_before(struct peer *from, uint64_t serial)
{
	if (from == NULL)
		return false;
	if (serial <= from->highest) {
		counter.duplicates++;
		return true;
	}
	from->highest = serial;
	return false;
}

/* Nothing of it is in flight: all that it said is settled. */
static void
settle(struct peer *from)
{
	if (from != NULL && from->first_flight == 0)
		from->settled = from->highest;
}

/* Sealed at the end of the tail. */
static struct bytes
seal(struct router *r, enum envelope_kind kind, struct bytes app,
    struct bytes channel, uint64_t number)
{
	struct buf *tail = flights_tail(&r->passage.flights);
	size_t from = tail->n;
	struct envelope e = {
		.node = r->node, .incarnation = r->incarnation,
		.number = number, .kind = kind,
		.app = app, .channel = channel,
		.payload = buf_view(&r->passage.payload),
	};

	envelope_seal(tail, &e, carrier_key(r));
	return bytes_of(tail->p + from, tail->n - from);
}

static void
unseal(struct router *r, size_t n)
{
	flights_tail(&r->passage.flights)->n -= n;
}

static void
event_out(struct router *r, struct passing *p, uint64_t settled)
{
	const struct msg_publish *m = p->m;
	struct topic topic = carrier_topic(r, m->app, m->channel);
	struct census *c = census_find(r, m->app);
	struct route *t = c != NULL ? route_find(c, m->channel) : NULL;
	bool live = r->reach.up && t != NULL && t->joined;
	uint64_t number = passage_number(r, topic.lane, live);
	struct bytes octets;

	event_pack(&r->passage.payload, p->origin, m);
	octets = seal(r, ENVELOPE_EVENT, m->app, m->channel, number);
	if (!topic.raw)
		carrier_publish(r, &topic, octets, number, is_cached(m));
	else if (!raw_publish(r, &topic, m, number,
	    t != NULL && route_heard(t)))
		live = false;
	if (is_awaited(r, topic.lane, live)) {
		t->flown = number;
		fly(r, p, number, topic.lane, octets.n, settled);
		return;
	}
	unseal(r, octets.n);
	passage_release(r, topic.lane, number);
	p->origin = origin_on(p->origin, topic.lane);
	deliver(r, p);
}

void
passage_publish(struct router *r, struct peer *from,
    const struct msg_publish *m)
{
	uint64_t settled = from != NULL ? from->highest : 0;
	struct passing p = {
		.m = m, .from = from,
		.origin = from != NULL ? from->origin : r->epoch,
	};

	if (taken_before(from, m->serial))
		return;
	if (from != NULL) {
		peer_published(from, m);
		hooks_client(r, m);
	}
	if (carrier_alone(r))
		deliver(r, &p);
	else
		event_out(r, &p, settled);
	settle(from);
}

void
passage_connection(struct router *r, struct peer *from,
    const struct msg_connection *m)
{
	if (taken_before(from, m->serial))
		return;
	peer_unawaited(from, m->app.n + m->user.n + m->why.n);
	hooks_connection(r, m);
	settle(from);
}

/* What was said before it, to that user too, goes first. */
static void
kick_out(struct router *r, struct passing *p, const struct msg_kick *m,
    uint64_t settled)
{
	struct topic topic = carrier_cluster();
	bool live = r->reach.up && r->reach.live;
	uint64_t number = passage_number(r, topic.lane, live);
	struct bytes octets;

	kick_pack(&r->passage.payload, p->origin, m);
	octets = seal(r, ENVELOPE_KICK, topic.app, topic.channel, number);
	carrier_publish(r, &topic, octets, number, false);
	if (is_awaited(r, topic.lane, live)) {
		fly(r, p, number, topic.lane, octets.n, settled);
		return;
	}
	unseal(r, octets.n);
	release_all(r);
	terminate(r, p->from, m->app, m->user);
}

void
passage_kick(struct router *r, struct peer *from, const struct msg_kick *m)
{
	uint64_t settled = from != NULL ? from->highest : 0;
	struct msg_kick own = *m;
	struct passing p = {
		.from = from, .origin = from != NULL ? from->origin : r->epoch,
	};

	if (taken_before(from, m->serial))
		return;
	if (from == NULL)
		own.serial = ++r->own_serial;
	else
		peer_hurry(from);
	if (carrier_alone(r))
		terminate(r, from, m->app, m->user);
	else
		kick_out(r, &p, &own, settled);
	settle(from);
}

void
passage_forget(struct router *r, struct peer *dead)
{
	flights_forget(&r->passage.flights, dead);
}

/* ---- from the broker ---------------------------------------------------- */

/* It was delivered when it was sent; but what others sent before it may have
 * been kept as the last message since. */
int
passage_again(struct router *r, const struct envelope *e)
{
	struct census *c = census_find(r, e->app);
	struct route *t = c != NULL ? route_find(c, e->channel) : NULL;
	struct msg_publish m;
	uint64_t origin;

	if (e->kind != ENVELOPE_EVENT || t == NULL || !t->joined)
		return 0;
	/* Unsigned, anybody could have written it. */
	if (event_unpack(e, &origin, &m) < 0)
		return -1;
	if (!is_cached(&m))
		return 0;
	if (!event_is_sound(&m))
		return -1;
	keep(t, &m);
	return 0;
}

bool
passage_back(struct router *r, unsigned lane, uint64_t number)
{
	struct flight *f = flight_find(&r->passage.flights, number);

	probe_back(r, lane, number);
	if (f == NULL || f->lane != lane)
		return false;
	passage_release(r, lane, number);
	return true;
}

void
passage_foreign(struct router *r, const struct msg_publish *m)
{
	deliver(r, &(struct passing){ .m = m });
}

static bool
seen(struct host *h, unsigned lane, uint64_t number, uint64_t origin,
    uint64_t serial)
{
	if (h->seen == NULL)
		h->seen = seen_new(&h->router->passage.seen_rows);
	if (!seen_before(h->seen, lane, number, origin, serial)) {
		elder_seen(h, lane, number, origin, serial);
		return false;
	}
	counter.duplicates++;
	return true;
}

int
passage_take(struct router *r, struct host *h, unsigned lane,
    const struct envelope *e)
{
	struct msg_publish m;
	struct msg_kick k;
	struct passing p = { .m = &m };
	uint64_t origin;

	if (e->kind == ENVELOPE_KICK) {
		if (kick_unpack(e, &origin, &k) < 0)
			return -1;
		if (!seen(h, lane, e->number, origin, k.serial))
			terminate(r, NULL, k.app, k.user);
		return 0;
	}
	if (event_unpack(e, &origin, &m) < 0 || !event_is_sound(&m))
		return -1;
	if (!seen(h, lane, e->number, origin, m.serial)) {
		/* Workers cannot tell hosts apart. */
		m.serial = 0;
		deliver(r, &p);
	}
	return 0;
}

int
passage_fetched(struct route *t, const struct envelope *e, uint64_t ttl_ms)
{
	struct msg_publish m;
	uint64_t origin;

	if (e->kind != ENVELOPE_EVENT || event_unpack(e, &origin, &m) < 0 ||
	    !is_cached(&m) || !event_is_sound(&m))
		return -1;
	history_put_for(t, m.event, m.data, ttl_ms);
	return 0;
}

/* ---- life --------------------------------------------------------------- */

void
passage_init(struct router *r)
{
	/* Until the broker has shown that it answers. */
	r->passage = (struct passage){ .degraded = true };
	flights_init(&r->passage.flights);
}

void
passage_start(struct router *r)
{
	r->passage.number = ENVELOPE_NUMBER(r->generation);
}

void
passage_done(struct router *r)
{
	flights_done(&r->passage.flights);
	buf_done(&r->passage.payload);
}
