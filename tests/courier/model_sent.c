/* SPDX-License-Identifier: MIT
 *
 * What a courier must send, and who answers, see model.h.
 */
#include "model_inner.h"

#include "courier/http.h"
#include "courier/ledger.h"

struct transfer {
	struct transfer	*next;
	unsigned	 goal;
	uint64_t	 deadline;
	struct http_post post;
	bool		 answered;
	struct http_result result;
};

static struct transfer *asked;

bool
nothing_asked(void)
{
	return asked == NULL;
}

/* ---- requests ------------------------------------------------------------ */

struct goal *
goal_of(const struct target *t)
{
	return &now.goals[t->label[0] - 'a'];
}

static unsigned
body_of(const struct goal *g, uint64_t time_ms)
{
	struct buf b = { 0 };
	char *text;

	buf_fmt(&b, "{\"time_ms\":%" PRIu64 ",\"events\":[", time_ms);
	for (unsigned i = 0; i < g->n_request; i++)
		buf_fmt(&b, "%s%s", i > 0 ? "," : "", texts[g->items[i].text]);
	buf_str(&b, "]}");
	text = xstrdup(buf_cstr(&b));
	buf_done(&b);
	return text_keep(text);
}

void	__real_ledger_request(struct courier *, const struct target *);
void	__wrap_ledger_request(struct courier *, const struct target *);

void
__wrap_ledger_request(struct courier *c, const struct target *t)
{
	struct goal *g = goal_of(t);

	MUST(g->wish.there && !g->asked && g->n_request == 0 && g->n > 0);
	MUST(g->failures > 0 || g->ripe || goal_may_begin(g));
	g->ripe = false;
	MUST(t->n_request == (g->n < g->wish.most ? g->n : g->wish.most));
	g->n_request = (unsigned)t->n_request;
	memcpy(g->id, t->id, sizeof(g->id));
	g->body = body_of(g, t->time_ms);
	__real_ledger_request(c, t);
}

unsigned
under_way(bool failing)
{
	unsigned n = 0;

	for (unsigned i = 0; i < TARGETS; i++)
		n += now.goals[i].asked && (!failing ||
		    now.goals[i].failures > 0);
	return n;
}

/* One of those that fail is always tried. */
static bool
failing_waits(void)
{
	for (unsigned i = 0; i < TARGETS; i++) {
		const struct goal *g = &now.goals[i];

		if (g->failures > 0 && !g->asked && g->n > 0 &&
		    clock_ms() >= g->try_until)
			return true;
	}
	return false;
}

static void
check_lines(const struct goal *g, const struct http_post *post)
{
	char hex[64], lines[3][200];
	unsigned found = 0;

	body_sign(bytes_str(g->wish.secret), post->body, hex);
	snprintf(lines[0], 200, "X-Pusher-Key: %s", g->wish.key);
	snprintf(lines[1], 200, "X-Pusher-Signature: %.64s", hex);
	snprintf(lines[2], 200, "X-Peal-Delivery: %s", g->id);
	for (size_t i = 0; i < post->n_lines; i++)
		for (unsigned k = 0; k < 3; k++)
			found += strcmp(post->lines[i], lines[k]) == 0;
	MUST(found == 3);
}

struct transfer *__wrap_http_post(struct http *, const struct http_post *);

struct transfer *
__wrap_http_post(struct http *h, const struct http_post *post)
{
	const struct target *t = post->ctx;
	struct transfer *a = xcalloc(1, sizeof(*a));
	struct goal *g = goal_of(t);
	char url[100];

	(void)h;
	MUST(g->wish.there && !g->asked && g->n_request > 0);
	MUST(under_way(false) < now.max_requests);
	MUST(g->failures == 0 || clock_ms() >= g->try_from);
	MUST(g->failures > 0 || now.max_requests == 1 ||
	    under_way(true) > 0 || !failing_waits());
	MUST(!rig->courier->stopping || rig->courier->deliver);
	snprintf(url, sizeof(url), "http://127.0.0.1:9/%s?%u", t->label,
	    g->wish.url);
	MUST(strcmp(url, post->url) == 0);
	if (!bytes_eq(post->body, bytes_str(texts[g->body])))
		WRONG("sent: %.*s, not %s", (int)post->body.n, post->body.p,
		    texts[g->body]);
	check_lines(g, post);
	g->asked = true;
	a->goal = (unsigned)(g - now.goals);
	a->post = *post;
	a->deadline = clock_ms() + post->timeout_ms;
	a->next = asked;
	asked = a;
	return a;
}

