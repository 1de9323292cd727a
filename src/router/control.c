/* SPDX-License-Identifier: MIT
 *
 * Questions from outside: their life.  What they mean is in control_verbs.c.
 *
 * Runs in: the router.
 */
#include "router/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/util.h"
#include "router/control_parts.h"
#include "router/inspect.h"
#include "router/router.h"
#include "router/tap.h"

/* ---- life --------------------------------------------------------------- */

static struct control *
control_new(struct router *r)
{
	struct control *c = xcalloc(1, sizeof(*c));

	c->router = r;
	LIST_INSERT_HEAD(&r->controls, c, link);
	return c;
}

/* Nothing is added any more by what runs for it. */
static void
control_stop(struct control *c)
{
	answers_forget(c->router, c);
	if (c->tap != NULL)
		tap_close(c->tap);
	if (c->inspection != NULL)
		inspect_cancel(c->inspection);
	c->tap = NULL;
	c->inspection = NULL;
	buf_done(&c->line);
}

static void
control_free(struct control *c)
{
	struct router *r = c->router;

	control_stop(c);
	LIST_REMOVE(c, link);
	if (c->sink.fd >= 0)
		r->n_controls--;
	else
		r->n_asks--;
	sink_done(&c->sink);
	buf_done(&c->match);
	buf_done(&c->app);
	buf_done(&c->user);
	free(c);
}

/* Who asked is gone; what it asked for is done. */
static void
control_do(struct control *c)
{
	if (c->inspection != NULL && c->user.n != 0)
		control_kick(c);
}

static void
control_gone(struct control *c)
{
	control_do(c);
	control_free(c);
}

/* Who is there is to ask again; has he gone, unnoticed yet? */
static void
control_replaced(struct control *c)
{
	sink_check(&c->sink);
	if (c->sink.over)
		control_do(c);
	control_stop(c);
	sink_again(&c->sink, REPLACED);
}

void
controls_done(struct router *r)
{
	while (!LIST_EMPTY(&r->controls))
		control_free(LIST_FIRST(&r->controls));
}

/* ---- requests ----------------------------------------------------------- */

#define APP_SHOWN	100	/* octets of a name that is not known */

/* Good until the next call. */
static const char *
no_such_app(struct bytes name)
{
	static char why[APP_SHOWN + 32];

	if (name.n > APP_SHOWN || !utf8_valid(name))
		return "no such application";
	snprintf(why, sizeof(why), "no such application: %.*s", (int)name.n,
	    name.p);
	return why;
}

/* By id or label; the only one if none is named. */
static const char *
find_app(const struct config *set, struct request *q)
{
	struct bytes name = q->app.text;
	bool only = name.n == 0 && set->n_app == 1;

	if (name.n == 0 && !only)
		return "there are several applications: name one";
	for (size_t i = 0; i < set->n_app; i++) {
		q->set = &set->app[i];
		q->app_id = bytes_str(q->set->id);
		if (only || bytes_eq(name, q->app_id) ||
		    bytes_eq(name, bytes_str(q->set->label)))
			return NULL;
	}
	return no_such_app(name);
}

/* A number in place of a text must not be taken for nothing: all channels are
 * not channel 5. */
static const char *
not_text(const struct request *q)
{
	const struct {
		const struct field	*field;
		const char		*why;
	} texts[] = {
		{ &q->app, "app is a string: an id or a name" },
		{ &q->prefix, "prefix is a string" },
		{ &q->match, "match is a string" },
		{ &q->channel, "channel is a string" },
		{ &q->event, "event is a string" },
		{ &q->user, "user is a string" },
	};

	for (size_t i = 0; i < NELEM(texts); i++)
		if (!json_absent(&texts[i].field->token) &&
		    texts[i].field->token.type != JSON_STRING)
			return texts[i].why;
	return NULL;
}

/* Nor may one in place of true be taken for false. */
static const char *
not_flag(const struct request *q)
{
	const struct json *slow = &q->slow.token;

	if (json_absent(slow) || slow->type == JSON_TRUE ||
	    slow->type == JSON_FALSE)
		return NULL;
	return "slow is true or false";
}

static bool
is_starting(const struct control *c)
{
	const struct router *r = c->router;

	return c->verb != NULL && c->verb->of != OF_HOST &&
	    (r->sync.on || elder_frozen(r));
}

static const char *
check(struct control *c, struct request *q)
{
	struct router *r = c->router;

	if (c->verb == NULL)
		return "unknown verb";
	if (c->verb->of == OF_HOST)
		return NULL;
	if (c->verb->of == OF_ANY_APP && q->app.text.n == 0)
		return NULL;
	return find_app(r->config, q);
}

