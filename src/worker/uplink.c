/* SPDX-License-Identifier: MIT
 *
 * The worker's side of the link to the router: see uplink.h.
 */
#include <stdlib.h>

#include <event2/event.h>

#include "common/counters.h"
#include "common/log.h"
#include "common/util.h"
#include "worker/channel.h"
#include "worker/client.h"
#include "worker/uplink.h"
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

bool
uplink_full(void)
{
	return held_back ||
	    ring.frames.n - ring.at > worker.config->router.publish_window;
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
	while ((app = app_next(&pos)) != NULL) {
		app->granted = 0;
		load_send(app);
		channel_resync(app);
	}
	clients_resync();
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

void
uplink_mark(uint64_t cookie)
{
	(void)cookie;
}

void
uplink_moved(const struct msg_moved *m)
{
	(void)m;
}

bool
uplink_settled(void)
{
	return true;
}
