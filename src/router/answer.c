/* SPDX-License-Identifier: MIT
 *
 * Answers from the census.
 *
 * Runs in: the router.
 */
#include "router/answer.h"

#include <stdlib.h>

#include "common/util.h"
#include "router/router.h"

struct answer {
	TAILQ_ENTRY(answer)	 link;
	struct router		*router;
	const struct answer_ops	*ops;
	void			*to;
	uint64_t		 cookie;
	unsigned		 kind;
	char			*app, *name;
	size_t			 app_n, name_n;
	struct route		*route;		/* the next one of a walk */
	struct member		*member;
	uint64_t		 fetch;		/* waits for it; 0: not */
	bool			 asked;		/* the broker was */
	bool			 ready;		/* all links were read since */
	bool			 started, ended;
};

/* ---- asking ------------------------------------------------------------- */

void
answer_ask(struct router *r, unsigned kind, struct bytes app,
    struct bytes name, uint64_t cookie, const struct answer_ops *ops, void *to)
{
	struct answer *a = xcalloc(1, sizeof(*a));

	a->router = r;
	a->kind = kind;
	a->app = bytes_dup(app);
	a->app_n = app.n;
	a->name = bytes_dup(name);
	a->name_n = name.n;
	a->cookie = cookie;
	a->ops = ops;
	a->to = to;
	TAILQ_INSERT_TAIL(&r->answers, a, link);
}

static void
answer_free(struct answer *a)
{
	TAILQ_REMOVE(&a->router->answers, a, link);
	free(a->app);
	free(a->name);
	free(a);
}

static void
peer_row(void *to, uint64_t cookie, const struct msg_row *row)
{
	struct peer *p = to;
	struct msg_row m = *row;

	m.cookie = cookie;
	msg_pack_row(ipc_out(p->ipc), &m);
}

static void
peer_done(void *to, uint64_t cookie)
{
	struct peer *p = to;

	msg_pack_done(ipc_out(p->ipc), &(struct msg_done){ .cookie = cookie });
}

static size_t
peer_waiting(const void *to)
{
	return peer_backlog(to);
}

static const struct answer_ops to_peer = { peer_row, peer_done, peer_waiting };

void
answer_query(struct router *r, struct peer *from, const struct msg_query *m)
{
	answer_ask(r, (unsigned)m->kind, m->app, m->name, m->cookie, &to_peer,
	    from);
}

void
answers_forget(struct router *r, const void *to)
{
	struct answer *a, *next;

	for (a = TAILQ_FIRST(&r->answers); a != NULL; a = next) {
		next = TAILQ_NEXT(a, link);
		if (a->to == to)
			answer_free(a);
	}
}

void
answers_skip_route(struct router *r, const struct route *t)
{
	struct answer *a;

	TAILQ_FOREACH(a, &r->answers, link) {
		if (a->route == t)
			a->route = TAILQ_NEXT(t, order);
	}
}

void
answers_skip_member(struct router *r, const struct member *who)
{
	struct answer *a;

	TAILQ_FOREACH(a, &r->answers, link) {
		if (a->member == who)
			a->member = TAILQ_NEXT(who, order);
	}
}

/* ---- answering ---------------------------------------------------------- */

static struct bytes
answer_name(const struct answer *a)
{
	return bytes_of(a->name, a->name_n);
}

static void
answer_row(struct answer *a, const struct msg_row *row)
{
	a->ops->row(a->to, a->cookie, row);
}

static struct msg_row
row_of_route(const struct route *t)
{
	return (struct msg_row){
		.name = route_name(t),
		.subscriptions = route_count(t),
		.users = members_count(t->members),
	};
}

/* Can it go on? */
static bool
has_room(const struct answer *a)
{
	return a->fetch == 0 && a->ops->backlog(a->to) < SLICE_BACKLOG;
}

/* Each of these does a slice, of so many rows at most, and returns how many it
 * looked at; `c` may be NULL. */
static unsigned
slice_channels(struct answer *a, struct census *c, unsigned most)
{
	unsigned n;

	if (!a->started && c != NULL)
		a->route = TAILQ_FIRST(&c->order);
	for (n = 0; a->route != NULL && n < most; n++) {
		struct route *t = a->route;
		struct msg_row row = row_of_route(t);

		a->route = TAILQ_NEXT(t, order);
		if (route_count(t) > 0 && bytes_starts(row.name, answer_name(a)))
			answer_row(a, &row);
	}
	a->ended = a->route == NULL;
	return n;
}

/* The last message of a cache channel that this host does not listen to is
 * known to the broker alone.  True if it was asked for just now. */
