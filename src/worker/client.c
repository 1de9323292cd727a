/* SPDX-License-Identifier: MIT
 *
 * Who a front door talks to: see client.h.
 */
#include <stdlib.h>

#include "common/counters.h"
#include "common/hooked.h"
#include "common/log.h"
#include "common/util.h"
#include "front/front.h"
#include "worker/app.h"
#include "worker/channel.h"
#include "worker/client.h"
#include "worker/conn.h"
#include "worker/handover.h"
#include "worker/inherit.h"
#include "worker/uplink.h"
#include "worker/usage.h"
#include "worker/worker.h"

#define GRANT_TIMEOUT	10		/* seconds */
#define CODE_ABNORMAL	1006		/* RFC 6455 7.1.5: no close frame came */

/* Clients that are not read, by the ids of their conns: those that have died
 * meanwhile are not found any more. */
static struct {
	uint64_t	*ids;
	size_t		 n, cap;
} held;

struct client *
client_of(const struct conn *c)
{
	return c->stage == &transport_websocket.stage ||
	    c->stage == &transport_stream.stage ? c->of_stage : NULL;
}

bool
client_over(const struct client *cl)
{
	return cl->conn->dead || cl->conn->closing;
}

const char *
client_socket_id(const struct client *cl, char room[24])
{
	struct buf b = { room, 0, 24 };

	buf_u64(&b, cl->state.socket_a);
	buf_char(&b, '.');
	buf_u64(&b, cl->state.socket_b);
	buf_char(&b, '\0');
	return room;
}

/* ---- opening --------------------------------------------------------------------- */

bool
client_take(struct conn *c, const struct front *front,
    const struct transport *transport, const struct http_request *req,
    struct bytes path, struct front_refusal *why)
{
	struct client *cl = conn_client(c);

	memset(cl, 0, sizeof(*cl));
	cl->conn = c;
	cl->front = front;
	cl->transport = transport;
	SLIST_INIT(&cl->subs);
	cl->state.opened = cl->state.seen = cl->sent = worker.now;
	if (front->admit != NULL && !front->admit(cl, req, path, why))
		return false;
	conn_stage(c, &transport->stage, cl);
	c->deadline = 0;
	transport->open(cl, req);
	front->open(cl, req, path);
	return true;
}

/* A [webhook] is to hear of it, or somebody tails. */
static void
tell_opened(struct client *cl)
{
	struct msg_connection m = { .open = 1, .app = cl->app->id };

	if (!((cl->app->hooks | cl->app->tailed) & HOOKED_OPENED))
		return;
	m.socket_a = cl->state.socket_a;
	m.socket_b = cl->state.socket_b;
	uplink_connection(&m);
}

static void
tell_closed(const struct client *cl, unsigned code, struct bytes words)
{
	struct msg_connection m = {
		.app = cl->app->id, .code = code, .why = words,
		.socket_a = cl->state.socket_a, .socket_b = cl->state.socket_b,
	};

	/* One that an older release took in may have no id. */
	if (!((cl->app->hooks | cl->app->tailed) & HOOKED_CLOSED) ||
	    cl->state.socket_a == 0)
		return;
	if (cl->user != NULL)
		m.user = cl->user->id;
	uplink_connection(&m);
}

static void
client_established(struct client *cl)
{
	if (cl->established || client_over(cl))
		return;
	cl->established = true;
	tell_opened(cl);
	if (log_wants(LOG_LEVEL_DEBUG))
		log_debug("opened conn=%s app=%s front=%s from=%s",
		    conn_name(cl->conn), log_value(cl->app->id),
		    cl->front->name, conn_from(cl->conn));
	cl->app->open++;
	usage_of_client(cl)->opened++;
	usage_of_client(cl)->connections++;
	if (cl->n_subs > 0)
		cl->app->subscribed++;
	uplink_load(cl->app);
}

static void
granted(struct client *cl, bool allowed)
{
	if (allowed)
		client_established(cl);
	if (cl->front->granted != NULL)
		cl->front->granted(cl, allowed);
}

