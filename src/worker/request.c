/* SPDX-License-Identifier: MIT
 *
 * One HTTP request on a conn: see request.h.
 */
#include <stdlib.h>
#include <time.h>

#include "common/counters.h"
#include "common/log.h"
#include "common/poison.h"
#include "common/util.h"
#include "front/front.h"
#include "worker/address.h"
#include "worker/api.h"
#include "worker/api_wait.h"
#include "worker/handover.h"
#include "worker/listener.h"
#include "worker/metrics.h"
#include "worker/request.h"
#include "worker/serve.h"
#include "worker/worker.h"

static size_t	request_input(struct conn *, char *, size_t);
static void	request_tick(struct conn *, uint32_t);
static void	request_gone(struct conn *, enum close_reason);

const struct conn_stage request_stage = {
	.name = "http",
	.input = request_input,
	.tick = request_tick,
	.gone = request_gone,
};

#define ID_MAX		200	/* octets of an X-Request-Id */
#define ANSWER_TIMEOUT	30000	/* ms for the router; a dead one is replaced
				   in less */

static struct http_header headers[HTTP_HEADERS_MAX];
static SLIST_HEAD(request_list, request) spent = SLIST_HEAD_INITIALIZER(spent);

/* Some wait with their room for the next, so that a publish allocates nothing. */
#define UNUSED_MOST	64
#define UNUSED_ROOM	4096
static struct request_list unused = SLIST_HEAD_INITIALIZER(unused);
static unsigned n_unused;

static struct request *
request_new(struct conn *c)
{
	struct request *r = SLIST_FIRST(&unused);
	struct buf room = { 0 };

	if (r != NULL) {
		SLIST_REMOVE_HEAD(&unused, spent);
		n_unused--;
		room = r->room;
		unpoison(r, offsetof(struct request, room));
		unpoison(room.p, room.cap);
	} else {
		r = xmalloc(sizeof(*r));
	}
	*r = (struct request){ .conn = c, .room = room };
	return r;
}

static void
request_free(struct request *r)
{
	api_wait_forget(r);
	if (r->call != NULL)
		api_forget(r);
	if (r->metrics != NULL)
		metrics_forget(r);
	if (n_unused < UNUSED_MOST && r->room.cap <= UNUSED_ROOM) {
		SLIST_INSERT_HEAD(&unused, r, spent);
		n_unused++;
		poison(r->room.p, r->room.cap);
		poison(r, offsetof(struct request, room));
		return;
	}
	buf_done(&r->room);
	free(r);
}

/* A part of this second is over: one more, or the time would be too short. */
static uint32_t
deadline_in(uint64_t ms)
{
	return worker.now + 1 + (uint32_t)((ms + 999) / 1000);
}