static void
unlist(struct transfer *a)
{
	struct transfer **at = &asked;

	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
}

void	__wrap_http_cancel(struct transfer *);

void
__wrap_http_cancel(struct transfer *a)
{
	unlist(a);
	free(a);
}

/* ---- answers ------------------------------------------------------------- */

static bool
is_late(const struct goal *g, unsigned i)
{
	uint64_t since = g->items[i].since > g->failing_since ?
	    g->items[i].since : g->failing_since;

	return clock_ms() - since >= g->wish.retry_for;
}

static void
expire(struct goal *g)
{
	unsigned n = 0;

	if (!is_late(g, g->n_request - 1))
		return;
	now.expired += g->n_request;
	goal_pop(g, g->n_request);
	while (g->wish.retry_for > 0 && n < g->n && is_late(g, n))
		n++;
	now.expired += n;
	if (n > 0)
		goal_pop(g, n);
}

static void
answered(struct goal *g, const struct http_result *r)
{
	uint64_t ms;

	g->asked = false;
	if (r->why == NULL) {
		now.delivered += g->n_request;
		delivered_ever += g->n_request;
		g->failures = 0;
		goal_pop(g, g->n_request);
		return;
	}
	if (g->failures++ == 0)
		g->failing_since = clock_ms();
	ms = g->failures > 6 ? TARGET_PAUSE_MAX :
	    (uint64_t)TARGET_PAUSE_FIRST << (g->failures - 1);
	g->try_from = clock_ms() + (ms / 4 * 3 > r->retry_after_ms ?
	    ms / 4 * 3 : r->retry_after_ms);
	g->try_until = clock_ms() + (ms > r->retry_after_ms ? ms :
	    r->retry_after_ms);
	expire(g);
}

void	__wrap_http_turn(struct http *);
bool	__wrap_http_waits(const struct http *);

void
__wrap_http_turn(struct http *h)
{
	struct transfer *a, *next;

	(void)h;
	for (a = asked; a != NULL; a = next) {
		next = a->next;
		if (!a->answered && clock_ms() < a->deadline)
			continue;
		if (!a->answered)
			a->result = (struct http_result){ .why = "too late" };
		unlist(a);
		answered(&now.goals[a->goal], &a->result);
		a->post.done(a->post.ctx, &a->result);
		free(a);
	}
}

bool
__wrap_http_waits(const struct http *h)
{
	(void)h;
	for (const struct transfer *a = asked; a != NULL; a = a->next)
		if (a->answered)
			return true;
	return false;
}

unsigned
model_asked(void)
{
	unsigned n = 0;

	for (const struct transfer *a = asked; a != NULL; a = a->next)
		n += !a->answered;
	return n;
}

void
model_answer(unsigned which, unsigned how)
{
	static const struct http_result results[SAYS] = {
		[SAYS_YES] = { .status = 200 },
		[SAYS_NO] = { .status = 500, .why = "answered with 500" },
		[SAYS_LATER] = { .status = 503, .why = "answered with 503",
		    .retry_after_ms = 120000 },
		[SAYS_NOTHING] = { .why = "reset" },
	};
	struct transfer *a = asked;

	while (a->answered || which-- > 0)
		a = a->next;
	a->answered = true;
	a->result = results[how];
}

struct http *__wrap_http_new(struct event_base *, const struct address_rules *,
	    struct names *);
void	__wrap_http_free(struct http *);
void	__wrap_http_authorities(struct http *, struct bytes);

struct http *
__wrap_http_new(struct event_base *base, const struct address_rules *rules,
    struct names *names)
{
	(void)base, (void)rules, (void)names;
	return NULL;
}

void
__wrap_http_free(struct http *h)
{
	(void)h;
}

void
__wrap_http_authorities(struct http *h, struct bytes pem)
{
	(void)h, (void)pem;
}
