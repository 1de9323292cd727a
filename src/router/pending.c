/* SPDX-License-Identifier: MIT
 *
 * Subscriptions that wait for the backplane.
 *
 * Runs in: the router.
 */
#include "router/pending.h"

#include <stdlib.h>

#include "common/util.h"
#include "router/fetch.h"
#include "router/router.h"

struct pending {
	TAILQ_ENTRY(pending)	 link;		/* of all, the oldest first */
	TAILQ_ENTRY(pending)	 of_route;
	struct route		*route;
	struct peer		*peer;
	uint64_t		 cookie, flags;
	uint64_t		 since_epoch, since_offset;	/* JOIN_REPLAY */
	uint64_t		 due;		/* answered then in any case */
};

static void
route_subscribed(const struct pending *w)
{
	struct route *t = w->route;
	struct router *r = t->census->router;
	struct msg_subscribed s = {
		.epoch = r->epoch, .serial = ++r->serial,
		.app = t->census->app, .channel = route_name(t),
		.cookie = w->cookie,
		.position_epoch = t->epoch, .position_offset = t->offset,
		.count = route_count(t),
	};

	if (w->flags & JOIN_CACHE) {
		s.cached = history_get(t, &s.event, &s.data);
		if (!s.cached && !(w->flags & (JOIN_HEIR | JOIN_SYNC)))
			hooks_miss(t);
	}
	if (w->flags & JOIN_REPLAY)
		replay_send(t, w->peer, w->cookie, w->since_epoch,
		    w->since_offset);
	msg_pack_subscribed(ipc_out(w->peer->ipc), &s);
}

/* ---- what is waited for -------------------------------------------------- */

/* Is there nothing to wait for, or no use in it? */
static bool
is_ready(const struct route *t, uint64_t flags)
{
	const struct router *r = t->census->router;

	if (carrier_alone(r) || (!r->reach.up && r->reach.tried))
		return true;
	if (!r->reach.up || !t->joined)
		return false;
	return !(flags & JOIN_CACHE) || t->known == r->reach.era ||
	    !fetch_possible(r);
}

/* A cache channel's last message has to be asked for. */
static void
ask(struct route *t)
{
	struct router *r = t->census->router;

	if (t->fetch == 0 && t->joined && t->known != r->reach.era &&
	    fetch_possible(r))
		t->fetch = fetch_ask(r, t->census->app, route_name(t), true);
}

void
pending_answer(struct route *t, struct peer *peer, const struct msg_join *m)
{
	struct router *r = t->census->router;
	struct pending now = {
		.route = t, .peer = peer, .cookie = m->cookie,
		.flags = m->flags, .since_epoch = m->since_epoch,
		.since_offset = m->since_offset,
	}, *w;

	if (m->cookie == 0)
		return;
	if (is_ready(t, m->flags)) {
		route_subscribed(&now);
		return;
	}
	w = xcalloc(1, sizeof(*w));
	*w = now;
	w->due = clock_ms() + r->config->backplane.echo_timeout;
	TAILQ_INSERT_TAIL(&r->pending, w, link);
	TAILQ_INSERT_TAIL(&t->waiting, w, of_route);
	if (m->flags & JOIN_CACHE)
		ask(t);
}

/* ---- the end of it ------------------------------------------------------- */

static void
pending_free(struct router *r, struct pending *w)
{
	TAILQ_REMOVE(&r->pending, w, link);
	TAILQ_REMOVE(&w->route->waiting, w, of_route);
	free(w);
}

static void
pending_end(struct router *r, struct pending *w)
{
	route_subscribed(w);
	/* It was not there yet when the others heard the new count. */
	if (!(w->flags & JOIN_HEIR))
		count_changed(w->route);
	pending_free(r, w);
}

void
pending_forget(struct router *r, const struct peer *peer, struct route *t)
{
	struct pending *w, *next;

	while (t != NULL && (w = TAILQ_FIRST(&t->waiting)) != NULL)
		pending_free(r, w);
	if (peer == NULL)
		return;
	for (w = TAILQ_FIRST(&r->pending); w != NULL; w = next) {
		next = TAILQ_NEXT(w, link);
		if (w->peer == peer)
			pending_free(r, w);
	}
}

/* Answers those of a route that have nothing to wait for any more. */
static void
answer_ready(struct route *t)
{
	struct router *r = t->census->router;
	struct pending *w, *next;

	for (w = TAILQ_FIRST(&t->waiting); w != NULL; w = next) {
		next = TAILQ_NEXT(w, of_route);
		if (is_ready(t, w->flags))
			pending_end(r, w);
		else if (w->flags & JOIN_CACHE)
			ask(t);
	}
}

void
pending_joined(struct route *t)
{
	answer_ready(t);
}

/* What there is now is what there will be. */
void
pending_fetched(struct route *t)
{
	struct pending *w;

	if (!t->joined)
		return;
	while ((w = TAILQ_FIRST(&t->waiting)) != NULL)
		pending_end(t->census->router, w);
}

void
pending_up(struct router *r)
{
	struct pending *w, *next;

	for (w = TAILQ_FIRST(&r->pending); w != NULL; w = next) {
		next = TAILQ_NEXT(w, link);
		if (is_ready(w->route, w->flags))
			pending_end(r, w);
		else if (w->flags & JOIN_CACHE)
			ask(w->route);
	}
}

void
pending_down(struct router *r)
{
	struct pending *w;

	while ((w = TAILQ_FIRST(&r->pending)) != NULL)
		pending_end(r, w);
}

void
pending_turn(struct router *r)
{
	struct pending *w;

	/* A broker that is not reached when we start is waited for once. */
	if (!r->reach.tried &&
	    r->now >= r->reach.started + r->config->backplane.echo_timeout)
		r->reach.tried = true;
	while ((w = TAILQ_FIRST(&r->pending)) != NULL && w->due <= r->now)
		pending_end(r, w);
}

uint64_t
pending_due(const struct router *r)
{
	const struct pending *w = TAILQ_FIRST(&r->pending);

	return w != NULL ? w->due : 0;
}
