/* SPDX-License-Identifier: MIT
 *
 * What is known of each application.
 *
 * Runs in: the router.
 */
#include "router/census.h"

#include <stdlib.h>

#include "common/util.h"
#include "router/router.h"

#define JOIN_MOST	(1u << 24)	/* subscribers in one message */

static struct bytes
key_of_census(const struct hash_link *l)
{
	return container_of(l, const struct census, link)->app;
}

static struct bytes
key_of_route(const struct hash_link *l)
{
	return route_name(container_of(l, const struct route, link));
}

/* ---- the table ---------------------------------------------------------- */

void
census_init(struct router *r)
{
	hash_init(&r->censuses, key_of_census);
}

static struct census *
census_next(struct router *r, struct hash_cursor *at)
{
	struct hash_link *l = hash_walk(&r->censuses, at);

	return l != NULL ? container_of(l, struct census, link) : NULL;
}

static void
census_free(struct census *c)
{
	load_done(c);
	users_done(c);
	hash_done(&c->routes);
	free((char *)(uintptr_t)c->app.p);
	free(c);
}

/* All workers and the cache are gone already, so no route is left. */
void
census_done(struct router *r)
{
	struct hash_cursor at = { 0 };
	struct census *c;

	while ((c = census_next(r, &at)) != NULL) {
		hash_remove(&r->censuses, &c->link);
		census_free(c);
	}
	hash_done(&r->censuses);
}

struct census *
census_find(struct router *r, struct bytes app)
{
	struct hash_link *l = hash_find(&r->censuses, app);

	return l != NULL ? container_of(l, struct census, link) : NULL;
}

struct census *
census_get(struct router *r, struct bytes app)
{
	struct census *c = census_find(r, app);

	if (c != NULL)
		return c;
	c = xcalloc(1, sizeof(*c));
	c->router = r;
	c->app = bytes_of(bytes_dup(app), app.n);
	c->max_members = UINT64_MAX;
	hash_init(&c->routes, key_of_route);
	TAILQ_INIT(&c->order);
	users_init(c);
	load_init(c);
	hash_insert(&r->censuses, &c->link);
	return c;
}

struct census *
census_away(struct router *r, struct bytes app, bool make)
{
	return make && r->censuses.count < CENSUSES_MAX ? census_get(r, app)
	    : census_find(r, app);
}

void
census_settings(struct router *r)
{
	for (size_t i = 0; i < r->config->n_app; i++) {
		const struct config_app *set = &r->config->app[i];
		struct census *c = census_get(r, bytes_str(set->id));

		c->max_connections = set->max_connections;
		c->limit_all_hosts =
		    set->max_connections_of == MAX_OF_CLUSTER;
		c->max_members = set->max_presence_members;
	}
}

/* ---- coming and going --------------------------------------------------- */

/* A worker to which subscribers will be handed over. */
static void
census_expect(struct router *r, struct peer *from, const struct msg_join *m)
{
	struct route *t = route_get(census_get(r, m->app), m->channel);

	if (m->flags & JOIN_PRESENCE) {
		members_expect(t, from, m);
		return;
	}
	if (m->flags & JOIN_COUNT)
		count_want(t);
	if (m->flags & JOIN_REPLAY)
		replay_want(t);
	route_expect(t, from);
	pending_answer(t, from, m);
}

/* Can a join be like that? */
static bool
join_is_sound(const struct msg_join *m)
{
	if (m->channel.n == 0 || m->n > JOIN_MOST)
		return false;
	if (m->flags & JOIN_HEIR)
		return m->n == 0 && m->user.n == 0;
	return m->n > 0 && (!(m->flags & JOIN_PRESENCE) || m->user.n > 0);
}

void
census_join(struct router *r, struct peer *from, const struct msg_join *m)
{
	struct route *t;

	if (!join_is_sound(m)) {
		peer_refuse(from, "a join that cannot be");
		return;
	}
	if (m->flags & JOIN_HEIR) {
		census_expect(r, from, m);
		return;
	}
	t = route_get(census_get(r, m->app), m->channel);
	if (m->flags & JOIN_PRESENCE) {
		members_join(t, from, m);
	} else {
		if (m->flags & JOIN_COUNT)
			count_want(t);
		if (!(m->flags & JOIN_SYNC))
			count_unknown(t);
		if (m->flags & JOIN_REPLAY)
			replay_want(t);
		route_add(t, from, m->n);
		pending_answer(t, from, m);
	}
	count_changed(t);
	route_release(t);
}

void
census_leave(struct router *r, struct peer *from, const struct msg_leave *m)
{
	struct census *c = census_find(r, m->app);
	struct route *t = c != NULL ? route_find(c, m->channel) : NULL;
	struct member *who = NULL;
	uint64_t n = m->n;

	if (t == NULL)
		return;
	if (n == 0) {
		if (route_expect_no_more(t, from))
			route_release(t);
		return;
	}
	if (m->user.n > 0) {
		/* A connection that was refused is not among its seats. */
		who = members_find(t->members, m->user);
		if (who == NULL)
			return;
		n = tally_take(&who->seats, from, n);
	}
	if (route_take(t, from, n) == 0)
		return;
	if (who != NULL)
		members_left(t, who);
	count_changed(t);
	route_release(t);
}

static void
routes_forget(struct census *c, struct peer *dead)
{
	struct route *t, *next;

	for (t = TAILQ_FIRST(&c->order); t != NULL; t = next) {
		bool heir = route_expect_no_more(t, dead);

		next = TAILQ_NEXT(t, order);
		if (route_take(t, dead, UINT64_MAX) > 0) {
			members_forget(t, dead);
			count_changed(t);
		} else if (!heir) {
			continue;
		}
		route_release(t);
	}
}

void
census_forget(struct router *r, struct peer *dead)
{
	struct hash_cursor at = { 0 };
	struct census *c;

	pending_forget(r, dead, NULL);
	users_forget_watchers(dead);
	while ((c = census_next(r, &at)) != NULL) {
		routes_forget(c, dead);
		users_forget(c, dead);
		load_forget(c, dead);
	}
}

struct census **
census_all(struct router *r, uint32_t *n)
{
	struct hash_cursor at = { 0 };
	struct census **all = xreallocarray(NULL, r->censuses.count + 1,
	    sizeof(struct census *));
	uint32_t i = 0;

	while ((all[i] = census_next(r, &at)) != NULL)
		i++;
	*n = i;
	return all;
}

void
census_rosters(struct router *r)
{
	struct hash_cursor at = { 0 };
	struct census *c;
	struct route *t;

	while ((c = census_next(r, &at)) != NULL) {
		TAILQ_FOREACH(t, &c->order, order) {
			if (t->members != NULL && t->members->stale)
				members_roster(t);
		}
	}
}
