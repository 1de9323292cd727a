/* SPDX-License-Identifier: MIT
 *
 * Who a front door talks to, over a WebSocket: see client.h.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/counters.h"
#include "common/log.h"
#include "common/util.h"
#include "front/front.h"
#include "worker/app.h"
#include "worker/channel.h"
#include "worker/client.h"
#include "worker/conn.h"
#include "worker/deflate.h"
#include "worker/uplink.h"
#include "worker/worker.h"

/* A hand-over must carry all of it: whoever adds a field here adds it to
 * freeze, thaw and the record's version too. */
_Static_assert(sizeof(struct client_state) == 40,
    "client_state changed: see freeze and thaw");

static size_t	client_input(struct conn *, char *, size_t);
static void	client_tick(struct conn *, uint32_t);
static void	client_gone(struct conn *, enum close_reason);

static const struct conn_stage client_stage = {
	.name = "websocket",
	.input = client_input,
	.tick = client_tick,
	.gone = client_gone,
};

static bool
client_over(const struct client *cl)
{
	return cl->conn->dead || cl->conn->closing;
}

const char *
client_socket_id(const struct client *cl, char room[24])
{
	snprintf(room, 24, "%u.%u", cl->state.socket_a, cl->state.socket_b);
	return room;
}

/* ---- opening --------------------------------------------------------------------- */

void
client_upgrade(struct conn *c, const struct front *front,
    const struct http_request *req, struct bytes path)
{
	static struct buf answer, extension;
	struct client *cl = conn_client(c);
	unsigned bits = 0;

	buf_clear(&answer);
	buf_clear(&extension);
	memset(cl, 0, sizeof(*cl));
	cl->conn = c;
	cl->front = front;
	SLIST_INIT(&cl->subs);
	if (worker.config->websocket.compression && req->ws_extensions.n > 0)
		bits = deflate_negotiate(req->ws_extensions, &extension);
	cl->websocket.deflate = bits != 0;
	cl->state.window_bits = bits;
	cl->state.opened = cl->state.seen = worker.now;
	websocket_answer(req, buf_view(&extension), bytes_of(NULL, 0),
	    &answer);
	conn_send_bytes(c, buf_view(&answer));
	conn_stage(c, &client_stage, cl);
	c->deadline = 0;
	counter.upgraded++;
	counter.websockets++;
	front->open(cl, req, path);
}

void
client_established(struct client *cl)
{
	if (cl->established || client_over(cl))
		return;
	cl->established = true;
	cl->app->open++;
	if (cl->n_subs > 0)
		cl->app->subscribed++;
	uplink_load(cl->app);
}

void
client_on_grant(const struct msg_grant *m)
{
	struct conn *c = conns_find(m->conn);
	struct app *app = app_by_id(m->app);
	struct client *cl;

	/* The router counts a grant as a connection until our load says that
	 * it was read, also when its conn has died meanwhile. */
	if (app != NULL && m->allowed) {
		app->granted++;
		uplink_load(app);
	}
	if (c == NULL || c->stage != &client_stage || c->closing)
		return;
	cl = c->of_stage;
	if (!cl->waiting)
		return;
	cl->waiting = false;
	cl->front->granted(cl, m->allowed != 0);
}

/* ---- reading --------------------------------------------------------------------- */

static int
on_message(void *ctx, enum websocket_kind kind, struct bytes b)
{
	struct client *cl = ctx;

	counter.messages_in++;
	cl->state.seen = worker.now;
	cl->state.pinged = false;
	cl->front->input(cl, kind, b);
	return client_over(cl) ? -1 : 0;
}

static int
on_control(struct client *cl)
{
	cl->state.seen = worker.now;
	cl->state.pinged = false;
	cl->state.control_pings = true;
	return client_over(cl) ? -1 : 0;
}

static void
send_control(struct client *cl, unsigned opcode, struct bytes payload)
{
	char room[2 + 125];
	struct buf b = { room, 0, sizeof(room) };

	websocket_head(&b, opcode, false, payload.n);
	buf_bytes(&b, payload);
	conn_send_bytes(cl->conn, buf_view(&b));
}

static int
on_ping(void *ctx, struct bytes payload)
{
	struct client *cl = ctx;

	send_control(cl, 10, payload);
	return on_control(cl);
}

static int
on_pong(void *ctx, struct bytes payload)
{
	(void)payload;
	return on_control(ctx);
}

static void	client_release(struct client *);

