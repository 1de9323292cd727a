/* SPDX-License-Identifier: MIT
 *
 * Users who are signed in, and who watches whom.
 *
 * Runs in: the router.
 */
#include "router/users.h"

#include <stdlib.h>

#include "common/counters.h"
#include "common/util.h"
#include "router/router.h"

struct user {
	struct hash_link	 link;
	struct census		*census;
	struct tally		 connections;	/* of this host */
	struct item		 item;
	LIST_HEAD(, edge)	 watched_by;
	uint64_t		 asked;		/* number of the sign-in that
						   named him last */
	uint32_t		 id_n;
	char			 id[];
};

struct edge {
	LIST_ENTRY(edge)	 of_user;
	struct user		*user;
	struct watcher		*watcher;
};

struct watcher_key {
	const struct peer	*peer;
	uint64_t		 conn;
};

struct watcher {
	struct hash_link	 link;
	LIST_ENTRY(watcher)	 of_peer;
	LIST_ENTRY(watcher)	 of_fresh;
	bool			 fresh;		/* has not heard how it is yet */
	bool			 due;		/* hears it this turn */
	struct watcher_key	 key;
	struct router		*router;
	struct peer		*peer;
	uint32_t		 n;
	struct edge		 edges[];
};

/* ---- the tables --------------------------------------------------------- */

static struct bytes
key_of_user(const struct hash_link *l)
{
	const struct user *u = container_of(l, const struct user, link);

	return bytes_of(u->id, u->id_n);
}

static struct bytes
key_of_watcher(const struct hash_link *l)
{
	const struct watcher *w = container_of(l, const struct watcher, link);

	return bytes_of(&w->key, sizeof(w->key));
}

void
watchers_init(struct hash *h)
{
	hash_init(h, key_of_watcher);
}

void
users_init(struct census *c)
{
	hash_init(&c->users, key_of_user);
}

/* All workers are buried by then, and nobody is left. */
void
users_done(struct census *c)
{
	hash_done(&c->users);
}

static struct user *
user_find(struct census *c, struct bytes id)
{
	struct hash_link *l = hash_find(&c->users, id);

	return l != NULL ? container_of(l, struct user, link) : NULL;
}

static struct user *
user_get(struct census *c, struct bytes id)
{
	struct user *u = user_find(c, id);

	if (u != NULL)
		return u;
	u = xcalloc(1, sizeof(*u) + id.n);
	u->census = c;
	item_init(&u->item, ITEM_USER);
	u->id_n = (uint32_t)id.n;
	if (id.n > 0)
		memcpy(u->id, id.p, id.n);
	LIST_INIT(&u->watched_by);
	hash_insert(&c->users, &u->link);
	return u;
}

/* On any host. */
static bool
user_online(const struct user *u)
{
	return u->connections.total + u->item.away_n > 0;
}

static void
user_release(struct user *u)
{
	if (user_online(u) || !LIST_EMPTY(&u->watched_by))
		return;
	item_done(u->census->router, &u->item);
	hash_remove(&u->census->users, &u->link);
	free(u);
}

static struct watcher *
watcher_find(struct router *r, const struct peer *peer, uint64_t conn)
{
	struct watcher_key key = { peer, conn };
	struct hash_link *l;

	l = hash_find(&r->watchers, bytes_of(&key, sizeof(key)));
	return l != NULL ? container_of(l, struct watcher, link) : NULL;
}

static void
watcher_free(struct watcher *w)
{
	for (uint32_t i = 0; i < w->n; i++) {
		LIST_REMOVE(&w->edges[i], of_user);
		user_release(w->edges[i].user);
	}
	if (w->fresh)
		LIST_REMOVE(w, of_fresh);
	else
		elder_watcher(w->router, w->peer, w->key.conn, true);
	LIST_REMOVE(w, of_peer);
	hash_remove(&w->router->watchers, &w->link);
	free(w);
}

/* ---- telling watchers --------------------------------------------------- */

static void
watcher_tell(struct watcher *w, struct msg_strings online,
    struct msg_strings offline)
{
	struct router *r = w->router;

	if (online.n + offline.n == 0)
		return;
	msg_pack_watch(ipc_out(w->peer->ipc), &(struct msg_watch){
	    .epoch = r->epoch, .serial = ++r->serial, .conn = w->key.conn,
	    .online_out = online, .offline_out = offline });
}

