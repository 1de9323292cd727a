/* SPDX-License-Identifier: MIT
 *
 * A record becomes a connection: see freeze.h.
 *
 * It comes from a process that serves clients and may have been taken over:
 * each field is checked, and a record that does not fit costs its own connection.
 */
#include "worker/freeze.h"

#include "common/counters.h"
#include "common/util.h"
#include "front/front.h"
#include "worker/address.h"
#include "worker/app.h"
#include "worker/conn_queue.h"
#include "worker/fanout.h"
#include "worker/proxy.h"
#include "worker/record.h"
#include "worker/request.h"
#include "worker/worker.h"

#define WINDOW_MIN	9	/* of compression, see deflate.h */

static int
refuse(const char *words, const char **why)
{
	*why = words;
	return -1;
}

/* A moment in the past, in worker's seconds: none is behind now. */
static uint32_t
past(uint64_t second)
{
	return second > worker.now ? worker.now : (uint32_t)second;
}

/* ---- what stands before a client --------------------------------------------------- */

static bool
same_address(const struct config_listen *set, const struct record_list *l)
{
	size_t i, k;

	for (i = 0; i < set->address.n; i++)
		for (k = 0; k < l->n; k++)
			if (bytes_eq(bytes_str(set->address.at[i]), l->at[k]))
				return true;
	return false;
}

/* The section that has one of its addresses now, or its name; both before one. */
static int
find_section(const struct record *r)
{
	const struct config *set = worker.config;
	size_t i;

	for (i = 0; i < set->n_listen; i++)
		if (same_address(&set->listen[i], &r->listen_addresses) &&
		    bytes_eq(bytes_str(set->listen[i].label), r->listen_label))
			return (int)i;
	for (i = 0; i < set->n_listen; i++)
		if (same_address(&set->listen[i], &r->listen_addresses))
			return (int)i;
	for (i = 0; i < set->n_listen; i++)
		if (bytes_eq(bytes_str(set->listen[i].label), r->listen_label))
			return (int)i;
	return -1;
}

/* Whose section is gone, or was never told, may have what anybody may. */
static int
find_public(void)
{
	const struct config *set = worker.config;
	size_t i;

	for (i = 0; i < set->n_listen; i++)
		if (set->listen[i].serve == SERVE_CLIENTS)
			return (int)i;
	return -1;
}

static int
thaw_proxy(struct conn *c, const struct record *r, const char **why)
{
	int section = find_section(r);

	if (section < 0)
		return refuse("its [listen] section is gone", why);
	c->section = (uint16_t)section;
	conn_stage(c, &proxy_stage, NULL);
	return 0;
}

static int
thaw_http(struct conn *c, const struct record *r, const char **why)
{
	struct http_chunks chunks = {
		.state = (int)r->chunk_state, .left = r->chunk_left,
		.in = r->chunk_in, .out = r->chunk_out,
		.line = (unsigned)r->chunk_line,
	};
	bool told = r->listen_label.n > 0 || r->listen_addresses.n > 0;
	int section = told ? find_section(r) : -1;

	if (section < 0 && (section = find_public()) < 0)
		return refuse("its [listen] section is gone", why);
	c->section = (uint16_t)section;
	conn_stage(c, &request_stage, NULL);
	if (r->body && request_restore(c, &chunks) < 0)
		return refuse("record: no such body", why);
	return 0;
}

/* ---- clients ------------------------------------------------------------------------ */

static const struct front *
front_named(struct bytes name)
{
	const struct front *const *f;

	for (f = front_list; *f != NULL; f++)
		if (bytes_eq(bytes_str((*f)->name), name))
			return *f;
	return NULL;
}

static int
take_state(struct client_state *s, const struct record *r, const char **why)
{
	if (r->variant >= MESSAGE_VARIANTS ||
	    (r->window_bits != 0 && r->window_bits < WINDOW_MIN) ||
	    (r->window_bits != 0) != r->deflate)
		return refuse("record: no such compression", why);
	*s = (struct client_state){
		.socket_a = (uint32_t)r->socket_a,
		.socket_b = (uint32_t)r->socket_b,
		.opened = past(r->opened), .seen = past(r->seen),
		.window_start = (uint32_t)r->window_start,
		.window_count = (uint32_t)r->window_count,
		.event_second = (uint32_t)r->event_second,
		.event_count = (uint32_t)r->event_count,
		.variant = (uint8_t)r->variant,
		.window_bits = (uint8_t)r->window_bits,
		.pinged = r->pinged, .control_pings = r->control_pings,
		.authorized = r->authorized,
	};
	return 0;
}

static int
take_websocket(struct websocket *ws, const struct record *r, const char **why)
{
	struct websocket_half half = {
		.left = r->partial_left,
		.fragments = (unsigned)r->partial_fragments,
		.kind = (enum websocket_kind)r->partial_kind,
		.compressed = r->partial_compressed, .fin = r->partial_fin,
		.mask = {
			(unsigned char)(r->partial_mask >> 24),
			(unsigned char)(r->partial_mask >> 16),
			(unsigned char)(r->partial_mask >> 8),
			(unsigned char)r->partial_mask,
		},
		.octets = r->partial,
	};

	ws->deflate = r->deflate;
	if (r->stage != RECORD_WEBSOCKET &&
	    (r->deflate || r->partial_kind != 0))
		return refuse("record: a stream with messages", why);
	if (r->partial_kind != 0 && websocket_thaw(ws, &half) < 0)
		return refuse("record: no such message", why);
	return 0;
}

