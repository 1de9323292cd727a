/* SPDX-License-Identifier: MIT
 *
 * The worker's side of the link to the router: see uplink.h.
 */
#include <stdlib.h>

#include <event2/event.h>

#include "common/counters.h"
#include "common/log.h"
#include "common/util.h"
#include "worker/ask.h"
#include "worker/channel.h"
#include "worker/client.h"
#include "worker/conn.h"
#include "worker/inspect.h"
#include "worker/uplink.h"
#include "worker/usage.h"
#include "worker/worker.h"

/*
 * Messages not acknowledged yet, as the frames that were sent, one behind the
 * other.  Serials are consecutive, so the first one's serial tells all.
 */
static struct {
	struct buf	 frames;
	size_t		 at;		/* octets of frames that are acknowledged */
	uint64_t	 first;		/* serial of the frame at `at` */
	uint64_t	 last;		/* serial given out last */
} ring = { .first = 1 };

static struct ipc *link_;
static bool held_back;			/* xoff */
static TAILQ_HEAD(, waiter) waiters = TAILQ_HEAD_INITIALIZER(waiters);
static TAILQ_HEAD(, query) queries = TAILQ_HEAD_INITIALIZER(queries);
static uint64_t last_cookie;
static struct app *changed;		/* apps whose load is to be told */

/*
 * Clients that a new router must be told of by the numbers that they had at
 * their elders: those of which the router was not told yet, and those whose
 * elder may not have read that they were taken, so that it tells of them, too.
 */
static struct {
	struct arrival {
		struct uplink_elder	 elder;
		uint64_t		 conn;
		bool			 moved;	/* the router was told */
	}	*at;
	size_t	 n, cap;
} arrivals;

static void	counts_begin(void);
static void	arrivals_tell(void);

struct ipc *
uplink(void)
{
	return link_;
}

void
uplink_hold(bool hold)
{
	held_back = hold;
}

/* ---- publishing ---------------------------------------------------------------- */

uint64_t
uplink_unacknowledged(void)
{
	return ring.frames.n - ring.at;
}

bool
uplink_full(void)
{
	return held_back ||
	    uplink_unacknowledged() > worker.config->router.publish_window;
}

/* Moves what is not acknowledged to the front when half of the room is past. */
static void
ring_compact(void)
{
	if (ring.at == ring.frames.n) {
		buf_clear(&ring.frames);
		ring.at = 0;
		if (ring.frames.cap > 1u << 20)
			buf_done(&ring.frames);
	} else if (ring.at > ring.frames.n / 2 && ring.at > 65536) {
		buf_drop(&ring.frames, ring.at);
		ring.at = 0;
	}
}

/* The frame that was just packed at `from` goes out. */
static void
ring_send(size_t from)
{
	/* Too large to be packed: serials and frames must go on together. */
	if (ring.frames.n == from)
		ring.last--;
	else if (link_ != NULL)
		ipc_put(link_, bytes_of(ring.frames.p + from,
		    ring.frames.n - from));
}

uint64_t
uplink_publish(struct msg_publish *m)
{
	size_t from = ring.frames.n;

	m->serial = ++ring.last;
	msg_pack_publish(&ring.frames, m);
	ring_send(from);
	counter.published++;
	return m->serial;
}

uint64_t
uplink_kick(struct bytes app, struct bytes user)
{
	size_t from = ring.frames.n;
	struct msg_kick m = {
		.serial = ++ring.last, .app = app, .user = user,
	};

	msg_pack_kick(&ring.frames, &m);
	ring_send(from);
	return m.serial;
}

void
uplink_connection(struct msg_connection *m)
{
	size_t from = ring.frames.n;

	m->serial = ++ring.last;
	msg_pack_connection(&ring.frames, m);
	ring_send(from);
}

/* Length of the frame at p: 32 bits, big end first, not counting themselves. */
static size_t
frame_length(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return 4 + ((size_t)u[0] << 24 | (size_t)u[1] << 16 |
	    (size_t)u[2] << 8 | u[3]);
}

