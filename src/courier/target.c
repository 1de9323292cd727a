/* SPDX-License-Identifier: MIT
 *
 * Targets: queues, requests, pauses.  See target.h; which targets there are is
 * in target_list.c.
 *
 * Runs in: the courier.
 */
#include <config.h>		/* of configure, not our own */

#include "courier/target.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <event2/event.h>

#include "common/counters.h"
#include "common/log.h"
#include "common/util.h"
#include "courier/courier.h"
#include "courier/body.h"
#include "courier/http.h"
#include "courier/ledger.h"
#include "courier/text.h"

static struct queued *
item_of_count(const struct hash_link *l)
{
	return container_of(l, struct queued, hash);
}

/* ---- the queue ------------------------------------------------------------------ */

static void
item_drop(struct target *t, struct queued *i)
{
	struct targets *all = &t->courier->targets;
	uint64_t cost = i->text->n + TARGET_ITEM_COST;

	if (i->is_count)
		hash_remove(&t->counts, &i->hash);
	TAILQ_REMOVE(&t->items, i, link);
	t->n--;
	t->octets -= cost;
	all->n--;
	all->octets -= cost;
	text_unref(i->text);
	free(i);
}

/* What this count takes the place of, or NULL. */
static struct queued *
count_before(struct target *t, unsigned kind, struct bytes channel)
{
	struct hash_link *l = NULL;

	if (kind == EVENT_COUNT)
		l = hash_find(&t->counts, channel);
	return l != NULL ? item_of_count(l) : NULL;
}

bool
target_room(struct target *t, unsigned kind, struct bytes channel, size_t n)
{
	const struct courier *c = t->courier;
	uint64_t cost = n + TARGET_ITEM_COST;

	/* Of the two one is delivered, and one was taken. */
	if (count_before(t, kind, channel) != NULL)
		return true;
	counter.hooks_taken++;
	if (t->octets + cost <= t->set->max_queue &&
	    c->targets.octets + cost <= c->config->courier.max_queue) {
		t->full = false;
		return true;
	}
	if (!t->full)
		log_warn("webhook: its queue is full, events are dropped "
		    "target=%s waiting=%" PRIu64, t->label, t->n);
	t->full = true;
	t->dropped++;
	t->changed = true;
	counter.hooks_dropped++;
	return false;
}

/* Of a count the newest alone matters. */
static void
count_put(struct target *t, struct queued *i)
{
	struct queued *old = count_before(t, EVENT_COUNT,
	    text_channel(i->text));

	if (old != NULL)
		item_drop(t, old);
	i->is_count = true;
	hash_insert(&t->counts, &i->hash);
}

static void look(struct target *);

void
target_push(struct target *t, struct text *text)
{
	struct targets *all = &t->courier->targets;
	struct queued *i = xcalloc(1, sizeof(*i));

	i->text = text;
	text->refs++;
	i->since = clock_ms();
	if (text->kind == EVENT_COUNT)
		count_put(t, i);
	TAILQ_INSERT_TAIL(&t->items, i, link);
	t->n++;
	t->octets += text->n + TARGET_ITEM_COST;
	all->n++;
	all->octets += text->n + TARGET_ITEM_COST;
	t->changed = true;
	if (t->state == TARGET_IDLE || (t->state == TARGET_WAITING &&
	    t->failures == 0))
		look(t);
}

/* The first n are gone. */
static void
pop(struct target *t, uint64_t n)
{
	while (n-- > 0 && !TAILQ_EMPTY(&t->items))
		item_drop(t, TAILQ_FIRST(&t->items));
	t->n_request = 0;
	t->changed = true;
	buf_done(&t->body);
}

/* ---- when --------------------------------------------------------------------------- */

static uint64_t
max_batch(const struct target *t)
{
	return t->set->batching ? t->set->max_batch : 1;
}

static uint64_t
due(const struct target *t)
{
	const struct queued *first = TAILQ_FIRST(&t->items);

	if (t->failures > 0)
		return t->next_try;
	if (t->n_request > 0 || t->courier->targets.hasty ||
	    t->n >= max_batch(t))
		return 0;
	return first->since + t->set->batch_wait;
}

static void
ready_leave(struct target *t)
{
	struct targets *all = &t->courier->targets;

	if (t->state == TARGET_READY)
		TAILQ_REMOVE(t->ready_failing ? &all->ready_failing :
		    &all->ready, t, ready);
	t->state = TARGET_IDLE;
}

static void
wait_until(struct target *t, uint64_t at, uint64_t now)
{
	struct timeval in = { .tv_sec = (time_t)((at - now) / 1000),
	    .tv_usec = (suseconds_t)((at - now) % 1000 * 1000) };

	t->state = TARGET_WAITING;
	event_add(t->timer, &in);
}

