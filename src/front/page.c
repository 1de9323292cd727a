/* SPDX-License-Identifier: MIT
 *
 * The live page's WebSocket: see page.h.
 */
#include "front/page.h"

#include <config.h>		/* of configure, not our own */

#include <sys/queue.h>
#include <stdlib.h>

#include "common/counters.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/util.h"
#include "front/front.h"
#include "worker/access.h"
#include "worker/address.h"
#include "worker/app.h"
#include "worker/ask.h"
#include "worker/page_files.h"
#include "worker/worker.h"

#define LOGIN_TIME	10		/* seconds */
#define STRANGERS_MOST	50		/* that have not logged in; then the first
					   goes */
#define ASKS_MOST	8		/* of a viewer, at a time */
#define RATE_MOST	100		/* messages a second */
#define MESSAGE_MOST	(128 << 10)
#define STRANGER_MOST	2048
#define BACKLOG		(256 << 10)	/* then a tail leaves out */
#define REPORT_BACKLOG	(64 << 10)	/* then there is no report */
#define ANSWER_MOST	(4 << 20)	/* octets of an answer with an end */
#define SILENCE		30000		/* ms, then it is pinged */
#define REPORT_LATE	5		/* seconds, then it is asked for again */
#define WINDOWS		16		/* of compression: frames differ */

struct ask {
	struct asking	 asking;
	struct viewer	*viewer;
	uint64_t	 id;		/* the viewer's */
	size_t		 said;		/* octets */
	uint64_t	 dropped;	/* rows, not told yet */
	bool		 tail;
};

struct viewer {
	LIST_ENTRY(viewer)	 link;
	struct client		*client;
	bool			 in;		/* has logged in */
	bool			 watches;	/* wants a report each second */
	bool			 waits;		/* for one, of this id: */
	uint64_t		 report;
	uint32_t		 second, said;	/* messages in it */
	struct ask		 asks[ASKS_MOST];
};

static LIST_HEAD(, viewer) viewers = LIST_HEAD_INITIALIZER(viewers);
static unsigned n_viewers, n_in;

static struct asking report;
static uint32_t report_asked;

static const struct config_page *
settings(void)
{
	return &worker.config->page;
}

static struct viewer *
viewer_of(const struct client *c)
{
	return c->of_front;
}

/* ---- reports --------------------------------------------------------------- */

/* One for all of them; what is sent with an id is another frame. */
static void
send_reports(struct bytes text)
{
	struct frame *frames[WINDOWS] = { NULL };
	struct buf out = { 0 };
	struct viewer *v;
	unsigned bits;

	buf_str(&out, "{\"report\":");
	buf_bytes(&out, text);
	buf_char(&out, '}');
	LIST_FOREACH(v, &viewers, link) {
		if (!v->watches || v->client->conn->queued > REPORT_BACKLOG)
			continue;
		bits = v->client->state.window_bits % WINDOWS;
		if (frames[bits] == NULL)
			frames[bits] = client_frame_text(buf_view(&out), bits);
		client_send(v->client, frames[bits]);
		counter.messages_out++;
	}
	for (bits = 0; bits < WINDOWS; bits++)
		if (frames[bits] != NULL)
			frame_unref(frames[bits]);
	buf_done(&out);
}

static void
answer_report(struct viewer *v, struct bytes text)
{
	static struct buf out;

	buf_reuse(&out);
	buf_fmt(&out, "{\"id\":%llu,\"report\":",
	    (unsigned long long)v->report);
	buf_bytes(&out, text);
	buf_char(&out, '}');
	v->waits = false;
	client_send_text(v->client, buf_view(&out));
}

static void
on_report(struct asking *a, struct bytes text, bool end)
{
	struct viewer *v;

	(void)a, (void)end;
	while (text.n > 0 && text.p[text.n - 1] == '\n')
		text.n--;
	if (text.n == 0)
		return;
	send_reports(text);
	LIST_FOREACH(v, &viewers, link)
		if (v->waits)
			answer_report(v, text);
}

