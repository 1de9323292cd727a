/* SPDX-License-Identifier: MIT
 *
 * The last message of each cache channel.
 *
 * Runs in: the router.
 */
#include "router/history.h"

#include <stdlib.h>

#include "common/channel_name.h"
#include "common/counters.h"
#include "common/util.h"
#include "router/router.h"

struct cached {
	TAILQ_ENTRY(cached)	 order;
	struct route		*route;
	uint64_t		 since;		/* clock_ms() when it came */
	uint32_t		 event_n, data_n;
	size_t			 cap;
	char			 room[];	/* event, then data */
};

void
history_init(struct history *h)
{
	*h = (struct history){ .ttl = 1800000, .size = 64u << 20 };
	TAILQ_INIT(&h->order);
}

bool
is_cache_channel(struct bytes name)
{
	return channel_prefix(name) & CHANNEL_CACHE;
}

/* What an entry costs, with the route that it may keep alive. */
static uint64_t
cached_cost(const struct cached *e)
{
	return sizeof(*e) + e->cap + sizeof(*e->route) + e->route->name_n;
}

static void
cached_unlink(struct history *h, struct cached *e)
{
	struct elder *elder = &e->route->census->router->elder;

	if (elder->cached == e)
		elder->cached = TAILQ_NEXT(e, order);
	TAILQ_REMOVE(&h->order, e, order);
	h->octets -= cached_cost(e);
	e->route->cached = NULL;
	counter.cached--;
}

static void
cached_drop(struct history *h, struct cached *e)
{
	struct route *t = e->route;

	cached_unlink(h, e);
	free(e);
	route_release(t);
}

void
history_done(struct history *h)
{
	while (!TAILQ_EMPTY(&h->order))
		cached_drop(h, TAILQ_FIRST(&h->order));
}

void
history_limits(struct history *h, uint64_t ttl, uint64_t size, uint64_t now)
{
	h->ttl = ttl;
	h->size = size;
	while (h->octets > h->size)
		cached_drop(h, TAILQ_FIRST(&h->order));
	history_purge(h, now);
}

/* Room for n octets: the channel's old entry if it fits well. */
static struct cached *
cached_room(struct history *h, struct route *t, size_t n)
{
	struct cached *e = t->cached;

	if (e != NULL) {
		cached_unlink(h, e);
		if (e->cap >= n && e->cap / 4 <= n + 64)
			return e;
		free(e);
	}
	e = xmalloc(sizeof(*e) + n);
	e->cap = n;
	e->route = t;
	return e;
}

static void
bequeath(const struct router *r, const struct cached *e)
{
	struct buf *out = elder_out(r);

	if (out == NULL)
		return;
	msg_pack_legacy_cached(out, &(struct msg_legacy_cached){
	    .app = e->route->census->app, .channel = route_name(e->route),
	    .since = e->since, .event = bytes_of(e->room, e->event_n),
	    .data = bytes_of(e->room + e->event_n, e->data_n) });
}

bool
history_bequeath(struct router *r)
{
	struct elder *elder = &r->elder;

	if (!elder->begun)
		elder->cached = TAILQ_FIRST(&r->history.order);
	elder->begun = true;
	for (unsigned i = 0; elder->cached != NULL && i < ELDER_SLICE; i++) {
		bequeath(r, elder->cached);
		elder->cached = TAILQ_NEXT(elder->cached, order);
	}
	elder->caches_told = elder->cached == NULL;
	return elder->caches_told;
}

void
history_put(struct route *t, struct bytes event, struct bytes data)
{
	struct router *r = t->census->router;
	struct history *h = &r->history;
	struct cached *e = cached_room(h, t, event.n + data.n);

	if (cached_cost(e) > h->size) {
		free(e);
		return;
	}
	e->since = r->now;
	e->event_n = (uint32_t)event.n;
	e->data_n = (uint32_t)data.n;
	if (event.n > 0)
		memcpy(e->room, event.p, event.n);
	if (data.n > 0)
		memcpy(e->room + event.n, data.p, data.n);
	t->cached = e;
	h->octets += cached_cost(e);
	counter.cached++;
	TAILQ_INSERT_TAIL(&h->order, e, order);
	if (r->elder.caches_told)
		bequeath(r, e);
	/* This one fits, so the loop ends before it gets here. */
	while (h->octets > h->size)
		cached_drop(h, TAILQ_FIRST(&h->order));
}

void
history_put_for(struct route *t, struct bytes event, struct bytes data,
    uint64_t ttl)
{
	struct router *r = t->census->router;
	uint64_t age;

	history_put(t, event, data);
	if (t->cached == NULL || ttl >= r->history.ttl)
		return;
	/* As if it had come earlier; it stands behind younger ones all the
	 * same, so it may be purged later than it expires. */
	age = r->history.ttl - ttl;
	t->cached->since = r->now - age;	/* may wrap, and back */
	if (r->elder.caches_told)
		bequeath(r, t->cached);
}

void
history_inherit(struct route *t, struct bytes event, struct bytes data,
    uint64_t since)
{
	history_put(t, event, data);
	if (t->cached != NULL)
		t->cached->since = since;
}

uint64_t
history_ttl(const struct route *t)
{
	const struct router *r = t->census->router;
	uint64_t end;

	if (t->cached == NULL)
		return 0;
	end = t->cached->since + r->history.ttl;
	return end > r->now ? end - r->now : 0;
}

bool
history_get(const struct route *t, struct bytes *event, struct bytes *data)
{
	const struct cached *e = t->cached;

	if (history_ttl(t) == 0)
		return false;
	*event = bytes_of(e->room, e->event_n);
	*data = bytes_of(e->room + e->event_n, e->data_n);
	return true;
}

void
history_purge(struct history *h, uint64_t now)
{
	struct cached *e;

	while ((e = TAILQ_FIRST(&h->order)) != NULL && e->since + h->ttl <= now)
		cached_drop(h, e);
}
