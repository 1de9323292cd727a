/* SPDX-License-Identifier: MIT
 *
 * pealctl's questions to the router.
 *
 * Runs in: the router.
 */
#include "router/control.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/json.h"
#include "common/log.h"
#include "common/util.h"
#include "router/overview.h"
#include "router/router.h"

#define CONTROLS_MAX	64
#define PATIENCE	30000	/* ms without anything read */

struct control {
	LIST_ENTRY(control)	 link;
	struct router		*router;
	int			 fd;
	struct event		*on_write;	/* wakes the loop */
	struct buf		 out;
	size_t			 at;		/* written of out */
	uint64_t		 moved;		/* clock_ms(), last write */
	const struct verb	*verb;
	struct buf		 line;		/* the request, while routers
						   change */
	bool			 ended;		/* nothing more is added */
	bool			 dead;
};

/* A member of the request: its token and, if it is a string, its text. */
struct field {
	struct json	 token;
	struct buf	 room;
	struct bytes	 text;
};

struct request {
	struct field	 verb, app, prefix, channel, event, data, user;
	struct bytes	 app_id;
};

struct verb {
	struct bytes	 name;
	void		(*run)(struct control *, const struct request *);
	void		(*row)(struct buf *, const struct msg_row *);
	bool		 of_host;	/* of no application, and at any time */
};

/* ---- life --------------------------------------------------------------- */

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;	/* controls_turn() writes */
}

static void
control_free(struct control *c)
{
	answers_forget(c->router, c);
	LIST_REMOVE(c, link);
	c->router->n_controls--;
	event_free(c->on_write);
	close(c->fd);
	buf_done(&c->out);
	buf_done(&c->line);
	free(c);
}

static void
control_write(struct control *c)
{
	ssize_t n;

	while (!c->dead && c->at < c->out.n) {
		n = write(c->fd, c->out.p + c->at, c->out.n - c->at);
		if (n > 0) {
			c->at += (size_t)n;
			c->moved = c->router->now;
		} else if (n < 0 && errno == EAGAIN) {
			event_add(c->on_write, NULL);
			return;
		} else if (n == 0 || errno != EINTR) {
			c->dead = true;
		}
	}
	buf_clear(&c->out);
	c->at = 0;
}

void
controls_tick(struct router *r)
{
	struct control *c;

	LIST_FOREACH(c, &r->controls, link) {
		if (c->out.n > 0 && r->now >= c->moved + PATIENCE)
			c->dead = true;
	}
}

void
controls_done(struct router *r)
{
	while (!LIST_EMPTY(&r->controls))
		control_free(LIST_FIRST(&r->controls));
}

/* ---- answers ------------------------------------------------------------ */

static void
control_ok(struct control *c)
{
	buf_str(&c->out, "{\"ok\":true}\n");
	c->ended = true;
}

static void
control_fail(struct control *c, const char *why)
{
	buf_str(&c->out, "{\"ok\":false,\"error\":");
	json_quote(&c->out, bytes_str(why));
	buf_str(&c->out, "}\n");
	c->ended = true;
}