/* He came or went: all who watch him hear of it; a fresh one will. */
static void
user_turned(const struct user *u, bool online)
{
	struct bytes id = bytes_of(u->id, u->id_n);
	struct msg_strings one = { &id, 1 }, none = { NULL, 0 };
	struct edge *e;

	elder_user(u->census->router, u->census->app, id, online);
	if (u->census->router->sync.on)
		return;
	LIST_FOREACH(e, &u->watched_by, of_user)
		if (!e->watcher->fresh)
			watcher_tell(e->watcher, online ? one : none,
			    online ? none : one);
}

/* Tells a new watcher how those on its list are now. */
static void
watcher_answer(struct watcher *w)
{
	struct bytes *on, *off;
	uint32_t n_on = 0, n_off = 0;

	if (w->n == 0)
		return;
	on = xreallocarray(NULL, w->n, 2 * sizeof(*on));
	off = on + w->n;
	for (uint32_t i = 0; i < w->n; i++) {
		const struct user *u = w->edges[i].user;
		struct bytes id = bytes_of(u->id, u->id_n);

		if (user_online(u))
			on[n_on++] = id;
		else
			off[n_off++] = id;
	}
	watcher_tell(w, (struct msg_strings){ on, n_on },
	    (struct msg_strings){ off, n_off });
	free(on);
}

/* Who signed in before the watcher did, on any worker, must be on its list:
 * all links are read first. */
bool
users_turn(struct router *r)
{
	struct watcher *w, *next;

	if (LIST_EMPTY(&r->fresh) || r->sync.on)
		return false;
	LIST_FOREACH(w, &r->fresh, of_fresh)
		w->due = true;
	peers_read(r);
	peers_bury(r);
	for (w = LIST_FIRST(&r->fresh); w != NULL; w = next) {
		next = LIST_NEXT(w, of_fresh);
		if (!w->due)
			continue;
		w->fresh = false;
		LIST_REMOVE(w, of_fresh);
		elder_watcher(r, w->peer, w->key.conn, false);
		watcher_answer(w);
	}
	return !LIST_EMPTY(&r->fresh);
}

uint64_t
users_away(struct census *c, struct bytes id)
{
	const struct user *u = user_find(c, id);

	return u != NULL ? u->item.away_n : 0;
}

/* ---- from one router to the next ---------------------------------------- */

void
users_bequeath(struct census *c)
{
	struct hash_cursor at = { 0 };
	struct hash_link *l;

	while ((l = hash_walk(&c->users, &at)) != NULL) {
		const struct user *u = container_of(l, struct user, link);

		if (user_online(u))
			elder_user(c->router, c->app, bytes_of(u->id, u->id_n),
			    true);
	}
}

void
watchers_bequeath(struct router *r)
{
	struct hash_cursor at = { 0 };
	struct hash_link *l;

	while ((l = hash_walk(&r->watchers, &at)) != NULL) {
		const struct watcher *w = container_of(l, struct watcher,
		    link);

		if (!w->fresh)
			elder_watcher(r, w->peer, w->key.conn, false);
	}
}

void
users_announce(struct census *c)
{
	struct hash_cursor at = { 0 };
	struct hash_link *l;

	while ((l = hash_walk(&c->users, &at)) != NULL) {
		const struct user *u = container_of(l, struct user, link);
		bool now = user_online(u);

		if (!LIST_EMPTY(&u->watched_by) && now != heir_online(c->router,
		    c->app, bytes_of(u->id, u->id_n)))
			user_turned(u, now);
	}
}

/* ---- coming and going --------------------------------------------------- */

static struct watcher *
watcher_new(struct census *c, struct peer *peer, uint64_t conn,
    const struct msg_list *watch)
{
	struct router *r = c->router;
	struct watcher *w = xcalloc(1, sizeof(*w) +
	    watch->n * sizeof(w->edges[0]));

	w->router = r;
	w->peer = peer;
	w->key.peer = peer;
	w->key.conn = conn;
	r->signins++;
	for (uint32_t i = 0; i < watch->n; i++) {
		struct user *u = user_get(c, msg_list_at(watch, i));
		struct edge *e = &w->edges[w->n];

		if (u->asked == r->signins)
			continue;	/* named twice */
		u->asked = r->signins;
		e->user = u;
		e->watcher = w;
		LIST_INSERT_HEAD(&u->watched_by, e, of_user);
		w->n++;
	}
	hash_insert(&r->watchers, &w->link);
	LIST_INSERT_HEAD(&peer->watchers, w, of_peer);
	return w;
}

