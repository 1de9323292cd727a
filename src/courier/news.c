/* SPDX-License-Identifier: MIT
 *
 * What is worth a webhook, see news.h.
 *
 * Runs in: the courier.
 */
#include "courier/news.h"

#include "common/ipc.h"
#include "common/log.h"
#include "common/util.h"
#include "courier/courier.h"
#include "courier/body.h"
#include "courier/ledger.h"
#include "courier/text.h"

/* As in the table of courier.c. */
void	courier_on_hook_hosts(struct link *, struct ipc *,
	    const struct msg_hook_hosts *);
void	courier_on_hook_state(struct link *, struct ipc *,
	    const struct msg_hook_state *);
void	courier_on_hook_roll(struct link *, struct ipc *,
	    const struct msg_hook_roll *);
void	courier_on_hook_event(struct link *, struct ipc *,
	    const struct msg_hook_event *);

#define CHANNELS	(1u << EVENT_OCCUPIED | 1u << EVENT_VACATED)
#define MEMBERS		(1u << EVENT_ADDED | 1u << EVENT_REMOVED)

/* ---- into the queues ------------------------------------------------------------- */

/* Of this host alone, whoever is chosen. */
static bool
is_local(unsigned kind)
{
	return kind == EVENT_CLIENT || kind == EVENT_OPENED ||
	    kind == EVENT_CLOSED;
}

/* Those that want it and have room, into c->to. */
static size_t
takers(struct courier *c, const struct notice *n, size_t octets)
{
	struct target *t = NULL;
	size_t n_to = 0;

	while ((t = targets_next(c, n->app, n->kind, n->channel, t)) != NULL) {
		if (!target_room(t, n->kind, n->channel, octets))
			continue;
		if (n_to == c->cap_to) {
			c->cap_to = c->cap_to * 2 + 8;
			c->to = xreallocarray(c->to, c->cap_to,
			    sizeof(*c->to));
		}
		c->to[n_to++] = t;
	}
	return n_to;
}

/* json: of an event; a change of states is kept whoever hears of it. */
static void
say(struct courier *c, const struct notice *n, struct bytes json,
    unsigned change)
{
	size_t n_to = takers(c, n, json.n);
	struct text *text;

	if (n_to == 0)
		json = B("");
	if (n_to > 0 || change != CHANGE_NONE)
		ledger_event(c, n, json, change, c->to, n_to);
	if (n_to == 0)
		return;
	text = text_new(n->kind, n->channel, json);
	for (size_t i = 0; i < n_to; i++)
		target_push(c->to[i], text);
	text_unref(text);
}

static bool
is_wanted(struct courier *c, const struct notice *n)
{
	return (targets_want(c, n->app) & 1u << n->kind) != 0;
}

/* A state or a cache miss, if it is ours to say. */
static void
say_state(struct courier *c, const struct notice *n, unsigned change)
{
	bool ours = choice_chosen(&c->choice, n->app, n->channel);

	if (!ours)
		choice_remember(&c->choice, n, c->now);
	if (!ours || !is_wanted(c, n)) {
		if (change != CHANGE_NONE)
			ledger_event(c, n, B(""), change, NULL, 0);
		return;
	}
	buf_clear(&c->text);
	body_state(&c->text, n->kind, n->channel, n->user);
	say(c, n, buf_view(&c->text), change);
}

static void
say_again(void *ctx, const struct notice *n)
{
	say_state(ctx, n, CHANGE_NONE);
}

/* ---- facts ------------------------------------------------------------------------- */

static void
on_announce(void *ctx, struct bytes app, struct bytes channel,
    struct bytes user, bool present)
{
	struct notice n = { .kind = body_of_state(user.n != 0, present),
	    .app = app, .channel = channel, .user = user };

	say_state(ctx, &n, present ? CHANGE_CAME : CHANGE_WENT);
}

static void
on_silent(void *ctx, struct bytes app, struct bytes channel,
    struct bytes user)
{
	ledger_fact(ctx, app, channel, user);
}

