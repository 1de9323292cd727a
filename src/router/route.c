/* SPDX-License-Identifier: MIT
 *
 * Channels to workers.
 *
 * Runs in: the router.
 */
#include "router/route.h"

#include <stdlib.h>

#include "common/counters.h"
#include "common/util.h"
#include "router/router.h"

/* ---- the table ---------------------------------------------------------- */

struct topic
route_topic(const struct route *t)
{
	return carrier_topic(t->census->router, t->census->app, route_name(t));
}

uint64_t
route_count(const struct route *t)
{
	return t->subs.total + t->item.away_n;
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
	TAILQ_INIT(&t->waiting);
	item_init(&t->item, ITEM_CHANNEL);
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

	if (t->subs.total > 0 || t->cached != NULL || t->replay != NULL ||
	    t->item.away != NULL || members_count(t->members) > 0)
		return;
	pending_forget(c->router, NULL, t);
	answers_skip_route(c->router, t);
	count_forget(t);
	members_free(t);
	item_done(c->router, &t->item);
	TAILQ_REMOVE(&c->order, t, order);
	hash_remove(&c->routes, &t->link);
	free(t);
}

bool
route_add(struct route *t, struct peer *peer, uint64_t n)
{
	bool first = t->subs.total == 0;
	bool is_new = tally_add(&t->subs, peer, n);

	tell_changed(t->census->router, &t->item);
	if (first && n > 0) {
		counter.channels++;
		if (!replay_resumes(t))
			carrier_join(t);
	}
	return is_new;
}

uint64_t
route_take(struct route *t, struct peer *peer, uint64_t n)
{
	struct router *r = t->census->router;
	uint64_t taken = tally_take(&t->subs, peer, n);

	if (taken > 0)
		tell_changed(r, &t->item);
	if (taken > 0 && t->subs.total == 0) {
		counter.channels--;
		pending_forget(r, NULL, t);
		if (!replay_lingers(t))
			route_leave(t);
	}
	return taken;
}

void
route_leave(struct route *t)
{
	t->joined = false;
	t->fetch = t->known = 0;
	carrier_leave(t);
}

void
route_cast(struct route *t, struct bytes frame)
{
	for (uint32_t i = 0; i < t->subs.n; i++)
		ipc_put(t->subs.at[i].peer->ipc, frame);
}

/* ---- over all hosts ----------------------------------------------------- */

static struct route *
route_of(struct item *it)
{
	return container_of(it, struct route, item);
}

static uint64_t
item_here(const struct item *it)
{
	return container_of(it, const struct route, item)->subs.total;
}

static void
item_called(const struct item *it, struct item_name *name)
{
	const struct route *t = container_of(it, const struct route, item);

	*name = (struct item_name){ .kind = it->kind, .app = t->census->app,
	    .channel = route_name(t) };
}

static struct item *
item_find(struct router *r, const struct item_name *name, bool make)
{
	struct census *c = census_away(r, name->app, make);
	struct route *t = NULL;

	if (c != NULL)
		t = make ? route_get(c, name->channel)
		    : route_find(c, name->channel);
	return t != NULL ? &t->item : NULL;
}

static void
item_turned(struct router *r, struct item *it, uint64_t before)
{
	(void)r, (void)before;
	count_changed(route_of(it));
	route_release(route_of(it));
}

const struct item_ops route_item = {
	item_here, item_called, item_find, item_turned
};
