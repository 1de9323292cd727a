/* SPDX-License-Identifier: MIT
 *
 * What a broker may say, at any point: the reader, whole and in pieces, then
 * topics and outbox with each reply that it gave.
 */
#include "fuzz.h"

#include <event2/event.h>
#include <hiredis/hiredis.h>

#include "backplane/redis.h"
#include "backplane/redis_reply.h"
#include "common/log.h"
#include "common/util.h"

#define MAX	2000

/* ---- the reader ---------------------------------------------------------- */

/* All that came of it, as octets that can be compared. */
struct heard {
	struct buf	text;
	unsigned	replies;
	size_t		used;
	bool		bad;
	/* NULL, or where replies go */
	void		(*take)(const struct redis_replies *, enum redis_got);
};

static void
must_be_inside(struct bytes span, struct bytes in)
{
	MUST(span.n == 0 || (span.p >= in.p && span.p + span.n <= in.p + in.n));
}

static unsigned
elements(const redisReply *reply, unsigned depth)
{
	unsigned n = 1;

	MUST(depth <= REPLY_DEPTH);
	if (reply->type == REDIS_REPLY_ARRAY)
		for (size_t i = 0; i < reply->elements; i++)
			n += elements(reply->element[i], depth + 1);
	return n;
}

static void
note(struct heard *h, struct redis_replies *r, enum redis_got got,
    struct bytes in)
{
	buf_char(&h->text, (char)('0' + got));
	if (got == REDIS_GOT_REPLY) {
		MUST(elements(r->reply, 0) <= REPLY_ELEMENTS + 1);
		buf_u64(&h->text, (uint64_t)r->reply->type);
		buf_bytes(&h->text, redis_reply_text(r->reply));
	} else if (got == REDIS_GOT_MESSAGE) {
		must_be_inside(r->channel, in);
		must_be_inside(r->payload, in);
		MUST(r->channel.n + r->payload.n < MAX);
		buf_bytes(&h->text, r->payload);
	}
	if (h->take != NULL && got != REDIS_GOT_GARBAGE)
		h->take(r, got);
	h->replies++;
}

/* Piece by piece; what is not used yet comes again, as a link does it. */
static void
hear(struct heard *h, struct bytes in, size_t step)
{
	struct redis_replies r;
	enum redis_got got = REDIS_GOT_NOTHING;
	size_t have = 0, used;
	char *copy;

	redis_replies_init(&r, MAX);
	while (have < in.n && !h->bad) {
		have = have + step < in.n ? have + step : in.n;
		do {
			/* Of its own, so that reading over the end shows. */
			copy = xmalloc(have - h->used + 1);
			memcpy(copy, in.p + h->used, have - h->used);
			got = redis_replies_next(&r, bytes_of(copy,
			    have - h->used), &used);
			MUST(used <= have - h->used);
			if (got != REDIS_GOT_NOTHING)
				note(h, &r, got, bytes_of(copy,
				    have - h->used));
			free(copy);
			h->used += used;
			h->bad = got == REDIS_GOT_GARBAGE;
		} while (got != REDIS_GOT_NOTHING && !h->bad &&
		    h->used < have);
	}
	redis_replies_done(&r);
}

/* ---- topics and outbox --------------------------------------------------- */

static struct redis *redis;
static struct redis_node *node;
static unsigned live, open_questions;

static void
on_joined(void *ctx, const struct topic *t, struct position at)
{
	(void)ctx, (void)at;
	MUST(t->app.n + t->channel.n > 0);
	live++;
}

static void
on_gap(void *ctx, const struct topic *t)
{
	(void)ctx, (void)t;
	MUST(live > 0);
	live--;
}

static void
on_published(void *ctx, uint64_t cookie, const char *why)
{
	(void)ctx, (void)cookie, (void)why;
	MUST(open_questions > 0);
	open_questions--;
}

static void
on_message(void *ctx, const struct topic *t, struct position at,
    struct bytes text)
{
	(void)ctx, (void)t, (void)at, (void)text;
	MUST(live > 0);
}

static void
on_fetched(void *ctx, uint64_t cookie, struct bytes text, uint64_t ttl_ms,
    const char *why)
{
	(void)text, (void)ttl_ms;
	on_published(ctx, cookie, why);
}

static void
on_any(void *ctx)
{
	(void)ctx;
}

static void
on_down(void *ctx, const char *why)
{
	(void)ctx;
	MUST(why != NULL);
}

static const struct backplane_up upcalls = {
	.joined = on_joined, .gap = on_gap, .published = on_published,
	.message = on_message, .fetched = on_fetched, .up = on_any,
	.down = on_down,
};

/* As if all had been sent. */
static void
send_all(void)
{
	struct redis_command *c;

	TAILQ_FOREACH(c, &node->outbox.all, link)
		c->sent = true;
	node->outbox.unsent = NULL;
}

static void
begin(struct event_base *base)
{
	static char host[] = "127.0.0.1", channel[] = "p";
	struct config_backplane set = { .host = host, .channel = channel,
		.port = 1, .timeout = 1000, .max_message = MAX,
		.backlog = 1 << 20, .backlog_age = 1000 };
	struct topic a = { .app = B("a"), .channel = B("c") },
	    b = { .channel = B("raw"), .raw = true, .lane = 1 };
	const char *why;

	redis = backplane_redis.open(&set, base, &upcalls, NULL, &why);
	MUST(redis != NULL);
	backplane_redis.start(redis);
	node = TAILQ_FIRST(&redis->nodes);
	backplane_redis.join(redis, &a, (struct position){ 0, 0 });
	backplane_redis.join(redis, &b, (struct position){ 0, 0 });
	backplane_redis.publish(redis, &a, B("x"), 1);
	backplane_redis.store(redis, &a, B("x"), 1000, 2);
	backplane_redis.publish(redis, &b, B("x"), 3);
	live = 0;
	open_questions = 3;
	send_all();
}

static void
take(const struct redis_replies *r, enum redis_got got)
{
	const char *why = NULL;

	if (redis == NULL)
		return;
	if (got == REDIS_GOT_MESSAGE) {
		redis_topics_message(node, r->channel, r->payload);
		return;
	}
	if (got != REDIS_GOT_REPLY)
		return;
	if (redis_topics_reply(node, r->reply, &why) < 0)
		MUST(why != NULL);
	why = NULL;
	if (TAILQ_EMPTY(&node->outbox.all))
		return;
	if (redis_outbox_reply(node, r->reply, &why) < 0) {
		MUST(why != NULL);
		redis_outbox_rewind(node, why);
	}
	send_all();
	MUST(redis->backlog.n == open_questions);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct event_base *base;
	struct heard whole = { .take = take }, pieces = { .take = NULL };
	struct bytes in;

	if (n < 1)
		return 0;
	log_set_level(LOG_LEVEL_ERROR);
	if (base == NULL)
		base = event_base_new();
	in = bytes_of(p, n - 1);
	begin(base);
	hear(&whole, in, in.n != 0 ? in.n : 1);
	backplane_redis.close(redis);
	redis = NULL;
	hear(&pieces, in, (size_t)p[n - 1] % 16 + 1);
	MUST(whole.bad == pieces.bad && whole.replies == pieces.replies);
	MUST(bytes_eq(buf_view(&whole.text), buf_view(&pieces.text)));
	buf_done(&whole.text);
	buf_done(&pieces.text);
	return 0;
}