void
uplink_on_ack(const struct msg_ack *m)
{
	struct waiter *w;

	while (ring.first <= m->serial && ring.at < ring.frames.n) {
		ring.at += frame_length(ring.frames.p + ring.at);
		ring.first++;
	}
	ring_compact();
	while ((w = TAILQ_FIRST(&waiters)) != NULL && w->serial <= m->serial) {
		waiter_cancel(w);
		w->done(w);
	}
}

void
waiter_arm(struct waiter *w, uint64_t serial)
{
	w->serial = serial;
	w->armed = true;
	TAILQ_INSERT_TAIL(&waiters, w, link);
}

void
waiter_cancel(struct waiter *w)
{
	if (!w->armed)
		return;
	w->armed = false;
	TAILQ_REMOVE(&waiters, w, link);
}

/* ---- asking -------------------------------------------------------------------- */

static void
query_ask(struct query *q)
{
	struct msg_query m = {
		.cookie = q->cookie, .kind = q->kind,
		.app = bytes_str(q->app), .name = bytes_str(q->name),
	};

	if (link_ != NULL)
		msg_pack_query(ipc_out(link_), &m);
}

void
query_send(struct query *q, unsigned kind, struct bytes app, struct bytes name)
{
	q->cookie = ++last_cookie;
	q->kind = kind;
	q->app = bytes_dup(app);
	q->name = bytes_dup(name);
	q->armed = true;
	TAILQ_INSERT_TAIL(&queries, q, link);
	query_ask(q);
}

void
query_cancel(struct query *q)
{
	if (!q->armed)
		return;
	q->armed = false;
	TAILQ_REMOVE(&queries, q, link);
	free(q->app);
	free(q->name);
	q->app = q->name = NULL;
}

static struct query *
query_find(uint64_t cookie)
{
	struct query *q;

	TAILQ_FOREACH(q, &queries, link)
		if (q->cookie == cookie)
			return q;
	return NULL;
}

void
uplink_on_row(const struct msg_row *m)
{
	struct query *q = query_find(m->cookie);

	if (q != NULL)
		q->row(q, m);
}

void
uplink_on_done(const struct msg_done *m)
{
	struct query *q = query_find(m->cookie);

	if (q == NULL)
		return;
	query_cancel(q);
	q->done(q);
}

/* ---- counts -------------------------------------------------------------------- */

void
uplink_load(struct app *app)
{
	if (app->load_changed)
		return;
	app->load_changed = true;
	app->next_changed = changed;
	changed = app;
}

static void
load_send(const struct app *app)
{
	struct msg_load m = {
		.app = app->id, .open = app->open,
		.subscribed = app->subscribed, .granted = app->granted,
		.came = app->came, .went = app->went,
		.came_subscribed = app->came_subscribed,
		.went_subscribed = app->went_subscribed,
	};

	msg_pack_load(ipc_out(link_), &m);
}

void
uplink_turn(void)
{
	struct app *app;

	if (link_ == NULL)
		return;
	while ((app = changed) != NULL) {
		changed = app->next_changed;
		app->load_changed = false;
		load_send(app);
	}
	ipc_flush(link_);
}

/* ---- the link itself -------------------------------------------------------------- */

void
uplink_lost(void)
{
	if (link_ == NULL)
		return;
	ipc_free(link_);
	link_ = NULL;
	held_back = false;
	ask_lost();
	inspect_lost();
	apps_tailed(NULL);
}

/* A new router knows nothing: who we are, what we hold, what it may not have
 * got. */
