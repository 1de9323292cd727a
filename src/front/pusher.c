/* SPDX-License-Identifier: MIT
 *
 * Pusher protocol 7: the life of a connection.  Greeting, the way into each
 * message, pings, time-outs, the reason for closing.
 *
 * Text and binary frames are read alike, as Reverb does: what counts is that a
 * message is JSON, and that is checked to be UTF-8.  Protocols 5 and 6 differ
 * from 7 in nothing that a server sees (the Java and .NET clients say 5); no
 * `protocol` at all is taken as 7, as Reverb's users rely on.
 *
 * Runs in: workers.
 */
#include "common/counters.h"
#include "common/util.h"
#include "front/pusher.h"
#include "worker/app.h"
#include "worker/worker.h"

static void
trace(const struct client *c, const char *what, struct bytes more)
{
	char room[24];

	if (worker.config != NULL && worker.config->debug)
		worker_trace(what, bytes_str(client_socket_id(c, room)), more);
}

/* ---- opening ----------------------------------------------------------- */

/* Is it /app/KEY? */
static bool
good_path(struct bytes path)
{
	return bytes_starts(path, B("/app/")) && path.n > 5 &&
	    bytes_find(bytes_skip(path, 5), '/') < 0;
}

/* A handshake that only misses the path is told so (4005): a browser cannot
 * see a 404. */
static unsigned
pusher_match(const struct http_request *req, struct bytes path)
{
	return good_path(path) || (req->upgrade.n > 0 &&
	    (bytes_eq(path, B("/app")) || bytes_starts(path, B("/app/")))) ?
	    FRONT_WS : 0;
}

static enum close_reason
check_protocol(struct bytes query)
{
	struct bytes name, value;
	enum close_reason reason = CLOSE_NONE;
	uint64_t version;
	size_t pos = 0;

	while (http_query_next(query, &pos, &name, &value)) {
		if (!bytes_eq(name, B("protocol")))
			continue;
		if (bytes_u64(value, &version) != 0)
			reason = CLOSE_BAD_VERSION;
		else if (version < 5 || version > 7)
			reason = CLOSE_BAD_PROTOCOL;
		else
			reason = CLOSE_NONE;
	}
	return reason;
}

/* The app of /app/KEY. */
static struct app *
find_app(struct bytes path)
{
	static struct buf key;

	buf_clear(&key);
	if (http_decode(bytes_skip(path, 5), false, &key) != 0)
		return NULL;
	return app_by_key(buf_view(&key));
}

static enum close_reason
check_open(struct client *c, const struct http_request *req,
    struct bytes path)
{
	enum close_reason reason = check_protocol(req->query);

	if (!good_path(path))
		return CLOSE_NO_PATH;
	if (reason != CLOSE_NONE)
		return reason;
	if ((c->app = find_app(path)) == NULL)
		return CLOSE_NO_APP;
	if (!c->app->set->enabled)
		return CLOSE_APP_DISABLED;
	if (!app_origin_allowed(c->app, req->has_origin, req->origin))
		return CLOSE_ORIGIN;
	return CLOSE_NONE;
}

static void
pusher_open(struct client *c, const struct http_request *req,
    struct bytes path)
{
	enum close_reason reason;

	c->state.socket_a = random_1_to(SOCKET_ID_MAX);
	c->state.socket_b = random_1_to(SOCKET_ID_MAX);
	reason = check_open(c, req, path);
	if (reason != CLOSE_NONE)
		client_close(c, reason);
	else
		client_enter(c);
}

static void
pusher_granted(struct client *c, bool allowed)
{
	if (!allowed) {
		client_close(c, CLOSE_OVER_QUOTA);
		return;
	}
	trace(c, "Connection Established", B(""));
	pusher_send_established(c);
}

/* ---- messages ---------------------------------------------------------- */

/* Answers nothing but itself; any message counts as life. */
static int
on_pong(struct client *c, const struct pusher_in *in)
{
	(void)c;
	(void)in;
	return 0;
}

static int
on_ping(struct client *c, const struct pusher_in *in)
{
	(void)in;
	pusher_send_pong(c);
	return 0;
}

static const struct {
	struct bytes	 name;
	int		(*handle)(struct client *, const struct pusher_in *);
} events[] = {
	{ BYTES("pusher:ping"),		on_ping },
	{ BYTES("pusher:pong"),		on_pong },
	{ BYTES("pusher:subscribe"),	pusher_subscribe },
	{ BYTES("pusher:unsubscribe"),	pusher_unsubscribe },
	{ BYTES("pusher:signin"),	pusher_signin },
};

