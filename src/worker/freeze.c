/* SPDX-License-Identifier: MIT
 *
 * A connection becomes a record: see freeze.h.
 */
#include "worker/freeze.h"

#include <stdlib.h>

#include "common/counters.h"
#include "common/util.h"
#include "front/front.h"
#include "worker/address.h"
#include "worker/app.h"
#include "worker/conn_queue.h"
#include "worker/proxy.h"
#include "worker/record.h"
#include "worker/request.h"
#include "worker/uplink.h"
#include "worker/worker.h"

/*
 * Whoever adds a field to one of these has to think: what does the peer notice if
 * a hand-over forgets it?  Then it goes into tables/record.def, here and into
 * thaw.c (with a default for records of older releases), and `make
 * update-records` makes new fixtures.  Only then the size here.
 * struct websocket_partial is held by websocket.c.
 */
#define SIZE_IS(type, size) \
	_Static_assert(sizeof(void *) != 8 || sizeof(type) == (size), \
	    #type " has changed: see the comment above in freeze.c")
SIZE_IS(struct client_state, 40);
SIZE_IS(struct client, 128);
SIZE_IS(struct conn, 120);
SIZE_IS(struct websocket, 16);
SIZE_IS(struct client_user, 48);
SIZE_IS(struct http_chunks, 40);

/* ---- may it go? ------------------------------------------------------------------ */

static enum freeze_when
say(enum freeze_when when, const char *words, const char **why)
{
	*why = words;
	return when;
}

static enum freeze_when
client_may(const struct client *cl, const char **why)
{
	const struct sub *s;

	if (cl->app == NULL)
		return say(FREEZE_NEVER, "of no application", why);
	if (cl->waiting)
		return say(FREEZE_LATER, "waits for the router's grant", why);
	SLIST_FOREACH(s, &cl->subs, of_client)
		if (s->join != NULL)
			return say(FREEZE_LATER, "waits for a channel", why);
	return FREEZE_NOW;
}

/* Of a request, what is worked on cannot go; a body that is not complete can. */
static enum freeze_when
request_may(const struct conn *c, const char **why)
{
	return c->of_stage != NULL && c->paused ?
	    say(FREEZE_LATER, "a request is being answered", why) : FREEZE_NOW;
}

static unsigned
stage_of(const struct conn *c)
{
	return c->stage == &request_stage ? RECORD_HTTP :
	    c->stage == &proxy_stage ? RECORD_PROXY :
	    c->stage == &transport_websocket.stage ? RECORD_WEBSOCKET :
	    c->stage == &transport_stream.stage ? RECORD_STREAM : 0;
}

enum freeze_when
freeze_may(const struct conn *c, const char **why)
{
	if (c->dead || c->closing || c->shut || c->eof)
		return say(FREEZE_NEVER, "is closing", why);
	if (c->tls != NULL)
		return say(FREEZE_NEVER, "TLS", why);
	switch (stage_of(c)) {
	case 0:
		return say(FREEZE_NEVER, "a protocol that stays", why);
	case RECORD_HTTP:
		return request_may(c, why);
	case RECORD_PROXY:
		return FREEZE_NOW;
	default:
		return client_may(c->of_stage, why);
	}
}

/* ---- the record -------------------------------------------------------------------- */

/* What a record borrows while it is packed. */
struct freezing {
	struct record	 r;
	struct buf	 out, of_front;
};

static void
put_conn(struct freezing *f, struct conn *c)
{
	const struct ip *ip = address_ip(c);
	struct record *r = &f->r;
	uint32_t first;

	queue_octets(c, &f->out, &first);
	r->stage = stage_of(c);
	r->was = c->id;
	r->in = bytes_of(c->in, c->in_n);
	r->out = buf_view(&f->out);
	r->out_first = first;
	r->stuck = c->stuck;
	r->deadline = c->deadline;
	if (ip != NULL)
		r->address = bytes_of(ip->b, sizeof(ip->b));
	r->counted = c->counted;
	r->trusted = c->trusted;
	r->local = c->local;
	r->continued = c->continued;
}

/* The other worker may have other sections, in another order. */
static void
put_listener(struct freezing *f, const struct conn *c)
{
	const struct config_listen *set = &worker.config->listen[c->section];
	struct record_list *l = &f->r.listen_addresses;
	size_t i;

	f->r.listen_label = bytes_str(set->label);
	l->at = xreallocarray(NULL, set->address.n + 1, sizeof(*l->at));
	for (i = 0; i < set->address.n; i++)
		l->at[l->n++] = bytes_str(set->address.at[i]);
}

static void
put_request(struct freezing *f, const struct conn *c)
{
	const struct request *q = c->of_stage;

	if (q == NULL)
		return;
	f->r.body = true;
	f->r.chunk_state = (uint64_t)q->chunks.state;
	f->r.chunk_left = q->chunks.left;
	f->r.chunk_in = q->chunks.in;
	f->r.chunk_out = q->chunks.out;
	f->r.chunk_line = q->chunks.line;
}

static void
put_state(struct record *r, const struct client_state *s)
{
	r->socket_a = s->socket_a;
	r->socket_b = s->socket_b;
	r->opened = s->opened;
	r->seen = s->seen;
	r->window_start = s->window_start;
	r->window_count = s->window_count;
	r->event_second = s->event_second;
	r->event_count = s->event_count;
	r->variant = s->variant;
	r->window_bits = s->window_bits;
	r->pinged = s->pinged;
	r->control_pings = s->control_pings;
	r->authorized = s->authorized;
}

static void
put_websocket(struct record *r, const struct websocket *ws)
{
	struct websocket_half half;

	r->deflate = ws->deflate;
	if (!websocket_freeze(ws, &half))
		return;
	r->partial_kind = half.kind;
	r->partial_compressed = half.compressed;
	r->partial_fin = half.fin;
	r->partial_left = half.left;
	r->partial_fragments = half.fragments;
	r->partial_mask = (uint32_t)half.mask[0] << 24 |
	    (uint32_t)half.mask[1] << 16 | (uint32_t)half.mask[2] << 8 |
	    half.mask[3];
	r->partial = half.octets;
}

static void
put_user(struct record *r, const struct client_user *u)
{
	if (u == NULL)
		return;
	r->user = u->id;
	r->user_data = u->data;
	r->watch = (struct record_list){ u->watch, u->n_watch };
}

static void
put_channels(struct record *r, const struct client *cl)
{
	size_t n = (size_t)cl->n_subs + 1;
	const struct sub *s;

	r->channels.at = xreallocarray(NULL, n, sizeof(*r->channels.at));
	r->members.at = xreallocarray(NULL, n, sizeof(*r->members.at));
	SLIST_FOREACH(s, &cl->subs, of_client) {
		r->channels.at[r->channels.n++] = channel_name(s->channel);
		r->members.at[r->members.n++] = bytes_of(s->user, s->user_n);
	}
}

static int
put_client(struct freezing *f, const struct client *cl, const char **why)
{
	struct record *r = &f->r;

	r->front = bytes_str(cl->front->name);
	r->app = cl->app->id;
	r->sent = cl->sent;
	r->established = cl->established;
	r->begun = cl->begun;
	r->paused = cl->paused;
	put_state(r, &cl->state);
	put_websocket(r, &cl->websocket);
	put_user(r, cl->user);
	put_channels(r, cl);
	if (cl->front->freeze != NULL &&
	    cl->front->freeze(cl, &f->of_front, why) < 0)
		return -1;
	r->of_front = buf_view(&f->of_front);
	return 0;
}

static int
put_stage(struct freezing *f, const struct conn *c, const char **why)
{
	switch (f->r.stage) {
	case RECORD_PROXY:
		put_listener(f, c);
		return 0;
	case RECORD_HTTP:
		put_listener(f, c);	/* it tells what is served (serve.h) */
		put_request(f, c);
		return 0;
	default:
		return put_client(f, c->of_stage, why);
	}
}

int
freeze_pack(struct conn *c, uint64_t epoch, uint64_t applied, struct buf *out,
    const char **why)
{
	struct freezing f = { .r = { .epoch = epoch, .applied = applied } };
	int bad;

	/* It may have been closed since, or have got something to do. */
	if (freeze_may(c, why) != FREEZE_NOW)
		return -1;
	put_conn(&f, c);
	bad = put_stage(&f, c, why);
	if (bad == 0)
		bad = record_pack(&f.r, out, why);
	if (bad == 0)
		conn_seal(c);
	buf_done(&f.out);
	buf_done(&f.of_front);
	free(f.r.listen_addresses.at);
	free(f.r.channels.at);
	free(f.r.members.at);
	return bad;
}

/* ---- the steps --------------------------------------------------------------------- */

static void
mark(struct conn *c, bool frozen)
{
	struct client *cl = client_of(c);

	if (cl != NULL)
		cl->frozen = frozen;
}

void
freeze_begin(struct conn *c)
{
	conn_freeze(c);
	mark(c, true);
}

void
freeze_undo(struct conn *c)
{
	enum close_reason why = c->sealed ? c->reason : CLOSE_NONE;

	mark(c, false);
	if (c->sealed)
		c->reason = CLOSE_NONE;
	conn_unfreeze(c);
	if (why == CLOSE_SLOW_READER)
		conn_kill(c, why);
	else if (why != CLOSE_NONE)
		client_close_conn(c, why);
}

static void
forget_client(struct client *cl)
{
	uplink_went(cl);
	channel_let_go_all(cl);
	client_unset_user(cl);
	cl->transport->done(cl);
	if (cl->front->done != NULL)
		cl->front->done(cl);
}

void
freeze_done(struct conn *c)
{
	struct client *cl = client_of(c);

	if (cl != NULL)
		forget_client(cl);
	else if (c->stage == &request_stage)
		request_forget(c);
	if (c->stage == &transport_websocket.stage)
		counter.websockets--;
	conn_forget(c);
}
