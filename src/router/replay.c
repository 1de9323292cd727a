/* SPDX-License-Identifier: MIT
 *
 * The last messages of rooms.
 *
 * Runs in: the router.
 */
#include "router/replay.h"

#include <stdlib.h>

#include "common/util.h"
#include "router/room.h"
#include "router/router.h"

/* A message. */
struct kept {
	TAILQ_ENTRY(kept)	 order;		/* of all */
	TAILQ_ENTRY(kept)	 of_room;
	struct replay		*replay;
	uint64_t		 since;		/* clock_ms() when it came */
	uint64_t		 offset;
	uint64_t		 flags;
	uint32_t		 event_n, data_n, user_n;
	char			 room[];	/* event, data, user */
};

/* What is kept of a room. */
struct replay {
	TAILQ_HEAD(, kept)	 messages;	/* oldest first */
	TAILQ_ENTRY(replay)	 link;		/* of the deserted ones */
	struct route		*route;
	uint64_t		 n;
	uint64_t		 left;		/* clock_ms(), 0: is not deserted */
};

static struct router *
router_of(const struct route *t)
{
	return t->census->router;
}

static const struct config_rooms *
settings_of(const struct route *t)
{
	return room_of(router_of(t), t->census->app, route_name(t));
}

/* ---- what it costs ------------------------------------------------------- */

static uint64_t
kept_cost(const struct kept *k)
{
	return sizeof(*k) + k->event_n + k->data_n + k->user_n;
}

/* With the route that it may keep alive. */
static uint64_t
replay_cost(const struct replay *p)
{
	return sizeof(*p) + sizeof(*p->route) + p->route->name_n;
}

/* Cached messages go first; what they leave is for rooms. */
static uint64_t
most(const struct router *r)
{
	return r->history.size > r->history.octets ?
	    r->history.size - r->history.octets : 0;
}

/* ---- dropping ------------------------------------------------------------ */

static void
kept_drop(struct kept *k)
{
	struct replay *p = k->replay;
	struct router *r = router_of(p->route);
	struct replays *all = &r->replays;

	if (r->elder.kept == k)
		r->elder.kept = TAILQ_NEXT(k, order);
	all->octets -= kept_cost(k);
	TAILQ_REMOVE(&all->order, k, order);
	TAILQ_REMOVE(&p->messages, k, of_room);
	p->n--;
	free(k);
}

static void
bequeath(const struct route *t, bool gone)
{
	struct buf *out = elder_out(router_of(t));

	if (out == NULL || t->replay == NULL)
		return;
	msg_pack_legacy_room(out, &(struct msg_legacy_room){
	    .app = t->census->app, .channel = route_name(t),
	    .position_epoch = t->epoch, .position_offset = t->offset,
	    .left = t->replay->left, .gone = gone });
}

void
replay_bequeath(const struct route *t)
{
	bequeath(t, false);
}

static void
bequeath_kept(const struct kept *k)
{
	const struct route *t = k->replay->route;
	struct buf *out = elder_out(router_of(t));

	if (out == NULL)
		return;
	msg_pack_legacy_kept(out, &(struct msg_legacy_kept){
	    .app = t->census->app, .channel = route_name(t),
	    .position_offset = k->offset, .since = k->since,
	    .flags = k->flags, .event = bytes_of(k->room, k->event_n),
	    .data = bytes_of(k->room + k->event_n, k->data_n),
	    .user = bytes_of(k->room + k->event_n + k->data_n, k->user_n) });
}

bool
replays_bequeath(struct router *r)
{
	struct elder *elder = &r->elder;

	if (!elder->begun)
		elder->kept = TAILQ_FIRST(&r->replays.order);
	elder->begun = true;
	for (unsigned i = 0; elder->kept != NULL && i < ELDER_SLICE; i++) {
		bequeath_kept(elder->kept);
		elder->kept = TAILQ_NEXT(elder->kept, order);
	}
	elder->rooms_told = elder->kept == NULL;
	return elder->rooms_told;
}