/* Any other event is dropped without a word if it is shaped like one, as
 * Reverb does. */
static int
on_other(const struct pusher_in *in)
{
	if (in->channel.type != JSON_STRING || in->channel.raw.n <= 2)
		return -1;
	switch (in->inner.type) {
	case JSON_MISSING:
	case JSON_NULL:
	case JSON_OBJECT:
	case JSON_ARRAY:
		return 0;
	default:
		return -1;
	}
}

static int
dispatch(struct client *c, const struct pusher_in *in)
{
	size_t i;

	for (i = 0; i < NELEM(events); i++)
		if (bytes_eq(in->name, events[i].name))
			return events[i].handle(c, in);
	if (bytes_starts(in->name, B("client-")))
		return pusher_client_event(c, in);
	if (bytes_starts(in->name, B("pusher:")))
		return -1;
	return on_other(in);
}

/* An object with an event; data may be JSON inside a string. */
static int
read_message(struct bytes text, struct pusher_in *in)
{
	static struct buf name, data;
	const struct json_want wants[] = {
		{ B("event"), &in->event },
		{ B("channel"), &in->channel },
		{ B("data"), &in->data },
	};
	struct json root;
	const char *why;

	if (json_read(text, &root, wants, NELEM(wants), &why) != 0 ||
	    in->event.type != JSON_STRING)
		return -1;
	buf_reuse(&name);
	in->name = json_text(&in->event, &name);
	in->inner = in->data;
	/* The data of a client event is nobody's to look into. */
	if (in->data.type == JSON_STRING &&
	    !bytes_starts(in->name, B("client-"))) {
		buf_reuse(&data);
		if (json_parse(json_text(&in->data, &data), &in->inner,
		    &why) != 0)
			in->inner = in->data;
	}
	return in->name.n > 0 ? 0 : -1;
}

/* A window starts with its first message (Reverb's fixed window). */
static bool
over_rate(struct client *c)
{
	const struct config_app *set = c->app->set;
	uint32_t now = (uint32_t)worker.now_ms;

	if (!set->rate_limiting)
		return false;
	if (c->state.window_count == 0 ||
	    now - c->state.window_start >= set->rate_limit_window) {
		c->state.window_start = now;
		c->state.window_count = 0;
	}
	if (c->state.window_count >= set->rate_limit_attempts)
		return true;
	c->state.window_count++;
	return false;
}

static void
pusher_input(struct client *c, enum websocket_kind kind, struct bytes text)
{
	struct pusher_in in;

	(void)kind;
	trace(c, "Message Received", text);
	if (over_rate(c)) {
		counter.rate_limited++;
		pusher_error(c, 4301, B("Rate limit exceeded"));
		if (c->app->set->rate_limit_terminate)
			client_close(c, CLOSE_RATE_LIMIT);
		return;
	}
	if (read_message(text, &in) != 0 || dispatch(c, &in) != 0) {
		pusher_error(c, 4200, B("Invalid message format"));
		return;
	}
	trace(c, "Message Handled", B(""));
}

/* ---- time -------------------------------------------------------------- */

static void
ping(struct client *c)
{
	if (c->state.control_pings)
		client_send_ping(c);
	else
		pusher_send_ping(c);
}

static void
pusher_tick(struct client *c, uint32_t now)
{
	uint64_t limit;

	if (c->app == NULL)
		return;
	/* Whole seconds, a part of one more counts. */
	limit = (c->app->set->authorization_timeout + 999) / 1000;
	if (limit > 0 && !c->state.authorized &&
	    now - c->state.opened >= limit)
		client_close(c, CLOSE_UNAUTHORIZED);
	else
		client_check_silence(c, c->app->set->ping_interval, now, ping);
}

/* Older clients read the code from here, newer ones from the close frame. */
static void
pusher_closing(struct client *c, enum close_reason reason)
{
	const struct close_info *info = &close_info[reason];

	/* 43xx is no code to close with: that reason was told already. */
	if (info->wire >= 4000 && reason != CLOSE_RATE_LIMIT)
		pusher_error(c, info->wire, bytes_str(info->words));
}

/* Compressed with some window, or 0: not at all. */
static unsigned
pusher_variant(const struct client *c)
{
	return c->state.window_bits;
}

const struct front front_pusher = {
	.name = "pusher",
	.flags = FRONT_WS,
	.match = pusher_match,
	.open = pusher_open,
	.granted = pusher_granted,
	.input = pusher_input,
	.variant = pusher_variant,
	.encode = pusher_encode,
	.subscribed = pusher_subscribed,
	.watch = pusher_watch,
	.tick = pusher_tick,
	.closing = pusher_closing,
};