/* What becomes of a target that no request is under way for. */
static void
look(struct target *t)
{
	struct targets *all = &t->courier->targets;
	uint64_t at, now = clock_ms();

	if (t->state == TARGET_BUSY)
		return;
	ready_leave(t);
	event_del(t->timer);
	if (t->n == 0 || t->set == NULL)
		return;
	if ((at = due(t)) > now) {
		wait_until(t, at, now);
		return;
	}
	t->state = TARGET_READY;
	t->ready_failing = t->failures > 0;
	TAILQ_INSERT_TAIL(t->ready_failing ? &all->ready_failing : &all->ready,
	    t, ready);
}

void
target_look(struct target *t)
{
	look(t);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	look(arg);
}

/* ---- how it went ---------------------------------------------------------------------- */

static void
succeeded(struct target *t, const struct http_result *r)
{
	uint64_t n = t->n_request;

	if (t->failures > 0)
		log_info("webhook: its target takes requests again target=%s "
		    "failures=%u", t->label, t->failures);
	t->failures = 0;
	t->next_ms = 0;
	t->last_ok = clock_wall_ms();
	t->last_status = r->status;
	t->last_error[0] = '\0';
	t->delivered += n;
	counter.hooks_delivered += n;
	ledger_done(t->courier, t, n);
	pop(t, n);
}

static void
expire(struct target *t, uint64_t n)
{
	log_warn("webhook: events are dropped that their target did not take "
	    "target=%s n=%" PRIu64, t->label, n);
	t->expired += n;
	counter.hooks_expired += n;
	ledger_done(t->courier, t, n);
	pop(t, n);
}

/* It has been tried for retry_for, or could have been. */
static bool
is_late(const struct target *t, const struct queued *i, uint64_t now)
{
	uint64_t since = i->since > t->failing_since ? i->since :
	    t->failing_since;

	return now - since >= t->set->retry_for;
}

/* Of a request all are kept or none: it stays the same. */
static void
expire_late(struct target *t, uint64_t now)
{
	const struct queued *i = TAILQ_FIRST(&t->items);
	uint64_t n;

	for (n = 1; n < t->n_request; n++)
		i = TAILQ_NEXT(i, link);
	if (!is_late(t, i, now))
		return;
	expire(t, t->n_request);
	if (t->set->retry_for == 0)
		return;
	n = 0;
	TAILQ_FOREACH(i, &t->items, link) {
		if (!is_late(t, i, now))
			break;
		n++;
	}
	if (n > 0)
		expire(t, n);
}

static uint64_t
pause_of(const struct target *t, uint64_t asked_for)
{
	uint64_t ms = TARGET_PAUSE_MAX;

	if (t->failures < 7)
		ms = (uint64_t)TARGET_PAUSE_FIRST << (t->failures - 1);
	if (ms > TARGET_PAUSE_MAX)
		ms = TARGET_PAUSE_MAX;
	/* Targets that died together need not be asked together. */
	ms = ms / 4 * 3 + random_1_to((uint32_t)(ms / 4));
	return ms > asked_for ? ms : asked_for;
}

static void
failed(struct target *t, const struct http_result *r)
{
	uint64_t now = clock_ms(), ms;

	if (t->failures++ == 0)
		t->failing_since = now;
	ms = pause_of(t, r->retry_after_ms);
	t->next_try = now + ms;
	t->next_ms = clock_wall_ms() + ms;
	t->last_status = r->status;
	snprintf(t->last_error, sizeof(t->last_error), "%s", r->why);
	t->refused++;
	counter.hooks_refused++;
	if (t->failures == 1)
		log_warn("webhook: its target did not take a request target=%s "
		    "why=%s", t->label, log_value(bytes_str(r->why)));
	else if (t->failures == TARGET_OPEN_AFTER)
		log_warn("webhook: its target counts as dead and is asked now "
		    "and then target=%s why=%s", t->label,
		    log_value(bytes_str(r->why)));
	expire_late(t, now);
}

static void
not_busy(struct target *t)
{
	struct targets *all = &t->courier->targets;

	all->busy--;
	if (t->ready_failing)
		all->busy_failing--;
	t->state = TARGET_IDLE;
}

static void
on_done(void *ctx, const struct http_result *r)
{
	struct target *t = ctx;

	t->transfer = NULL;
	not_busy(t);
	t->changed = true;
	if (r->why == NULL)
		succeeded(t, r);
	else
		failed(t, r);
	look(t);
}

/* ---- requests ------------------------------------------------------------------------ */

/* The first n are a request: a new count does not take their places. */
static void
request_of(struct target *t, uint64_t n)
{
	struct queued *i;

	t->n_request = 0;
	TAILQ_FOREACH(i, &t->items, link) {
		if (t->n_request == n)
			break;
		if (i->is_count)
			hash_remove(&t->counts, &i->hash);
		i->is_count = false;
		t->n_request++;
	}
}

static void
request_make(struct target *t)
{
	uint64_t n = 0, most = max_batch(t);
	size_t octets = 0;
	unsigned char id[TARGET_ID / 2];
	struct queued *i;
	struct buf hex = { 0 };

	TAILQ_FOREACH(i, &t->items, link) {
		octets += i->text->n + 1;
		if (n == most || (n > 0 && octets > TARGET_BODY_MAX))
			break;
		n++;
	}
	random_fill(id, sizeof(id));
	buf_hex(&hex, bytes_of(id, sizeof(id)));
	memcpy(t->id, hex.p, TARGET_ID);
	buf_done(&hex);
	t->time_ms = clock_wall_ms();
	request_of(t, n);
	ledger_request(t->courier, t);
}

