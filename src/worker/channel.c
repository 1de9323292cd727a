/* SPDX-License-Identifier: MIT
 *
 * Names to subscribers: see channel.h.
 */
#include <stdlib.h>

#include "common/counters.h"
#include "common/log.h"
#include "common/util.h"
#include "front/front.h"
#include "worker/app.h"
#include "worker/channel.h"
#include "worker/fanout.h"
#include "worker/inherit.h"
#include "worker/uplink.h"
#include "worker/usage.h"
#include "worker/worker.h"

/* A subscription that waits for the router. */
struct join {
	TAILQ_ENTRY(join)	 link;
	uint64_t		 cookie;
	uint64_t		 flags;
	uint64_t		 since_epoch, since_offset;	/* JOIN_REPLAY */
	struct sub		*sub;
	size_t			 member_n;
	char			 member[];
};

#define FEW_SUBS	16	/* of a client: looked through by name */

static TAILQ_HEAD(, join) joins = TAILQ_HEAD_INITIALIZER(joins);
static uint64_t last_cookie;

struct channel *
channel_find(struct app *app, struct bytes name)
{
	struct hash_link *l = hash_find(&app->channels, name);

	return l != NULL ? container_of(l, struct channel, link) : NULL;
}

static struct channel *
channel_new(struct app *app, struct bytes name, unsigned kind)
{
	struct channel *ch = xcalloc(1, sizeof(*ch) + name.n);

	ch->app = app;
	ch->kind = kind;
	ch->name_n = name.n;
	memcpy(ch->name, name.p, name.n);
	if (kind & CHANNEL_PRESENCE)
		ch->presence = presence_new();
	hash_insert(&app->channels, &ch->link);
	counter.channels++;
	return ch;
}

static void
channel_drop_if_empty(struct channel *ch)
{
	if (ch->n_subs > 0 || ch->n_waiting > 0 || ch->expected)
		return;
	hash_remove(&ch->app->channels, &ch->link);
	if (ch->presence != NULL)
		presence_free(ch->presence);
	free(ch->subs);
	free(ch);
	counter.channels--;
}

/* ---- subscribers --------------------------------------------------------------- */

/* Into the fan-out list. */
static void
sub_go_live(struct sub *s)
{
	struct channel *ch = s->channel;

	if (ch->n_subs == ch->cap_subs) {
		ch->cap_subs = ch->cap_subs == 0 ? 2 :
		    ch->cap_subs + ch->cap_subs / 2;
		ch->subs = xreallocarray(ch->subs, ch->cap_subs,
		    sizeof(*ch->subs));
	}
	s->at = ch->n_subs;
	ch->subs[ch->n_subs++] = s;
}

static void
sub_leave_list(struct sub *s)
{
	struct channel *ch = s->channel;
	struct sub *last = ch->subs[--ch->n_subs];

	ch->subs[s->at] = last;
	last->at = s->at;
	if (ch->cap_subs > 16 && ch->n_subs < ch->cap_subs / 4) {
		ch->cap_subs /= 2;
		ch->subs = xreallocarray(ch->subs, ch->cap_subs,
		    sizeof(*ch->subs));
	}
}

static void
join_free(struct join *j)
{
	TAILQ_REMOVE(&joins, j, link);
	j->sub->join = NULL;
	j->sub->channel->n_waiting--;
	free(j);
}

/* The client knows it no more. */
static void
sub_detach(struct sub *s)
{
	struct client *cl = s->client;

	if (cl == NULL)
		return;
	s->client = NULL;
	SLIST_REMOVE(&cl->subs, s, sub, of_client);
	counter.subscriptions--;
	if (--cl->n_subs == 0 && cl->established) {
		cl->app->subscribed--;
		uplink_load(cl->app);
	}
}

static void
sub_free(struct sub *s)
{
	struct channel *ch = s->channel;

	if (s->join != NULL)
		join_free(s->join);
	else
		sub_leave_list(s);
	sub_detach(s);
	free(s);
	channel_drop_if_empty(ch);
}

