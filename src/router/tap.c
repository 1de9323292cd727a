/* SPDX-License-Identifier: MIT
 *
 * Live tails of events.
 *
 * Runs in: the router.
 */
#include "router/tap.h"

#include <inttypes.h>
#include <stdlib.h>

#include <event2/event.h>

#include "common/counters.h"
#include "common/json.h"
#include "common/log.h"
#include "common/util.h"
#include "router/router.h"
#include "router/sink.h"

#define NAME_SHOWN	1000	/* octets of an event's or a user's name */
#define VERSION		6	/* MSG_VERSION of workers that know of tails */
#define SOON		(16u << 10)	/* octets that wait for no others */

struct tap {
	LIST_ENTRY(tap)	 link;
	struct router	*router;
	struct sink	*sink;
	struct buf	 app, channel;
	bool		 is_prefix;	/* channel is one */
	unsigned	 kinds;
	size_t		 data;
	uint64_t	 second;	/* in which */
	unsigned	 lines;		/* so many were told */
	uint64_t	 dropped;	/* and these were not */
};

static const struct bytes names[TAP_KINDS] = {
	[TAP_PUBLISHED] = BYTES("published"),
	[TAP_CLIENT_EVENT] = BYTES("client_event"),
	[TAP_OCCUPIED] = BYTES("occupied"),
	[TAP_VACATED] = BYTES("vacated"),
	[TAP_MEMBER_ADDED] = BYTES("member_added"),
	[TAP_MEMBER_REMOVED] = BYTES("member_removed"),
	[TAP_OPENED] = BYTES("opened"),
	[TAP_CLOSED] = BYTES("closed"),
};

/* Text, or a JSON token. */
struct part {
	struct bytes	p;
	bool		is_json;
};

/* Something that happened; what is empty has no field. */
struct happening {
	enum tap_kind	kind;
	struct bytes	app, channel;
	struct part	event, data, user;
	bool		is_octets;	/* data is no text */
	uint64_t	socket_a, socket_b;
};

int
tap_kind(struct bytes name)
{
	for (int i = 0; i < TAP_KINDS; i++)
		if (bytes_eq(name, names[i]))
			return i;
	return -1;
}

const char *
tap_no_kind(void)
{
	static struct buf text;

	buf_clear(&text);
	buf_str(&text, "there is no such kind of event; there are ");
	for (int i = 0; i < TAP_KINDS; i++) {
		buf_str(&text, i != 0 ? ", " : "");
		buf_bytes(&text, names[i]);
	}
	return buf_cstr(&text);
}

/* ---- life --------------------------------------------------------------- */

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct router *r = arg;

	(void)fd, (void)what;
	r->taps.armed = false;
	r->taps.due = true;
}

void
taps_init(struct router *r)
{
	LIST_INIT(&r->taps.all);
	r->taps.timer = event_new(r->base, -1, 0, on_timer, r);
	if (r->taps.timer == NULL)
		fatal("no timer");
}

void
taps_done(struct router *r)
{
	event_free(r->taps.timer);
	buf_done(&r->taps.token);
	buf_done(&r->taps.text);
}

/* ---- what workers tell ---------------------------------------------------- */

/* Connections that open, or close. */
static bool
wants(const struct tap *t, enum tap_kind kind)
{
	return (t->kinds & 1u << kind) != 0 && t->is_prefix &&
	    t->channel.n == 0;
}

/* Somebody else, of the same application? */
static bool
wanted_beside(const struct taps *ts, const struct tap *t, enum tap_kind kind)
{
	const struct tap *other;

	LIST_FOREACH(other, &ts->all, link)
		if (other != t && wants(other, kind) &&
		    bytes_eq(buf_view(&other->app), buf_view(&t->app)))
			return true;
	return false;
}

static struct msg_strings
apps_of(const struct taps *ts, enum tap_kind kind,
    struct bytes to[TAPS_MAX])
{
	struct msg_strings all = { to, 0 };
	const struct tap *t;

	LIST_FOREACH(t, &ts->all, link)
		if (wants(t, kind))
			to[all.n++] = buf_view(&t->app);
	return all;
}

static void
greet(struct peer *p, struct msg_strings opened, struct msg_strings closed)
{
	if (p->hello && !p->gone && p->version >= VERSION)
		msg_pack_tailed(ipc_out(p->ipc), &(struct msg_tailed){
		    .opened_out = opened, .closed_out = closed });
}

void
taps_greet(struct router *r, struct peer *p)
{
	struct bytes opened[TAPS_MAX], closed[TAPS_MAX];
	struct msg_strings o = apps_of(&r->taps, TAP_OPENED, opened),
	    c = apps_of(&r->taps, TAP_CLOSED, closed);

	if (o.n + c.n > 0)
		greet(p, o, c);
}