void
uplink_connect(struct event_base *base, int fd, const struct ipc_ops *ops,
    void *ctx)
{
	struct msg_hello hello = {
		.version = MSG_VERSION, .slot = worker.slot,
		.generation = worker.generation,
	};
	struct msg_synced synced = { .end_ = "" };
	struct app *app;
	struct query *q;
	size_t pos = 0;

	/* What a dead router has sent is still true, and publishers may have
	 * been told that it is delivered. */
	if (link_ != NULL)
		ipc_read_now(link_);
	uplink_lost();
	link_ = ipc_new(base, fd, false, ops, ctx);
	msg_pack_hello(ipc_out(link_), &hello);
	counts_begin();
	while ((app = app_next(&pos)) != NULL) {
		load_send(app);
		channel_resync(app);
	}
	clients_resync();
	arrivals_tell();
	if (ring.at < ring.frames.n)
		ipc_put(link_, bytes_of(ring.frames.p + ring.at,
		    ring.frames.n - ring.at));
	msg_pack_synced(ipc_out(link_), &synced);
	TAILQ_FOREACH(q, &queries, link) {
		q->restart(q);
		query_ask(q);
	}
}

/* ---- a hand-over -------------------------------------------------------------------- */

#define LIST_MOST	10000		/* in one message */
#define OCTETS_MOST	(1u << 20)

/* The lists of a moved, as long as they are being filled. */
struct luggage {
	struct bytes	*channels, *users, *members;
	uint32_t	 n;
	size_t		 octets;
};

void
uplink_mark(uint64_t cookie)
{
	struct msg_mark m = { .cookie = cookie };

	if (link_ != NULL)
		msg_pack_mark(ipc_out(link_), &m);
}

bool
uplink_settled(void)
{
	return ring.at == ring.frames.n && TAILQ_EMPTY(&waiters) &&
	    TAILQ_EMPTY(&queries) && changed == NULL && (link_ == NULL ||
	    ipc_queued(link_) == ipc_written(link_));
}

static void
luggage_add(struct luggage *l, const struct sub *s)
{
	const struct channel *ch = s->channel;
	struct bytes user = bytes_of(s->user, s->user_n), none = { NULL, 0 };

	l->channels[l->n] = channel_name(ch);
	l->users[l->n] = user;
	l->members[l->n] = ch->presence != NULL ?
	    presence_object(ch->presence, user) : none;
	l->octets += ch->name_n + user.n + l->members[l->n].n;
	l->n++;
}

/* One message, and the next one may take more channels. */
static void
pack_moved(struct buf *out, struct msg_moved *m, struct luggage *l)
{
	m->channels_out = (struct msg_strings){ l->channels, l->n };
	m->users_out = (struct msg_strings){ l->users, l->n };
	m->members_out = (struct msg_strings){ l->members, l->n };
	msg_pack_moved(out, m);
	l->n = 0;
	l->octets = 0;
	m->first = m->open = 0;
	m->user = bytes_of(NULL, 0);
	m->watch_out = (struct msg_strings){ NULL, 0 };
}

/* All that a client counts for, in as many messages as it needs; m has its
 * numbers. */
static void
pack_client(struct buf *out, const struct client *cl, struct msg_moved m)
{
	struct luggage l = { .n = 0 };
	uint32_t most = cl->n_subs < LIST_MOST ? cl->n_subs : LIST_MOST;
	const struct sub *s;

	if (cl->app == NULL)
		return;
	l.channels = xreallocarray(NULL, 3 * ((size_t)most + 1),
	    sizeof(*l.channels));
	l.users = l.channels + most + 1;
	l.members = l.users + most + 1;
	m.first = 1;
	m.app = cl->app->id;
	m.open = cl->established;
	if (cl->user != NULL) {
		m.user = cl->user->id;
		m.watch_out = (struct msg_strings){ cl->user->watch,
		    cl->user->n_watch };
	}
	SLIST_FOREACH(s, &cl->subs, of_client) {
		if (l.n == most || l.octets > OCTETS_MOST)
			pack_moved(out, &m, &l);
		luggage_add(&l, s);
	}
	if (l.n > 0 || m.first)
		pack_moved(out, &m, &l);
	free(l.channels);
}

void
uplink_died(struct buf *out, const struct client *cl)
{
	pack_client(out, cl, (struct msg_moved){
	    .slot = worker.slot, .generation = worker.generation,
	    .was = cl->conn->id,
	});
}

void
uplink_say(struct bytes frames)
{
	if (link_ != NULL && frames.n > 0)
		ipc_put(link_, frames);
}

