/* SPDX-License-Identifier: MIT
 *
 * The API's questions (and the order to close a user's connections).  The
 * router answers from its census, in rows; each becomes a piece of the answer
 * as it comes.
 *
 * Runs in: workers.
 */
#include "common/json.h"
#include "common/util.h"
#include "worker/api_call.h"
#include "worker/channel.h"

static struct api_call *
call_of(struct query *q)
{
	return container_of(q, struct api_call, query);
}

/* Back to the start of the rows. */
static void
on_restart(struct query *q)
{
	struct api_call *call = call_of(q);

	call->out.n = call->mark;
	call->rows = 0;
}

static void
ask(struct api_call *call, unsigned kind, struct bytes name,
    void (*row)(struct query *, const struct msg_row *),
    void (*done)(struct query *))
{
	call->mark = call->out.n;
	call->query.row = row;
	call->query.done = done;
	call->query.restart = on_restart;
	query_send(&call->query, kind, call->app->id, name);
}

static unsigned
info_param(const struct api_in *in)
{
	static struct buf room;

	return api_info(params_get(in->params, B("info"), &room));
}

/* ---- /channels --------------------------------------------------------- */

static void
on_channels_row(struct query *q, const struct msg_row *row)
{
	struct api_call *call = call_of(q);
	unsigned kind = channel_kind(row->name,
	    call->app->set->max_channel_name);

	if (row->subscriptions == 0)
		return;
	if (call->rows++ > 0)
		buf_char(&call->out, ',');
	json_quote(&call->out, row->name);
	buf_char(&call->out, ':');
	api_info_add(&call->out, row->name, kind, call->info, row);
}

static void
on_channels_done(struct query *q)
{
	struct api_call *call = call_of(q);

	buf_str(&call->out, "}}");
	api_call_finish(call);
}

void
api_channels(const struct api_in *in)
{
	static struct buf room;
	struct bytes filter = params_get(in->params, B("filter_by_prefix"),
	    &room);
	struct api_call *call;

	if (filter.n > in->app->set->max_channel_name) {
		request_answer(in->req, 200, NULL, NULL,
		    B("{\"channels\":{}}"));
		return;
	}
	call = api_call_new(in, 200);
	/* A row of this question does not hold the cached event. */
	call->info = info_param(in) & ~(unsigned)INFO_CACHE;
	buf_str(&call->out, "{\"channels\":{");
	ask(call, QUERY_CHANNELS, filter, on_channels_row, on_channels_done);
}

/* ---- /channels/NAME ---------------------------------------------------- */

void
api_channel(const struct api_in *in)
{
	unsigned kind = channel_kind(in->name,
	    in->app->set->max_channel_name);
	struct api_call *call;

	if (kind & CHANNEL_BAD) {
		request_answer(in->req, 200, NULL, NULL,
		    B("{\"occupied\":false}"));
		return;
	}
	call = api_call_new(in, 200);
	api_ask_add(call, in->name, info_param(in) | INFO_OCCUPIED);
	api_ask(call);
}

/* ---- /channels/NAME/users ---------------------------------------------- */

/* The id with the JSON type it joined with. */
static void
on_users_row(struct query *q, const struct msg_row *row)
{
	struct api_call *call = call_of(q);
	struct json object, id = { .type = JSON_MISSING };
	const struct json_want wants[] = { { B("user_id"), &id } };
	const char *why;

	if (json_parse(row->member, &object, &why) == 0)
		json_pick(&object, wants, NELEM(wants));
	if (call->rows++ > 0)
		buf_char(&call->out, ',');
	buf_str(&call->out, "{\"id\":");
	if (id.type == JSON_MISSING)
		json_quote(&call->out, row->name);
	else
		buf_bytes(&call->out, id.raw);
	buf_char(&call->out, '}');
}

static void
on_users_done(struct query *q)
{
	struct api_call *call = call_of(q);

	if (call->rows == 0) {
		api_call_answer(call, 404, B("{}"));
		return;
	}
	buf_str(&call->out, "]}");
	api_call_finish(call);
}

void
api_users(const struct api_in *in)
{
	unsigned kind = channel_kind(in->name,
	    in->app->set->max_channel_name);
	struct api_call *call;

	if ((kind & CHANNEL_PRESENCE) == 0) {
		request_answer(in->req, 400, NULL, NULL, B("{}"));
		return;
	}
	call = api_call_new(in, 200);
	buf_str(&call->out, "{\"users\":[");
	ask(call, QUERY_USERS, in->name, on_users_row, on_users_done);
}

/* ---- /connections ------------------------------------------------------ */

static void
on_connections_row(struct query *q, const struct msg_row *row)
{
	struct api_call *call = call_of(q);

	if (call->rows++ == 0)
		buf_u64(&call->out, row->subscriptions);
}

static void
on_connections_done(struct query *q)
{
	struct api_call *call = call_of(q);

	buf_str(&call->out, call->rows == 0 ? "0}" : "}");
	api_call_finish(call);
}

/* As Reverb: connections that hold a subscription. */
void
api_connections(const struct api_in *in)
{
	struct api_call *call = api_call_new(in, 200);

	buf_str(&call->out, "{\"connections\":");
	ask(call, QUERY_CONNECTIONS, bytes_of(NULL, 0), on_connections_row,
	    on_connections_done);
}

/* ---- terminate --------------------------------------------------------- */

static void
on_kicked(struct waiter *w)
{
	struct api_call *call = container_of(w, struct api_call, waiter);

	api_call_answer(call, 200, B("{}"));
}

/* Only a signed-in user or a member can have this id; longer ones exist
 * nowhere. */
void
api_terminate(const struct api_in *in)
{
	struct api_call *call;

	if (api_busy(in))
		return;
	if (in->name.n > 128) {
		request_answer(in->req, 200, NULL, NULL, B("{}"));
		return;
	}
	call = api_call_new(in, 200);
	call->waiter.done = on_kicked;
	waiter_arm(&call->waiter, uplink_kick(in->app->id, in->name));
}