/* One that wants connections has come, or goes. */
static void
tell_workers(const struct tap *t)
{
	struct bytes opened[TAPS_MAX], closed[TAPS_MAX];
	const struct taps *ts = &t->router->taps;
	struct msg_strings o, c;
	struct peer *p;

	if ((!wants(t, TAP_OPENED) || wanted_beside(ts, t, TAP_OPENED)) &&
	    (!wants(t, TAP_CLOSED) || wanted_beside(ts, t, TAP_CLOSED)))
		return;
	o = apps_of(ts, TAP_OPENED, opened);
	c = apps_of(ts, TAP_CLOSED, closed);
	TAILQ_FOREACH(p, &t->router->peers, link)
		greet(p, o, c);
}

/* ---- opening and closing --------------------------------------------------- */

struct tap *
tap_open(struct router *r, struct sink *sink, const struct tap_wish *wish)
{
	struct bytes channel = wish->channel;
	struct tap *t;

	if (r->taps.n == TAPS_MAX)
		return NULL;
	t = xcalloc(1, sizeof(*t));
	t->router = r;
	t->sink = sink;
	t->is_prefix = channel.n == 0 || channel.p[channel.n - 1] == '*';
	if (t->is_prefix && channel.n > 0)
		channel.n--;
	buf_bytes(&t->app, wish->app);
	buf_bytes(&t->channel, channel);
	t->kinds = wish->kinds;
	t->data = wish->data;
	LIST_INSERT_HEAD(&r->taps.all, t, link);
	counter.tails = ++r->taps.n;
	tell_workers(t);
	return t;
}

void
tap_close(struct tap *t)
{
	LIST_REMOVE(t, link);
	counter.tails = --t->router->taps.n;
	tell_workers(t);
	buf_done(&t->app);
	buf_done(&t->channel);
	free(t);
}

/* ---- lines -------------------------------------------------------------- */

/* The first n octets or a little fewer: whole characters. */
static struct bytes
cut(struct bytes text, size_t n)
{
	if (text.n <= n)
		return text;
	while (n > 0 && ((unsigned char)text.p[n] & 0xc0) == 0x80)
		n--;
	return bytes_of(text.p, n);
}

/* Octets of the escape at p, which has n octets to its end: a pair of \u for
 * one character is one. */
static size_t
escape_length(const char *p, size_t n)
{
	if (n < 6 || p[1] != 'u')
		return 2;
	if (n >= 12 && (p[2] | 0x20) == 'd' && strchr("89abAB", p[3]) != NULL)
		return 12;
	return 6;
}

/* The beginning of a string token, with its quotes, that stands for want octets
 * of text or a little more. */
static struct bytes
token_begin(struct buf *room, struct bytes token, size_t want)
{
	size_t at = 1, end = token.n - 1, have = 0;

	while (at < end && have <= want) {
		size_t step = token.p[at] == '\\' ?
		    escape_length(token.p + at, end - at) : 1;

		if (step > end - at)
			break;
		have += step == 12 ? 4 : 1;
		at += step;
	}
	buf_clear(room);
	if (at < end)
		buf_bytes(room, cut(token, at));
	else
		buf_add(room, token.p, at);
	buf_char(room, '"');
	return buf_view(room);
}

/* The text of a string, else the token itself; only its beginning, more than n
 * octets if there are more.  Another host may have sent what is none. */
static struct bytes
token_text(struct taps *ts, struct bytes token, size_t n)
{
	struct bytes part;
	struct json v;
	const char *why;

	if (token.n < 2 || token.p[0] != '"')
		return token;
	part = token_begin(&ts->token, token, n);
	if (json_parse(part, &v, &why) < 0 || v.type != JSON_STRING)
		return token;
	buf_clear(&ts->text);
	return json_text(&v, &ts->text);
}

static void
quote(struct buf *out, struct bytes text)
{
	json_quote(out, utf8_valid(text) ? text : B("?"));
}

static void
add_name(struct buf *out, const char *name, struct bytes text)
{
	if (text.n == 0)
		return;
	buf_fmt(out, ",\"%s\":", name);
	quote(out, cut(text, NAME_SHOWN));
}

static struct bytes
part_text(struct tap *t, const struct part *part, size_t n)
{
	return part->is_json ? token_text(&t->router->taps, part->p, n)
	    : part->p;
}

static void
add_data(struct tap *t, struct buf *out, const struct happening *h)
{
	struct bytes text, shown;

	if (t->data == 0 || h->data.p.n == 0)
		return;
	if (h->is_octets) {
		buf_fmt(out, ",\"data\":\"(%zu octets)\",\"binary\":true",
		    h->data.p.n);
		return;
	}
	text = part_text(t, &h->data, t->data);
	shown = cut(text, t->data);
	buf_str(out, ",\"data\":");
	quote(out, shown);
	if (shown.n < text.n)
		buf_fmt(out, ",\"length\":%zu", h->data.p.n);
}

