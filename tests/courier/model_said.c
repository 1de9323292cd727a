/* SPDX-License-Identifier: MIT
 *
 * What a courier must say, see model.h.
 */
#include "model_inner.h"

#include "courier/ledger.h"

static struct due dues[64];
static unsigned n_dues, at_due;

void
said_begin(void)
{
	n_dues = at_due = 0;
}

/* ---- what must be said, and is ------------------------------------------- */

static void
must_say(const struct due *d)
{
	if (n_dues == NELEM(dues))
		WRONG("the model has no room");
	dues[n_dues++] = *d;
}

/* Nobody else sends it. */
static bool
is_ours(unsigned app, unsigned channel)
{
	return choice_chosen(&hosts, bytes_str(model_apps[app]),
	    bytes_str(model_channels[channel]));
}

static void
remember(const struct due *d)
{
	struct recent *r;

	if (!choice_many(&hosts))
		return;
	if (now.n_recent == RECENTS)
		memmove(now.recent, now.recent + 1, --now.n_recent *
		    sizeof(now.recent[0]));
	r = &now.recent[now.n_recent++];
	*r = (struct recent){ clock_ms(), choice_choose(&hosts,
	    bytes_str(model_apps[d->app]),
	    bytes_str(model_channels[d->channel])), d->kind, d->app,
	    d->channel, d->user };
}

/* The courier says this one now: who must get it, and does? */
static void
say(const struct due *d, unsigned to)
{
	bool once = d->kind >= EVENT_CLIENT;
	bool ours = d->kind == EVENT_CLIENT || d->kind == EVENT_OPENED ||
	    is_ours(d->app, d->channel);
	unsigned set = ours && (model_wanted(d->app) & 1u << d->kind) ?
	    goal_takers(d) : 0;

	if (!ours && !once)
		remember(d);
	if (set != to)
		WRONG("%s goes to %x, not to %x", texts[d->text], to, set);
	for (unsigned i = 0; i < TARGETS; i++)
		if (set & 1u << i)
			goal_push(&now.goals[i], d);
}

/* Held longest, and long enough? */
static void
goes(unsigned app, unsigned channel, unsigned user)
{
	struct state *s = &now.states[FACT(app, channel, user)], *o;
	const struct courier *c = rig->courier;
	bool last = c->deliver && TAILQ_EMPTY(&c->routers);

	if (!s->there || !s->held)
		WRONG("%s %s goes, and was not held", model_channels[channel],
		    model_users[user]);
	MUST(last || (now.settled && clock_ms() - s->since >=
	    now.hold_back));
	for (unsigned i = 0; i < FACTS; i++) {
		o = &now.states[i];
		if (o->there && o->held && o->turn < s->turn)
			WRONG("%s %s goes before its turn",
			    model_channels[channel], model_users[user]);
	}
	*s = (struct state){ .there = false };
}

static unsigned
set_of(struct target *const *to, size_t n)
{
	unsigned set = 0;

	for (size_t i = 0; i < n; i++) {
		MUST(to[i]->label[0] >= 'a' && to[i]->label[0] < 'a' + TARGETS);
		set |= 1u << (to[i]->label[0] - 'a');
	}
	return set;
}

void	__real_ledger_event(struct courier *, const struct notice *,
	    struct bytes, unsigned, struct target *const *, size_t);
void	__wrap_ledger_event(struct courier *, const struct notice *,
	    struct bytes, unsigned, struct target *const *, size_t);

static struct due
went(const struct notice *n)
{
	struct due d = { .kind = n->kind, .app = app_of(n->app),
	    .channel = channel_of(n->channel) };

	d.user = number_of(n->user, model_users, USERS);
	goes(d.app, d.channel, d.user);
	d.text = text_of_state(d.kind, d.channel, d.user);
	return d;
}

/* What has no taker is not said unless a state changes by it. */
static void
pass_over(void)
{
	while (at_due < n_dues) {
		struct due d = dues[at_due];
		uint64_t taken = now.taken, dropped = now.dropped;
		bool silent = (d.kind >= EVENT_CLIENT || d.again) &&
		    goal_takers(&d) == 0;

		if (!silent) {
			now.taken = taken;
			now.dropped = dropped;
			return;
		}
		at_due++;
	}
	n_dues = at_due = 0;
}

void
__wrap_ledger_event(struct courier *c, const struct notice *n,
    struct bytes text, unsigned change, struct target *const *to, size_t n_to)
{
	struct due d;

	if (change == CHANGE_WENT)
		d = went(n);
	else {
		pass_over();
		if (at_due == n_dues)
			WRONG("said, and not to be: %.*s", (int)text.n, text.p);
		d = dues[at_due++];
		MUST((change == CHANGE_CAME) == (d.kind < EVENT_CLIENT &&
		    !d.again));
	}
	MUST(n->kind == d.kind);
	if (n_to > 0 && !bytes_eq(text, bytes_str(texts[d.text])))
		WRONG("said: %.*s, not %s", (int)text.n, text.p,
		    texts[d.text]);
	say(&d, set_of(to, n_to));
	__real_ledger_event(c, n, text, change, to, n_to);
}

static void
all_said(void)
{
	pass_over();
	if (at_due < n_dues)
		WRONG("not said: %s", texts[dues[at_due].text]);
	n_dues = at_due = 0;
}

/* ---- what the router says ------------------------------------------------ */