void
users_signin(struct census *c, struct peer *peer, const struct msg_signin *m)
{
	struct watcher *w = watcher_find(c->router, peer, m->conn);
	struct user *u;
	bool was;

	if (w != NULL)
		watcher_free(w);	/* first: it may free users */
	u = user_get(c, m->user);
	was = user_online(u);
	tally_add(&u->connections, peer, 1);
	tell_changed(c->router, &u->item);
	if (!was) {
		counter.users++;
		if (!(m->flags & JOIN_SYNC))
			user_turned(u, true);
		else
			elder_user(c->router, c->app, m->user, true);
	}
	if (m->watch.n == 0)
		return;
	w = watcher_new(c, peer, m->conn, &m->watch);
	if (!(m->flags & JOIN_SYNC) || heir_news(c->router, peer, m->conn)) {
		w->fresh = true;
		LIST_INSERT_HEAD(&c->router->fresh, w, of_fresh);
	} else {
		elder_watcher(c->router, peer, m->conn, false);
	}
}

/* ---- changing workers --------------------------------------------------- */

static void
watcher_rename(struct watcher *w, struct peer *to, uint64_t conn)
{
	if (!w->fresh)
		elder_watcher(w->router, w->peer, w->key.conn, true);
	hash_remove(&w->router->watchers, &w->link);
	LIST_REMOVE(w, of_peer);
	w->peer = to;
	w->key.peer = to;
	w->key.conn = conn;
	hash_insert(&w->router->watchers, &w->link);
	LIST_INSERT_HEAD(&to->watchers, w, of_peer);
	if (!w->fresh)
		elder_watcher(w->router, to, conn, false);
}

bool
users_move(struct census *c, struct peer *from, struct peer *to,
    const struct msg_moved *m)
{
	struct user *u = user_find(c, m->user);
	struct watcher *w;

	if (u == NULL || !tally_move(&u->connections, from, to))
		return false;
	w = watcher_find(c->router, from, m->was);
	if (w != NULL && watcher_find(c->router, to, m->conn) == NULL)
		watcher_rename(w, to, m->conn);
	return true;
}

void
users_arrive(struct census *c, struct peer *to, const struct msg_moved *m)
{
	struct user *u = user_get(c, m->user);
	bool was = user_online(u);

	tally_add(&u->connections, to, 1);
	tell_changed(c->router, &u->item);
	if (!was) {
		counter.users++;
		user_turned(u, true);
	}
	if (m->watch.n > 0 && watcher_find(c->router, to, m->conn) == NULL)
		watcher_new(c, to, m->conn, &m->watch);
}

/* ---- going -------------------------------------------------------------- */

/* His last connection may have gone. */
static void
user_left(struct user *u)
{
	tell_changed(u->census->router, &u->item);
	if (!user_online(u)) {
		counter.users--;
		user_turned(u, false);
		user_release(u);
	}
}

void
users_signout(struct census *c, struct peer *peer, const struct msg_signout *m)
{
	struct watcher *w = watcher_find(c->router, peer, m->conn);
	struct user *u;

	if (w != NULL)
		watcher_free(w);
	u = user_find(c, m->user);
	if (u != NULL && tally_take(&u->connections, peer, 1) > 0)
		user_left(u);
}

void
users_forget_watchers(struct peer *dead)
{
	while (!LIST_EMPTY(&dead->watchers))
		watcher_free(LIST_FIRST(&dead->watchers));
}

void
users_forget(struct census *c, struct peer *dead)
{
	struct hash_cursor at = { 0 };
	struct hash_link *l;

	while ((l = hash_walk(&c->users, &at)) != NULL) {
		struct user *u = container_of(l, struct user, link);

		if (tally_drop(&u->connections, dead) > 0)
			user_left(u);
	}
}

/* ---- over all hosts ----------------------------------------------------- */

static uint64_t
item_here(const struct item *it)
{
	return container_of(it, const struct user, item)->connections.total;
}

static void
item_called(const struct item *it, struct item_name *name)
{
	const struct user *u = container_of(it, const struct user, item);

	*name = (struct item_name){ .kind = it->kind, .app = u->census->app,
	    .user = bytes_of(u->id, u->id_n) };
}

static struct item *
item_find(struct router *r, const struct item_name *name, bool make)
{
	struct census *c = census_away(r, name->app, make);
	struct user *u = NULL;

	if (c != NULL)
		u = make ? user_get(c, name->user) : user_find(c, name->user);
	return u != NULL ? &u->item : NULL;
}

static void
item_turned(struct router *r, struct item *it, uint64_t before)
{
	struct user *u = container_of(it, struct user, item);

	(void)r;
	if (u->connections.total > 0)
		return;
	if (before == 0) {
		counter.users++;
		user_turned(u, true);
	} else if (it->away_n == 0) {
		counter.users--;
		user_turned(u, false);
		user_release(u);
	}
}

const struct item_ops user_item = {
	item_here, item_called, item_find, item_turned
};
