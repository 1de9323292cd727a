/* SPDX-License-Identifier: MIT
 *
 * Channels to workers, and a message's way from one to the others.
 *
 * Runs in: the router.
 */
#include "router/route.h"

#include <stdlib.h>

#include "common/counters.h"
#include "common/log.h"
#include "common/util.h"
#include "router/router.h"

/* A subscription that waits until the backplane listens to its topic. */
struct pending {
	TAILQ_ENTRY(pending)	 link;
	struct route		*route;
	struct peer		*peer;
	uint64_t		 cookie, flags;
};

/* ---- the table ---------------------------------------------------------- */

static struct topic
route_topic(const struct route *t)
{
	return (struct topic){ t->census->app, route_name(t) };
}

struct route *
route_find(struct census *c, struct bytes name)
{
	struct hash_link *l = hash_find(&c->routes, name);

	return l != NULL ? container_of(l, struct route, link) : NULL;
}

struct route *
route_get(struct census *c, struct bytes name)
{
	struct route *t = route_find(c, name);

	if (t != NULL)
		return t;
	t = xcalloc(1, sizeof(*t) + name.n);
	t->census = c;
	t->epoch = ++c->router->last_epoch;
	t->name_n = (uint16_t)name.n;
	if (name.n > 0)
		memcpy(t->name, name.p, name.n);
	hash_insert(&c->routes, &t->link);
	TAILQ_INSERT_TAIL(&c->order, t, order);
	return t;
}

void
route_release(struct route *t)
{
	struct census *c = t->census;

	if (t->subs.total > 0 || t->cached != NULL)
		return;
	pending_forget(c->router, NULL, t);
	answers_skip_route(c->router, t);
	count_forget(t);
	members_free(t->members);
	TAILQ_REMOVE(&c->order, t, order);
	hash_remove(&c->routes, &t->link);
	free(t);
}

bool
route_add(struct route *t, struct peer *peer, uint64_t n)
{
	struct router *r = t->census->router;
	struct topic topic = route_topic(t);
	bool first = t->subs.total == 0;
	bool is_new = tally_add(&t->subs, peer, n);

	if (first && n > 0) {
		counter.channels++;
		r->backplane->join(r->carrier, &topic,
		    (struct position){ 0, 0 });
	}
	return is_new;
}

uint64_t
route_take(struct route *t, struct peer *peer, uint64_t n)
{
	struct router *r = t->census->router;
	struct topic topic = route_topic(t);
	uint64_t taken = tally_take(&t->subs, peer, n);

	if (taken > 0 && t->subs.total == 0) {
		counter.channels--;
		t->joined = false;
		pending_forget(r, NULL, t);
		r->backplane->leave(r->carrier, &topic);
	}
	return taken;
}

void
route_cast(struct route *t, struct bytes frame)
{
	for (uint32_t i = 0; i < t->subs.n; i++)
		ipc_put(t->subs.at[i].peer->ipc, frame);
}

/* ---- subscribed --------------------------------------------------------- */

static void
route_subscribed(struct route *t, struct peer *peer, uint64_t cookie,
    uint64_t flags)
{
	struct router *r = t->census->router;
	struct msg_subscribed s = {
		.epoch = r->epoch, .serial = ++r->serial,
		.app = t->census->app, .channel = route_name(t),
		.cookie = cookie,
		.position_epoch = t->epoch, .position_offset = t->offset,
		.count = t->subs.total,
	};

	if (flags & JOIN_CACHE)
		s.cached = history_get(t, &s.event, &s.data);
	msg_pack_subscribed(ipc_out(peer->ipc), &s);
}

void
route_answer(struct route *t, struct peer *peer, const struct msg_join *m)
{
	struct router *r = t->census->router;
	struct pending *w;

	if (m->cookie == 0)
		return;
	if (t->joined) {
		route_subscribed(t, peer, m->cookie, m->flags);
		return;
	}
	w = xcalloc(1, sizeof(*w));
	w->route = t;
	w->peer = peer;
	w->cookie = m->cookie;
	w->flags = m->flags;
	TAILQ_INSERT_TAIL(&r->pending, w, link);
	t->waited = true;
}

static void
pending_free(struct router *r, struct pending *w)
{
	TAILQ_REMOVE(&r->pending, w, link);
	free(w);
}

void
pending_forget(struct router *r, const struct peer *peer,
    const struct route *t)
{
	struct pending *w, *next;

	if (t != NULL && !t->waited)
		return;
	for (w = TAILQ_FIRST(&r->pending); w != NULL; w = next) {
		next = TAILQ_NEXT(w, link);
		if (w->peer == peer || w->route == t)
			pending_free(r, w);
	}
}

