/* SPDX-License-Identifier: MIT
 *
 * What the courier is told.
 *
 * Runs in: the router.
 */
#include "router/hooks.h"

#include "common/json.h"
#include "common/util.h"
#include "router/payload.h"
#include "router/router.h"

#define USER_MAX	1024	/* octets of a user's id */

/* ---- states ------------------------------------------------------------------- */

bool
hooks_occupied(const struct route *t)
{
	return route_count(t) > 0 || members_count(t->members) > 0;
}

static void
state(struct route *t, struct bytes user, bool present)
{
	struct router *r = t->census->router;

	buf_clear(&r->hooks.pen);
	msg_pack_hook_state(&r->hooks.pen, &(struct msg_hook_state){
	    .serial = ++r->hooks.serial, .app = t->census->app,
	    .channel = route_name(t), .user = user, .present = present });
	hooks_put(r, true);
}

/* As it was told last. */
static void
channel_is(struct route *t, bool occupied)
{
	if (!(t->census->hooks & HOOKED_CHANNELS) || t->hooked == occupied)
		return;
	t->hooked = occupied;
	state(t, bytes_of(NULL, 0), occupied);
}

void
hooks_channel(struct route *t)
{
	if (t->census->hooks & HOOKED_CHANNELS)
		channel_is(t, hooks_occupied(t));
}

/* The channel is told first when somebody comes, and last when all have gone. */
void
hooks_member(struct route *t, struct member *who, bool present)
{
	if (!(t->census->hooks & (HOOKED_MEMBERS | HOOKED_CHANNELS)))
		return;
	if (present)
		channel_is(t, true);
	if ((t->census->hooks & HOOKED_MEMBERS) && who->hooked != present) {
		who->hooked = present;
		state(t, member_user(who), present);
	}
	if (!present && members_count(t->members) == 1 && route_count(t) == 0)
		channel_is(t, false);
}

/* ---- events --------------------------------------------------------------------- */

static void
event(struct router *r, struct msg_hook_event *m)
{
	m->serial = ++r->hooks.serial;
	buf_clear(&r->hooks.pen);
	msg_pack_hook_event(&r->hooks.pen, m);
	hooks_put(r, false);
}

static bool
wanted(struct router *r, struct bytes app, unsigned kind)
{
	const struct census *c;

	if (!(r->hooks.wanted & kind))
		return false;
	c = census_find(r, app);
	return c != NULL && (c->hooks & kind) != 0;
}

/* Of a JSON token, as clients of presence channels send it: the text that tells
 * users apart. */
static struct bytes
user_text(struct router *r, struct bytes token)
{
	struct bytes text = { NULL, 0 };
	struct json v;
	const char *why;

	buf_clear(&r->hooks.text);
	if (token.n == 0 || json_parse(token, &v, &why) < 0)
		return text;
	if (v.type == JSON_STRING)
		text = json_text(&v, &r->hooks.text);
	else if (v.type == JSON_NUMBER)
		text = v.raw;
	return text.n <= USER_MAX ? text : bytes_of(NULL, 0);
}

void
hooks_client(struct router *r, const struct msg_publish *m)
{
	if (!(m->flags & PUBLISH_CLIENT) || !wanted(r, m->app, HOOKED_CLIENT))
		return;
	event(r, &(struct msg_hook_event){ .kind = HOOK_CLIENT,
	    .app = m->app, .channel = m->channel, .event = m->event,
	    .data = m->data, .text = user_text(r, m->user),
	    .socket_a = m->except_a, .socket_b = m->except_b });
}

void
hooks_count(struct route *t, uint64_t count)
{
	event(t->census->router, &(struct msg_hook_event){ .kind = HOOK_COUNT,
	    .app = t->census->app, .channel = route_name(t), .count = count });
}

void
hooks_connection(struct router *r, const struct msg_connection *m)
{
	if (!wanted(r, m->app, m->open ? HOOKED_OPENED : HOOKED_CLOSED))
		return;
	event(r, &(struct msg_hook_event){
	    .kind = m->open ? HOOK_OPENED : HOOK_CLOSED,
	    .app = m->app, .text = m->why, .count = m->code,
	    .socket_a = m->socket_a, .socket_b = m->socket_b,
	    .user = m->user });
}

/* ---- misses, which one host of all is to tell -------------------------------------- */

static void
missed(struct router *r, struct bytes app, struct bytes channel)
{
	event(r, &(struct msg_hook_event){ .kind = HOOK_MISS,
	    .app = app, .channel = channel });
}

void
hooks_miss(struct route *t)
{
	struct router *r = t->census->router;
	struct buf payload = { 0 };

	if (!(t->census->hooks & HOOKED_MISSES) ||
	    (t->missed != 0 && r->now < t->missed + HOOKS_MISS))
		return;
	t->missed = r->now;
	missed(r, t->census->app, route_name(t));
	miss_pack(&payload, t->census->app, route_name(t));
	carrier_broadcast(r, ENVELOPE_HOOK, buf_view(&payload), false);
	buf_done(&payload);
}

int
hooks_heard(struct router *r, const struct envelope *e)
{
	struct bytes app, channel;

	if (miss_unpack(e, &app, &channel) < 0)
		return -1;
	if (wanted(r, app, HOOKED_MISSES))
		missed(r, app, channel);
	return 0;
}