static bool
ask_broker(struct answer *a, const struct route *t)
{
	struct router *r = a->router;

	if (a->asked || !fetch_possible(r) || !is_cache_channel(answer_name(a)) ||
	    (t != NULL && t->known == r->reach.era))
		return false;
	a->asked = true;
	a->fetch = fetch_ask(r, bytes_of(a->app, a->app_n), answer_name(a),
	    false);
	return true;
}

void
answers_fetched(struct router *r, uint64_t cookie)
{
	struct answer *a;

	TAILQ_FOREACH(a, &r->answers, link) {
		if (a->fetch == cookie)
			a->fetch = 0;
	}
}

static unsigned
slice_channel(struct answer *a, struct census *c, unsigned most)
{
	struct route *t = c != NULL ? route_find(c, answer_name(a)) : NULL;
	struct msg_row row;

	(void)most;
	if (ask_broker(a, t))
		return 1;
	a->ended = true;
	if (t == NULL)
		return 1;
	row = row_of_route(t);
	row.cached = history_get(t, &row.event, &row.data);
	row.ttl_ms = history_ttl(t);
	if (route_count(t) > 0 || row.cached)
		answer_row(a, &row);
	return 1;
}

static unsigned
slice_users(struct answer *a, struct census *c, unsigned most)
{
	struct route *t;
	unsigned n;

	if (!a->started && c != NULL) {
		t = route_find(c, answer_name(a));
		if (t != NULL && t->members != NULL)
			a->member = TAILQ_FIRST(&t->members->order);
	}
	for (n = 0; a->member != NULL && n < most; n++) {
		struct member *who = a->member;
		struct msg_row row = { .name = member_user(who),
		    .member = member_object(who) };

		a->member = TAILQ_NEXT(who, order);
		answer_row(a, &row);
	}
	a->ended = a->member == NULL;
	return n;
}

static unsigned
slice_connections(struct answer *a, struct census *c, unsigned most)
{
	struct load_sum sum = { 0 };
	struct msg_row row = { .name = bytes_of(a->app, a->app_n) };

	(void)most;
	if (c != NULL)
		sum = load_total(c);
	row.subscriptions = sum.subscribed;
	row.users = sum.open;
	answer_row(a, &row);
	a->ended = true;
	return 1;
}

static unsigned (*const slices[])(struct answer *, struct census *, unsigned) = {
	[QUERY_CHANNELS] = slice_channels,
	[QUERY_CHANNEL] = slice_channel,
	[QUERY_USERS] = slice_users,
	[QUERY_CONNECTIONS] = slice_connections,
};

/* At its end it is gone; else it stands behind all others. */
static unsigned
answer_slice(struct answer *a, unsigned most)
{
	struct router *r = a->router;
	struct census *c = census_find(r, bytes_of(a->app, a->app_n));
	unsigned n = 1;

	if (a->kind < NELEM(slices) && slices[a->kind] != NULL)
		n = slices[a->kind](a, c, most);
	else
		a->ended = true;
	a->started = true;
	if (a->ended) {
		a->ops->done(a->to, a->cookie);
		answer_free(a);
		return n;
	}
	TAILQ_REMOVE(&r->answers, a, link);
	TAILQ_INSERT_TAIL(&r->answers, a, link);
	return n;
}

static bool
is_list(const struct answer *a)
{
	return a->kind == QUERY_CHANNELS || a->kind == QUERY_USERS;
}

/* Of lists so many rows in all: whoever publishes waits for no more, however many
 * search.  Those of the API do not wait for those of pealctl and pages. */
static void
answer_slices(struct router *r)
{
	struct answer *a, *next, *last = TAILQ_LAST(&r->answers, answer_list);
	unsigned left[2] = { SLICE, SLICE };

	for (a = TAILQ_FIRST(&r->answers); a != NULL; a = next) {
		unsigned *rows = &left[a->ops == &to_peer];

		next = a != last ? TAILQ_NEXT(a, link) : NULL;
		if (!a->ready || !has_room(a))
			continue;
		if (!is_list(a))
			answer_slice(a, 1);
		else if (*rows > 0)
			*rows -= answer_slice(a, *rows);
	}
}

/* What was asked before now sees what was written before now. */
static void
read_before_answering(struct router *r)
{
	struct answer *a;
	bool any = false;

	TAILQ_FOREACH(a, &r->answers, link) {
		any |= !a->ready;
		a->ready = true;
	}
	if (!any)
		return;
	peers_read(r);
	peers_bury(r);
}

bool
answers_turn(struct router *r)
{
	struct answer *a;
	bool more = false;

	if (r->sync.on)
		return false;
	read_before_answering(r);
	answer_slices(r);
	TAILQ_FOREACH(a, &r->answers, link)
		more |= !a->ready || has_room(a);
	return more;
}