static bool
is_new(const struct link *l, uint64_t serial)
{
	if (l->epoch == now.epoch && serial <= now.serial)
		return false;
	now.epoch = l->epoch;
	now.serial = serial;
	return true;
}

static void
hold(struct state *s, uint64_t turn)
{
	if (s->held)
		return;
	s->held = true;
	s->since = rig->courier->now;
	s->turn = turn;
}

static void
state_told(unsigned app, unsigned channel, unsigned user, bool present)
{
	struct state *s = &now.states[FACT(app, channel, user)];
	unsigned class = user != 0 ? SAID_MEMBERS : SAID_CHANNELS;
	struct due d = { .kind = body_of_state(user != 0, true), .app = app,
	    .channel = channel, .user = user };

	if (!present) {
		if (s->there)
			hold(s, ++now.turn);
		return;
	}
	if (!s->there && now.rolling && !(now.known[app] & class)) {
		now.rolled[app] |= class;
	} else if (!s->there) {
		d.text = text_of_state(d.kind, channel, user);
		must_say(&d);
	}
	*s = (struct state){ .there = true, .since_roll = now.roll };
}

static void
roll_ends(void)
{
	if (!now.rolling)
		return;
	now.rolling = false;
	now.settled = true;
	now.turn += 2;
	for (unsigned a = 0; a < APPS; a++) {
		for (unsigned i = 0; i < CHANNELS * USERS; i++) {
			struct state *s = &now.states[FACT(a, 0, i)];

			if (s->there && s->since_roll != now.roll)
				hold(s, i % USERS != 0 ? now.turn - 1 :
				    now.turn);
		}
		now.known[a] |= now.rolled[a] | model_classes(a);
		now.rolled[a] = 0;
	}
}

static void
client_told(unsigned app, struct bytes data)
{
	unsigned n = (unsigned)strtoul(data.p + 2, NULL, 10);

	MUST(n > now.number[app] && n <= said[app]);
	if (n != now.number[app] + 1 && n - 1 > lost[app])
		WRONG("client event %u after %u", n, now.number[app]);
	now.number[app] = n;
}

static void
event_told(const struct msg_hook_event *m)
{
	struct due d = { .kind = body_of_hook(m->kind), .app = app_of(m->app),
	    .channel = m->channel.n > 0 ? channel_of(m->channel) : NONE };

	if (m->kind == HOOK_CLIENT)
		client_told(d.app, m->data);
	if (!(model_wanted(d.app) & 1u << d.kind))
		return;
	if (m->kind == HOOK_MISS) {
		uint64_t *last = &now.missed[d.app][d.channel];

		if (*last != 0 && rig->courier->now - *last < MISS_MS)
			return;
		*last = rig->courier->now;
	}
	if ((m->kind == HOOK_MISS || m->kind == HOOK_COUNT) &&
	    !is_ours(d.app, d.channel)) {
		if (m->kind == HOOK_MISS)
			remember(&d);
		return;
	}
	d.text = text_of_event(m);
	must_say(&d);
}

/* What it was to say of late is said by those who are chosen in its place. */
static void
host_lost(uint64_t node)
{
	unsigned to = 0;

	for (unsigned i = 0; i < now.n_recent; i++) {
		struct recent r = now.recent[i];
		struct due d = { .kind = r.kind, .app = r.app,
		    .channel = r.channel, .user = r.user, .again = true };

		if (rig->courier->now - r.when > RECENT_MS +
		    rig->courier->config->backplane.host_timeout)
			continue;
		if (r.node == node)
			r.node = choice_choose(&hosts,
			    bytes_str(model_apps[r.app]),
			    bytes_str(model_channels[r.channel]));
		if (r.node != hosts.own) {
			now.recent[to++] = r;
			continue;
		}
		if (!(model_wanted(d.app) & 1u << d.kind))
			continue;
		d.text = text_of_state(d.kind, d.channel, d.user);
		must_say(&d);
	}
	now.n_recent = to;
}

#define HANDLER(name)							\
	void __real_courier_on_##name(struct link *, struct ipc *,	\
	    const struct msg_##name *);					\
	void __wrap_courier_on_##name(struct link *, struct ipc *,	\
	    const struct msg_##name *);					\
	void								\
	__wrap_courier_on_##name(struct link *l, struct ipc *ipc,	\
	    const struct msg_##name *m)

HANDLER(hook_hosts)
{
	choice_set(&hosts, m->own, &m->nodes);
	if (m->lost != 0)
		host_lost(m->lost);
	__real_courier_on_hook_hosts(l, ipc, m);
	all_said();
}

HANDLER(hook_state)
{
	if (is_new(l, m->serial))
		state_told(app_of(m->app), channel_of(m->channel),
		    number_of(m->user, model_users, USERS), m->present != 0);
	__real_courier_on_hook_state(l, ipc, m);
	all_said();
}

HANDLER(hook_roll)
{
	if (is_new(l, m->serial)) {
		if (m->on) {
			now.roll++;
			now.rolling = true;
			now.settled = false;
		} else
			roll_ends();
	}
	__real_courier_on_hook_roll(l, ipc, m);
	all_said();
}

HANDLER(hook_event)
{
	if (is_new(l, m->serial))
		event_told(m);
	__real_courier_on_hook_event(l, ipc, m);
	all_said();
}

void	__real_said_unsettle(struct said *);
void	__wrap_said_unsettle(struct said *);

void
__wrap_said_unsettle(struct said *s)
{
	now.rolling = now.settled = false;
	__real_said_unsettle(s);
}