static void
add_line(struct tap *t, const struct happening *h)
{
	struct buf *out = &t->sink->out;

	buf_fmt(out, "{\"time\":%" PRIu64, clock_wall_ms());
	add_name(out, "app", h->app);
	add_name(out, "kind", names[h->kind]);
	add_name(out, "channel", h->channel);
	add_name(out, "event", part_text(t, &h->event, NAME_SHOWN));
	add_data(t, out, h);
	add_name(out, "user", part_text(t, &h->user, NAME_SHOWN));
	if (h->socket_a != 0 || h->socket_b != 0)
		buf_fmt(out, ",\"socket_id\":\"%" PRIu64 ".%" PRIu64 "\"",
		    h->socket_a, h->socket_b);
	buf_str(out, "}\n");
}

/* ---- who is told -------------------------------------------------------- */

static bool
is_wanted(const struct tap *t, enum tap_kind kind, struct bytes app,
    struct bytes channel)
{
	struct bytes name = buf_view(&t->channel);

	return (t->kinds & 1u << kind) != 0 &&
	    bytes_eq(app, buf_view(&t->app)) &&
	    (t->is_prefix ? bytes_starts(channel, name)
	    : bytes_eq(channel, name));
}

static void
tell_dropped(struct tap *t)
{
	if (t->dropped == 0)
		return;
	buf_fmt(&t->sink->out, "{\"dropped\":%" PRIu64 "}\n", t->dropped);
	t->dropped = 0;
}

/* Within its limits? */
static bool
has_room(struct tap *t)
{
	uint64_t second = t->router->now / 1000;

	if (t->second != second) {
		t->second = second;
		t->lines = 0;
	}
	if (t->lines < TAP_RATE && sink_backlog(t->sink) < TAP_WAITING) {
		t->lines++;
		tell_dropped(t);
		return true;
	}
	t->dropped++;
	counter.tails_dropped++;
	return false;
}

/* So that what waits leaves, whatever else happens. */
static void
wake(struct taps *ts)
{
	struct timeval soon = { 0, TAP_EVERY * 1000 };

	if (ts->armed)
		return;
	ts->armed = true;
	event_add(ts->timer, &soon);
}

static void
tell(struct router *r, const struct happening *h)
{
	struct tap *t;

	LIST_FOREACH(t, &r->taps.all, link) {
		if (!is_wanted(t, h->kind, h->app, h->channel) || !has_room(t))
			continue;
		add_line(t, h);
		wake(&r->taps);
	}
}

/* ---- what happens ------------------------------------------------------- */

void
tap_message(struct router *r, const struct msg_publish *m)
{
	bool client = (m->flags & PUBLISH_CLIENT) != 0;
	struct happening h = {
		.kind = client ? TAP_CLIENT_EVENT : TAP_PUBLISHED,
		.app = m->app, .channel = m->channel,
		.event = { m->event, true }, .user = { m->user, true },
		.data = { m->data, (m->flags & PUBLISH_TEXT) == 0 },
		.is_octets = (m->flags & PUBLISH_BINARY) != 0,
	};

	/* A server may leave out anybody; a client is left out itself. */
	if (client) {
		h.socket_a = m->except_a;
		h.socket_b = m->except_b;
	}
	tell(r, &h);
}

void
tap_channel(struct route *t, bool occupied)
{
	tell(t->census->router, &(struct happening){
	    .kind = occupied ? TAP_OCCUPIED : TAP_VACATED,
	    .app = t->census->app, .channel = route_name(t) });
}

void
tap_member(struct route *t, const struct member *who, bool present)
{
	tell(t->census->router, &(struct happening){
	    .kind = present ? TAP_MEMBER_ADDED : TAP_MEMBER_REMOVED,
	    .app = t->census->app, .channel = route_name(t),
	    .user = { member_user(who), false },
	    .data = { member_object(who), true } });
}

void
tap_connection(struct router *r, const struct msg_connection *m)
{
	tell(r, &(struct happening){
	    .kind = m->open ? TAP_OPENED : TAP_CLOSED, .app = m->app,
	    .user = { m->user, false }, .data = { m->why, false },
	    .socket_a = m->socket_a, .socket_b = m->socket_b });
}

/* ---- turns -------------------------------------------------------------- */

bool
tap_due(const struct tap *t)
{
	return t->router->taps.due || sink_backlog(t->sink) >= SOON;
}

void
taps_turn(struct router *r)
{
	r->taps.due = false;
}

void
taps_tick(struct router *r)
{
	struct tap *t;

	LIST_FOREACH(t, &r->taps.all, link)
		if (sink_backlog(t->sink) < TAP_WAITING)
			tell_dropped(t);
	r->taps.due = r->taps.n != 0;
}
