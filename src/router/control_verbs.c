/* SPDX-License-Identifier: MIT
 *
 * What can be asked of a router: see control.h.
 *
 * Runs in: the router.
 */
#include "router/control.h"

#include <inttypes.h>

#include "common/channel_name.h"
#include "common/util.h"
#include "router/control_parts.h"
#include "router/inspect.h"
#include "router/overview.h"
#include "router/router.h"
#include "router/tap.h"

/* ---- what a request says ------------------------------------------------ */

/* Takes a number that may be left out; over most it is that.  -1: it is none. */
static int
number(const struct field *f, uint64_t most, uint64_t *n)
{
	if (json_absent(&f->token))
		return 0;
	if (json_u64(&f->token, n) < 0)
		return -1;
	if (*n > most)
		*n = most;
	return 0;
}

/* "123.456"; -1: it is not like that. */
static int
socket_id(struct bytes text, uint64_t *a, uint64_t *b)
{
	ptrdiff_t dot = bytes_find(text, '.');

	if (dot < 0 || bytes_u64(bytes_of(text.p, (size_t)dot), a) < 0 ||
	    bytes_u64(bytes_skip(text, (size_t)dot + 1), b) < 0)
		return -1;
	return *a <= UINT32_MAX && *b <= UINT32_MAX && (*a | *b) != 0 ? 0 : -1;
}

/* ---- lists -------------------------------------------------------------- */

static void
quote(struct buf *out, struct bytes text)
{
	json_quote(out, utf8_valid(text) ? text : B("?"));
}

/* A token as one line: JSON may have line ends between its parts. */
static void
add_token(struct buf *out, struct bytes token)
{
	size_t from = out->n;

	buf_bytes(out, token);
	for (size_t i = from; i < out->n; i++)
		if (out->p[i] == '\n' || out->p[i] == '\r')
			out->p[i] = ' ';
}

static void
row_of_channels(struct buf *out, const struct msg_row *row)
{
	buf_str(out, "{\"channel\":");
	quote(out, row->name);
	buf_str(out, ",\"subscriptions\":");
	buf_u64(out, row->subscriptions);
	buf_str(out, ",\"users\":");
	buf_u64(out, row->users);
	buf_str(out, "}\n");
}

/* Another host's word for a member may be anything. */
static void
row_of_users(struct buf *out, const struct msg_row *row)
{
	struct json v;
	const char *why;

	buf_str(out, "{\"id\":");
	quote(out, row->name);
	buf_str(out, ",\"member\":");
	if (row->member.n > 0 && json_parse(row->member, &v, &why) == 0)
		add_token(out, v.raw);
	else
		buf_str(out, "null");
	buf_str(out, "}\n");
}

static void
row_of_connections(struct buf *out, const struct msg_row *row)
{
	buf_str(out, "{\"app\":");
	quote(out, row->name);
	buf_str(out, ",\"open\":");
	buf_u64(out, row->users);
	buf_str(out, ",\"subscribed\":");
	buf_u64(out, row->subscriptions);
	buf_str(out, "}\n");
}

static void
to_row(void *to, uint64_t cookie, const struct msg_row *row)
{
	struct control *c = to;
	struct bytes part = buf_view(&c->match);

	(void)cookie;
	if (part.n > 0 && (row->name.n < part.n ||
	    memmem(row->name.p, row->name.n, part.p, part.n) == NULL))
		return;
	if (c->total++ < c->limit)
		c->verb->row(&c->sink.out, row);
}

static void
to_done(void *to, uint64_t cookie)
{
	struct control *c = to;

	(void)cookie;
	if (!c->counted) {
		sink_ok(&c->sink);
		return;
	}
	buf_fmt(&c->sink.out, "{\"ok\":true,\"total\":%" PRIu64 "}\n",
	    c->total);
	c->sink.ended = true;
}

static size_t
to_backlog(const void *to)
{
	const struct control *c = to;

	return sink_backlog(&c->sink);
}

static const struct answer_ops to_control = { to_row, to_done, to_backlog };

static void
ask(struct control *c, unsigned kind, const struct request *q,
    struct bytes name)
{
	answer_ask(c->router, kind, q->app_id, name, 0, &to_control, c);
}

static void
run_channels(struct control *c, const struct request *q)
{
	c->counted = true;
	c->limit = UINT64_MAX;
	if (number(&q->limit, UINT64_MAX, &c->limit) < 0) {
		sink_fail(&c->sink, "limit is a number");
		return;
	}
	buf_bytes(&c->match, q->match.text);
	ask(c, QUERY_CHANNELS, q, q->prefix.text);
}

