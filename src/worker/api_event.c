/* SPDX-License-Identifier: MIT
 *
 * The API's way to publish: POST events, batch_events and the old
 * channels/NAME/events.  A body is parsed once; name and data go on as the
 * tokens they were written as.  Everything is checked (api_check.c) before
 * anything is published; the answer goes out when the router has acknowledged
 * the last message.
 *
 * The parameters of one event may also stand in the query; the body wins.
 *
 * Runs in: workers.
 */
#include "worker/api_event.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/util.h"
#include "worker/api_call.h"
#include "worker/channel.h"
#include "worker/usage.h"
#include "worker/worker.h"

/* ---- reading ----------------------------------------------------------- */

/* Members of b where a has none. */
static void
event_fill(struct event *a, const struct event *b)
{
	struct json *to[] = { &a->name, &a->data, &a->channels, &a->channel,
	    &a->socket_id, &a->info };
	const struct json *from[] = { &b->name, &b->data, &b->channels,
	    &b->channel, &b->socket_id, &b->info };
	size_t i;

	for (i = 0; i < NELEM(to); i++)
		if (to[i]->type == JSON_MISSING)
			*to[i] = *from[i];
}

/* The place where a next member's name goes. */
static void
add_key(struct buf *out, const char *name)
{
	buf_fmt(out, "%s\"%s\":", out->n > 1 ? "," : "", name);
}

static void
add_param(struct buf *out, const struct params *ps, const char *name)
{
	static struct buf room;
	struct bytes value = params_get(ps, bytes_str(name), &room);

	if (value.p == NULL)
		return;
	add_key(out, name);
	json_quote(out, value);
}

static void
add_channels(struct buf *out, const struct params *ps)
{
	bool any = false;
	size_t i;

	for (i = 0; i < ps->n; i++) {
		if (!ps->at[i].list ||
		    !bytes_eq(ps->at[i].name, B("channels")))
			continue;
		if (!any)
			add_key(out, "channels");
		buf_char(out, any ? ',' : '[');
		json_quote(out, ps->at[i].value);
		any = true;
	}
	if (any)
		buf_char(out, ']');
}

/* Most have only what belongs to the signature. */
static bool
has_event(const struct params *ps)
{
	size_t i = 0;

	while (i < ps->n && (bytes_starts(ps->at[i].name, B("auth_")) ||
	    bytes_eq(ps->at[i].name, B("body_md5"))))
		i++;
	return i < ps->n;
}

/* The event that the query describes; good until the next call. */
static void
event_of_query(struct event *e, const struct params *ps)
{
	static const char *const names[] = {
		"name", "data", "channel", "socket_id", "info",
	};
	static struct buf text;
	size_t i;

	*e = (struct event){ .name = { .type = JSON_MISSING } };
	if (!has_event(ps))
		return;
	buf_reuse(&text);
	buf_char(&text, '{');
	for (i = 0; i < NELEM(names); i++)
		add_param(&text, ps, names[i]);
	add_channels(&text, ps);
	buf_char(&text, '}');
	event_parse(e, buf_view(&text));
}

/* ---- refusing ---------------------------------------------------------- */

static void
refuse_body(const struct api_in *in)
{
	request_refuse(in->req, 400, "The body must be a JSON object.");
}

/* The body's object; JSON_MISSING if there is no body.  False: answered. */
static bool
read_body(const struct api_in *in, struct json *body)
{
	const char *why;

	body->type = JSON_MISSING;
	if (in->req->body.n == 0)
		return true;
	if (json_parse(in->req->body, body, &why) == 0 &&
	    body->type == JSON_OBJECT)
		return true;
	refuse_body(in);
	return false;
}

static void
refuse_size(const struct api_in *in)
{
	char words[100];

	snprintf(words, sizeof(words), "The data of an event must not be "
	    "larger than %" PRIu64 " octets.", in->app->set->max_event_size);
	request_refuse(in->req, 413, words);
}

/* Data is copied for each channel: a large event to many channels must not
 * fill the memory.  A body that was made a JSON string may be larger than a
 * message can be. */
static bool
fills_window(const struct event *e)
{
	uint64_t window = worker.config->router.publish_window, n = 0;
	struct json item;
	size_t pos = 0;

	if (e->data.raw.n > MSG_MAX)
		return true;
	while (e->channels.type == JSON_ARRAY &&
	    json_next(&e->channels, &pos, NULL, &item))
		n++;
	return n > 1 && e->data.raw.n > window / n;
}

static bool
refused_for_window(const struct api_in *in, const struct event *e)
{
	if (!fills_window(e))
		return false;
	request_refuse(in->req, 413, "The data, once for each channel, is too "
	    "large.");
	return true;
}

/* The last look before publishing; true if it was answered. */
static bool
refused(const struct api_in *in, struct buf *errors, bool too_large)
{
	if (errors->n > 0) {
		buf_char(errors, '}');
		request_answer(in->req, 422, NULL, NULL, buf_view(errors));
		return true;
	}
	if (too_large) {
		refuse_size(in);
		return true;
	}
	return api_busy(in);
}

/* ---- publishing -------------------------------------------------------- */

static uint64_t
publish(struct app *app, const struct event *e,
    const struct json *channel)
{
	struct msg_publish m = {
		.app = app->id, .event = e->name.raw, .data = e->data.raw,
	};

	event_socket(event_text(&e->socket_id), &m.except_a, &m.except_b);
	m.channel = event_text(channel);
	if (channel_kind(m.channel, app->set->max_channel_name) &
	    CHANNEL_CACHE)
		m.flags |= PUBLISH_CACHE;
	usage_of(app, NULL)->published++;
	return uplink_publish(&m);
}