/* The client knows it; it counts nowhere yet. */
static struct sub *
sub_make(struct client *cl, struct channel *ch, struct bytes user)
{
	uint32_t n = ch->presence != NULL ? user.n : 0;
	struct sub *s = xcalloc(1, sizeof(*s) + n);

	s->client = cl;
	s->channel = ch;
	s->user_n = n;
	if (n > 0)
		memcpy(s->user, user.p, n);
	SLIST_INSERT_HEAD(&cl->subs, s, of_client);
	counter.subscriptions++;
	cl->n_subs++;
	return s;
}

static struct sub *
sub_new(struct client *cl, struct channel *ch, struct bytes user)
{
	struct sub *s = sub_make(cl, ch, user);

	if (cl->n_subs == 1 && cl->established) {
		cl->app->subscribed++;
		uplink_load(cl->app);
	}
	return s;
}

static struct bytes
sub_user(const struct sub *s)
{
	return bytes_of(s->user, s->user_n);
}

/* Flags are put on that the channel itself asks for. */
static void
send_join(const struct channel *ch, struct msg_join m)
{
	m.app = ch->app->id;
	m.channel = channel_name(ch);
	if (ch->presence != NULL)
		m.flags |= JOIN_PRESENCE;
	if (ch->app->set->subscription_count)
		m.flags |= JOIN_COUNT;
	if (ch->replays)
		m.flags |= JOIN_REPLAY;
	if (uplink() != NULL)
		msg_pack_join(ipc_out(uplink()), &m);
}

/* The one of a sub that waits for the answer. */
static void
send_waiting(const struct join *j)
{
	send_join(j->sub->channel, (struct msg_join){
	    .cookie = j->cookie, .n = 1, .flags = j->flags,
	    .since_epoch = j->since_epoch, .since_offset = j->since_offset,
	    .user = sub_user(j->sub),
	    .member = bytes_of(j->member, j->member_n),
	});
}

static void
send_leave(const struct channel *ch, uint64_t n, struct bytes user)
{
	struct msg_leave m = {
		.app = ch->app->id, .channel = channel_name(ch),
		.n = n, .user = user,
	};

	if (uplink() != NULL)
		msg_pack_leave(ipc_out(uplink()), &m);
}

/* Asks the router; subscribed() follows with its answer. */
static struct join *
sub_wait(struct sub *s, struct bytes member)
{
	struct channel *ch = s->channel;
	struct join *j = xcalloc(1, sizeof(*j) + member.n);

	j->cookie = ++last_cookie;
	j->sub = s;
	j->member_n = member.n;
	if (member.n > 0)
		memcpy(j->member, member.p, member.n);
	if (ch->kind & CHANNEL_CACHE)
		j->flags |= JOIN_CACHE;
	/* One list is enough for all who wait. */
	if (ch->presence != NULL && !ch->presence->known &&
	    ch->n_waiting == 0)
		j->flags |= JOIN_ROSTER;
	s->join = j;
	ch->n_waiting++;
	TAILQ_INSERT_TAIL(&joins, j, link);
	return j;
}

void
channel_subscribe(struct client *cl, struct bytes name, unsigned kind,
    struct bytes user, struct bytes member)
{
	struct channel *ch = channel_find(cl->app, name);
	struct subscription info = { 0 };
	struct sub *s;

	if (ch == NULL)
		ch = channel_new(cl->app, name, kind);
	s = sub_new(cl, ch, user);
	/* Those who leave may have been the last here, and the router knows it
	 * before us. */
	if (!ch->live || worker.leaving ||
	    kind & (CHANNEL_CACHE | CHANNEL_PRESENCE)) {
		send_waiting(sub_wait(s, member));
		return;
	}
	send_join(ch, (struct msg_join){ .n = 1 });
	sub_go_live(s);
	info.count = ++ch->count;
	cl->front->subscribed(cl, s, channel_name(ch), &info, NULL);
}