static void
run_users(struct control *c, const struct request *q)
{
	c->limit = UINT64_MAX;
	ask(c, QUERY_USERS, q, q->channel.text);
}

static void
run_connections(struct control *c, const struct request *q)
{
	c->limit = UINT64_MAX;
	ask(c, QUERY_CONNECTIONS, q, B(""));
}

/* ---- single connections ------------------------------------------------- */

static void
add_missing(struct buf *out, const struct inspection_end *end)
{
	const char *comma = ",\"missing\":[";
	bool any = false;

	for (unsigned slot = 0; slot < INSPECT_SLOTS; slot++) {
		if (!(end->missing[slot / 64] >> slot % 64 & 1))
			continue;
		buf_fmt(out, "%s%u", comma, slot);
		comma = ",";
		any = true;
	}
	if (any)
		buf_char(out, ']');
}

/* rows: of all workers, in order. */
static void
inspected(void *to, const struct inspection_end *end)
{
	struct control *c = to;
	struct buf *out = &c->sink.out;

	c->inspection = NULL;
	buf_bytes(out, end->rows);
	buf_fmt(out, "{\"ok\":true,\"%s\":%" PRIu64, end->kick ? "closed" :
	    "total", end->total);
	add_missing(out, end);
	buf_str(out, "}\n");
	c->sink.ended = true;
}

static void
inspect(struct control *c, const struct msg_inspect *m, inspect_done *done)
{
	/* Workers are not heard any more. */
	if (c->router->elder.stage >= ELDER_YIELDS)
		sink_again(&c->sink, REPLACED);
	else
		c->inspection = inspect_begin(c->router, m, done, c);
}

static void
run_inspect(struct control *c, const struct request *q)
{
	struct msg_inspect m = {
		.app = q->app_id, .channel = q->channel.text,
		.user = q->user.text, .limit = INSPECT_ROWS,
		.slow = q->slow.token.type == JSON_TRUE,
	};

	if (m.channel.n > NAME_MOST || m.user.n > NAME_MOST)
		sink_fail(&c->sink, "the name is too long");
	else if (number(&q->limit, INSPECT_ROWS_MAX, &m.limit) < 0)
		sink_fail(&c->sink, "limit is a number");
	else if (!json_absent(&q->socket.token) &&
	    socket_id(q->socket.text, &m.socket_a, &m.socket_b) < 0)
		sink_fail(&c->sink, "socket is two numbers: \"123.456\"");
	else
		inspect(c, &m, inspected);
}

void
control_kick(struct control *c)
{
	passage_kick(c->router, NULL, &(struct msg_kick){
	    .app = buf_view(&c->app), .user = buf_view(&c->user) });
}

/* The workers have counted them; others may have come since, somewhere. */
static void
counted(void *to, const struct inspection_end *end)
{
	struct control *c = to;
	struct buf *out = &c->sink.out;
	struct census *all = census_find(c->router, buf_view(&c->app));

	c->inspection = NULL;
	buf_fmt(out, "{\"ok\":true,\"closed\":%" PRIu64, end->total);
	if (!carrier_alone(c->router))
		buf_fmt(out, ",\"elsewhere\":%" PRIu64,
		    all != NULL ? users_away(all, buf_view(&c->user)) : 0);
	add_missing(out, end);
	buf_str(out, "}\n");
	c->sink.ended = true;
	control_kick(c);
}

static void
run_terminate(struct control *c, const struct request *q)
{
	struct msg_inspect m = { .app = q->app_id, .user = q->user.text };

	if (m.user.n == 0 || m.user.n > NAME_MOST) {
		sink_fail(&c->sink, "a user is needed");
		return;
	}
	buf_bytes(&c->app, m.app);
	buf_bytes(&c->user, m.user);
	inspect(c, &m, counted);
}

static void
run_kick(struct control *c, const struct request *q)
{
	struct msg_inspect m = { .app = q->app_id, .kick = 1 };

	if (json_absent(&q->socket.token))
		run_terminate(c, q);
	else if (socket_id(q->socket.text, &m.socket_a, &m.socket_b) < 0)
		sink_fail(&c->sink, "socket is two numbers: \"123.456\"");
	else
		inspect(c, &m, inspected);
}

/* ---- messages ----------------------------------------------------------- */