/* From the last to the first, so that they stand in the same order. */
static int
take_channels(struct client *cl, const struct record *r, const char **why)
{
	uint32_t i;

	if (r->channels.n != r->members.n)
		return refuse("record: channels and members differ", why);
	for (i = r->channels.n; i-- > 0;) {
		if (channel_sub(cl, r->channels.at[i]) != NULL)
			return refuse("record: a channel comes twice", why);
		if (channel_adopt(cl, r->channels.at[i],
		    r->members.at[i]) == NULL)
			return refuse("a channel is not live here", why);
	}
	return 0;
}

static int
find_door(struct client *cl, const struct record *r, const char **why)
{
	unsigned needs = r->stage == RECORD_STREAM ? FRONT_STREAM : FRONT_WS;

	cl->transport = r->stage == RECORD_STREAM ? &transport_stream :
	    &transport_websocket;
	cl->front = front_named(r->front);
	if (cl->front == NULL || (cl->front->flags & needs) == 0)
		return refuse("its front door is gone", why);
	cl->app = app_by_id(r->app);
	if (cl->app == NULL)
		return refuse("its application is gone", why);
	return 0;
}

/* What the front has is freed by its done() from the moment it was taken. */
static int
take_front(struct client *cl, const struct record *r, bool *taken,
    const char **why)
{
	if (cl->front->thaw != NULL &&
	    cl->front->thaw(cl, r->of_front, why) < 0)
		return -1;
	*taken = true;
	if (cl->front->stays != NULL && !cl->front->stays(cl))
		return refuse("may stay no longer", why);
	return 0;
}

static int
fill_client(struct client *cl, const struct record *r, bool *taken,
    const char **why)
{
	if (find_door(cl, r, why) < 0 || take_state(&cl->state, r, why) < 0 ||
	    take_websocket(&cl->websocket, r, why) < 0 ||
	    take_channels(cl, r, why) < 0)
		return -1;
	if (r->user.n > 0)
		client_set_user(cl, r->user, r->user_data, r->watch.at,
		    r->watch.n);
	cl->sent = past(r->sent);
	cl->begun = r->begun;
	cl->paused = r->paused;
	cl->conn->paused = r->paused;
	cl->frozen = true;
	fanout_applied(cl, r->epoch, r->applied);
	if (take_front(cl, r, taken, why) < 0)
		return -1;
	cl->established = r->established;
	return 0;
}

static int
thaw_client(struct conn *c, const struct record *r, const char **why)
{
	struct client *cl = conn_client(c);
	bool taken = false;

	cl->conn = c;
	SLIST_INIT(&cl->subs);
	if (fill_client(cl, r, &taken, why) == 0) {
		conn_stage(c, &cl->transport->stage, cl);
		if (r->stage == RECORD_WEBSOCKET)
			counter.websockets++;
		return 0;
	}
	channel_let_go_all(cl);
	client_unset_user(cl);
	cl->transport->done(cl);
	if (taken && cl->front->done != NULL)
		cl->front->done(cl);
	return -1;
}

/* ---- the conn ------------------------------------------------------------------------ */

static int
take_conn(struct conn *c, const struct record *r, const char **why)
{
	struct ip ip;

	c->stuck = past(r->stuck);
	c->deadline = (uint32_t)r->deadline;
	c->trusted = r->trusted;
	c->local = r->local;
	c->continued = r->continued;
	if (r->address.n == 0)
		return 0;
	if (r->address.n != sizeof(ip.b))
		return refuse("record: no such address", why);
	memcpy(ip.b, r->address.p, sizeof(ip.b));
	address_restore(c, &ip, r->counted);
	return 0;
}

static int
take_stage(struct conn *c, const struct record *r, const char **why)
{
	switch (r->stage) {
	case RECORD_HTTP:
		return thaw_http(c, r, why);
	case RECORD_PROXY:
		return thaw_proxy(c, r, why);
	case RECORD_WEBSOCKET:
	case RECORD_STREAM:
		return thaw_client(c, r, why);
	default:
		return refuse("record: of a kind that is not known here", why);
	}
}

static int
thaw_record(int fd, const struct record *r, struct thawed *t, const char **why)
{
	struct conn *c;

	if (r->out_first > r->out.n)
		return refuse("record: less to send than it says", why);
	c = conns_restore(fd, r->in, r->out, (uint32_t)r->out_first);
	if (take_conn(c, r, why) < 0 || take_stage(c, r, why) < 0) {
		c->fd = -1;		/* the caller's */
		conn_forget(c);
		return -1;
	}
	t->was = r->was;
	t->conn = c;
	return 0;
}

int
thaw(int fd, struct bytes octets, struct thawed *t, const char **why)
{
	struct record r;
	int bad;

	worker_clock();		/* the old side may have been later */
	if (record_unpack(octets, &r, why) < 0)
		return -1;
	bad = thaw_record(fd, &r, t, why);
	record_done(&r);
	return bad;
}

void
thaw_wake(struct conn *c)
{
	freeze_undo(c);
}
