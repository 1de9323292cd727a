/* SPDX-License-Identifier: MIT
 *
 * Single connections of this worker: see inspect.h.
 */
#include "worker/inspect.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/json.h"
#include "common/util.h"
#include "front/front.h"
#include "worker/app.h"
#include "worker/channel.h"
#include "worker/conn.h"
#include "worker/table.h"
#include "worker/uplink.h"
#include "worker/worker.h"

#define PART	(64u << 10)	/* octets of one inspected, about */

/* One of those for whom most octets wait. */
struct slow {
	uint32_t	 backlog;
	uint64_t	 conn;
};

struct question {
	TAILQ_ENTRY(question)	 link;
	struct msg_inspect	 m;		/* its names are ours */
	uint32_t		 at;		/* the next place, or subscriber */
	uint64_t		 n;		/* found */
	uint64_t		 shown;
	struct slow		*slow;		/* a heap, the least first */
	size_t			 n_slow;
	struct buf		 out;
};

static TAILQ_HEAD(, question) questions = TAILQ_HEAD_INITIALIZER(questions);
static unsigned n_questions;

/* ---- life ---------------------------------------------------------------- */

static struct bytes
copy(struct bytes b)
{
	return bytes_of(bytes_dup(b), b.n);
}

static void
drop(struct bytes b)
{
	free((char *)(uintptr_t)b.p);
}

static void
question_free(struct question *q)
{
	TAILQ_REMOVE(&questions, q, link);
	n_questions--;
	drop(q->m.app);
	drop(q->m.channel);
	drop(q->m.user);
	free(q->slow);
	buf_done(&q->out);
	free(q);
}

void
inspect_answer(const struct msg_inspect *m)
{
	struct question *q;

	if (n_questions == INSPECT_MOST) {
		msg_pack_inspected(ipc_out(uplink()), &(struct msg_inspected){
		    .cookie = m->cookie, .end = 1, .refused = 1 });
		return;
	}
	q = xcalloc(1, sizeof(*q));
	q->m = *m;
	q->m.app = copy(m->app);
	q->m.channel = copy(m->channel);
	q->m.user = copy(m->user);
	if (m->limit > INSPECT_ROWS)
		q->m.limit = INSPECT_ROWS;
	if (m->slow)
		q->slow = xreallocarray(NULL, q->m.limit + 1,
		    sizeof(*q->slow));
	TAILQ_INSERT_TAIL(&questions, q, link);
	n_questions++;
}

void
inspect_lost(void)
{
	while (!TAILQ_EMPTY(&questions))
		question_free(TAILQ_FIRST(&questions));
}

/* ---- a line -------------------------------------------------------------- */

static void
quote(struct buf *out, struct bytes text)
{
	json_quote(out, utf8_valid(text) ? text : B("?"));
}

static void
add_text(struct buf *out, const char *name, struct bytes text)
{
	buf_fmt(out, "\"%s\":", name);
	quote(out, text);
	buf_char(out, ',');
}

static void
add_user(struct buf *out, const struct client *cl)
{
	const struct sub *s;

	if (cl->user != NULL) {
		add_text(out, "user", cl->user->id);
		return;
	}
	SLIST_FOREACH(s, &cl->subs, of_client) {
		if (s->user_n == 0)
			continue;
		add_text(out, "user", bytes_of(s->user, s->user_n));
		return;
	}
	buf_str(out, "\"user\":null,");
}

static void
add_names(struct buf *out, const struct client *cl)
{
	const struct sub *s;
	unsigned n = 0;

	buf_fmt(out, "\"channels\":%u,\"names\":[", (unsigned)cl->n_subs);
	SLIST_FOREACH(s, &cl->subs, of_client) {
		if (n == INSPECT_NAMES)
			break;
		if (n++ > 0)
			buf_char(out, ',');
		quote(out, channel_name(s->channel));
	}
	buf_str(out, "],");
}

static uint32_t
seconds_since(uint32_t then)
{
	return worker.now > then ? worker.now - then : 0;
}

static void
add_line(struct buf *out, const struct client *cl)
{
	char room[24];

	buf_char(out, '{');
	add_text(out, "app", cl->app->id);
	if (cl->state.socket_a != 0)
		add_text(out, "socket_id",
		    bytes_str(client_socket_id(cl, room)));
	else
		buf_str(out, "\"socket_id\":null,");
	add_text(out, "front", bytes_str(cl->front->name));
	buf_fmt(out, "\"worker\":%" PRIu64 ",", worker.slot);
	add_text(out, "address", bytes_str(conn_from(cl->conn)));
	add_user(out, cl);
	add_names(out, cl);
	buf_fmt(out, "\"backlog\":%" PRIu32 ",\"age\":%" PRIu32 ",\"idle\":%"
	    PRIu32 "}\n", cl->conn->queued, seconds_since(cl->state.opened),
	    seconds_since(cl->state.seen));
}