void
channel_subscribe_since(struct client *cl, struct bytes name, unsigned kind,
    uint64_t epoch, uint64_t offset)
{
	struct channel *ch = channel_find(cl->app, name);
	struct join *j;

	if (ch == NULL)
		ch = channel_new(cl->app, name, kind);
	if (!ch->replays)
		ch->offered = false;	/* not as it is now */
	ch->replays = true;
	j = sub_wait(sub_new(cl, ch, bytes_of(NULL, 0)), bytes_of(NULL, 0));
	j->since_epoch = epoch;
	j->since_offset = offset;
	send_waiting(j);
}

void
channel_unsubscribe(struct sub *s)
{
	/* A member that waits may be refused, and what is refused must not
	 * leave (another connection of that user may be in): it goes when the
	 * router has answered. */
	if (s->join != NULL && s->channel->presence != NULL) {
		sub_detach(s);
		return;
	}
	/* While it arrives, its elder counts for it. */
	if (!s->client->arriving)
		send_leave(s->channel, 1, sub_user(s));
	if (s->join == NULL && s->channel->count > 0)
		s->channel->count--;
	sub_free(s);
}

void
channel_leave_all(struct client *cl)
{
	struct sub *s;

	while ((s = SLIST_FIRST(&cl->subs)) != NULL)
		channel_unsubscribe(s);
}

/* A client in many channels: its sub is looked for where fewer are, among its own
 * or the channel's.  Those that wait for the router are not among the channel's. */
static struct sub *
sub_of_many(const struct client *cl, struct bytes name)
{
	const struct channel *ch = channel_find(cl->app, name);
	struct sub *s;

	if (ch == NULL)
		return NULL;
	if (ch->n_waiting > 0 || ch->n_subs > cl->n_subs) {
		SLIST_FOREACH(s, &cl->subs, of_client)
			if (s->channel == ch)
				return s;
		return NULL;
	}
	for (uint32_t i = 0; i < ch->n_subs; i++)
		if (ch->subs[i]->client == cl)
			return ch->subs[i];
	return NULL;
}

struct sub *
channel_sub(const struct client *cl, struct bytes name)
{
	struct sub *s;

	if (cl->n_subs > FEW_SUBS)
		return sub_of_many(cl, name);
	SLIST_FOREACH(s, &cl->subs, of_client)
		if (bytes_eq(channel_name(s->channel), name))
			return s;
	return NULL;
}

/* ---- what the router says -------------------------------------------------------- */

static struct join *
join_find(uint64_t cookie)
{
	struct join *j;

	/* Answers come in the order of the questions, so this is the first. */
	TAILQ_FOREACH(j, &joins, link)
		if (j->cookie == cookie)
			return j;
	return NULL;
}

/* The answer to channel_expect(). */
static void
expected_is_live(const struct msg_subscribed *m)
{
	struct app *app = app_by_id(m->app);
	struct channel *ch = app != NULL ? channel_find(app, m->channel) : NULL;

	if (ch == NULL || ch->expect == 0 || ch->expect != m->cookie)
		return;
	ch->expect = 0;
	ch->live = true;
	ch->count = m->count;
	inherit_channel_live(ch);
}

void
channel_on_subscribed(const struct msg_subscribed *m)
{
	struct subscription info = {
		.position_epoch = m->position_epoch,
		.position_offset = m->position_offset,
		.count = m->count, .cached = m->cached != 0,
		.event = m->event, .data = m->data,
	};
	struct join *j = join_find(m->cookie);
	struct sub *s;
	struct client *cl;

	if (j == NULL) {	/* taken back in the meantime, or an heir's */
		expected_is_live(m);
		return;
	}
	s = j->sub;
	cl = s->client;
	if (cl == NULL) {	/* it left while it waited */
		if (m->refused == REFUSED_NOT)
			send_leave(s->channel, 1, sub_user(s));
		sub_free(s);
		return;
	}
	if (m->refused != REFUSED_NOT) {
		sub_free(s);
		cl->front->subscribed(cl, NULL, m->channel, NULL,
		    "too many members");
		return;
	}
	join_free(j);
	s->channel->live = true;
	s->channel->count = m->count;
	sub_go_live(s);
	cl->front->subscribed(cl, s, m->channel, &info, NULL);
}

