/* SPDX-License-Identifier: MIT
 *
 * Clients over WebSocket: see transport.h.
 */
#include "common/counters.h"
#include "front/front.h"
#include "worker/app.h"
#include "worker/conn.h"
#include "worker/deflate.h"
#include "worker/transport.h"
#include "worker/uplink.h"
#include "worker/usage.h"
#include "worker/worker.h"

/* ---- reading --------------------------------------------------------------------- */

/* May the next message be looked at?  As the reader's callbacks say it. */
static int
go_on(const struct client *cl)
{
	if (client_over(cl))
		return -1;
	return cl->conn->paused ? 1 : 0;
}

/* Holds it back if its messages could not be passed on. */
static bool
hold_back(struct client *cl)
{
	if (((cl->front->flags & FRONT_HOLD) == 0 && !cl->publishes) ||
	    client_over(cl) || !uplink_full())
		return false;
	client_hold(cl);
	return true;
}

static int
on_message(void *ctx, enum websocket_kind kind, struct bytes b)
{
	struct client *cl = ctx;

	counter.messages_in++;
	if (cl->app != NULL)
		usage_of_client(cl)->messages_in++;
	client_alive(cl);
	cl->front->input(cl, kind, b);
	hold_back(cl);
	return go_on(cl);
}

static int
on_control(struct client *cl)
{
	client_alive(cl);
	cl->state.control_pings = true;
	return go_on(cl);
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

static void
send_close(struct client *cl, unsigned code, struct bytes words)
{
	struct buf b = { 0 };

	websocket_close_frame(&b, code, words);
	conn_send_bytes(cl->conn, buf_view(&b));
	buf_done(&b);
}

static int
on_close(void *ctx, unsigned code, struct bytes reason)
{
	struct client *cl = ctx;
	uint64_t timeout = worker.config->websocket.close_timeout;

	client_release(cl, code, reason);
	send_close(cl, code == 1005 ? 1000 : code, reason);
	conn_finish(cl->conn, CLOSE_PEER_FRAME,
	    (unsigned)((timeout + 999) / 1000));
	return -1;
}

static const struct websocket_events events = {
	.on_message = on_message,
	.on_ping = on_ping,
	.on_pong = on_pong,
	.on_close = on_close,
};

static size_t
message_limit(const struct client *cl)
{
	if (cl->front->limit != NULL)
		return cl->front->limit(cl);
	return cl->app != NULL ? app_max_message(cl->app) : 1024;
}

static size_t
input(struct conn *c, char *p, size_t n)
{
	struct client *cl = c->of_stage;
	struct websocket_limits limits = {
		.message = message_limit(cl),
		.fragments = worker.config->websocket.max_fragments,
	};
	enum close_reason why = CLOSE_WS_PROTOCOL;
	ssize_t used;

	if (hold_back(cl))
		return 0;
	used = websocket_read(&cl->websocket, &limits, p, n, &events, cl,
	    &why);
	if (cl->app != NULL)
		usage_of_client(cl)->bytes_in += used >= 0 ? (size_t)used : n;
	if (used >= 0)
		return used;
	client_close(cl, why);
	return n;
}

/* ---- writing --------------------------------------------------------------------- */

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
	if (payload.n > 0)
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

struct frame *
client_frame_binary(struct bytes octets, unsigned window_bits)
{
	return make_frame(2, octets, window_bits);
}

static void
send_own(struct client *cl, unsigned opcode, struct bytes payload)
{
	struct frame *f;

	if (client_over(cl))
		return;
	f = make_frame(opcode, payload, cl->state.window_bits);
	client_send(cl, f);
	counter.messages_out++;
	if (cl->app != NULL)
		usage_sent(cl->app, cl->front, 1, f->n);
	frame_unref(f);
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

/* ---- life ------------------------------------------------------------------------ */

static void
websocket_open(struct client *cl, const struct http_request *req)
{
	static struct buf answer, extension;
	struct bytes protocol = bytes_of(NULL, 0);
	unsigned bits = 0;

	buf_clear(&answer);
	buf_clear(&extension);
	if (worker.config->websocket.compression && req->ws_extensions.n > 0)
		bits = deflate_negotiate(req->ws_extensions, &extension);
	cl->websocket.deflate = bits != 0;
	cl->state.window_bits = bits;
	if (cl->front->subprotocol != NULL && req->ws_protocol.n > 0)
		protocol = cl->front->subprotocol(cl, req->ws_protocol);
	websocket_answer(req, buf_view(&extension), protocol, &answer);
	conn_send_bytes(cl->conn, buf_view(&answer));
	counter.upgraded++;
	counter.websockets++;
}

static void
websocket_close(struct client *cl, enum close_reason why)
{
	const struct close_info *info = &close_info[why];
	unsigned code = cl->front->flags & FRONT_PLAIN ? info->plain :
	    info->wire;

	send_close(cl, code != 0 ? code : 1000, bytes_str(info->words));
}

static void
done(struct client *cl)
{
	websocket_done(&cl->websocket);
}

static void
gone(struct conn *c, enum close_reason why)
{
	counter.websockets--;
	client_gone(c, why);
}

const struct transport transport_websocket = {
	.stage = {
		.name = "websocket",
		.input = input,
		.tick = client_tick,
		.gone = gone,
	},
	.open = websocket_open,
	.close = websocket_close,
	.done = done,
};
