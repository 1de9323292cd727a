/* SPDX-License-Identifier: MIT
 *
 * Members of presence channels.
 *
 * Runs in: the router.
 */
#include "router/members.h"

#include <stdlib.h>

#include "common/counters.h"
#include "common/util.h"
#include "router/router.h"
#include "router/state.h"

static struct bytes
key_of_member(const struct hash_link *l)
{
	return member_user(container_of(l, const struct member, link));
}

static struct members *
members_new(void)
{
	struct members *ms = xcalloc(1, sizeof(*ms));

	hash_init(&ms->by_user, key_of_member);
	TAILQ_INIT(&ms->order);
	return ms;
}

static void
member_free(struct members *ms, struct member *who)
{
	state_member(who->route, who, false);
	roll_skip_member(who->route->census->router, who);
	item_done(who->route->census->router, &who->item);
	TAILQ_REMOVE(&ms->order, who, order);
	hash_remove(&ms->by_user, &who->link);
	tally_done(&who->seats);
	free(who);
	counter.members--;
}

void
members_free(struct route *t)
{
	struct members *ms = t->members;

	if (ms == NULL)
		return;
	while (!TAILQ_EMPTY(&ms->order))
		member_free(ms, TAILQ_FIRST(&ms->order));
	hash_done(&ms->by_user);
	free(ms);
}

uint32_t
members_count(const struct members *ms)
{
	return ms != NULL ? ms->by_user.count : 0;
}

struct member *
members_find(const struct members *ms, struct bytes user)
{
	struct hash_link *l;

	if (ms == NULL)
		return NULL;
	l = hash_find((struct hash *)&ms->by_user, user);
	return l != NULL ? container_of(l, struct member, link) : NULL;
}

static struct member *
member_new(struct route *t, struct bytes user, struct bytes object)
{
	struct members *ms = t->members;
	struct member *who = xcalloc(1, sizeof(*who) + user.n + object.n);

	who->route = t;
	item_init(&who->item, ITEM_MEMBER);
	who->user_n = (uint32_t)user.n;
	who->object_n = (uint32_t)object.n;
	memcpy(who->room, user.p, user.n);
	if (object.n > 0)
		memcpy(who->room + user.n, object.p, object.n);
	hash_insert(&ms->by_user, &who->link);
	TAILQ_INSERT_TAIL(&ms->order, who, order);
	counter.members++;
	state_member(t, who, true);
	return who;
}

/* ---- announcements ------------------------------------------------------ */

static void
announce_added(struct route *t, const struct member *who)
{
	struct router *r = t->census->router;
	struct msg_member_added m = {
		.epoch = r->epoch, .serial = r->serial + 1,
		.app = t->census->app, .channel = route_name(t),
		.user = member_user(who), .member = member_object(who),
	};

	if (r->sync.on || !route_heard(t))
		return;
	r->serial++;
	buf_clear(&r->scratch);
	msg_pack_member_added(&r->scratch, &m);
	route_cast(t, buf_view(&r->scratch));
}

static void
announce_removed(struct route *t, const struct member *who)
{
	struct router *r = t->census->router;
	struct msg_member_removed m = {
		.epoch = r->epoch, .serial = r->serial + 1,
		.app = t->census->app, .channel = route_name(t),
		.user = member_user(who),
	};

	if (r->sync.on || !route_heard(t))
		return;
	r->serial++;
	buf_clear(&r->scratch);
	msg_pack_member_removed(&r->scratch, &m);
	route_cast(t, buf_view(&r->scratch));
}

static void
pack_roster(const struct route *t, struct buf *out)
{
	struct router *r = t->census->router;
	struct bytes app = t->census->app, channel = route_name(t);
	struct member *who;

	TAILQ_FOREACH(who, &t->members->order, order) {
		msg_pack_member(out, &(struct msg_member){
		    .app = app, .channel = channel,
		    .user = member_user(who), .member = member_object(who) });
	}
	msg_pack_roster(out, &(struct msg_roster){
	    .epoch = r->epoch, .serial = ++r->serial,
	    .app = app, .channel = channel,
	    .n = members_count(t->members) });
}

void
members_roster(struct route *t)
{
	struct router *r = t->census->router;

	t->members->stale = false;
	buf_clear(&r->scratch);
	pack_roster(t, &r->scratch);
	route_cast(t, buf_view(&r->scratch));
}

/* ---- coming ------------------------------------------------------------- */

static void
refuse(const struct route *t, struct peer *from, const struct msg_join *m)
{
	struct router *r = t->census->router;

	if (m->cookie == 0)
		return;
	msg_pack_subscribed(ipc_out(from->ipc), &(struct msg_subscribed){
	    .epoch = r->epoch, .serial = ++r->serial,
	    .app = m->app, .channel = m->channel,
	    .cookie = m->cookie, .refused = REFUSED_FULL });
}

