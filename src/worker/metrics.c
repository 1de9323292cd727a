/* SPDX-License-Identifier: MIT
 *
 * GET /metrics: see metrics.h.
 */
#include "worker/metrics.h"

#include <sys/queue.h>
#include <stdlib.h>

#include "common/util.h"
#include "worker/access.h"
#include "worker/address.h"
#include "worker/ask.h"
#include "worker/worker.h"

/* Those that the master is asked for at a time: whoever asks a thousand times at
 * once waits here, and not as texts in the master's memory. */
#define ASKED_MOST	2

/* A request that waits for the master, or until it may be asked. */
struct metrics_call {
	TAILQ_ENTRY(metrics_call) link;
	struct asking	 asking;
	struct request	*req;
	bool		 open;		/* as OpenMetrics */
	bool		 asked;
};

static TAILQ_HEAD(, metrics_call) waiting = TAILQ_HEAD_INITIALIZER(waiting);
static unsigned n_asked;

bool
metrics_wants(struct bytes path)
{
	return bytes_eq(path, bytes_str(worker.config->metrics.path));
}

/* ---- who may ----------------------------------------------------------------- */

static void
refuse(struct request *r, unsigned status, const char *headers,
    const char *why)
{
	static struct notice notice;

	address_log(&notice, r->conn, "refused metrics", why);
	request_answer(r, status, "text/plain; charset=utf-8", headers,
	    bytes_str(http_reason(status)));
}

static bool
is_allowed(struct request *r)
{
	const struct config_metrics *set = &worker.config->metrics;
	bool named = r->head.authorization.n > 0;

	if (!access_allows(&set->allow, r->conn)) {
		refuse(r, 403, NULL, "address");
		return false;
	}
	if (set->token != NULL && !access_bearer(r->head.authorization,
	    set->token)) {
		refuse(r, 401, "WWW-Authenticate: Bearer realm=\"metrics\"\r\n",
		    named ? "wrong token" : "no token");
		return false;
	}
	return true;
}

/* ---- the answer -------------------------------------------------------------- */

/* Takes what stands before the next one of these off the front, trimmed. */
static struct bytes
take(struct bytes *list, char until)
{
	ptrdiff_t at = bytes_find(*list, until);
	struct bytes one = bytes_of(list->p, at < 0 ? list->n : (size_t)at);

	*list = bytes_skip(*list, at < 0 ? list->n : (size_t)at + 1);
	return bytes_trim(one);
}

/* Thousandths of "0.5" or "1"; what is none of these, or over 1, is 1. */
static int
thousandths(struct bytes text)
{
	int n = 0, unit = 100;
	size_t i;

	if (text.n == 0 || text.n > 5 || text.p[0] != '0' ||
	    (text.n > 1 && text.p[1] != '.'))
		return 1000;
	for (i = 2; i < text.n; i++, unit /= 10) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return 1000;
		n += (text.p[i] - '0') * unit;
	}
	return n;
}

/* The weight among the parameters (RFC 9110 12.4.2). */
static int
weight(struct bytes parameters)
{
	struct bytes one;

	while (parameters.n > 0) {
		one = take(&parameters, ';');
		if (one.n > 2 && bytes_ieq(bytes_of(one.p, 2), B("q=")))
			return thousandths(bytes_skip(one, 2));
	}
	return 1000;
}

/* The most that the list gives this type or range; -1: it is not there. */
static int
weight_of(struct bytes list, struct bytes type)
{
	struct bytes one;
	int n, most = -1;

	while (list.n > 0) {
		one = take(&list, ',');
		if (!bytes_ieq(take(&one, ';'), type))
			continue;
		n = weight(one);
		most = n > most ? n : most;
	}
	return most;
}

/* OpenMetrics only if it is named, and no less wanted than plain text, which
 * may be meant by a range (the most exact one counts). */
static bool
wants_open(struct bytes accept)
{
	static const struct bytes plain[] = {
		BYTES("text/plain"), BYTES("text/*"), BYTES("*/*"),
	};
	int open = weight_of(accept, B("application/openmetrics-text")),
	    other = -1;

	for (size_t i = 0; i < NELEM(plain) && other < 0; i++)
		other = weight_of(accept, plain[i]);
	return open > 0 && open >= other;
}

static void
answer(struct request *r, struct bytes text, bool open)
{
	if (text.n == 0)
		request_answer(r, 503, "text/plain; charset=utf-8",
		    "Retry-After: 1\r\n", B("No numbers just now."));
	else
		request_answer(r, 200, open ? "application/openmetrics-text; "
		    "version=1.0.0; charset=utf-8" :
		    "text/plain; version=0.0.4; charset=utf-8",
		    "Cache-Control: no-store\r\nVary: Accept\r\n", text);
}

static void	on_told(struct asking *, struct bytes, bool);

static void
ask_next(void)
{
	struct metrics_call *call;

	while (worker.master != NULL && n_asked < ASKED_MOST &&
	    (call = TAILQ_FIRST(&waiting)) != NULL) {
		TAILQ_REMOVE(&waiting, call, link);
		call->asked = true;
		n_asked++;
		call->asking.told = on_told;
		ask_master(&call->asking, call->open ? REPORT_METRICS :
		    REPORT_METRICS_PLAIN);
	}
}

static void
call_free(struct metrics_call *call)
{
	if (call->asked)
		n_asked--;
	else
		TAILQ_REMOVE(&waiting, call, link);
	call->req->metrics = NULL;
	free(call);
}

static void
on_told(struct asking *a, struct bytes text, bool end)
{
	struct metrics_call *call = container_of(a, struct metrics_call,
	    asking);
	struct request *r = call->req;
	bool open = call->open;

	(void)end;		/* the master says all at once */
	call_free(call);
	answer(r, text, open);
	ask_next();
}

void
metrics_answer(struct request *r)
{
	bool open = wants_open(r->head.accept);
	struct metrics_call *call;

	if (!is_allowed(r))
		return;
	if (worker.master == NULL) {
		answer(r, B(""), open);
		return;
	}
	call = xcalloc(1, sizeof(*call));
	call->req = r;
	call->open = open;
	r->metrics = call;
	TAILQ_INSERT_TAIL(&waiting, call, link);
	ask_next();
}

void
metrics_forget(struct request *r)
{
	struct metrics_call *call = r->metrics;

	if (call == NULL)
		return;
	ask_cancel(&call->asking);
	call_free(call);
	ask_next();
}