static void
send_close(struct client *cl, unsigned code, struct bytes words)
{
	struct buf b = { 0 };

	websocket_close_frame(&b, code, words);
	conn_send_bytes(cl->conn, buf_view(&b));
	buf_done(&b);
}

static unsigned
close_seconds(void)
{
	return (worker.config->websocket.close_timeout + 999) / 1000;
}

static int
on_close(void *ctx, unsigned code, struct bytes reason)
{
	struct client *cl = ctx;

	client_release(cl);
	send_close(cl, code == 1005 ? 1000 : code, reason);
	conn_finish(cl->conn, CLOSE_PEER_FRAME, close_seconds());
	return -1;
}

static const struct websocket_events events = {
	.on_message = on_message,
	.on_ping = on_ping,
	.on_pong = on_pong,
	.on_close = on_close,
};

static size_t
client_input(struct conn *c, char *p, size_t n)
{
	struct client *cl = c->of_stage;
	struct websocket_limits limits = {
		.message = cl->app != NULL ? app_max_message(cl->app) : 1024,
		.fragments = worker.config->websocket.max_fragments,
	};
	enum close_reason why = CLOSE_WS_PROTOCOL;
	ssize_t used;

	used = websocket_read(&cl->websocket, &limits, p, n, &events, cl,
	    &why);
	if (used >= 0)
		return used;
	client_close(cl, why);
	return n;
}

/* ---- writing --------------------------------------------------------------------- */

void
client_send(struct client *cl, struct frame *f)
{
	conn_send(cl->conn, f);
}

/* Head and text in one frame, compressed if that was negotiated and helps. */
static struct frame *
make_frame(unsigned opcode, struct bytes payload, unsigned bits)
{
	static struct buf small;
	char head[16];
	struct buf h = { head, 0, sizeof(head) };
	struct frame *f;
	bool rsv1 = false;

	if (bits != 0 &&
	    payload.n >= worker.config->websocket.compression_threshold) {
		buf_clear(&small);
		deflate_message(payload, bits, &small);
		rsv1 = true;
		payload = buf_view(&small);
	}
	websocket_head(&h, opcode, rsv1, payload.n);
	f = frame_new(h.n + payload.n);
	memcpy(f->p, head, h.n);
	memcpy(f->p + h.n, payload.p, payload.n);
	if (small.cap > 1u << 20)
		buf_done(&small);
	return f;
}

struct frame *
client_frame_text(struct bytes text, unsigned window_bits)
{
	return make_frame(1, text, window_bits);
}

static void
send_own(struct client *cl, unsigned opcode, struct bytes payload)
{
	struct frame *f;

	if (client_over(cl))
		return;
	f = make_frame(opcode, payload, cl->state.window_bits);
	conn_send(cl->conn, f);
	frame_unref(f);
	counter.messages_out++;
}

void
client_send_text(struct client *cl, struct bytes text)
{
	send_own(cl, 1, text);
}

void
client_send_binary(struct client *cl, struct bytes payload)
{
	send_own(cl, 2, payload);
}

void
client_send_ping(struct client *cl)
{
	send_control(cl, 9, bytes_of(NULL, 0));
}

/* ---- users ----------------------------------------------------------------------- */

static void
send_signin(const struct client *cl, uint64_t flags)
{
	struct msg_signin m = {
		.app = cl->app->id, .conn = cl->conn->id,
		.user = cl->user->id, .flags = flags,
		.watch_out = { cl->user->watch, cl->user->n_watch },
	};

	if (uplink() != NULL)
		msg_pack_signin(ipc_out(uplink()), &m);
}

static struct bytes
put(char **room, struct bytes b)
{
	char *at = *room;

	if (b.n > 0)
		memcpy(at, b.p, b.n);
	*room += b.n;
	return bytes_of(at, b.n);
}

void
client_signin(struct client *cl, struct bytes id, struct bytes user_data,
    const struct bytes *watch, uint32_t n_watch)
{
	size_t n = id.n + user_data.n;
	struct client_user *u;
	uint32_t i;
	char *room;

	for (i = 0; i < n_watch; i++)
		n += watch[i].n;
	u = xmalloc(sizeof(*u) + n);
	room = u->room;
	u->id = put(&room, id);
	u->data = put(&room, user_data);
	u->watch = n_watch > 0 ?
	    xreallocarray(NULL, n_watch, sizeof(*u->watch)) : NULL;
	u->n_watch = n_watch;
	for (i = 0; i < n_watch; i++)
		u->watch[i] = put(&room, watch[i]);
	cl->user = u;
	cl->state.authorized = true;
	send_signin(cl, 0);
}