static void
on_published(struct waiter *w)
{
	struct api_call *call = container_of(w, struct api_call, waiter);

	if (call->ask.n > 0)
		api_ask(call);
	else
		api_call_answer(call, call->status, call->tail);
}

static void
wait_for(struct api_call *call, uint64_t serial)
{
	call->publishes = true;
	call->waiter.done = on_published;
	waiter_arm(&call->waiter, serial);
}

static unsigned
info_of(const struct event *e)
{
	return api_info(event_text(&e->info));
}

/* ---- POST events ------------------------------------------------------- */

/* Each channel gets its line in the answer if info was asked. */
static void
events_run(const struct api_in *in, const struct event *e)
{
	struct api_call *call = api_call_new(in, 200);
	bool info = e->info.type == JSON_STRING;
	unsigned mask = info_of(e);
	struct json item = e->channel;
	size_t pos = 0;
	bool list = e->channels.type == JSON_ARRAY &&
	    json_next(&e->channels, &pos, NULL, &item);
	uint64_t serial;

	do {
		serial = publish(in->app, e, &item);
		if (info)
			api_ask_add(call, event_text(&item), mask);
	} while (list && json_next(&e->channels, &pos, NULL, &item));
	call->tail = info ? B("}}") : B("{}");
	call->named = true;
	if (info)
		buf_str(&call->out, "{\"channels\":{");
	wait_for(call, serial);
}

void
api_events(const struct api_in *in)
{
	static struct buf errors;
	struct event e, from_query;

	event_of_query(&from_query, in->params);
	if (in->req->body.n == 0) {
		e = from_query;
	} else if (event_parse(&e, in->req->body) == 0) {
		event_fill(&e, &from_query);
	} else {
		refuse_body(in);
		return;
	}
	if (in->req->body.n == 0 && e.name.type == JSON_MISSING) {
		refuse_body(in);
		return;
	}
	if (event_channels_mixed(&e)) {
		request_refuse(in->req, 400, "The channels must be strings.");
		return;
	}
	buf_clear(&errors);
	event_check(&e, in->app, "", &errors);
	event_check_channels(&e, in->app, &errors);
	if (!refused(in, &errors, event_too_large(&e, in->app)) &&
	    !refused_for_window(in, &e))
		events_run(in, &e);
}

/* ---- POST batch_events ------------------------------------------------- */

static void
batch_check(const struct app *app, const struct json *batch,
    struct buf *errors, bool *too_large)
{
	struct json item;
	struct event e;
	char at[40];
	size_t pos = 0, n;

	for (n = 0; json_next(batch, &pos, NULL, &item); n++) {
		if (n == app->set->max_batch) {
			event_error_limit(errors, "", "batch", "must not have "
			    "more than", n, "items.");
			return;
		}
		event_read(&e, &item);
		snprintf(at, sizeof(at), "batch.%zu.", n);
		event_check(&e, app, at, errors);
		event_check_channel(&e, app, at, errors);
		*too_large |= event_too_large(&e, app);
	}
	if (n == 0)
		event_error(errors, "", "batch", "is required.");
}

/* {"batch":{}} if nobody asked for info (as Reverb), else a line for each. */
static void
batch_run(const struct api_in *in, const struct json *batch)
{
	struct api_call *call = api_call_new(in, 200);
	struct json item;
	struct event e;
	uint64_t serial = 0;
	size_t pos = 0;
	bool info = false;

	while (json_next(batch, &pos, NULL, &item)) {
		event_read(&e, &item);
		serial = publish(in->app, &e, &e.channel);
		info |= e.info.type == JSON_STRING;
	}
	for (pos = 0; info && json_next(batch, &pos, NULL, &item); ) {
		unsigned mask;

		event_read(&e, &item);
		mask = info_of(&e);
		api_ask_add(call, event_text(&e.channel), mask);
	}
	call->tail = info ? B("]}") : B("{\"batch\":{}}");
	if (info)
		buf_str(&call->out, "{\"batch\":[");
	wait_for(call, serial);
}

void
api_batch(const struct api_in *in)
{
	static struct buf errors;
	struct json body, batch;
	const struct json_want wants[] = { { B("batch"), &batch } };
	bool too_large = false;

	if (!read_body(in, &body))
		return;
	if (body.type == JSON_MISSING) {
		refuse_body(in);
		return;
	}
	json_pick(&body, wants, NELEM(wants));
	buf_clear(&errors);
	if (json_absent(&batch))
		event_error(&errors, "", "batch", "is required.");
	else if (batch.type != JSON_ARRAY)
		event_error(&errors, "", "batch", "must be an array.");
	else
		batch_check(in->app, &batch, &errors, &too_large);
	if (!refused(in, &errors, too_large))
		batch_run(in, &batch);
}

/* ---- POST channels/NAME/events ----------------------------------------- */

/* Of old: the body is the data itself, the rest stands in the query. */
void
api_channel_event(const struct api_in *in)
{
	static struct buf errors, data, channel;
	struct event e;
	struct api_call *call;
	const char *why;

	if (!utf8_valid(in->req->body)) {
		request_refuse(in->req, 400, "The body must be UTF-8.");
		return;
	}
	event_of_query(&e, in->params);
	buf_reuse(&data);
	buf_clear(&channel);
	json_quote(&data, in->req->body);
	json_quote(&channel, in->name);
	json_parse(buf_view(&data), &e.data, &why);
	json_parse(buf_view(&channel), &e.channel, &why);
	buf_clear(&errors);
	event_check(&e, in->app, "", &errors);
	event_check_channel(&e, in->app, "", &errors);
	if (refused(in, &errors, event_too_large(&e, in->app)) ||
	    refused_for_window(in, &e))
		return;
	call = api_call_new(in, 202);
	call->tail = B("{}");
	wait_for(call, publish(in->app, &e, &e.channel));
}