static void
ask_router(const struct client *cl)
{
	struct msg_connect m = {
		.app = cl->app->id, .conn = cl->conn->id,
	};

	if (uplink() != NULL)
		msg_pack_connect(ipc_out(uplink()), &m);
}

/* A front that shows its clients a socket id has drawn it; the others' are for
 * those who look in from outside. */
static void
draw_socket_id(struct client_state *s)
{
	if (s->socket_a != 0)
		return;
	s->socket_a = random_1_to(SOCKET_ID_MAX);
	s->socket_b = random_1_to(SOCKET_ID_MAX);
}

void
client_enter(struct client *cl)
{
	draw_socket_id(&cl->state);
	if (cl->app->set->max_connections == 0) {
		granted(cl, true);
		return;
	}
	/* Only the router sees all connections of the host. */
	if (uplink() == NULL) {
		client_close(cl, CLOSE_OVER_CAPACITY);
		return;
	}
	cl->waiting = true;
	conn_pause(cl->conn);
	ask_router(cl);
}

/* It is read again, unless there is another reason not to. */
static void
read_on(const struct client *cl)
{
	if (!cl->waiting && !cl->held && !cl->paused && !client_over(cl))
		conn_resume(cl->conn);
}

static void
stop_waiting(struct client *cl)
{
	cl->waiting = false;
	read_on(cl);
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
	if (c == NULL || (cl = client_of(c)) == NULL || c->closing ||
	    !cl->waiting)
		return;
	stop_waiting(cl);
	granted(cl, m->allowed != 0);
}

/* ---- life ------------------------------------------------------------------------ */

void
client_send(struct client *cl, struct frame *f)
{
	cl->sent = worker.now;
	conn_send(cl->conn, f);
}

void
client_pause(struct client *cl)
{
	cl->paused = true;
	conn_pause(cl->conn);
}

void
client_resume(struct client *cl)
{
	cl->paused = false;
	read_on(cl);
}

void
client_cork(struct client *cl)
{
	conn_cork(cl->conn);
}

void
client_uncork(struct client *cl)
{
	conn_uncork(cl->conn);
}

void
client_hold(struct client *cl)
{
	if (cl->held)
		return;
	if (held.n == held.cap) {
		held.cap += held.cap / 2 + 64;
		held.ids = xreallocarray(held.ids, held.cap,
		    sizeof(*held.ids));
	}
	held.ids[held.n++] = cl->conn->id;
	cl->held = true;
	conn_pause(cl->conn);
}

static void
let_go(struct client *cl)
{
	cl->held = false;
	client_alive(cl);
	read_on(cl);
}