#define SEEN_SETS	512
#define SEEN_WAYS	16

/*
 * Every publisher's serials rise; what is not above the last one has been
 * applied already (the publisher told it again to a new router).  With a
 * backplane only those of one lane rise, and origins are told apart by it, so
 * there may be some thousands; a row that has not been used for longest makes
 * room in its set.
 */
static bool
seen_before(uint64_t origin, uint64_t serial)
{
	static struct seen {
		uint64_t origin, serial, used;
	} seen[SEEN_SETS][SEEN_WAYS];
	static uint64_t clock;
	struct seen *set, *oldest;
	size_t i;

	if (origin == 0)
		return false;
	set = seen[(origin * 0x9e3779b97f4a7c15u) >> 32 & (SEEN_SETS - 1)];
	oldest = set;
	for (i = 0; i < SEEN_WAYS && set[i].origin != origin; i++) {
		if (set[i].used < oldest->used)
			oldest = &set[i];
	}
	if (i < SEEN_WAYS)
		oldest = &set[i];
	else
		*oldest = (struct seen){ .origin = origin };
	oldest->used = ++clock;
	if (serial <= oldest->serial)
		return true;
	oldest->serial = serial;
	return false;
}

void
channel_on_deliver(const struct msg_deliver *d)
{
	struct app *app;
	struct channel *ch;
	struct message m = {
		.kind = MESSAGE_EVENT, .flags = (unsigned)d->flags,
		.event = d->event, .data = d->data, .user = d->user,
		.position_epoch = d->position_epoch,
		.position_offset = d->position_offset,
		.except_a = (uint32_t)d->except_a,
		.except_b = (uint32_t)d->except_b,
		.serial = fanout_serial(d->epoch, d->serial),
	};

	if (seen_before(d->origin, d->origin_serial)) {
		counter.duplicates++;
		return;
	}
	counter.delivered++;
	if ((app = app_by_id(d->app)) == NULL ||
	    (ch = channel_find(app, d->channel)) == NULL)
		return;
	m.channel = ch;
	worker_trace("Broadcasting To", d->channel, d->event);
	fanout(&m);
}

void
channel_on_count(const struct msg_count *c)
{
	struct message m = {
		.kind = MESSAGE_COUNT, .count = c->count,
		.serial = fanout_serial(c->epoch, c->serial),
	};
	struct app *app = app_by_id(c->app);
	struct channel *ch;

	if (app == NULL || (ch = channel_find(app, c->channel)) == NULL)
		return;
	ch->count = c->count;
	m.channel = ch;
	fanout(&m);
}

/* For one client alone, which is not in the fan-out list yet. */
void
channel_on_replay(const struct msg_replay *r)
{
	struct message m = {
		.kind = MESSAGE_EVENT, .flags = (unsigned)r->flags,
		.event = r->event, .data = r->data, .user = r->user,
		.position_epoch = r->position_epoch,
		.position_offset = r->position_offset,
	};
	struct join *j = join_find(r->cookie);
	struct client *cl = j != NULL ? j->sub->client : NULL;
	struct frame *f;

	if (cl == NULL)
		return;
	/* It cannot read faster than it is told: what is too much for one
	 * stream it hears in the next, from where this one ends. */
	if (conn_half_full(cl->conn)) {
		client_close(cl, CLOSE_REPLAY_LONG);
		return;
	}
	m.channel = j->sub->channel;
	f = cl->front->encode(&m, cl->front->variant(cl));
	if (f == NULL)
		return;
	client_send(cl, f);
	counter.messages_out++;
	usage_sent(cl->app, cl->front, 1, f->n);
	frame_unref(f);
}

/* ---- a new router ------------------------------------------------------------------ */

/* Clients that are being handed over are told one by one, so that none counts
 * on both sides: uplink_frozen(), uplink_moved(). */
static bool
counts_plainly(const struct sub *s)
{
	return !s->client->frozen && !s->client->arriving;
}