static void
say(struct question *q, bool end)
{
	msg_pack_inspected(ipc_out(uplink()), &(struct msg_inspected){
	    .cookie = q->m.cookie, .lines = buf_view(&q->out), .end = end,
	    .n = q->n });
	buf_clear(&q->out);
}

static void
show(struct question *q, const struct client *cl)
{
	add_line(&q->out, cl);
	q->shown++;
	if (q->out.n >= PART)
		say(q, false);
}

/* ---- the slowest --------------------------------------------------------- */

static void
swap(struct slow *a, struct slow *b)
{
	struct slow t = *a;

	*a = *b;
	*b = t;
}

static void
sift_up(struct slow *at, size_t i)
{
	for (; i > 0 && at[(i - 1) / 2].backlog > at[i].backlog;
	    i = (i - 1) / 2)
		swap(&at[(i - 1) / 2], &at[i]);
}

static void
sift_down(struct slow *at, size_t n)
{
	size_t i = 0, child;

	while ((child = 2 * i + 1) < n) {
		if (child + 1 < n && at[child + 1].backlog < at[child].backlog)
			child++;
		if (at[i].backlog <= at[child].backlog)
			return;
		swap(&at[i], &at[child]);
		i = child;
	}
}

/* The heap never holds more than limit. */
static void
keep_slow(struct question *q, const struct conn *c)
{
	struct slow one = { .backlog = c->queued, .conn = c->id };

	if (q->n_slow < q->m.limit) {
		q->slow[q->n_slow] = one;
		sift_up(q->slow, q->n_slow++);
	} else if (q->n_slow > 0 && one.backlog > q->slow[0].backlog) {
		q->slow[0] = one;
		sift_down(q->slow, q->n_slow);
	}
}

/* In any order: the router sorts those of all workers. */
static void
show_slow(struct question *q)
{
	for (size_t i = 0; i < q->n_slow; i++) {
		struct conn *c = conns_find(q->slow[i].conn);
		struct client *cl = c != NULL ? client_of(c) : NULL;

		if (cl != NULL && !client_over(cl) && cl->app != NULL)
			show(q, cl);
	}
}

/* ---- who is meant -------------------------------------------------------- */

static bool
is_meant(const struct question *q, const struct client *cl)
{
	const struct msg_inspect *m = &q->m;

	if (cl->app == NULL || !cl->established || client_over(cl))
		return false;
	/* Its elder has it yet, too. */
	if (cl->arriving && !m->kick)
		return false;
	if ((m->socket_a | m->socket_b) != 0 &&
	    (cl->state.socket_a != m->socket_a ||
	    cl->state.socket_b != m->socket_b))
		return false;
	return (m->app.n == 0 || bytes_eq(cl->app->id, m->app)) &&
	    (!m->slow || cl->conn->queued > 0) &&
	    (m->user.n == 0 || client_is(cl, m->user)) &&
	    (m->channel.n == 0 || channel_sub(cl, m->channel) != NULL);
}

static void
look(struct question *q, struct client *cl)
{
	if (!is_meant(q, cl))
		return;
	q->n++;
	if (q->m.slow)
		keep_slow(q, cl->conn);
	else if (q->shown < q->m.limit)
		show(q, cl);
	if (q->m.kick)
		client_close(cl, CLOSE_TERMINATED);
}

/* ---- a step -------------------------------------------------------------- */

/* So many of the table; true at its end. */
static bool
step_table(struct question *q)
{
	struct conn *c;

	for (unsigned n = 0; n < INSPECT_STEP; n++, q->at++) {
		struct client *cl;

		c = table_from(&q->at);
		if (c == NULL)
			return true;
		cl = c->dead ? NULL : client_of(c);
		if (cl != NULL)
			look(q, cl);
	}
	return false;
}

/* So many of the channel's subscribers. */
static bool
step_channel(struct question *q)
{
	struct app *app = app_by_id(q->m.app);
	const struct channel *ch = app != NULL ?
	    channel_find(app, q->m.channel) : NULL;

	for (unsigned n = 0; n < INSPECT_STEP; n++) {
		if (ch == NULL || q->at >= ch->n_subs)
			return true;
		look(q, ch->subs[q->at++]->client);
	}
	return false;
}

/* Who is closed leaves his channels, so these cannot be walked then. */
static bool
step(struct question *q)
{
	return q->m.channel.n > 0 && q->m.app.n > 0 && !q->m.kick ?
	    step_channel(q) : step_table(q);
}

bool
inspect_turn(void)
{
	struct question *q = TAILQ_FIRST(&questions);

	if (q == NULL)
		return false;
	if (!step(q)) {
		/* Others have their turn. */
		TAILQ_REMOVE(&questions, q, link);
		TAILQ_INSERT_TAIL(&questions, q, link);
		return true;
	}
	show_slow(q);
	say(q, true);
	question_free(q);
	return !TAILQ_EMPTY(&questions);
}
