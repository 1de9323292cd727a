/* SPDX-License-Identifier: MIT
 *
 * The router's side of the backplane.
 *
 * Runs in: the router.
 */
#include "router/carrier.h"

#include <inttypes.h>

#include <event2/event.h>

#include "common/counters.h"
#include "common/log.h"
#include "common/util.h"
#include "router/room.h"
#include "router/router.h"

#define GRUMBLE_MS	10000	/* a line of each kind at most */

/* ---- topics ------------------------------------------------------------- */

/* FNV-1a: the same on all hosts. */
static unsigned
lane_of(struct bytes app, struct bytes channel)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < app.n; i++)
		h = (h ^ (unsigned char)app.p[i]) * 16777619u;
	h *= 16777619u;		/* a NUL between them */
	for (size_t i = 0; i < channel.n; i++)
		h = (h ^ (unsigned char)channel.p[i]) * 16777619u;
	return h % LANES;
}

unsigned
carrier_lane(const struct topic *topic)
{
	return lane_of(topic->app, topic->channel);
}

struct topic
carrier_topic(struct router *r, struct bytes app, struct bytes channel)
{
	struct topic topic = { .app = app, .channel = channel };
	struct buf *name = &r->reach.name;

	buf_clear(name);
	topic.raw = room_raw_name(r, app, channel, name);
	if (topic.raw)
		topic.channel = buf_view(name);
	topic.lane = lane_of(app, topic.channel);
	return topic;
}

struct topic
carrier_cluster(void)
{
	struct topic topic = { .app = B(""), .channel = B("hosts") };

	topic.lane = lane_of(topic.app, topic.channel);
	return topic;
}

static bool
is_cluster(const struct topic *topic)
{
	return topic->app.n == 0 && !topic->raw;
}

static struct route *
route_of(struct router *r, const struct topic *topic)
{
	struct bytes app = topic->app, channel = topic->channel;
	struct buf *name = &r->reach.name;
	struct census *c;

	if (topic->raw) {
		buf_clear(name);
		if (!room_of_raw_name(r, topic->channel, &app, name))
			return NULL;
		channel = buf_view(name);
	}
	c = census_find(r, app);
	return c != NULL ? route_find(c, channel) : NULL;
}

void
carrier_join(struct route *t)
{
	struct router *r = t->census->router;
	struct topic topic;

	if (carrier_alone(r)) {
		t->joined = true;
		return;
	}
	elder_topic(t, true);
	topic = route_topic(t);
	r->backplane->join(r->carrier, &topic, (struct position){ 0, 0 });
}

void
carrier_leave(struct route *t)
{
	struct router *r = t->census->router;
	struct topic topic;

	if (carrier_alone(r))
		return;
	elder_topic(t, false);
	topic = route_topic(t);
	passage_left(r, topic.lane, t->flown);
	if (topic.raw)
		raw_leave(r, &topic);
	r->backplane->leave(r->carrier, &topic);
}

/* ---- what is dropped ---------------------------------------------------- */

static const struct {
	uint64_t	*count;
	const char	*text;
} faults[ENVELOPE_FAULTS] = {
	[ENVELOPE_BAD] = { &counter.backplane_bad_envelope, "no envelope" },
	[ENVELOPE_BAD_VERSION] = { &counter.backplane_bad_version,
	    "envelope of another version" },
	[ENVELOPE_BAD_KIND] = { &counter.backplane_bad_kind,
	    "envelope of an unknown kind" },
	[ENVELOPE_BAD_SIGNATURE] = { &counter.backplane_bad_signature,
	    "envelope with a wrong signature" },
	[ENVELOPE_BAD_PAYLOAD] = { &counter.backplane_bad_payload,
	    "envelope with a wrong content" },
};

void
carrier_grumble(struct router *r, enum envelope_fault fault,
    const struct topic *topic)
{
	struct grumble *g = &r->reach.grumbles[fault];
	uint64_t now = clock_ms();

	(*faults[fault].count)++;
	g->n++;
	if (g->last != 0 && now - g->last < GRUMBLE_MS)
		return;
	g->last = now;
	log_warn("dropped from the broker: %s n=%" PRIu64 " app=%s channel=%s",
	    faults[fault].text, g->n, log_value(topic->app),
	    log_value(topic->channel));
	g->n = 0;
}

/* ---- what the broker brings --------------------------------------------- */

static int
take_own(struct router *r, const struct topic *topic,
    const struct envelope *e)
{
	if (!passage_back(r, topic->lane, e->number) &&
	    passage_again(r, e) < 0)
		return -1;
	if (e->kind == ENVELOPE_EVENT || e->kind == ENVELOPE_KICK ||
	    e->kind == ENVELOPE_HOOK)
		return 0;
	if (e->kind == ENVELOPE_MARK)
		return fetch_marked(r, e);
	return host_take(r, NULL, e);
}