static void
on_known(void *ctx, struct bytes app, unsigned classes)
{
	struct courier *c = ctx;

	if (!c->reading)
		ledger_known(c, app, classes);
}

const struct said_ops news_of_said = {
	.announce = on_announce, .silent = on_silent, .known = on_known,
};

static unsigned
classes_wanted(void *ctx, struct bytes app)
{
	unsigned wants = targets_want(ctx, app);

	return (wants & CHANNELS ? SAID_CHANNELS : 0) |
	    (wants & MEMBERS ? SAID_MEMBERS : 0);
}

/* Of applications of which there is nothing, that is known by now. */
static void
on_told(void *ctx, struct bytes app)
{
	struct courier *c = ctx;

	said_know(&c->said, app, classes_wanted(c, app));
}

static void
on_forgotten(void *ctx, struct bytes app, unsigned classes)
{
	ledger_forget(ctx, app, classes);
}

void
news_settings(struct courier *c)
{
	said_only(&c->said, classes_wanted, on_forgotten, c);
}

/* ---- what the router says ------------------------------------------------------------ */

/* Not if a courier before us has taken it and died before it could say so. */
static bool
is_new(struct link *l, uint64_t serial)
{
	struct courier *c = l->courier;

	l->serial = serial;
	if (l->epoch != 0 && l->epoch == c->epoch && serial <= c->serial)
		return false;
	c->epoch = l->epoch;
	c->serial = serial;
	c->moved = true;
	return true;
}

void
courier_on_hook_hosts(struct link *from, struct ipc *ipc,
    const struct msg_hook_hosts *m)
{
	struct courier *c = from->courier;

	(void)ipc;
	from->hosts = true;
	from->epoch = m->epoch;
	choice_set(&c->choice, m->own, &m->nodes);
	if (m->lost != 0)
		choice_lost(&c->choice, m->lost, c->now, say_again, c);
}

void
courier_on_hook_state(struct link *from, struct ipc *ipc,
    const struct msg_hook_state *m)
{
	struct courier *c = from->courier;

	(void)ipc;
	if (!is_new(from, m->serial))
		return;
	if (m->channel.n == 0 || !utf8_valid(m->app) ||
	    !utf8_valid(m->channel) || !utf8_valid(m->user)) {
		log_debug("webhook: a name that is no text app=%s channel=%s",
		    log_value(m->app), log_value(m->channel));
		return;
	}
	said_state(&c->said, m->app, m->channel, m->user, m->present != 0,
	    c->now);
}

void
courier_on_hook_roll(struct link *from, struct ipc *ipc,
    const struct msg_hook_roll *m)
{
	struct courier *c = from->courier;

	(void)ipc;
	if (!is_new(from, m->serial))
		return;
	if (m->on)
		said_roll_begin(&c->said);
	else if (said_roll_end(&c->said, c->now))
		targets_each_app(c, on_told, c);
}

void
courier_on_hook_event(struct link *from, struct ipc *ipc,
    const struct msg_hook_event *m)
{
	struct courier *c = from->courier;
	struct notice n = { .kind = body_of_hook(m->kind), .app = m->app,
	    .channel = m->channel };

	(void)ipc;
	if (!is_new(from, m->serial) || n.kind == 0 || !is_wanted(c, &n))
		return;
	if (n.kind == EVENT_MISS && !misses_say(&c->misses, m->app,
	    m->channel, c->now))
		return;
	if (!is_local(n.kind) && !choice_chosen(&c->choice, m->app,
	    m->channel)) {
		if (n.kind == EVENT_MISS)
			choice_remember(&c->choice, &n, c->now);
		return;
	}
	buf_clear(&c->text);
	if (body_once(&c->text, m) < 0)
		log_debug("webhook: an event that is no text app=%s channel=%s",
		    log_value(m->app), log_value(m->channel));
	else
		say(c, &n, buf_view(&c->text), CHANGE_NONE);
}