/*
 * The order matters: those who are there hear of a newcomer, then his worker
 * gets the list with him in it, then he learns that he is in.
 */
void
members_join(struct route *t, struct peer *from, const struct msg_join *m)
{
	bool known = (m->flags & JOIN_SYNC) != 0;
	struct member *who;
	bool is_new;

	if (t->members == NULL)
		t->members = members_new();
	who = members_find(t->members, m->user);
	if (who == NULL && !known &&
	    members_count(t->members) >= t->census->max_members) {
		refuse(t, from, m);
		return;
	}
	if (who == NULL) {
		who = member_new(t, m->user, m->member);
		if (!known)
			announce_added(t, who);
	}
	tally_add(&who->seats, from, m->n);
	tell_changed(t->census->router, &who->item);
	is_new = route_add(t, from, m->n);
	if (known) {
		t->members->stale = true;
		t->census->router->sync.late |= !t->census->router->sync.on;
	} else if (is_new || (m->flags & JOIN_ROSTER)) {
		pack_roster(t, ipc_out(from->ipc));
	}
	pending_answer(t, from, m);
}

static struct members *
members_get(struct route *t)
{
	if (t->members == NULL)
		t->members = members_new();
	return t->members;
}

void
members_expect(struct route *t, struct peer *from, const struct msg_join *m)
{
	struct router *r = t->census->router;

	members_get(t);
	route_expect(t, from);
	if (m->flags & JOIN_SYNC) {
		t->members->stale = true;
		r->sync.late |= !r->sync.on;
	} else if (m->flags & JOIN_ROSTER) {
		pack_roster(t, ipc_out(from->ipc));
	}
	pending_answer(t, from, m);
}

bool
members_move(struct route *t, struct peer *from, struct peer *to,
    struct bytes user)
{
	struct member *who = members_find(t->members, user);

	return who != NULL && tally_has(&t->subs, from) &&
	    tally_move(&who->seats, from, to) && route_move(t, from, to);
}

/* While a new router waits, rosters follow. */
void
members_arrive(struct route *t, struct peer *to, struct bytes user,
    struct bytes object)
{
	struct router *r = t->census->router;
	struct member *who = members_find(members_get(t), user);
	bool heard = route_heard_by(t, to);

	if (who == NULL) {
		who = member_new(t, user, object);
		announce_added(t, who);
	}
	tally_add(&who->seats, to, 1);
	tell_changed(r, &who->item);
	route_add(t, to, 1);
	if (r->sync.on)
		t->members->stale = true;
	else if (!heard)
		pack_roster(t, ipc_out(to->ipc));
}

/* ---- going -------------------------------------------------------------- */

void
members_left(struct route *t, struct member *who)
{
	tell_changed(t->census->router, &who->item);
	if (who->seats.total > 0 || who->item.away != NULL)
		return;
	announce_removed(t, who);
	answers_skip_member(t->census->router, who);
	member_free(t->members, who);
}

void
members_forget(struct route *t, struct peer *dead)
{
	struct member *who, *next;

	if (t->members == NULL)
		return;
	for (who = TAILQ_FIRST(&t->members->order); who != NULL; who = next) {
		next = TAILQ_NEXT(who, order);
		if (tally_drop(&who->seats, dead) > 0)
			members_left(t, who);
	}
}

/* ---- over all hosts ----------------------------------------------------- */

static uint64_t
item_here(const struct item *it)
{
	return container_of(it, const struct member, item)->seats.total;
}

static void
item_called(const struct item *it, struct item_name *name)
{
	const struct member *who = container_of(it, const struct member, item);

	*name = (struct item_name){ .kind = it->kind,
	    .app = who->route->census->app, .channel = route_name(who->route),
	    .user = member_user(who), .object = member_object(who) };
}

static struct item *
item_find(struct router *r, const struct item_name *name, bool make)
{
	struct census *c = census_away(r, name->app, make);
	struct route *t = c != NULL ? route_find(c, name->channel) : NULL;
	struct member *who = t != NULL ? members_find(t->members, name->user)
	    : NULL;

	if (who == NULL && make) {
		t = route_get(c, name->channel);
		if (t->members == NULL)
			t->members = members_new();
		who = member_new(t, name->user, name->object);
	}
	return who != NULL ? &who->item : NULL;
}

/* While a new router waits, rosters follow. */
static void
item_turned(struct router *r, struct item *it, uint64_t before)
{
	struct member *who = container_of(it, struct member, item);
	struct route *t = who->route;

	if (r->sync.on)
		t->members->stale = true;
	if (before == 0 && who->seats.total == 0)
		announce_added(t, who);
	if (it->away != NULL || who->seats.total > 0)
		return;
	announce_removed(t, who);
	answers_skip_member(r, who);
	member_free(t->members, who);
	route_release(t);
}

const struct item_ops member_item = {
	item_here, item_called, item_find, item_turned
};