/* At most one is on its way, unless it does not come. */
static void
want_report(void)
{
	if (worker.master == NULL || (report.armed &&
	    worker.now - report_asked < REPORT_LATE))
		return;
	report_asked = worker.now;
	report.told = on_report;
	ask_master(&report, REPORT_JSON);
}

/* ---- answers of the router -------------------------------------------------- */

static void
put_id(struct buf *out, uint64_t id)
{
	buf_clear(out);
	buf_fmt(out, "{\"id\":%llu", (unsigned long long)id);
}

static void
refuse(const struct viewer *v, uint64_t id, const char *why)
{
	static struct buf out;

	put_id(&out, id);
	buf_str(&out, ",\"end\":true,\"ok\":false,\"error\":");
	json_quote(&out, bytes_str(why));
	buf_char(&out, '}');
	client_send_text(v->client, buf_view(&out));
}

static bool
next_line(struct bytes *lines, struct bytes *line)
{
	ptrdiff_t end = bytes_find(*lines, '\n');

	*line = bytes_of(lines->p, end < 0 ? lines->n : (size_t)end);
	*lines = bytes_skip(*lines, end < 0 ? lines->n : line->n + 1);
	return line->n > 0 || lines->n > 0;
}

/* Cuts the last line off. */
static struct bytes
take_last(struct bytes *lines)
{
	struct bytes last;
	size_t n;

	if (lines->n > 0 && lines->p[lines->n - 1] == '\n')
		lines->n--;
	for (n = lines->n; n > 0 && lines->p[n - 1] != '\n'; n--)
		;
	last = bytes_skip(*lines, n);
	lines->n = n;
	return last;
}

/* Rows that are left out; one that says how many were is worth as many. */
static uint64_t
rows_in(struct bytes lines)
{
	static const struct bytes dropped = BYTES("{\"dropped\":");
	uint64_t n = 0, more;
	struct bytes line;

	while (next_line(&lines, &line)) {
		if (line.n > dropped.n + 1 && bytes_starts(line, dropped) &&
		    bytes_u64(bytes_of(line.p + dropped.n,
		    line.n - dropped.n - 1), &more) == 0)
			n += more;
		else if (line.n > 0)
			n++;
	}
	return n;
}

static void
send_rows(struct ask *a, struct bytes lines)
{
	static struct buf out;
	struct bytes line;
	bool first = true;

	buf_reuse(&out);
	put_id(&out, a->id);
	buf_str(&out, ",\"rows\":[");
	if (a->dropped > 0) {
		buf_fmt(&out, "{\"dropped\":%llu}",
		    (unsigned long long)a->dropped);
		first = false;
	}
	a->dropped = 0;
	while (next_line(&lines, &line)) {
		if (line.n == 0)
			continue;
		if (!first)
			buf_char(&out, ',');
		buf_bytes(&out, line);
		first = false;
	}
	buf_str(&out, "]}");
	if (!first)
		client_send_text(a->viewer->client, buf_view(&out));
}

/* The members of the last line stand beside "end". */
static void
send_end(const struct ask *a, struct bytes last)
{
	static struct buf out;

	if (last.n < 3 || last.p[0] != '{') {
		refuse(a->viewer, a->id, "no answer");
		return;
	}
	buf_reuse(&out);
	put_id(&out, a->id);
	buf_str(&out, ",\"end\":true,");
	buf_bytes(&out, bytes_skip(last, 1));
	client_send_text(a->viewer->client, buf_view(&out));
}

static void
on_told(struct asking *asking, struct bytes lines, bool end)
{
	struct ask *a = container_of(asking, struct ask, asking);
	struct bytes last = end ? take_last(&lines) : bytes_of(NULL, 0);

	a->said += lines.n;
	if (a->tail && a->viewer->client->conn->queued > BACKLOG) {
		a->dropped += rows_in(lines);
		lines.n = 0;
	} else if (!a->tail && a->said > ANSWER_MOST) {
		ask_cancel(asking);
		refuse(a->viewer, a->id, "the answer is too long");
		return;
	}
	if (lines.n > 0)
		send_rows(a, lines);
	if (end)
		send_end(a, last);
}