static void
resync_presence(const struct channel *ch)
{
	uint32_t i;

	for (i = 0; i < ch->n_subs; i++) {
		struct bytes user = sub_user(ch->subs[i]);

		if (counts_plainly(ch->subs[i]))
			send_join(ch, (struct msg_join){
			    .n = 1, .flags = JOIN_SYNC, .user = user,
			    .member = presence_object(ch->presence, user),
			});
	}
}

static void
resync_subs(const struct channel *ch)
{
	uint32_t i, n = 0;

	for (i = 0; i < ch->n_subs; i++)
		n += counts_plainly(ch->subs[i]);
	if (n > 0)
		send_join(ch, (struct msg_join){ .n = n, .flags = JOIN_SYNC });
}

static void
send_expect(const struct channel *ch)
{
	struct msg_join m = { .cookie = ch->expect, .flags = JOIN_HEIR };

	if (ch->expect == 0)
		m.flags |= JOIN_SYNC;
	else if (ch->presence != NULL)
		m.flags |= JOIN_ROSTER;
	send_join(ch, m);
}

/* Those that left while they waited need not be told to a new router. */
static void
forget_detached(void)
{
	struct join *j, *next;

	for (j = TAILQ_FIRST(&joins); j != NULL; j = next) {
		next = TAILQ_NEXT(j, link);
		if (j->sub->client == NULL)
			sub_free(j->sub);
	}
}

void
channel_resync(struct app *app)
{
	struct hash_cursor at = { 0 };
	struct hash_link *l;
	struct join *j;

	forget_detached();
	while ((l = hash_walk(&app->channels, &at)) != NULL) {
		struct channel *ch = container_of(l, struct channel, link);

		if (ch->presence != NULL)
			resync_presence(ch);
		else
			resync_subs(ch);
		if (ch->expected)
			send_expect(ch);
	}
	TAILQ_FOREACH(j, &joins, link)
		if (j->sub->channel->app == app)
			send_waiting(j);
}

/* ---- a hand-over ------------------------------------------------------------------- */

unsigned
channel_kind_told(const struct channel *ch)
{
	return ch->kind | (ch->replays ? CHANNEL_REPLAYS : 0);
}

void
channel_expect(struct app *app, struct bytes name, unsigned kind)
{
	struct channel *ch = channel_find(app, name);
	bool replays = (kind & CHANNEL_REPLAYS) != 0, asked;

	if (ch == NULL)
		ch = channel_new(app, name, kind & 0xff & ~CHANNEL_REPLAYS);
	asked = ch->expected && (ch->replays || !replays);
	ch->expected = true;
	ch->replays |= replays;
	if (!asked && !ch->live && ch->expect == 0)
		ch->expect = ++last_cookie;
	if (!asked)
		send_expect(ch);
	if (ch->live)
		inherit_channel_live(ch);
}

static void
expect_no_more(struct channel *ch, void *arg)
{
	(void)arg;
	if (!ch->expected)
		return;
	ch->expected = false;
	ch->expect = 0;
	send_leave(ch, 0, bytes_of(NULL, 0));
	channel_drop_if_empty(ch);
}

void
channels_expect_no_more(void)
{
	channels_each(expect_no_more, NULL);
}

void
channels_each(void (*call)(struct channel *, void *), void *arg)
{
	struct app *app;
	size_t pos = 0;

	while ((app = app_next(&pos)) != NULL) {
		struct hash_cursor at = { 0 };
		struct hash_link *l;

		while ((l = hash_walk(&app->channels, &at)) != NULL)
			call(container_of(l, struct channel, link), arg);
	}
}

struct sub *
channel_adopt(struct client *cl, struct bytes name, struct bytes user)
{
	struct channel *ch = channel_find(cl->app, name);
	struct sub *s;

	if (ch == NULL || !ch->live ||
	    (ch->presence != NULL) != (user.n > 0))
		return NULL;
	s = sub_make(cl, ch, user);
	sub_go_live(s);
	return s;
}

void
channel_let_go_all(struct client *cl)
{
	struct sub *s;

	while ((s = SLIST_FIRST(&cl->subs)) != NULL)
		sub_free(s);
}
