/* SPDX-License-Identifier: MIT
 *
 * API requests that wait for the router: for an acknowledgement, for rows, or
 * for first one and then the other.
 *
 * Runs in: workers.
 */
#include "worker/api_call.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/counters.h"
#include "common/json.h"
#include "common/poison.h"
#include "common/util.h"
#include "worker/api.h"
#include "worker/channel.h"

/* Some wait for the next request. */
#define UNUSED_MOST	64
static struct api_call *unused[UNUSED_MOST];
static unsigned n_unused;

struct api_call *
api_call_new(const struct api_in *in, unsigned status)
{
	struct api_call *call = n_unused > 0 ? unused[--n_unused] :
	    xmalloc(sizeof(*call));

	unpoison(call, sizeof(*call));
	*call = (struct api_call){
		.req = in->req, .app = in->app, .status = status,
	};
	in->req->call = call;
	return call;
}

static void
call_free(struct api_call *call)
{
	waiter_cancel(&call->waiter);
	query_cancel(&call->query);
	buf_done(&call->out);
	buf_done(&call->ask);
	if (n_unused == UNUSED_MOST) {
		free(call);
		return;
	}
	poison(call, sizeof(*call));
	unused[n_unused++] = call;
}

void
api_call_answer(struct api_call *call, unsigned status, struct bytes body)
{
	struct request *r = call->req;

	r->call = NULL;
	if (call->publishes)
		histogram_add(&counter.publish_seconds, clock_ns() - r->since,
		    1);
	request_answer(r, status, NULL, NULL, body);
	call_free(call);
}

void
api_call_finish(struct api_call *call)
{
	api_call_answer(call, call->status, buf_view(&call->out));
}

void
api_forget(struct request *r)
{
	struct api_call *call = r->call;

	r->call = NULL;
	if (call != NULL)
		call_free(call);
}

/* ---- info -------------------------------------------------------------- */

unsigned
api_info(struct bytes list)
{
	static const struct {
		struct bytes	name;
		unsigned	bit;
	} names[] = {
		{ BYTES("occupied"), INFO_OCCUPIED },
		{ BYTES("user_count"), INFO_USERS },
		{ BYTES("subscription_count"), INFO_SUBSCRIPTIONS },
		{ BYTES("cache"), INFO_CACHE },
	};
	unsigned info = 0;
	size_t i;

	for (i = 0; i < NELEM(names); i++)
		if (http_list_has(list, names[i].name))
			info |= names[i].bit;
	return info;
}

static void
add_key(struct buf *out, const char **comma, const char *key)
{
	buf_fmt(out, "%s\"%s\":", *comma, key);
	*comma = ",";
}

/*
 * The last event as Reverb shows it (the frame) with Pusher's ttl in seconds:
 * data stands at the same place in both.
 */
static void
add_cached(struct buf *out, struct bytes channel, const struct msg_row *row)
{
	if (row == NULL || row->cached == 0) {
		buf_str(out, "null");
		return;
	}
	buf_str(out, "{\"event\":");
	buf_bytes(out, row->event);
	buf_str(out, ",\"data\":");
	buf_bytes(out, row->data.n > 0 ? row->data : B("null"));
	buf_str(out, ",\"channel\":");
	json_quote(out, channel);
	buf_fmt(out, ",\"ttl\":%" PRIu64 "}", row->ttl_ms / 1000);
}

void
api_info_add(struct buf *out, struct bytes channel, unsigned kind,
    unsigned info, const struct msg_row *row)
{
	bool occupied = row != NULL && row->subscriptions > 0;
	bool presence = (kind & CHANNEL_PRESENCE) != 0;
	const char *comma = "";

	buf_char(out, '{');
	if (info & INFO_OCCUPIED) {
		add_key(out, &comma, "occupied");
		buf_str(out, occupied ? "true" : "false");
	}
	if ((info & INFO_USERS) && occupied && presence) {
		add_key(out, &comma, "user_count");
		buf_u64(out, row->users);
	}
	if ((info & INFO_SUBSCRIPTIONS) && occupied && !presence) {
		add_key(out, &comma, "subscription_count");
		buf_u64(out, row->subscriptions);
	}
	if ((info & INFO_CACHE) && (kind & CHANNEL_CACHE)) {
		add_key(out, &comma, "cache");
		add_cached(out, channel, row);
	}
	buf_char(out, '}');
}

/* ---- asking about several channels ------------------------------------- */

/* What stands before each name in ask. */
struct ask {
	uint16_t	 name_n;
	uint8_t		 info;
};

void
api_ask_add(struct api_call *call, struct bytes channel, unsigned info)
{
	struct ask a = {
		.name_n = (uint16_t)channel.n, .info = (uint8_t)info,
	};

	buf_add(&call->ask, &a, sizeof(a));
	buf_bytes(&call->ask, channel);
}

/* The next one; its name points into ask. */
static bool
ask_take(struct api_call *call, struct ask *a, struct bytes *name)
{
	if (call->ask_at == call->ask.n)
		return false;
	memcpy(a, call->ask.p + call->ask_at, sizeof(*a));
	*name = bytes_of(call->ask.p + call->ask_at + sizeof(*a), a->name_n);
	call->ask_at += sizeof(*a) + a->name_n;
	return true;
}

/* The channel that was taken last. */
static struct bytes
asked_name(const struct api_call *call)
{
	return bytes_str(call->query.name);
}

static void
on_ask_row(struct query *q, const struct msg_row *row)
{
	struct api_call *call = container_of(q, struct api_call, query);

	if (call->rows++ == 0)
		api_info_add(&call->out, asked_name(call), call->kind,
		    call->info, row);
}

static void
on_ask_restart(struct query *q)
{
	struct api_call *call = container_of(q, struct api_call, query);

	call->out.n = call->mark;
	call->rows = 0;
}

static void
on_ask_done(struct query *q)
{
	struct api_call *call = container_of(q, struct api_call, query);

	if (call->rows == 0)	/* neither occupied nor cached */
		api_info_add(&call->out, bytes_of(NULL, 0), call->kind,
		    call->info, NULL);
	api_ask(call);
}

void
api_ask(struct api_call *call)
{
	struct bytes name;
	struct ask a;

	while (ask_take(call, &a, &name)) {
		if (call->asked++ > 0)
			buf_char(&call->out, ',');
		if (call->named) {
			json_quote(&call->out, name);
			buf_char(&call->out, ':');
		}
		call->mark = call->out.n;
		call->rows = 0;
		if (a.info == 0) {
			buf_str(&call->out, "{}");
			continue;
		}
		call->info = a.info;
		call->kind = channel_kind(name,
		    call->app->set->max_channel_name);
		call->query.row = on_ask_row;
		call->query.done = on_ask_done;
		call->query.restart = on_ask_restart;
		query_send(&call->query, QUERY_CHANNEL, call->app->id, name);
		return;
	}
	buf_bytes(&call->out, call->tail);
	api_call_finish(call);
}