static void
client_signout(struct client *cl)
{
	struct msg_signout m = {
		.app = cl->app->id, .conn = cl->conn->id,
		.user = cl->user->id,
	};

	if (uplink() != NULL)
		msg_pack_signout(ipc_out(uplink()), &m);
	free(cl->user->watch);
	free(cl->user);
	cl->user = NULL;
}

void
client_on_watch(const struct msg_watch *m)
{
	struct conn *c = conns_find(m->conn);
	struct client *cl;

	if (c == NULL || c->stage != &client_stage || c->closing)
		return;
	cl = c->of_stage;
	if (cl->user != NULL)
		cl->front->watch(cl, &m->online, &m->offline);
}

/* Is the client this user: signed in as it, or its member somewhere? */
static bool
client_is(const struct client *cl, struct bytes user)
{
	struct sub *s;

	if (cl->user != NULL && bytes_eq(cl->user->id, user))
		return true;
	SLIST_FOREACH(s, &cl->subs, of_client)
		if (s->user != NULL &&
		    bytes_eq(bytes_of(s->user, s->user_n), user))
			return true;
	return false;
}

static void
terminate_one(struct conn *c, void *arg)
{
	const struct msg_terminate *m = arg;
	struct client *cl = c->of_stage;

	if (c->stage == &client_stage && cl->app != NULL &&
	    bytes_eq(cl->app->id, m->app) && client_is(cl, m->user))
		client_close(cl, CLOSE_TERMINATED);
}

void
client_on_terminate(const struct msg_terminate *m)
{
	struct msg_terminate copy = *m;

	conns_each(terminate_one, &copy);
}

static void
resync_one(struct conn *c, void *arg)
{
	struct client *cl = c->of_stage;

	(void)arg;
	if (c->stage != &client_stage)
		return;
	/* Who is dying will sign out yet. */
	if (cl->user != NULL)
		send_signin(cl, JOIN_SYNC);
	if (cl->waiting && !client_over(cl)) {
		struct msg_connect m = {
			.app = cl->app->id, .conn = c->id,
		};
		msg_pack_connect(ipc_out(uplink()), &m);
	}
}

void
clients_resync(void)
{
	conns_each(resync_one, NULL);
}

/* ---- ending ---------------------------------------------------------------------- */

/* Lets go of everything that others can see; the conn goes its own way. */
static void
client_release(struct client *cl)
{
	channel_leave_all(cl);
	if (cl->user != NULL)
		client_signout(cl);
	if (cl->established) {
		cl->established = false;
		cl->app->open--;
		uplink_load(cl->app);
	}
	websocket_done(&cl->websocket);
}

void
client_close(struct client *cl, enum close_reason why)
{
	if (client_over(cl))
		return;
	cl->front->closing(cl, why);
	client_release(cl);
	send_close(cl, close_info[why].wire != 0 ? close_info[why].wire : 1000,
	    bytes_str(close_info[why].words));
	conn_finish(cl->conn, why, close_seconds());
	conn_resume(cl->conn);
}

void
client_close_conn(struct conn *c, enum close_reason why)
{
	if (c->stage == &client_stage)
		client_close(c->of_stage, why);
	else if (c->of_stage == NULL && c->first != NULL)
		conn_finish(c, why, 2);
	else if (c->of_stage == NULL)
		conn_kill(c, why);
}

static void
leave_app(struct conn *c, void *arg)
{
	struct client *cl = c->of_stage;

	(void)arg;
	if (c->stage == &client_stage && cl->app != NULL &&
	    app_by_id(cl->app->id) != cl->app)
		client_close(cl, CLOSE_NO_APP);
}

void
clients_leave_apps(void)
{
	conns_each(leave_app, NULL);
}

static void
client_tick(struct conn *c, uint32_t now)
{
	struct client *cl = c->of_stage;

	cl->front->tick(cl, now);
}

static void
client_gone(struct conn *c, enum close_reason why)
{
	struct client *cl = c->of_stage;
	char room[24];

	counter.websockets--;
	if (worker.config->debug)
		worker_trace("Connection Closed",
		    bytes_str(client_socket_id(cl, room)),
		    bytes_str(close_info[why].words));
	client_release(cl);
}
