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
#include "router/state.h"

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

	if (route_heard(t) || t->cached != NULL || t->replay != NULL ||
	    t->legacy != 0 || t->item.away != NULL || members_count(t->members) > 0)
		return;
	pending_forget(c->router, NULL, t);
	answers_skip_route(c->router, t);
	elder_skip_route(c->router, t);
	roll_skip_route(c->router, t);
	count_forget(t);
	members_free(t);
	item_done(c->router, &t->item);
	TAILQ_REMOVE(&c->order, t, order);
	hash_remove(&c->routes, &t->link);
	free(t);
}

/* The first worker is there that hears of it. */
static void
route_begins(struct route *t)
{
	if (!replay_resumes(t) && !(t->legacy & LEGACY_TOPIC))
		carrier_join(t);
}

/* The last one is gone. */
static void
route_ends(struct route *t)
{
	pending_forget(t->census->router, NULL, t);
	if (!replay_lingers(t) && !(t->legacy & LEGACY_TOPIC))
		route_leave(t);
}

/* It has its first subscriber on any host, or none any more. */
static void
turned(struct route *t, bool occupied)
{
	if (occupied)
		counter.occupied++;
	else
		counter.occupied--;
	state_channel(t, occupied);
}

bool
route_add(struct route *t, struct peer *peer, uint64_t n)
{
	bool first = t->subs.total == 0, heard = route_heard(t);
	bool is_new = tally_add(&t->subs, peer, n);

	tell_changed(t->census->router, &t->item);
	if (first && n > 0)
		counter.channels++;
	if (first && n > 0 && t->item.away_n == 0)
		turned(t, true);
	if (!heard && n > 0)
		route_begins(t);
	return is_new;
}

uint64_t
route_take(struct route *t, struct peer *peer, uint64_t n)
{
	uint64_t taken = tally_take(&t->subs, peer, n);

	if (taken == 0)
		return 0;
	tell_changed(t->census->router, &t->item);
	if (t->subs.total == 0)
		counter.channels--;
	if (route_count(t) == 0)
		turned(t, false);
	if (!route_heard(t))
		route_ends(t);
	return taken;
}

bool
route_move(struct route *t, struct peer *from, struct peer *to)
{
	return tally_move(&t->subs, from, to);
}

void
route_expect(struct route *t, struct peer *peer)
{
	bool heard = route_heard(t);

	if (!tally_has(&t->heirs, peer))
		tally_add(&t->heirs, peer, 1);
	if (!heard)
		route_begins(t);
}

bool
route_expect_no_more(struct route *t, struct peer *peer)
{
	if (tally_drop(&t->heirs, peer) == 0)
		return false;
	if (!route_heard(t))
		route_ends(t);
	return true;
}

void
route_leave(struct route *t)
{
	t->joined = false;
	t->fetch = t->known = 0;
	carrier_leave(t);
}

/* ---- who hears of it ------------------------------------------------------ */

bool
route_heard_by(const struct route *t, const struct peer *peer)
{
	return tally_has(&t->subs, peer) || tally_has(&t->heirs, peer);
}

/* The i-th heir, or NULL if it has subscribers, too. */
static struct peer *
heir_at(const struct route *t, uint32_t i)
{
	struct peer *p = t->heirs.at[i].peer;

	return tally_has(&t->subs, p) ? NULL : p;
}

struct peer *
route_next(const struct route *t, const struct peer *without, uint32_t *pos)
{
	while (*pos < t->subs.n + t->heirs.n) {
		uint32_t i = (*pos)++;
		struct peer *p = i < t->subs.n ? t->subs.at[i].peer :
		    heir_at(t, i - t->subs.n);

		if (p != NULL && p != without)
			return p;
	}
	return NULL;
}

void
route_cast(struct route *t, struct bytes frame)
{
	struct peer *p;
	uint32_t pos = 0;

	while ((p = route_next(t, NULL, &pos)) != NULL)
		ipc_put(p->ipc, frame);
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
	struct route *t = route_of(it);

	(void)r;
	if (t->subs.total == 0 && (before == 0) != (it->away_n == 0))
		turned(t, before == 0);
	count_changed(t);
	route_release(t);
}

const struct item_ops route_item = {
	item_here, item_called, item_find, item_turned
};
