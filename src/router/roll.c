/* SPDX-License-Identifier: MIT
 *
 * The roll of channels and members.
 *
 * Runs in: the router.
 */
#include "router/roll.h"

#include <stdlib.h>

#include "common/ipc.h"
#include "common/util.h"
#include "router/router.h"

#define KINDS	(HOOKED_CHANNELS | HOOKED_MEMBERS)

static struct roll *
roll_of(const struct router *r)
{
	return &((struct router *)(uintptr_t)r)->hooks.roll;
}

void
roll_want(struct router *r)
{
	roll_stop(r);
	roll_of(r)->wanted = true;
	roll_of(r)->since = r->now;
}

void
roll_stop(struct router *r)
{
	struct roll *l = roll_of(r);

	free(l->all);
	*l = (struct roll){ .wanted = l->wanted || l->on, .since = l->since };
}

void
roll_done(struct router *r)
{
	free(roll_of(r)->all);
}

bool
roll_pending(const struct router *r)
{
	return roll_of(r)->wanted || roll_of(r)->on;
}

/* ---- rows ------------------------------------------------------------------ */

static void
row(struct router *r, const struct route *t, struct bytes user)
{
	msg_pack_hook_state(ipc_out(r->hooks.ipc), &(struct msg_hook_state){
	    .serial = ++r->hooks.serial, .app = t->census->app,
	    .channel = route_name(t), .user = user, .present = 1 });
}

static void
channel_out(struct router *r, struct route *t)
{
	if (!(t->census->hooks & HOOKED_CHANNELS))
		return;
	t->hooked = hooks_occupied(t);
	if (t->hooked)
		row(r, t, bytes_of(NULL, 0));
}

static void
member_out(struct router *r, struct member *who)
{
	who->hooked = true;
	row(r, who->route, member_user(who));
}

static void
enter(struct roll *l)
{
	struct route *t = l->route;

	l->inside = true;
	l->member = t->members != NULL && (t->census->hooks & HOOKED_MEMBERS) ?
	    TAILQ_FIRST(&t->members->order) : NULL;
}

static void
leave(struct roll *l)
{
	l->route = TAILQ_NEXT(l->route, order);
	l->inside = false;
}

/* ---- the walk -------------------------------------------------------------- */

/* False: that was all. */
static bool
step(struct router *r)
{
	struct roll *l = roll_of(r);

	if (l->route == NULL) {
		if (l->at == l->n)
			return false;
		if (l->all[l->at]->hooks & KINDS)
			l->route = TAILQ_FIRST(&l->all[l->at]->order);
		l->at++;
	} else if (!l->inside) {
		channel_out(r, l->route);
		enter(l);
	} else if (l->member != NULL) {
		member_out(r, l->member);
		l->member = TAILQ_NEXT(l->member, order);
	} else {
		leave(l);
	}
	return true;
}

static void
say(struct router *r, bool on)
{
	msg_pack_hook_roll(ipc_out(r->hooks.ipc), &(struct msg_hook_roll){
	    .serial = ++r->hooks.serial, .on = on });
	r->hooks.sent = r->hooks.serial;
}

/* What other hosts hold is not missed in it, or only if they do not tell it for
 * too long. */
static bool
is_due(const struct router *r)
{
	const struct config_backplane *set = &r->config->backplane;

	return roll_of(r)->wanted && (hosts_told(r) || r->now >=
	    roll_of(r)->since + set->partition_timeout);
}

static void
begin(struct router *r)
{
	struct roll *l = roll_of(r);

	l->wanted = false;
	l->on = true;
	l->all = census_all(r, &l->n);
	say(r, true);
}

static void
end(struct router *r)
{
	struct roll *l = roll_of(r);

	say(r, false);
	free(l->all);
	*l = (struct roll){ .on = false };
}

bool
roll_turn(struct router *r)
{
	struct roll *l = roll_of(r);

	if (!l->on && is_due(r))
		begin(r);
	for (unsigned i = 0; l->on && i < ROLL_SLICE; i++) {
		if (hooks_backlog(r) >= HOOKS_WINDOW)
			return false;
		if (!step(r))
			end(r);
		else
			r->hooks.sent = r->hooks.serial;
	}
	return l->on;
}

void
roll_skip_route(struct router *r, const struct route *t)
{
	if (roll_of(r)->route == t)
		leave(roll_of(r));
}

void
roll_skip_member(struct router *r, const struct member *who)
{
	struct roll *l = roll_of(r);

	if (l->member == who)
		l->member = TAILQ_NEXT(who, order);
}