void
clients_turn(void)
{
	size_t i;

	if (held.n == 0 || uplink_full())
		return;
	for (i = 0; i < held.n; i++) {
		struct conn *c = conns_find(held.ids[i]);
		struct client *cl = c != NULL ? client_of(c) : NULL;

		if (cl != NULL && cl->held)
			let_go(cl);
	}
	free(held.ids);
	memset(&held, 0, sizeof(held));
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
client_set_user(struct client *cl, struct bytes id, struct bytes user_data,
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
}

void
client_unset_user(struct client *cl)
{
	if (cl->user == NULL)
		return;
	free(cl->user->watch);
	free(cl->user);
	cl->user = NULL;
}

void
client_signin(struct client *cl, struct bytes id, struct bytes user_data,
    const struct bytes *watch, uint32_t n_watch)
{
	client_set_user(cl, id, user_data, watch, n_watch);
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

	if (uplink() != NULL && !cl->arriving)
		msg_pack_signout(ipc_out(uplink()), &m);
	client_unset_user(cl);
}

void
client_on_watch(const struct msg_watch *m)
{
	struct conn *c = conns_find(m->conn);
	struct client *cl = c != NULL ? client_of(c) : NULL;

	if (inherit_watch(m) || handover_watch(m))
		return;
	if (cl != NULL && !c->closing && cl->user != NULL)
		cl->front->watch(cl, &m->online, &m->offline);
}

bool
client_is(const struct client *cl, struct bytes user)
{
	struct sub *s;

	if (cl->user != NULL && bytes_eq(cl->user->id, user))
		return true;
	SLIST_FOREACH(s, &cl->subs, of_client)
		if (s->user_n > 0 &&
		    bytes_eq(bytes_of(s->user, s->user_n), user))
			return true;
	return false;
}

static void
terminate_one(struct conn *c, void *arg)
{
	const struct msg_terminate *m = arg;
	struct client *cl = client_of(c);

	if (cl != NULL && cl->app != NULL &&
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
	struct client *cl = client_of(c);

	(void)arg;
	if (cl == NULL || cl->arriving)
		return;
	if (cl->frozen) {
		uplink_frozen(cl);
		return;
	}
	/* Who is dying will sign out yet. */
	if (cl->user != NULL)
		send_signin(cl, JOIN_SYNC);
	if (cl->waiting && !client_over(cl))
		ask_router(cl);
}

void
clients_resync(void)
{
	conns_each(resync_one, NULL);
}

/* ---- ending ---------------------------------------------------------------------- */

/* The code of a reason in the client's protocol; where there is no close frame,
 * that which stands for its absence. */
static unsigned
close_code(const struct client *cl, enum close_reason why)
{
	const struct close_info *info = &close_info[why];
	unsigned code = cl->front->flags & FRONT_PLAIN ? info->plain :
	    info->wire;

	return code != 0 ? code : CODE_ABNORMAL;
}

/* The conn goes its own way. */
void
client_release(struct client *cl, unsigned code, struct bytes words)
{
	channel_leave_all(cl);
	if (cl->established)
		tell_closed(cl, code, words);
	if (cl->user != NULL)
		client_signout(cl);
	if (cl->established) {
		cl->established = false;
		cl->app->open--;
		usage_of_client(cl)->closed++;
		usage_of_client(cl)->connections--;
		uplink_load(cl->app);
	}
	cl->transport->done(cl);
	if (cl->front->done != NULL)
		cl->front->done(cl);
}

void
client_close(struct client *cl, enum close_reason why)
{
	if (client_over(cl))
		return;
	if (cl->conn->sealed) {
		conn_kill(cl->conn, why);	/* if it stays */
		return;
	}
	if (cl->front->closing != NULL)
		cl->front->closing(cl, why);
	client_release(cl, close_code(cl, why),
	    bytes_str(close_info[why].words));
	cl->transport->close(cl, why);
	conn_finish(cl->conn, why,
	    (unsigned)(worker.config->websocket.close_timeout + 999) / 1000);
	conn_resume(cl->conn);
}

void
client_close_conn(struct conn *c, enum close_reason why)
{
	struct client *cl = client_of(c);

	if (cl != NULL)
		client_close(cl, why);
	else if (c->of_stage == NULL && c->first != NULL)
		conn_finish(c, why, 2);
	else if (c->of_stage == NULL)
		conn_kill(c, why);
}

static void
leave_one(struct conn *c, void *arg)
{
	struct client *cl = client_of(c);

	(void)arg;
	if (cl == NULL || client_over(cl) || cl->app == NULL)
		return;
	if (app_by_id(cl->app->id) != cl->app)
		client_close(cl, CLOSE_NO_APP);
	else if (cl->front->stays != NULL && !cl->front->stays(cl))
		client_close(cl, CLOSE_NO_ROOM);
}

void
clients_leave(void)
{
	conns_each(leave_one, NULL);
}

void
client_tick(struct conn *c, uint32_t now)
{
	struct client *cl = c->of_stage;

	if (!cl->waiting) {
		cl->front->tick(cl, now);
	} else if (now - cl->state.opened >= GRANT_TIMEOUT) {
		stop_waiting(cl);
		client_close(cl, CLOSE_OVER_CAPACITY);
	}
}

void
client_gone(struct conn *c, enum close_reason why)
{
	struct client *cl = c->of_stage;
	char room[24];

	if (worker.config->debug)
		worker_trace("Connection Closed",
		    bytes_str(client_socket_id(cl, room)),
		    bytes_str(close_info[why].words));
	client_release(cl, close_code(cl, why),
	    bytes_str(close_info[why].words));
}