void
uplink_frozen(const struct client *cl)
{
	if (link_ != NULL)
		pack_client(ipc_out(link_), cl, (struct msg_moved){
		    .slot = worker.slot, .generation = worker.generation,
		    .was = cl->conn->id, .conn = cl->conn->id,
		});
}

/* ---- who comes and goes ---- */

static void
arrival_drop(size_t i)
{
	arrivals.at[i] = arrivals.at[--arrivals.n];
}

static struct arrival *
arrival_find(uint64_t conn)
{
	size_t i;

	for (i = 0; i < arrivals.n; i++)
		if (arrivals.at[i].conn == conn)
			return &arrivals.at[i];
	return NULL;
}

void
uplink_known(uint64_t slot, uint64_t generation)
{
	size_t i = 0;

	while (i < arrivals.n) {
		const struct arrival *a = &arrivals.at[i];

		if (a->moved && a->elder.slot == slot &&
		    a->elder.generation == generation)
			arrival_drop(i);
		else
			i++;
	}
}

/* It comes to be among the router's numbers with its moved. */
static void
count_arriving(const struct client *cl)
{
	if (!cl->established)
		return;
	cl->app->came++;
	cl->app->came_subscribed += cl->n_subs > 0;
}

void
uplink_came(struct client *cl, const struct uplink_elder *elder)
{
	if (arrivals.n == arrivals.cap) {
		arrivals.cap = arrivals.cap * 2 + 64;
		arrivals.at = xreallocarray(arrivals.at, arrivals.cap,
		    sizeof(*arrivals.at));
	}
	arrivals.at[arrivals.n++] = (struct arrival){
		.elder = *elder, .conn = cl->conn->id,
	};
	cl->arriving = true;
	if (!cl->established)
		return;
	count_arriving(cl);
	cl->app->open++;
	usage_of_client(cl)->connections++;
	cl->app->subscribed += cl->n_subs > 0;
	uplink_load(cl->app);
}

static void
arrival_tell(struct arrival *a, struct client *cl)
{
	a->moved = true;
	cl->arriving = false;
	if (link_ != NULL)
		pack_client(ipc_out(link_), cl, (struct msg_moved){
		    .slot = a->elder.slot, .generation = a->elder.generation,
		    .was = a->elder.was, .conn = a->conn,
		    .epoch = a->elder.epoch,
		});
}

void
uplink_moved(struct client *cl)
{
	struct arrival *a = arrival_find(cl->conn->id);

	if (a != NULL)
		arrival_tell(a, cl);
}

void
uplink_went(struct client *cl)
{
	struct arrival *a = arrival_find(cl->conn->id);

	if (a != NULL)
		arrival_drop((size_t)(a - arrivals.at));
	cl->arriving = false;
	if (!cl->established)
		return;
	cl->established = false;
	cl->app->open--;
	usage_of_client(cl)->connections--;
	cl->app->went++;
	if (cl->n_subs > 0) {
		cl->app->subscribed--;
		cl->app->went_subscribed++;
	}
	uplink_load(cl->app);
}

/* ---- and a new router ---- */

/* A new link: what it counts begins anew.  Clients that it will be told of by
 * name are among the open ones, but have not come yet. */
static void
counts_begin(void)
{
	struct app *app;
	size_t pos = 0, i;

	while ((app = app_next(&pos)) != NULL) {
		app->granted = 0;
		app->came = app->went = 0;
		app->came_subscribed = app->went_subscribed = 0;
	}
	for (i = 0; i < arrivals.n; i++) {
		struct conn *c = conns_find(arrivals.at[i].conn);

		if (c == NULL) {
			arrival_drop(i--);
			continue;
		}
		conn_client(c)->arriving = true;
		count_arriving(conn_client(c));
	}
}

/* Those that are not taken yet are told when they are. */
static void
arrivals_tell(void)
{
	size_t i;

	for (i = 0; i < arrivals.n; i++)
		if (arrivals.at[i].moved)
			arrival_tell(&arrivals.at[i],
			    conn_client(conns_find(arrivals.at[i].conn)));
}
