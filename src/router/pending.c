/* SPDX-License-Identifier: MIT
 *
 * Subscriptions that wait for the backplane.
 *
 * Runs in: the router.
 */
#include "router/pending.h"

#include <stdlib.h>

#include "common/util.h"
#include "router/router.h"

/* A subscription that waits until the backplane listens to its topic. */
struct pending {
	TAILQ_ENTRY(pending)	 link;
	struct route		*route;
	struct peer		*peer;
	uint64_t		 cookie, flags;
};

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
		.count = route_count(t),
	};

	if (flags & JOIN_CACHE)
		s.cached = history_get(t, &s.event, &s.data);
	msg_pack_subscribed(ipc_out(peer->ipc), &s);
}

void
pending_answer(struct route *t, struct peer *peer, const struct msg_join *m)
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

void
pending_joined(struct router *r, const struct topic *topic)
{
	struct census *c = census_find(r, topic->app);
	struct route *t = c != NULL ? route_find(c, topic->channel) : NULL;
	struct pending *w, *next;

	if (t == NULL || t->subs.total == 0)
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