static void
control_run(struct control *c, struct request *q)
{
	const char *why = not_text(q);

	if (why == NULL)
		why = not_flag(q);
	c->verb = verb_find(q->verb.text);
	if (c->verb != NULL && why != NULL)
		sink_fail(&c->sink, why);
	else if (is_starting(c))
		sink_again(&c->sink, "the router is starting, try again");
	else if ((why = check(c, q)) != NULL)
		sink_fail(&c->sink, why);
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
		{ BYTES("match"), &q.match.token },
		{ BYTES("limit"), &q.limit.token },
		{ BYTES("channel"), &q.channel.token },
		{ BYTES("event"), &q.event.token },
		{ BYTES("data"), &q.data.token },
		{ BYTES("user"), &q.user.token },
		{ BYTES("socket"), &q.socket.token },
		{ BYTES("slow"), &q.slow.token },
		{ BYTES("kinds"), &q.kinds.token },
	};
	struct json all;
	const char *why;

	if (json_parse(line, &all, &why) < 0 ||
	    json_pick(&all, wants, NELEM(wants)) < 0) {
		sink_fail(&c->sink, "the request is no JSON object");
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

static void
control_begin(struct control *c, struct bytes request)
{
	if (is_held(c->router))
		buf_bytes(&c->line, request);
	else
		control_parse(c, request);
}

void
control_take(struct router *r, int fd, struct bytes request)
{
	static const char many[] =
	    "{\"ok\":false,\"error\":\"too many questions at once\"}\n";
	struct control *c;

	if (r->n_controls == CONTROLS_MAX || r->config == NULL ||
	    fd_nonblock(fd) < 0) {
		(void)!write(fd, many, sizeof(many) - 1);
		close(fd);
		return;
	}
	r->n_controls++;
	c = control_new(r);
	sink_to_fd(&c->sink, r, fd);
	control_begin(c, request);
}

static struct control *
find_ask(const struct router *r, const struct peer *from, uint64_t cookie)
{
	struct control *c;

	LIST_FOREACH(c, &r->controls, link)
		if (c->sink.peer == from && c->sink.cookie == cookie)
			return c;
	return NULL;
}

void
control_ask(struct peer *from, const struct msg_ask *m)
{
	struct router *r = from->router;
	struct control *c;

	if (find_ask(r, from, m->cookie) != NULL) {
		peer_refuse(from, "it asks the same twice");
		return;
	}
	if (r->n_asks == ASKS_MAX) {
		msg_pack_told(ipc_out(from->ipc), &(struct msg_told){
		    .cookie = m->cookie, .end = 1,
		    .lines = B("{\"ok\":false,\"error\":"
		    "\"too many questions at once\"}\n") });
		return;
	}
	r->n_asks++;
	c = control_new(r);
	sink_to_ask(&c->sink, from, m->cookie);
	control_begin(c, m->line);
}

void
control_ask_end(struct peer *from, uint64_t cookie)
{
	struct control *c = find_ask(from->router, from, cookie);

	if (c != NULL)
		control_gone(c);
}

/* ---- turns -------------------------------------------------------------- */

void
controls_turn(struct router *r)
{
	struct control *c;

	if (is_held(r))
		return;
	LIST_FOREACH(c, &r->controls, link) {
		if (c->line.n == 0)
			continue;
		control_parse(c, buf_view(&c->line));
		buf_done(&c->line);
	}
}

void
controls_write(struct router *r)
{
	struct control *c, *next;

	for (c = LIST_FIRST(&r->controls); c != NULL; c = next) {
		next = LIST_NEXT(c, link);
		if (c->tap == NULL || tap_due(c->tap))
			sink_flush(&c->sink);
		if (c->sink.over)
			control_gone(c);
	}
	taps_turn(r);
}

void
controls_tick(struct router *r)
{
	struct control *c;

	inspections_tick(r);
	taps_tick(r);
	LIST_FOREACH(c, &r->controls, link)
		sink_check(&c->sink);
}

void
controls_forget(struct router *r, const struct peer *dead)
{
	struct control *c, *next;

	inspections_forget(r, dead);
	for (c = LIST_FIRST(&r->controls); c != NULL; c = next) {
		next = LIST_NEXT(c, link);
		if (c->sink.peer == dead)
			control_gone(c);
	}
}

/* ---- a successor -------------------------------------------------------- */

void
controls_yield(struct router *r)
{
	struct control *c;

	LIST_FOREACH(c, &r->controls, link) {
		c->waived = c->tap != NULL || c->inspection != NULL;
		if (c->waived)
			control_replaced(c);
	}
}

/* What was ended by yielding is not waited for: a reader that stands still must
 * not hold up messages. */
bool
controls_busy(const struct router *r)
{
	const struct control *c;

	LIST_FOREACH(c, &r->controls, link)
		if (!c->waived && r->now < c->sink.moved + CONTROLS_READ)
			return true;
	return false;
}

void
controls_freeze(struct router *r)
{
	struct control *c;

	LIST_FOREACH(c, &r->controls, link)
		control_replaced(c);
}