/* ---- what a viewer wants ----------------------------------------------------- */

static struct ask *
find_ask(struct viewer *v, uint64_t id)
{
	for (size_t i = 0; i < ASKS_MOST; i++)
		if (v->asks[i].asking.armed && v->asks[i].id == id)
			return &v->asks[i];
	return NULL;
}

static struct ask *
free_ask(struct viewer *v)
{
	for (size_t i = 0; i < ASKS_MOST; i++)
		if (!v->asks[i].asking.armed)
			return &v->asks[i];
	return NULL;
}

/* What somebody did here can be read in the log. */
static void
note_action(const struct viewer *v, const struct page_line *l)
{
	const struct conn *c = v->client->conn;

	log_info("page action verb=%s app=%s channel=%s event=%s user=%s "
	    "socket=%s from=%s conn=%s", log_value(l->verb),
	    log_value(l->app), log_value(l->channel), log_value(l->event),
	    log_value(l->user), log_value(l->socket), conn_from(c),
	    conn_name(c));
}

static void
do_ask(struct viewer *v, uint64_t id, const struct json *asked)
{
	static struct buf line;
	struct ask *a = free_ask(v);
	struct page_line l;
	const char *why;

	buf_reuse(&line);
	if (find_ask(v, id) != NULL || a == NULL) {
		refuse(v, id, a == NULL ? "too many questions at a time" :
		    "that id is in use");
		return;
	}
	if (page_line(asked, settings()->actions, &line, &l, &why) < 0) {
		refuse(v, id, why);
		return;
	}
	if (l.action)
		note_action(v, &l);
	*a = (struct ask){ .viewer = v, .id = id, .tail = l.tail,
	    .asking.told = on_told };
	ask_router(&a->asking, buf_view(&line));
}

static void
do_stop(struct viewer *v, uint64_t id)
{
	struct ask *a = find_ask(v, id);

	if (a == NULL)
		return;
	ask_cancel(&a->asking);
	send_end(a, B("{\"ok\":true}"));
}

static void
do_report(struct viewer *v, uint64_t id)
{
	v->report = id;
	v->waits = true;
	want_report();
}

/* ---- login -------------------------------------------------------------------- */

static void
greet(const struct viewer *v)
{
	const struct config *set = worker.config;
	static struct buf out;

	buf_clear(&out);
	buf_fmt(&out, "{\"ok\":true,\"version\":\"%s\",\"worker\":%llu,"
	    "\"actions\":%s,\"charts\":%s,\"apps\":[", PACKAGE_VERSION,
	    (unsigned long long)worker.slot,
	    set->page.actions ? "true" : "false",
	    page_charts() ? "true" : "false");
	for (size_t i = 0; i < set->n_app; i++) {
		struct bytes label = bytes_str(set->app[i].label);

		buf_str(&out, i > 0 ? ",{\"id\":" : "{\"id\":");
		json_quote(&out, bytes_str(set->app[i].id));
		buf_str(&out, ",\"label\":");
		json_quote(&out, utf8_valid(label) ? label : B("?"));
		buf_char(&out, '}');
	}
	buf_str(&out, "]}");
	client_send_text(v->client, buf_view(&out));
}

static void
send_away(const struct viewer *v, const char *words, unsigned wait,
    enum close_reason why)
{
	static struct buf out;

	buf_clear(&out);
	buf_str(&out, "{\"ok\":false,\"error\":");
	json_quote(&out, bytes_str(words));
	if (wait > 0)
		buf_fmt(&out, ",\"wait\":%u", wait);
	buf_char(&out, '}');
	client_send_text(v->client, buf_view(&out));
	client_close(v->client, why);
}