static int
take_others(struct router *r, const struct topic *topic,
    const struct envelope *e)
{
	struct host *host = host_of(r, e);

	if (host == NULL)
		return 0;
	if (e->kind == ENVELOPE_EVENT || e->kind == ENVELOPE_KICK)
		return passage_take(r, host, topic->lane, e);
	if (e->kind == ENVELOPE_MARK)
		return 0;
	if (e->kind == ENVELOPE_HOOK)
		return hooks_heard(r, e);
	return host_take(r, host, e);
}

/* Only messages of a channel and marks come on its topic, all else on the
 * cluster's. */
static bool
belongs(const struct topic *topic, const struct envelope *e)
{
	return bytes_eq(topic->app, e->app) &&
	    bytes_eq(topic->channel, e->channel) &&
	    is_cluster(topic) == (e->kind != ENVELOPE_EVENT &&
	    e->kind != ENVELOPE_MARK);
}

/* A bare text: ours, or from who knows whom. */
static int
take_raw(struct router *r, const struct topic *topic, struct bytes text)
{
	uint64_t number = raw_back(r, topic, text);
	struct msg_publish m;

	elder_raw(r, topic, text);
	if (number != 0) {
		passage_back(r, topic->lane, number);
		return 0;
	}
	if (raw_message(r, topic, text, &m) < 0)
		return -1;
	passage_foreign(r, &m);
	return 0;
}

/* It waits: until workers have told all, and as long as another router of this
 * host is in force. */
static bool
is_early(const struct router *r, const struct topic *on)
{
	if (heir_waits(r) || elder_frozen(r))
		return true;
	return !r->sync.told && (!is_cluster(on) || heir_same(r));
}

/* An envelope that is in order. */
static int
take(struct router *r, const struct topic *topic, const struct envelope *e)
{
	if (heir_heard(r, e, topic->lane))
		return 0;
	elder_heard(r, e, topic->lane);
	return e->node == r->node && e->incarnation == r->incarnation ?
	    take_own(r, topic, e) : take_others(r, topic, e);
}

static void
on_message(void *ctx, const struct topic *on, struct position at,
    struct bytes octets)
{
	struct router *r = ctx;
	struct topic topic = *on;
	struct envelope e;
	enum envelope_fault fault;

	(void)at;
	if (on->raw && heir_raw(r, on, octets))
		return;
	if (is_early(r, on) && early_keep(&r->reach.early, on, octets))
		return;
	if (heir_waits(r) || elder_frozen(r))
		return;
	topic.lane = lane_of(topic.app, topic.channel);
	if (topic.raw) {
		if (take_raw(r, &topic, octets) < 0)
			carrier_grumble(r, ENVELOPE_BAD_PAYLOAD, &topic);
		return;
	}
	fault = envelope_open(octets, carrier_key(r), &e);
	if (fault == ENVELOPE_GOOD && !belongs(&topic, &e))
		fault = ENVELOPE_BAD_PAYLOAD;
	if (fault == ENVELOPE_GOOD && take(r, &topic, &e) < 0)
		fault = ENVELOPE_BAD_PAYLOAD;
	if (fault != ENVELOPE_GOOD)
		carrier_grumble(r, fault, &topic);
}

static void
on_fetched(void *ctx, uint64_t cookie, struct bytes octets, uint64_t ttl_ms,
    const char *why)
{
	fetch_answered(ctx, cookie, octets, ttl_ms, why);
}

static void
on_published(void *ctx, uint64_t cookie, const char *why)
{
	struct router *r = ctx;
	const struct flight *f;

	raw_published(r, cookie, why);
	if (why == NULL)
		return;
	f = flight_find(&r->passage.flights, cookie);
	if (f != NULL)
		passage_release(r, f->lane, cookie);
}

/* ---- how far this host can be heard -------------------------------------- */

/* The others can be talked to, and heard. */
static void
meet(struct router *r)
{
	bool met = r->reach.up && r->reach.live;

	if (met == r->reach.met)
		return;
	r->reach.met = met;
	if (met)
		hosts_up(r);
	else
		hosts_down(r);
}

static void
on_joined(void *ctx, const struct topic *topic, struct position at)
{
	struct router *r = ctx;
	struct route *t;

	(void)at;
	if (is_cluster(topic)) {
		r->reach.live = true;
		meet(r);
		return;
	}
	t = route_of(r, topic);
	if (t == NULL || !route_wanted(t))
		return;
	heir_joined(t, true);
	t->joined = true;
	if (topic->raw)
		raw_joined(r, topic);
	pending_joined(t);
}

static void
on_gap(void *ctx, const struct topic *topic)
{
	struct router *r = ctx;
	struct route *t;

	passage_release(r, lane_of(topic->app, topic->channel), UINT64_MAX);
	if (is_cluster(topic)) {
		r->reach.live = false;
		meet(r);
		return;
	}
	if (topic->raw)
		raw_gap(r, topic);
	t = route_of(r, topic);
	if (t == NULL)
		return;
	heir_joined(t, false);
	t->joined = false;
	t->known = t->fetch = 0;
}

static void
on_up(void *ctx)
{
	struct router *r = ctx;

	r->reach.up = r->reach.tried = true;
	meet(r);
	pending_up(r);
}