/* The Date line (RFC 9110 6.6.1), made once a second. */
const char *
request_date(void)
{
	static char line[64];
	static uint32_t made;
	time_t now;
	struct tm tm;

	if (made != worker.now) {
		made = worker.now;
		now = (time_t)(clock_wall_ms() / 1000);
		gmtime_r(&now, &tm);
		strftime(line, sizeof(line),
		    "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
	}
	return line;
}

/* ---- answers --------------------------------------------------------------------- */

static void
put_answer(struct conn *c, const struct http_request *head, unsigned status,
    const char *type, const char *more, struct bytes body, bool close_after)
{
	static struct buf b;

	buf_clear(&b);
	buf_str(&b, "HTTP/1.1 ");
	buf_u64(&b, status);
	buf_char(&b, ' ');
	buf_str(&b, http_reason(status));
	buf_str(&b, "\r\nContent-Type: ");
	buf_str(&b, type != NULL ? type : "application/json");
	buf_str(&b, "\r\nContent-Length: ");
	buf_u64(&b, body.n);
	buf_str(&b, "\r\n");
	buf_str(&b, request_date());
	if (close_after)
		buf_str(&b, "Connection: close\r\n");
	else if (head->minor == 0)
		buf_str(&b, "Connection: keep-alive\r\n");
	if (head->request_id.n > 0 && head->request_id.n <= ID_MAX) {
		buf_str(&b, "X-Request-Id: ");
		buf_bytes(&b, head->request_id);
		buf_str(&b, "\r\n");
	}
	if (more != NULL)
		buf_str(&b, more);
	buf_str(&b, "\r\n");
	if (head->method != HTTP_HEAD)
		buf_bytes(&b, body);
	conn_send_bytes(c, buf_view(&b));
	if (b.cap > 1u << 20)
		buf_done(&b);
	counter.requests++;
	if (status >= 400)
		counter.requests_refused++;
}

/* Answers what never became a request, and hangs up. */
static void
refuse(struct conn *c, const struct http_request *head, unsigned status,
    const char *more, const char *words)
{
	put_answer(c, head, status, "text/plain; charset=utf-8", more,
	    bytes_str(words), true);
	conn_finish(c, CLOSE_HTTP_BAD, 2);
}

const char *
request_name(const struct request *r)
{
	return r->head.request_id.n > 0 && r->head.request_id.n <= ID_MAX ?
	    log_value(r->head.request_id) : conn_name(r->conn);
}

/* Refusals are always told, the others when somebody debugs. */
static void
answer_log(const struct request *r, unsigned status)
{
	enum log_level level = status < 400 || status == 404 ?
	    LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;

	if (!log_wants(level))
		return;
	(level == LOG_LEVEL_INFO ? log_info : log_debug)(
	    "answered status=%u method=%s path=%s req=%s conn=%s from=%s",
	    status, log_value(r->head.method_text), log_value(r->head.path),
	    request_name(r), conn_name(r->conn), conn_from(r->conn));
}

void
request_answer(struct request *r, unsigned status, const char *type,
    const char *more, struct bytes body)
{
	struct conn *c = r->conn;
	bool close_after = !r->head.keep_alive || worker.stopping ||
	    handover_keeps(c);

	if (r->answered)
		return;
	r->answered = true;
	answer_log(r, status);
	put_answer(c, &r->head, status, type, more, body, close_after);
	c->of_stage = NULL;
	if (close_after)
		conn_finish(c, CLOSE_HTTP_DONE, 2);
	c->deadline = close_after ? c->deadline :
	    deadline_in(worker.config->http.keepalive_timeout);
	conn_resume(c);
	/* Who answers may still look at it: it goes at the end of the turn. */
	SLIST_INSERT_HEAD(&spent, r, spent);
}

void
requests_turn(void)
{
	struct request *r;

	while ((r = SLIST_FIRST(&spent)) != NULL) {
		SLIST_REMOVE_HEAD(&spent, spent);
		request_free(r);
	}
}

void
request_refuse(struct request *r, unsigned status, const char *words)
{
	request_answer(r, status, "text/plain; charset=utf-8", NULL,
	    bytes_str(words));
}

/* ---- reading --------------------------------------------------------------------- */

static void
rebase(struct bytes *b, const char *from, const char *to)
{
	if (b->p != NULL)
		b->p = to + (b->p - from);
}

/* Its octets get a place of their own: the answer comes later. */
static void
request_keep(struct request *r, const char *p, size_t n)
{
	struct http_request *h = &r->head;
	struct bytes *spans[] = {
		&h->method_text, &h->target, &h->path, &h->query, &h->host,
		&h->origin, &h->authorization, &h->accept, &h->request_id,
		&r->body,
	};
	size_t i;

	buf_clear(&r->room);
	buf_add(&r->room, p, n);
	for (i = 0; i < NELEM(spans); i++)
		rebase(spans[i], p, r->room.p);
	h->headers = NULL;
	h->n_headers = 0;
}

/* A whole request of n octets at p. */
static void
request_run(struct conn *c, struct request *r, const char *p, size_t n)
{
	c->continued = 0;
	c->deadline = deadline_in(ANSWER_TIMEOUT);
	request_keep(r, p, n);
	r->since = clock_ns();
	c->of_stage = r;
	conn_pause(c);
	api_handle(r);
}

/* The handshake of a WebSocket, or a mistaken one: true if it is answered. */
static bool
refuse_handshake(struct conn *c, const struct http_request *head)
{
	const char *why;
	int status = websocket_check(head, &why);

	if (status != 0)
		refuse(c, head, status, status == 426 ?
		    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" :
		    NULL, why);
	return status != 0;
}

/* A request for a front door; true if it was. */
static bool
try_front(struct conn *c, const struct http_request *head)
{
	struct front_refusal no = { .status = 403, .words = "Forbidden." };
	const struct front *front = NULL;
	struct bytes path = head->path;
	unsigned as = 0;

	if (serve_path(c, &path))
		front = front_match(head, path, &as);
	if (front == NULL || !serve_here(c, front->flags & FRONT_PAGE ?
	    SERVED_PAGE : SERVED_CLIENTS))
		return false;
	if (worker.stopping)
		refuse(c, head, 503, "Retry-After: 1\r\n", "Shutting down.");
	else if (as == FRONT_WS && refuse_handshake(c, head))
		;
	else if (address_claim(c) < 0)
		refuse(c, head, 429, NULL, "Too many connections.");
	else if (!client_take(c, front, as == FRONT_WS ?
	    &transport_websocket : &transport_stream, head, path, &no))
		refuse(c, head, no.status, no.headers, no.words);
	return true;
}

/* Is the body there?  Octets of it used, 0 if more is needed, or refused. */
static ssize_t
read_body(struct conn *c, struct request *r, char *p, size_t n, size_t head_n)
{
	size_t max = worker.config->http.max_request_size;
	const struct http_request *h = &r->head;
	int used;

	if (head_n > max || (h->has_length && h->length > max - head_n))
		goto too_large;
	if (!h->chunked) {
		r->body = bytes_of(p, h->length);
		return n >= h->length ? (ssize_t)h->length : -1;
	}
	used = http_chunks(&r->chunks, p, n, max - head_n);
	if (used < 0) {
		if (r->chunks.too_long)
			goto too_large;
		refuse(c, h, 400, NULL, "Bad request.");
		return -1;
	}
	r->body = bytes_of(p, r->chunks.out);
	return r->chunks.done ? used : -1;
too_large:
	refuse(c, h, 413, NULL, "Payload too large.");
	return -1;
}

/* The body is not complete: remember how far a chunked one got. */
static void
wait_for_body(struct conn *c, struct request *r)
{
	const struct http_request *h = &r->head;

	if (c->closing)
		return;
	if (c->of_stage == NULL) {
		c->of_stage = r;
		c->deadline = deadline_in(worker.config->http.body_timeout);
	}
	if (h->expect_continue && !c->continued) {
		c->continued = 1;
		conn_send_bytes(c, B("HTTP/1.1 100 Continue\r\n\r\n"));
	}
}

/* The head's lines, the empty one included; 0: wait, or refused. */
static size_t
read_head(struct conn *c, struct http_request *head, const char *p, size_t n)
{
	struct http_limits limits = {
		.head = worker.config->http.max_header_size,
		.headers = worker.config->http.max_headers,
	};
	unsigned status = 400;
	const char *why = "Bad request.";
	ssize_t got;

	memset(head, 0, sizeof(*head));
	got = http_parse_head(bytes_of(p, n), &limits, headers, head, &status,
	    &why);
	if (got < 0)
		refuse(c, head, status, NULL, status == 400 ?
		    "Bad request." : why);
	else if (got == 0 && (c->deadline == 0 || c->in_n == 0))
		/* The first octets: from now on the clock runs. */
		c->deadline = deadline_in(worker.config->http.header_timeout);
	return got > 0 ? (size_t)got : 0;
}

static size_t
request_input(struct conn *c, char *p, size_t n)
{
	struct request *r = c->of_stage;
	struct http_request head;
	size_t head_n;
	ssize_t body_n;

	head_n = read_head(c, &head, p, n);
	if (head_n == 0)
		return 0;
	listener_settled(c);
	address_request(c, &head);
	if (r == NULL && try_front(c, &head))
		return head_n;
	if (r == NULL)
		r = request_new(c);
	r->head = head;
	body_n = read_body(c, r, p + head_n, n - head_n, head_n);
	if (body_n < 0) {
		wait_for_body(c, r);
		if (c->of_stage != r)
			request_free(r);
		return 0;
	}
	request_run(c, r, p, head_n + body_n);
	return head_n + body_n;
}

/* ---- time and end ----------------------------------------------------------------- */

static void
request_tick(struct conn *c, uint32_t now)
{
	struct http_request head = { .minor = 1, .method = HTTP_GET };
	struct request *r = c->of_stage;

	if (r != NULL && api_wait_tick(r, now))
		return;
	/* An answer on its way is under conn.c's clock. */
	if (c->deadline == 0 || now < c->deadline || c->first != NULL)
		return;
	if (r != NULL && c->paused) {
		request_refuse(r, 503, "No answer from the router.");
	} else if (c->in_n > 0) {
		put_answer(c, &head, 408, "text/plain; charset=utf-8", NULL,
		    B("Request timeout."), true);
		conn_finish(c, CLOSE_HTTP_TIMEOUT, 1);
	} else
		conn_kill(c, CLOSE_HTTP_IDLE);
}

void
request_forget(struct conn *c)
{
	struct request *r = c->of_stage;

	if (r != NULL) {
		c->of_stage = NULL;
		request_free(r);
	}
}

static void
request_gone(struct conn *c, enum close_reason why)
{
	(void)why;
	request_forget(c);
}

/* Its head is read again with the next octets; how far a chunked body got, which
 * is decoded where it lies, is not to be seen in them. */
int
request_restore(struct conn *c, const struct http_chunks *chunks)
{
	struct request *r;

	if (c->in_n == 0 || !http_chunks_ok(chunks, c->in_n))
		return -1;
	r = request_new(c);
	r->chunks = *chunks;
	c->of_stage = r;
	return 0;
}