/* Of its route only that it is released is left to do. */
static void
replay_forget(struct replay *p)
{
	struct route *t = p->route;
	struct replays *all = &router_of(t)->replays;
	struct kept *k;

	while ((k = TAILQ_FIRST(&p->messages)) != NULL)
		kept_drop(k);
	all->octets -= replay_cost(p);
	bequeath(t, true);
	t->replay = NULL;
	if (p->left != 0)
		TAILQ_REMOVE(&all->deserted, p, link);
	free(p);
}

/* The route does not listen any more, unless it has subscribers. */
static void
replay_drop(struct replay *p)
{
	struct route *t = p->route;
	bool deserted = p->left != 0;

	replay_forget(p);
	if (deserted && !(t->legacy & LEGACY_TOPIC))
		route_leave(t);
	route_release(t);
}

static void
shrink_messages(struct router *r)
{
	struct replays *all = &r->replays;
	uint64_t max = most(r);

	while (all->octets > max && !TAILQ_EMPTY(&all->order))
		kept_drop(TAILQ_FIRST(&all->order));
}

/* Routes may go with it. */
static void
shrink(struct router *r)
{
	struct replays *all = &r->replays;
	uint64_t max = most(r);

	shrink_messages(r);
	while (all->octets > max && !TAILQ_EMPTY(&all->deserted))
		replay_drop(TAILQ_FIRST(&all->deserted));
}

static bool
expired(const struct config_rooms *set, uint64_t since, uint64_t now)
{
	return set == NULL || since + set->history_ttl <= now;
}

/* Sections may differ, so the longest time of all decides when memory is given
 * back; what is sent is looked at again. */
static uint64_t
longest_ttl(const struct router *r)
{
	uint64_t longest = 0;

	for (size_t i = 0; r->config != NULL && i < r->config->n_rooms; i++) {
		if (r->config->rooms[i].history_ttl > longest)
			longest = r->config->rooms[i].history_ttl;
	}
	return longest;
}

void
replays_tick(struct router *r)
{
	struct replays *all = &r->replays;
	uint64_t ttl = longest_ttl(r);
	struct kept *k;
	struct replay *p;

	while ((k = TAILQ_FIRST(&all->order)) != NULL &&
	    k->since + ttl <= r->now)
		kept_drop(k);
	while ((p = TAILQ_FIRST(&all->deserted)) != NULL &&
	    p->left + ttl <= r->now)
		replay_drop(p);
	shrink(r);
}

/* ---- keeping ------------------------------------------------------------- */

void
replay_want(struct route *t)
{
	struct replays *all = &router_of(t)->replays;
	const struct config_rooms *set = settings_of(t);
	struct replay *p;

	if (t->replay != NULL || set == NULL || set->history == 0)
		return;
	p = xcalloc(1, sizeof(*p));
	TAILQ_INIT(&p->messages);
	p->route = t;
	t->replay = p;
	all->octets += replay_cost(p);
	bequeath(t, false);
}

static char *
add(char *to, struct bytes b)
{
	if (b.n > 0)
		memcpy(to, b.p, b.n);
	return to + b.n;
}

static struct kept *
kept_new(struct replay *p, const struct msg_publish *m)
{
	struct kept *k = xmalloc(sizeof(*k) + m->event.n + m->data.n +
	    m->user.n);

	k->replay = p;
	k->since = router_of(p->route)->now;
	k->offset = p->route->offset;
	k->flags = m->flags;
	k->event_n = (uint32_t)m->event.n;
	k->data_n = (uint32_t)m->data.n;
	k->user_n = (uint32_t)m->user.n;
	add(add(add(k->room, m->event), m->data), m->user);
	return k;
}

void
replay_put(struct route *t, const struct msg_publish *m)
{
	struct router *r = router_of(t);
	const struct config_rooms *set = settings_of(t);
	struct replay *p = t->replay;
	struct kept *k;

	if (p == NULL || set == NULL)
		return;
	k = kept_new(p, m);
	r->replays.octets += kept_cost(k);
	TAILQ_INSERT_TAIL(&r->replays.order, k, order);
	TAILQ_INSERT_TAIL(&p->messages, k, of_room);
	p->n++;
	if (r->elder.rooms_told)
		bequeath_kept(k);
	else
		bequeath(t, false);
	while (p->n > set->history)
		kept_drop(TAILQ_FIRST(&p->messages));
	/* Not the room itself, whose message is on its way. */
	if (r->replays.octets > most(r))
		shrink_messages(r);
}