static void
on_joined(void *ctx, const struct topic *topic, struct position at,
    const char *why)
{
	struct router *r = ctx;
	struct census *c = census_find(r, topic->app);
	struct route *t = c != NULL ? route_find(c, topic->channel) : NULL;
	struct pending *w, *next;

	(void)at;
	if (t == NULL || t->subs.total == 0 || why != NULL)
		return;
	t->joined = true;
	if (!t->waited)
		return;
	for (w = TAILQ_FIRST(&r->pending); w != NULL; w = next) {
		next = TAILQ_NEXT(w, link);
		if (w->route != t)
			continue;
		route_subscribed(t, w->peer, w->cookie, w->flags);
		pending_free(r, w);
	}
	t->waited = false;
}

/* ---- a message's way ---------------------------------------------------- */

/* A message of this host that is on its way through the backplane. */
struct passing {
	const struct msg_publish	*m;
	struct peer			*from;
	uint64_t			 origin;
};

/* Encoded once; a single worker gets it without a copy. */
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
		.flags = m->flags,
	};

	for (uint32_t i = 0; i < t->subs.n; i++)
		peer_touch(p->from, t->subs.at[i].peer);
	if (t->subs.n == 1) {
		msg_pack_deliver(ipc_out(t->subs.at[0].peer->ipc), &d);
		return;
	}
	buf_clear(&r->scratch);
	msg_pack_deliver(&r->scratch, &d);
	route_cast(t, buf_view(&r->scratch));
}

static bool
is_cached(const struct msg_publish *m)
{
	return (m->flags & (PUBLISH_CACHE | PUBLISH_CLIENT)) == PUBLISH_CACHE;
}

static void
on_message(void *ctx, const struct topic *topic, struct position at,
    const struct origin *origin, uint64_t cookie, struct bytes bytes)
{
	struct router *r = ctx;
	const struct passing *p = r->passing;
	struct census *c;
	struct route *t;

	(void)origin, (void)bytes;
	if (p == NULL || cookie != r->cookie)
		return;
	counter.routed++;
	c = is_cached(p->m) ? census_get(r, topic->app)
	    : census_find(r, topic->app);
	if (c == NULL)
		return;
	t = is_cached(p->m) ? route_get(c, topic->channel)
	    : route_find(c, topic->channel);
	if (t == NULL)
		return;
	t->offset++;
	if (at.epoch != 0) {
		t->epoch = at.epoch;
		t->offset = at.offset;
	}
	if (t->subs.n > 0)
		route_deliver(t, p);
	if (is_cached(p->m))
		history_put(t, p->m->event, p->m->data);
	route_release(t);
}

static void
on_published(void *ctx, uint64_t cookie, struct position at, const char *why)
{
	struct router *r = ctx;

	(void)cookie, (void)at;
	if (why != NULL)
		log_warn("backplane %s: publish failed: %s",
		    r->backplane->name, why);
}

static void
on_gap(void *ctx, const struct topic *topic, struct position from,
    struct position to)
{
	struct router *r = ctx;

	(void)from, (void)to;
	log_warn("backplane %s: messages lost channel=%s", r->backplane->name,
	    log_bytes(topic->channel));
}

static void
on_up(void *ctx)
{
	struct router *r = ctx;

	log_info("backplane %s is up", r->backplane->name);
}

static void
on_down(void *ctx, const char *why)
{
	struct router *r = ctx;

	log_warn("backplane %s is down: %s", r->backplane->name, why);
}

const struct backplane_up route_up = {
	.joined = on_joined,
	.published = on_published,
	.message = on_message,
	.gap = on_gap,
	.up = on_up,
	.down = on_down,
};

/* Has this worker's message been routed before?  Notes it if not. */
static bool
seen_before(struct peer *from, uint64_t serial)
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

void
route_publish(struct router *r, struct peer *from, const struct msg_publish *m)
{
	struct topic topic = { m->app, m->channel };
	struct passing p = {
		.m = m, .from = from,
		.origin = from != NULL ? from->origin : r->epoch,
	};

	if (seen_before(from, m->serial))
		return;
	r->passing = &p;
	r->backplane->publish(r->carrier, &topic, m->channel, B(""),
	    ++r->cookie);
	r->passing = NULL;
}

void
route_kick(struct router *r, struct peer *from, const struct msg_kick *m)
{
	struct msg_terminate out = {
		.epoch = r->epoch, .serial = r->serial + 1,
		.app = m->app, .user = m->user,
	};
	struct peer *p;

	if (seen_before(from, m->serial))
		return;
	r->serial++;
	TAILQ_FOREACH(p, &r->peers, link)
		peer_touch(from, p);
	buf_clear(&r->scratch);
	msg_pack_terminate(&r->scratch, &out);
	peers_cast(r, buf_view(&r->scratch));
}
