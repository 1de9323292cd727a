/* SPDX-License-Identifier: MIT
 *
 * Things that hosts count together.
 *
 * Runs in: the router.
 */
#include "router/item.h"

#include <stdlib.h>

#include "common/util.h"
#include "router/router.h"

static const struct item_ops *const ops[ITEM_KINDS] = {
	[ITEM_CHANNEL] = &route_item,
	[ITEM_MEMBER] = &member_item,
	[ITEM_USER] = &user_item,
	[ITEM_OPEN] = &open_item,
	[ITEM_SUBSCRIBED] = &subscribed_item,
};

const struct item_ops *
item_ops(enum item_kind kind)
{
	return ops[kind];
}

void
item_init(struct item *it, enum item_kind kind)
{
	*it = (struct item){ .kind = kind };
}

void
item_done(struct router *r, struct item *it)
{
	tell_gone(r, it);
}

/* ---- what other hosts have ---------------------------------------------- */

static struct away *
away_find(const struct item *it, const struct host *h)
{
	struct away *a = it->away;

	while (a != NULL && a->host != h)
		a = a->next;
	return a;
}

/* What it may make us keep, besides the row. */
static uint32_t
octets_of(const struct item_name *name)
{
	return (uint32_t)(name->app.n + name->channel.n + name->user.n +
	    name->object.n);
}

static struct away *
away_new(struct host *h, struct item *it, uint32_t octets)
{
	struct away *a = xcalloc(1, sizeof(*a));

	a->octets = octets;
	a->host = h;
	a->item = it;
	a->next = it->away;
	it->away = a;
	TAILQ_INSERT_TAIL(&h->rows, a, of_host);
	h->n_rows++;
	h->router->contact.rows++;
	h->router->contact.octets += octets;
	return a;
}

static void
away_free(struct away *a)
{
	struct away **at = &a->item->away;

	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	elder_skip_row(a->host->router, a);
	TAILQ_REMOVE(&a->host->rows, a, of_host);
	a->host->n_rows--;
	a->host->router->contact.rows--;
	a->host->router->contact.octets -= a->octets;
	free(a);
}

/* Those told lately stand last, so that a sweep finds the others in front. */
static void
away_touch(struct away *a)
{
	struct host *h = a->host;

	a->mark = h->mark;
	elder_skip_row(h->router, a);
	TAILQ_REMOVE(&h->rows, a, of_host);
	TAILQ_INSERT_TAIL(&h->rows, a, of_host);
}

static void
away_set(struct away *a, uint64_t n)
{
	struct host *h = a->host;
	struct item *it = a->item;
	uint64_t before = it->away_n;

	h->sum += n - a->n;
	it->away_n += n - a->n;
	a->n = n;
	if (n == 0)
		away_free(a);
	if (it->away_n != before)
		ops[it->kind]->turned(h->router, it, before);
}

int
item_set(struct host *h, const struct item_name *name, uint64_t n)
{
	const struct contact *c = &h->router->contact;
	uint32_t octets = octets_of(name);
	bool room = c->rows < AWAY_MAX &&
	    c->octets + octets <= AWAY_OCTETS_MAX;
	struct item *it = ops[name->kind]->find(h->router, name,
	    n > 0 && room);
	struct away *a;

	if (it == NULL)
		return n > 0 ? -1 : 0;
	a = away_find(it, h);
	if (a == NULL && n == 0)
		return 0;
	if (a == NULL && !room)
		return -1;
	if (a == NULL)
		a = away_new(h, it, octets);
	away_touch(a);
	away_set(a, n);
	return 0;
}

void
item_drop(struct away *a)
{
	away_set(a, 0);
}