static void
wrong_token(const struct viewer *v)
{
	const struct conn *c = v->client->conn;
	static struct notice notice;
	unsigned wait = knock_wrong(conn_from(c), worker.now);

	counter.signatures_refused++;
	address_log(&notice, c, "page login refused", "wrong token");
	send_away(v, "Wrong token.", wait, CLOSE_TOKEN);
}

/* False: a wrong one, and the viewer is gone. */
static void
login(struct viewer *v, struct bytes token)
{
	const struct conn *c = v->client->conn;
	unsigned wait = knock_wait(conn_from(c), worker.now);

	if (wait > 0) {
		send_away(v, "Too many attempts.", wait, CLOSE_RATE_LIMIT);
	} else if (settings()->token == NULL ||
	    !equal_secret(token, bytes_str(settings()->token))) {
		wrong_token(v);
	} else if (n_in >= settings()->max_viewers) {
		send_away(v, "Too many viewers.", 0, CLOSE_OVER_CAPACITY);
	} else {
		knock_right(conn_from(c), worker.now);
		v->in = true;
		n_in++;
		counter.pages++;
		log_info("page login from=%s conn=%s viewers=%u", conn_from(c),
		    conn_name(c), n_in);
		greet(v);
	}
}

/* ---- messages ------------------------------------------------------------------- */

/* What a message may have; texts are tokens. */
struct said {
	struct json	 verb, id, token, line;
	uint64_t	 n;		/* the id, or 0 */
};

static void
stranger_says(struct viewer *v, const struct said *s)
{
	static struct buf room;

	buf_clear(&room);
	if (s->verb.type != JSON_STRING ||
	    !bytes_eq(s->verb.raw, B("\"login\"")) ||
	    s->token.type != JSON_STRING) {
		client_close(v->client, CLOSE_TOKEN);
		return;
	}
	login(v, json_text(&s->token, &room));
	if (room.p != NULL)
		explicit_bzero(room.p, room.cap);
}

static void
viewer_says(struct viewer *v, const struct said *s)
{
	struct bytes verb = s->verb.raw;

	if (bytes_eq(verb, B("\"ask\""))) {
		do_ask(v, s->n, &s->line);
	} else if (bytes_eq(verb, B("\"stop\""))) {
		do_stop(v, s->n);
	} else if (bytes_eq(verb, B("\"report\""))) {
		do_report(v, s->n);
	} else if (bytes_eq(verb, B("\"watch\""))) {
		v->watches = true;
		want_report();
	} else if (bytes_eq(verb, B("\"unwatch\""))) {
		v->watches = false;
	} else {
		refuse(v, s->n, "what is wanted?");
	}
}

static bool
too_fast(struct viewer *v)
{
	if (v->second != worker.now) {
		v->second = worker.now;
		v->said = 0;
	}
	return v->said++ >= RATE_MOST;
}

static void
page_input(struct client *c, enum websocket_kind kind, struct bytes text)
{
	struct viewer *v = viewer_of(c);
	struct said s = { .n = 0 };
	const struct json_want wants[] = {
		{ BYTES("do"), &s.verb }, { BYTES("id"), &s.id },
		{ BYTES("token"), &s.token }, { BYTES("line"), &s.line },
	};
	struct json all;
	const char *why;

	if (kind == WEBSOCKET_BINARY) {
		client_close(c, CLOSE_WS_BINARY);
		return;
	}
	if (too_fast(v)) {
		client_close(c, CLOSE_RATE_LIMIT);
		return;
	}
	if (json_read(text, &all, wants, NELEM(wants), &why) < 0)
		s = (struct said){ .n = 0 };
	if (json_u64(&s.id, &s.n) < 0)
		s.n = 0;
	if (v->in)
		viewer_says(v, &s);
	else
		stranger_says(v, &s);
}

static size_t
page_limit(const struct client *c)
{
	const struct viewer *v = viewer_of(c);

	return v != NULL && v->in ? MESSAGE_MOST : STRANGER_MOST;
}

/* ---- life ------------------------------------------------------------------------ */