static void
body_make(struct target *t)
{
	const struct queued *i = TAILQ_FIRST(&t->items);

	buf_clear(&t->body);
	body_begin(&t->body, t->time_ms);
	for (uint64_t n = 0; n < t->n_request; n++) {
		if (n > 0)
			buf_char(&t->body, ',');
		buf_bytes(&t->body, text_json(i->text));
		i = TAILQ_NEXT(i, link);
	}
	body_end(&t->body);
}

static void
begin(struct targets *all, struct target *t)
{
	ready_leave(t);
	if (t->n_request == 0)
		request_make(t);
	t->state = TARGET_BUSY;
	all->busy++;
	if (t->ready_failing)
		all->busy_failing++;
	TAILQ_INSERT_TAIL(&all->starting, t, starting);
}

/* However busy the others are, one of those that fail is tried: its target may be
 * well again. */
static struct target *
choose(const struct targets *all, uint64_t most)
{
	uint64_t failing = most / 2 > 0 ? most / 2 : 1;
	struct target *good = TAILQ_FIRST(&all->ready),
	    *bad = all->busy_failing < failing ?
	    TAILQ_FIRST(&all->ready_failing) : NULL;

	if (bad != NULL && all->busy_failing == 0 && most > 1)
		return bad;
	return good != NULL ? good : bad;
}

void
targets_turn(struct courier *c)
{
	struct targets *all = &c->targets;
	uint64_t most = c->config->courier.max_requests;
	struct target *t;

	while (!all->stopped && all->busy < most &&
	    (t = choose(all, most)) != NULL)
		begin(all, t);
}

#define LINES	5	/* beside those of [webhook] header */

static void
send_request(struct courier *c, struct target *t)
{
	const struct config_strings *header = &t->set->header;
	char **lines = xcalloc(header->n + LINES, sizeof(*lines)), hex[64];
	size_t n = 0;
	struct http_post post = { .url = t->set->url, .lines = lines,
	    .timeout_ms = t->set->timeout, .verify = t->set->verify,
	    .done = on_done, .ctx = t };

	if (t->body.n == 0)
		body_make(t);
	post.body = buf_view(&t->body);
	body_sign(t->secret, post.body, hex);
	lines[n++] = xstrdup("Content-Type: application/json");
	lines[n++] = xstrdup("User-Agent: Peal/" PACKAGE_VERSION);
	lines[n++] = xasprintf("X-Pusher-Key: %.*s", (int)t->key.n, t->key.p);
	lines[n++] = xasprintf("X-Pusher-Signature: %.64s", hex);
	lines[n++] = xasprintf("X-Peal-Delivery: %s", t->id);
	for (size_t i = 0; i < header->n; i++)
		lines[n++] = xstrdup(header->at[i]);
	post.n_lines = n;
	t->requests++;
	counter.hooks_requests++;
	t->transfer = http_post(c->http, &post);
	while (n > 0)
		free(lines[--n]);
	free(lines);
}

void
targets_send(struct courier *c)
{
	struct target *t;

	while ((t = TAILQ_FIRST(&c->targets.starting)) != NULL) {
		TAILQ_REMOVE(&c->targets.starting, t, starting);
		send_request(c, t);
	}
}

/* ---- from the journal ------------------------------------------------------------------ */

void
target_kept_request(struct target *t, struct bytes id, uint64_t time_ms,
    uint64_t n)
{
	if (id.n != TARGET_ID || n == 0 || n > t->n || t->n_request > 0)
		return;
	memcpy(t->id, id.p, TARGET_ID);
	t->time_ms = time_ms;
	request_of(t, n);
}

void
target_kept_done(struct target *t, uint64_t n)
{
	pop(t, n);
}

/* ---- life ------------------------------------------------------------------------------- */

static struct bytes
count_key(const struct hash_link *l)
{
	return text_channel(item_of_count(l)->text);
}

struct target *
target_new(struct courier *c, struct bytes name)
{
	struct target *t = xcalloc(1, sizeof(*t));

	t->courier = c;
	t->label = bytes_dup(name);
	t->name = bytes_of(t->label, name.n);
	TAILQ_INIT(&t->items);
	hash_init(&t->counts, count_key);
	if ((t->timer = evtimer_new(c->base, on_timer, t)) == NULL)
		fatal("no timer for a webhook");
	return t;
}

void
target_free(struct target *t)
{
	struct targets *all = &t->courier->targets;

	if (t->transfer != NULL)
		http_cancel(t->transfer);
	else if (t->state == TARGET_BUSY)
		TAILQ_REMOVE(&all->starting, t, starting);
	if (t->state == TARGET_BUSY)
		not_busy(t);
	ready_leave(t);
	pop(t, t->n);
	hash_done(&t->counts);
	event_free(t->timer);
	free((char *)t->label);
	free(t);
}