static void
quote(struct buf *out, struct bytes text)
{
	json_quote(out, utf8_valid(text) ? text : B("?"));
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

static void
row_of_users(struct buf *out, const struct msg_row *row)
{
	buf_str(out, "{\"id\":");
	quote(out, row->name);
	buf_str(out, ",\"member\":");
	buf_bytes(out, row->member.n > 0 ? row->member : B("null"));
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

	(void)cookie;
	c->verb->row(&c->out, row);
}

static void
to_done(void *to, uint64_t cookie)
{
	(void)cookie;
	control_ok(to);
}

static size_t
to_backlog(const void *to)
{
	const struct control *c = to;

	return c->out.n - c->at;
}

static const struct answer_ops to_control = { to_row, to_done, to_backlog };

/* ---- verbs -------------------------------------------------------------- */

static void
ask(struct control *c, unsigned kind, const struct request *q,
    struct bytes name)
{
	answer_ask(c->router, kind, q->app_id, name, 0, &to_control, c);
}

static void
run_channels(struct control *c, const struct request *q)
{
	ask(c, QUERY_CHANNELS, q, q->prefix.text);
}

static void
run_users(struct control *c, const struct request *q)
{
	ask(c, QUERY_USERS, q, q->channel.text);
}

static void
run_connections(struct control *c, const struct request *q)
{
	ask(c, QUERY_CONNECTIONS, q, B(""));
}

static void
run_publish(struct control *c, const struct request *q)
{
	struct router *r = c->router;
	struct msg_publish m = {
		.serial = r->own_serial + 1,
		.app = q->app_id, .channel = q->channel.text,
		.event = q->event.token.raw, .data = q->data.token.raw,
	};

	if (m.channel.n == 0 || m.channel.n > 1000 ||
	    q->event.text.n == 0) {
		control_fail(c, "a channel and an event are needed");
		return;
	}
	if (is_cache_channel(m.channel))
		m.flags = PUBLISH_CACHE;
	r->own_serial++;
	passage_publish(r, NULL, &m);
	control_ok(c);
}

static void
run_terminate(struct control *c, const struct request *q)
{
	struct msg_kick m = { .app = q->app_id, .user = q->user.text };

	if (m.user.n == 0 || m.user.n > 1000) {
		control_fail(c, "a user is needed");
		return;
	}
	passage_kick(c->router, NULL, &m);
	control_ok(c);
}

static void
run_backplane(struct control *c, const struct request *q)
{
	(void)q;
	overview_write(c->router, &c->out);
	c->ended = true;
}

static const struct verb verbs[] = {
	{ BYTES("channels"), run_channels, row_of_channels, false },
	{ BYTES("users"), run_users, row_of_users, false },
	{ BYTES("connections"), run_connections, row_of_connections, false },
	{ BYTES("publish"), run_publish, NULL, false },
	{ BYTES("terminate"), run_terminate, NULL, false },
	{ BYTES("backplane"), run_backplane, NULL, true },
};

/* ---- requests ----------------------------------------------------------- */

/* By id or label; the only one if none is named. */
static const char *
find_app(const struct config *set, struct request *q)
{
	struct bytes name = q->app.text;

	if (name.n == 0 && set->n_app == 1) {
		q->app_id = bytes_str(set->app[0].id);
		return NULL;
	}
	if (name.n == 0)
		return "there are several applications: name one";
	for (size_t i = 0; i < set->n_app; i++) {
		q->app_id = bytes_str(set->app[i].id);
		if (bytes_eq(name, q->app_id) ||
		    bytes_eq(name, bytes_str(set->app[i].label)))
			return NULL;
	}
	return "no such application";
}

static void
control_run(struct control *c, struct request *q)
{
	const char *why = NULL;

	for (size_t i = 0; i < NELEM(verbs) && c->verb == NULL; i++) {
		if (bytes_eq(verbs[i].name, q->verb.text))
			c->verb = &verbs[i];
	}
	if (c->verb == NULL)
		why = "unknown verb";
	else if (c->verb->of_host)
		why = NULL;
	else if (c->router->sync.on || elder_frozen(c->router))
		why = "the router is starting, try again";
	else
		why = find_app(c->router->config, q);
	if (why != NULL)
		control_fail(c, why);
	else
		c->verb->run(c, q);
}

static void
control_parse(struct control *c, struct bytes line)
{
	struct request q = { 0 };
	const struct json_want wants[] = {
		{ BYTES("verb"), &q.verb.token },
		{ BYTES("app"), &q.app.token },
		{ BYTES("prefix"), &q.prefix.token },
		{ BYTES("channel"), &q.channel.token },
		{ BYTES("event"), &q.event.token },
		{ BYTES("data"), &q.data.token },
		{ BYTES("user"), &q.user.token },
	};
	struct json all;
	const char *why;

	if (json_parse(line, &all, &why) < 0 ||
	    json_pick(&all, wants, NELEM(wants)) < 0) {
		control_fail(c, "the request is no JSON object");
		return;
	}
	for (size_t i = 0; i < NELEM(wants); i++) {
		struct field *f = container_of(wants[i].out, struct field,
		    token);

		if (f->token.type == JSON_STRING)
			f->text = json_text(&f->token, &f->room);
	}
	control_run(c, &q);
	for (size_t i = 0; i < NELEM(wants); i++)
		buf_done(&container_of(wants[i].out, struct field,
		    token)->room);
}

/* One router follows another: it is asked when that is over. */
static bool
is_held(const struct router *r)
{
	return heir_waits(r) || heir_same(r);
}

void
controls_turn(struct router *r)
{
	struct control *c, *next;

	for (c = LIST_FIRST(&r->controls); c != NULL; c = next) {
		next = LIST_NEXT(c, link);
		if (c->line.n > 0 && !is_held(r)) {
			control_parse(c, buf_view(&c->line));
			buf_done(&c->line);
		}
		control_write(c);
		if (c->dead || (c->ended && c->out.n == 0))
			control_free(c);
	}
}

void
control_take(struct router *r, int fd, struct bytes request)
{
	struct control *c;

	if (r->n_controls == CONTROLS_MAX || r->config == NULL ||
	    fd_nonblock(fd) < 0) {
		close(fd);
		return;
	}
	c = xcalloc(1, sizeof(*c));
	c->router = r;
	c->fd = fd;
	c->moved = r->now;
	c->on_write = event_new(r->base, fd, EV_WRITE, on_writable, c);
	if (c->on_write == NULL)
		fatal("no event");
	LIST_INSERT_HEAD(&r->controls, c, link);
	r->n_controls++;
	if (is_held(r))
		buf_bytes(&c->line, request);
	else
		control_parse(c, request);
}
