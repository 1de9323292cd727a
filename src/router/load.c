/* SPDX-License-Identifier: MIT
 *
 * Connections of an application over all workers.
 *
 * Runs in: the router.
 */
#include "router/load.h"

#include <stdlib.h>

#include "common/util.h"
#include "router/router.h"

void
load_init(struct census *c)
{
	item_init(&c->open, ITEM_OPEN);
	item_init(&c->subscribed, ITEM_SUBSCRIBED);
}

static struct load *
load_of(struct census *c, struct peer *peer)
{
	for (uint32_t i = 0; i < c->n_loads; i++) {
		if (c->loads[i].peer == peer)
			return &c->loads[i];
	}
	c->loads = xreallocarray(c->loads, c->n_loads + 1, sizeof(*c->loads));
	c->loads[c->n_loads] = (struct load){ .peer = peer };
	return &c->loads[c->n_loads++];
}

/* What workers say is theirs to answer for, and rows may lag: no sum is less
 * than nothing. */
static uint64_t
at_least_none(uint64_t n)
{
	return (int64_t)n > 0 ? n : 0;
}

static struct load_sum
load_here(const struct census *c)
{
	struct load_sum sum = { 0 };

	for (uint32_t i = 0; i < c->n_loads; i++) {
		const struct load *l = &c->loads[i];

		sum.open += l->open + l->moved;
		sum.subscribed += l->subscribed + l->moved_subscribed;
		sum.granted += l->given - l->read;
	}
	sum.open = at_least_none(sum.open);
	sum.subscribed = at_least_none(sum.subscribed);
	return sum;
}

struct load_sum
load_total(const struct census *c)
{
	struct load_sum sum = load_here(c);

	sum.open += c->open.away_n;
	sum.subscribed += c->subscribed.away_n;
	return sum;
}

static void
load_changed(struct census *c)
{
	tell_changed(c->router, &c->open);
	tell_changed(c->router, &c->subscribed);
}

void
load_set(struct census *c, struct peer *peer, const struct msg_load *m)
{
	struct load *l = load_of(c, peer);

	l->open = m->open - m->came + m->went;
	l->subscribed = m->subscribed - m->came_subscribed +
	    m->went_subscribed;
	l->read = m->granted < l->given ? m->granted : l->given;
	load_changed(c);
}

void
load_connect(struct census *c, struct peer *peer, const struct msg_connect *m)
{
	struct load_sum sum = c->limit_all_hosts ? load_total(c) : load_here(c);
	struct msg_grant g = { .app = m->app, .conn = m->conn };

	g.allowed = c->max_connections == 0 ||
	    sum.open + sum.granted < c->max_connections;
	if (g.allowed) {
		load_of(c, peer)->given++;
		load_changed(c);
	}
	msg_pack_grant(ipc_out(peer->ipc), &g);
}

void
load_came(struct census *c, struct peer *to, bool subscribed)
{
	struct load *l = load_of(c, to);

	l->moved++;
	l->moved_subscribed += subscribed;
	load_changed(c);
}

void
load_went(struct census *c, struct peer *from, bool subscribed)
{
	struct load *l = load_of(c, from);

	l->moved--;
	l->moved_subscribed -= subscribed;
	load_changed(c);
}

void
load_forget(struct census *c, const struct peer *dead)
{
	for (uint32_t i = 0; i < c->n_loads; i++) {
		if (c->loads[i].peer == dead) {
			c->loads[i] = c->loads[--c->n_loads];
			load_changed(c);
			return;
		}
	}
}

void
load_done(struct census *c)
{
	item_done(c->router, &c->open);
	item_done(c->router, &c->subscribed);
	free(c->loads);
	c->loads = NULL;
	c->n_loads = 0;
}

/* ---- over all hosts ----------------------------------------------------- */

/* What is granted counts for the others' limits, too. */
static uint64_t
open_here(const struct item *it)
{
	struct load_sum sum = load_here(container_of(it, const struct census,
	    open));

	return sum.open + sum.granted;
}

static uint64_t
subscribed_here(const struct item *it)
{
	return load_here(container_of(it, const struct census,
	    subscribed)).subscribed;
}

static void
open_called(const struct item *it, struct item_name *name)
{
	*name = (struct item_name){ .kind = it->kind,
	    .app = container_of(it, const struct census, open)->app };
}

static void
subscribed_called(const struct item *it, struct item_name *name)
{
	*name = (struct item_name){ .kind = it->kind,
	    .app = container_of(it, const struct census, subscribed)->app };
}

static struct item *
item_find(struct router *r, const struct item_name *name, bool make)
{
	struct census *c = census_away(r, name->app, make);

	if (c == NULL)
		return NULL;
	return name->kind == ITEM_OPEN ? &c->open : &c->subscribed;
}

static void
item_turned(struct router *r, struct item *it, uint64_t before)
{
	(void)r, (void)it, (void)before;
}

const struct item_ops open_item = {
	open_here, open_called, item_find, item_turned
};
const struct item_ops subscribed_item = {
	subscribed_here, subscribed_called, item_find, item_turned
};