/* What the API would refuse, too; NULL: nothing. */
static const char *
not_to_publish(const struct request *q)
{
	const struct config_app *set = q->set;

	if (q->channel.text.n == 0 || q->event.text.n == 0)
		return "a channel and an event are needed";
	if (channel_kind(q->channel.text, set->max_channel_name) & CHANNEL_BAD)
		return "the channel's name is too long, or has characters that "
		    "no channel has";
	if (q->event.text.n > set->max_event_name)
		return "the event's name is too long";
	if (event_reserved(q->event.text))
		return "events that begin with pusher: or pusher_internal: are "
		    "the server's";
	if (q->data.token.type != JSON_STRING)
		return "data is a string";
	if (set->max_event_size > 0 && q->data.text.n > set->max_event_size)
		return "the data is larger than max_event_size";
	return NULL;
}

static void
run_publish(struct control *c, const struct request *q)
{
	const char *why = not_to_publish(q);
	struct router *r = c->router;
	struct msg_publish m = {
		.serial = r->own_serial + 1,
		.app = q->app_id, .channel = q->channel.text,
		.event = q->event.token.raw, .data = q->data.token.raw,
	};

	if (why != NULL) {
		sink_fail(&c->sink, why);
		return;
	}
	if (is_cache_channel(m.channel))
		m.flags = PUBLISH_CACHE;
	r->own_serial++;
	passage_publish(r, NULL, &m);
	sink_ok(&c->sink);
}

/* Bits for a list of names, or for all without one; 0 with a reason. */
static unsigned
kinds_of(const struct field *f, const char **why)
{
	unsigned bits = 0;
	size_t pos = 0;
	struct json key, name;
	struct buf room = { 0 };

	*why = "kinds is a list of names";
	if (json_absent(&f->token))
		return (1u << TAP_KINDS) - 1;
	if (f->token.type != JSON_ARRAY)
		return 0;
	while (json_next(&f->token, &pos, &key, &name)) {
		int kind = -1;

		buf_clear(&room);
		if (name.type == JSON_STRING)
			kind = tap_kind(json_text(&name, &room));
		if (kind < 0) {
			*why = tap_no_kind();
			bits = 0;
			break;
		}
		bits |= 1u << kind;
	}
	buf_done(&room);
	return bits;
}

static void
run_tail(struct control *c, const struct request *q)
{
	struct tap_wish wish = { .app = q->app_id,
	    .channel = q->channel.text, .data = TAP_DATA };
	const char *why;

	if (c->router->elder.stage >= ELDER_YIELDS) {
		sink_again(&c->sink, REPLACED);
		return;
	}
	wish.kinds = kinds_of(&q->kinds, &why);
	if (wish.channel.n > NAME_MOST)
		why = "the name is too long";
	else if (number(&q->data, TAP_DATA_MAX, &wish.data) < 0)
		why = "data is a number of octets";
	else if (wish.kinds != 0 && (c->tap = tap_open(c->router, &c->sink,
	    &wish)) == NULL)
		why = "there are too many tails";
	if (c->tap == NULL)
		sink_fail(&c->sink, why);
}

/* ---- hosts -------------------------------------------------------------- */

static void
run_backplane(struct control *c, const struct request *q)
{
	(void)q;
	overview_write(c->router, &c->sink.out);
	c->sink.ended = true;
}

static void
run_hosts(struct control *c, const struct request *q)
{
	(void)q;
	overview_hosts(c->router, &c->sink.out);
	sink_ok(&c->sink);
}

static const struct verb verbs[] = {
	{ BYTES("channels"), run_channels, row_of_channels, OF_APP },
	{ BYTES("users"), run_users, row_of_users, OF_APP },
	{ BYTES("connections"), run_connections, row_of_connections, OF_APP },
	{ BYTES("inspect"), run_inspect, NULL, OF_ANY_APP },
	{ BYTES("kick"), run_kick, NULL, OF_APP },
	{ BYTES("terminate"), run_terminate, NULL, OF_APP },
	{ BYTES("publish"), run_publish, NULL, OF_APP },
	{ BYTES("tail"), run_tail, NULL, OF_APP },
	{ BYTES("backplane"), run_backplane, NULL, OF_HOST },
	{ BYTES("hosts"), run_hosts, NULL, OF_HOST },
};

const struct verb *
verb_find(struct bytes name)
{
	for (size_t i = 0; i < NELEM(verbs); i++)
		if (bytes_eq(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}