static unsigned
page_match(const struct http_request *req, struct bytes path)
{
	return http_list_has(req->upgrade, B("websocket")) &&
	    page_below(path, &path) && bytes_eq(path, B("ws")) ? FRONT_WS : 0;
}

/* Programs that are no browsers have no Origin: they show the token, as all. */
static bool
good_origin(const struct http_request *req)
{
	const struct config_strings *allowed = &settings()->allowed_origins;

	if (allowed->n > 0)
		return origin_allowed(allowed, req->has_origin, req->origin);
	return !req->has_origin || origin_same_host(req->origin, req->host);
}

static bool
turn_away(struct front_refusal *no, unsigned status, const char *words)
{
	no->status = status;
	no->words = words;
	return false;
}

/* Whoever holds all places without logging in keeps nobody out: who came first has
 * had the most time for it. */
static void
make_room(void)
{
	struct viewer *v, *first = NULL;

	if (n_viewers - n_in < STRANGERS_MOST)
		return;
	LIST_FOREACH(v, &viewers, link)
		if (!v->in)
			first = v;	/* new ones stand in front */
	client_close(first->client, CLOSE_TOKEN_TIMEOUT);
}

static bool
page_admit(struct client *c, const struct http_request *req,
    struct bytes path, struct front_refusal *no)
{
	struct viewer *v;

	(void)path;
	if (!access_allows(&settings()->allow, c->conn))
		return turn_away(no, 403, "Forbidden.");
	if (!good_origin(req))
		return turn_away(no, 403, "Origin not allowed.");
	make_room();
	v = xcalloc(1, sizeof(*v));
	v->client = c;
	LIST_INSERT_HEAD(&viewers, v, link);
	n_viewers++;
	c->of_front = v;
	return true;
}

/* It speaks first. */
static void
page_open(struct client *c, const struct http_request *req, struct bytes path)
{
	(void)c, (void)req, (void)path;
}

static void
page_tick(struct client *c, uint32_t now)
{
	const struct viewer *v = viewer_of(c);

	if (worker.leaving) {
		client_close(c, CLOSE_DRAIN);
	} else if (!v->in && now - c->state.opened > LOGIN_TIME) {
		client_close(c, CLOSE_TOKEN_TIMEOUT);
	} else {
		if (v->watches && now != report_asked)
			want_report();
		client_check_silence(c, SILENCE, now, client_send_ping);
	}
}

static void
page_done(struct client *c)
{
	struct viewer *v = viewer_of(c);

	if (v == NULL)
		return;
	for (size_t i = 0; i < ASKS_MOST; i++)
		ask_cancel(&v->asks[i].asking);
	LIST_REMOVE(v, link);
	n_viewers--;
	if (v->in) {
		n_in--;
		counter.pages--;
	}
	free(v);
	c->of_front = NULL;
}

/* Who has a token that is good no more goes; so do all if the page goes, and
 * those that may not come any more. */
static void
page_settings(const struct config *config)
{
	static char *token;
	const struct config_page *page = &config->page;
	const char *now = page->token != NULL ? page->token : "";
	bool same = token != NULL && strcmp(token, now) == 0;
	struct viewer *v, *next;

	for (v = LIST_FIRST(&viewers); v != NULL; v = next) {
		next = LIST_NEXT(v, link);
		if (!page->enabled || !access_allows(&page->allow,
		    v->client->conn))
			client_close(v->client, CLOSE_DRAIN);
		else if (v->in && !same)
			client_close(v->client, CLOSE_TOKEN);
	}
	if (same)
		return;
	knock_forget();
	free(token);
	token = xstrdup(now);
}

const struct front front_page = {
	.name = "page",
	.flags = FRONT_WS | FRONT_PLAIN | FRONT_PAGE,
	.match = page_match,
	.admit = page_admit,
	.open = page_open,
	.input = page_input,
	.limit = page_limit,
	.tick = page_tick,
	.done = page_done,
	.settings = page_settings,
};