void
replay_send(const struct route *t, struct peer *to, uint64_t cookie,
    uint64_t epoch, uint64_t offset)
{
	const struct config_rooms *set = settings_of(t);
	uint64_t now = router_of(t)->now;
	const struct kept *k;

	if (t->replay == NULL || epoch != t->epoch)
		return;
	TAILQ_FOREACH(k, &t->replay->messages, of_room) {
		struct msg_replay m = {
			.cookie = cookie, .app = t->census->app,
			.channel = route_name(t), .position_epoch = t->epoch,
			.position_offset = k->offset, .flags = k->flags,
			.event = bytes_of(k->room, k->event_n),
			.data = bytes_of(k->room + k->event_n, k->data_n),
			.user = bytes_of(k->room + k->event_n + k->data_n,
			    k->user_n),
		};

		if (k->offset > offset && !expired(set, k->since, now))
			msg_pack_replay(ipc_out(to->ipc), &m);
	}
}

/* ---- without subscribers ------------------------------------------------- */

bool
replay_lingers(struct route *t)
{
	struct router *r = router_of(t);
	struct replay *p = t->replay;

	if (p == NULL || p->left != 0)
		return p != NULL;
	p->left = r->now;
	TAILQ_INSERT_TAIL(&r->replays.deserted, p, link);
	bequeath(t, false);
	return true;
}

bool
replay_resumes(struct route *t)
{
	struct replay *p = t->replay;

	if (p == NULL || p->left == 0)
		return false;
	p->left = 0;
	TAILQ_REMOVE(&router_of(t)->replays.deserted, p, link);
	bequeath(t, false);
	return true;
}

/* ---- from a router before this one ---------------------------------------- */

/* Rooms are deserted in the order in which they were left. */
static void
deserted_since(struct route *t, uint64_t left)
{
	struct replays *all = &router_of(t)->replays;
	struct replay *p = t->replay, *other;

	if (p->left != 0)
		TAILQ_REMOVE(&all->deserted, p, link);
	p->left = left;
	if (left == 0)
		return;
	TAILQ_FOREACH_REVERSE(other, &all->deserted, deserted_list, link) {
		if (other->left <= left) {
			TAILQ_INSERT_AFTER(&all->deserted, other, p, link);
			return;
		}
	}
	TAILQ_INSERT_HEAD(&all->deserted, p, link);
}

void
replay_inherit(struct route *t, uint64_t epoch, uint64_t offset, uint64_t left)
{
	replay_want(t);
	if (t->replay == NULL)
		return;
	t->epoch = epoch;
	t->offset = offset;
	deserted_since(t, left);
}

void
replay_inherit_kept(struct route *t, const struct msg_legacy_kept *m)
{
	struct router *r = router_of(t);
	struct msg_publish as = { .event = m->event, .data = m->data,
	    .user = m->user, .flags = m->flags };
	uint64_t now = r->now, at = t->offset;

	/* While the elder has not told all, the room is ahead of it. */
	t->offset = m->position_offset;
	r->now = m->since;
	replay_put(t, &as);
	r->now = now;
	if (t->offset < at)
		t->offset = at;
}

void
replay_disinherit(struct route *t)
{
	if (t->replay != NULL)
		replay_forget(t->replay);
}

void
replays_anew(struct router *r)
{
	struct kept *k;

	while ((k = TAILQ_FIRST(&r->replays.order)) != NULL) {
		k->replay->route->epoch = ++r->last_epoch;
		kept_drop(k);
	}
}

/* ---- life ---------------------------------------------------------------- */

void
replays_init(struct replays *all)
{
	TAILQ_INIT(&all->order);
	TAILQ_INIT(&all->deserted);
}

/* All workers are gone, so all that is kept is deserted. */
void
replays_done(struct router *r)
{
	while (!TAILQ_EMPTY(&r->replays.deserted))
		replay_drop(TAILQ_FIRST(&r->replays.deserted));
}