static void
on_down(void *ctx, const char *why)
{
	struct router *r = ctx;

	r->reach.up = false;
	r->reach.tried = true;
	r->reach.era++;
	passage_degrade(r, why);
	meet(r);
	fetch_down(r);
	pending_down(r);
}

static void
on_resolve(void *ctx, uint64_t cookie, struct bytes host)
{
	struct router *r = ctx;

	msg_pack_resolve(ipc_out(r->master->ipc),
	    &(struct msg_resolve){ .cookie = cookie, .host = host });
}

static const struct backplane_up upcalls = {
	.joined = on_joined,
	.gap = on_gap,
	.published = on_published,
	.message = on_message,
	.fetched = on_fetched,
	.up = on_up,
	.down = on_down,
	.resolve = on_resolve,
};

/* ---- life --------------------------------------------------------------- */

/* The loop is to turn. */
static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
}

void
carrier_open(struct router *r)
{
	const char *why = "";

	if (r->backplane == NULL)	/* a test brings its own */
		r->backplane =
		    backplane_by_driver(r->config->backplane.driver);
	if (r->backplane == NULL)
		die("this build has no such backplane driver");
	r->carrier = r->backplane->open(&r->config->backplane, r->base,
	    &upcalls, r, &why);
	if (r->carrier == NULL)
		die("backplane %s: %s", r->backplane->name, why);
	r->reach.era = 1;
	raw_init(r);
	early_init(&r->reach.early);
	r->reach.timer = event_new(r->base, -1, 0, on_timer, r);
	if (r->reach.timer == NULL)
		fatal("no timer");
}

void
carrier_close(struct router *r)
{
	if (r->carrier == NULL)
		return;
	r->backplane->close(r->carrier);
	event_free(r->reach.timer);
	buf_done(&r->reach.name);
	raw_done(r);
	early_done(&r->reach.early);
	fetch_done(r);
}

void
carrier_start(struct router *r)
{
	struct topic cluster = carrier_cluster();

	if (carrier_alone(r))
		return;
	passage_start(r);
	r->reach.started = clock_ms();
	r->backplane->start(r->carrier);
	r->backplane->join(r->carrier, &cluster, (struct position){ 0, 0 });
}

bool
carrier_alone(const struct router *r)
{
	return (r->backplane->flags & BACKPLANE_LOCAL) != 0;
}

bool
carrier_up(const struct router *r)
{
	return r->reach.up;
}

struct bytes
carrier_key(const struct router *r)
{
	const struct config_backplane *set = &r->config->backplane;

	return bytes_str(set->signing ? set->signing_key : "");
}

/* ---- publishing --------------------------------------------------------- */

void
carrier_publish(struct router *r, const struct topic *topic,
    struct bytes octets, uint64_t number, bool keep)
{
	if (keep && r->backplane->store != NULL)
		r->backplane->store(r->carrier, topic, octets,
		    r->config->router.cache_ttl, number);
	else
		r->backplane->publish(r->carrier, topic, octets, number);
}

static void
say(struct router *r, const struct topic *topic, enum envelope_kind kind,
    struct bytes payload, bool live)
{
	struct envelope e = {
		.node = r->node, .incarnation = r->incarnation,
		.number = passage_number(r, topic->lane, live), .kind = kind,
		.app = topic->app, .channel = topic->channel,
		.payload = payload,
	};
	struct buf out = { 0 };

	envelope_seal(&out, &e, carrier_key(r));
	carrier_publish(r, topic, buf_view(&out), e.number, false);
	buf_done(&out);
}

bool
carrier_broadcast(struct router *r, enum envelope_kind kind,
    struct bytes payload, bool urgent)
{
	struct topic topic = carrier_cluster();

	if (carrier_alone(r))
		return true;
	if (!r->reach.up && !urgent)
		return false;
	say(r, &topic, kind, payload, r->reach.up && r->reach.live);
	return true;
}

void
carrier_mark(struct router *r, const struct topic *topic,
    struct bytes payload)
{
	say(r, topic, ENVELOPE_MARK, payload, true);
}

/* ---- the loop ----------------------------------------------------------- */

/* The loop must turn when the next thing has waited too long; one timer at a
 * time is enough, because they are all waited for as long. */
static void
wake(struct router *r)
{
	uint64_t a = passage_due(r), b = pending_due(r), c = fetch_due(r);
	uint64_t due = a != 0 ? a : UINT64_MAX;
	struct timeval after;

	if (b != 0 && b < due)
		due = b;
	if (c != 0 && c < due)
		due = c;
	if (due == UINT64_MAX || evtimer_pending(r->reach.timer, NULL))
		return;
	after = timeval_ms(due > r->now ? due - r->now : 1);
	evtimer_add(r->reach.timer, &after);
}

void
carrier_due(struct router *r)
{
	if (carrier_alone(r))
		return;
	passage_turn(r);
	fetch_turn(r);
	pending_turn(r);
}

void
carrier_turn(struct router *r)
{
	if (carrier_alone(r))
		return;
	if (r->sync.told && !elder_frozen(r))
		early_over(&r->reach.early, r, on_message);
	passage_settle(r);
	r->backplane->flush(r->carrier);
	wake(r);
}
