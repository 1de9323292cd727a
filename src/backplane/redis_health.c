/* SPDX-License-Identifier: MIT
 *
 * Whether the broker is there as a whole: all lanes have a node whose links are
 * up, and what was listened to before is live again.  What cannot be had within
 * the time-out is not waited for (its topic had a gap and is not joined).
 *
 * A cluster is there as long as one of its nodes is: what the others serve has
 * gaps, topic by topic.
 *
 * Runs in: the router.  Part of: struct redis.
 */
#include <stdio.h>

#include <event2/event.h>

#include "backplane/redis.h"
#include "common/counters.h"
#include "common/log.h"
#include "common/util.h"

#define COMPLAIN_MS	10000

static bool
all_connected(const struct redis *r)
{
	const struct redis_node *last = NULL;

	for (unsigned i = 0; i < LANES; i++) {
		if (r->lane[i] == NULL)
			return false;
		if (r->lane[i] != last && !redis_node_up(r->lane[i]))
			return false;
		last = r->lane[i];
	}
	return true;
}

/* Enough to say that the broker can be reached. */
static bool
some_connected(const struct redis *r)
{
	const struct redis_node *node;

	if (!r->finder->sharded)
		return all_connected(r);
	TAILQ_FOREACH(node, &r->nodes, link)
		if (node->lanes > 0 && redis_node_up(node))
			return true;
	return false;
}

static void
whole_again(struct redis *r)
{
	if (r->why[0] == '\0' || r->topics.owed > 0 || !all_connected(r))
		return;
	r->why[0] = '\0';
	log_info("backplane redis: all nodes are there again broker=%s",
	    redis_broker(r));
}

void
redis_health_check(struct redis *r)
{
	uint64_t now;

	if (r->told_up) {
		whole_again(r);
		return;
	}
	if (!some_connected(r))
		return;
	now = clock_ms();
	if (!r->connected)
		r->connected_ms = now;
	r->connected = true;
	if ((r->topics.owed > 0 || !all_connected(r)) &&
	    now - r->connected_ms < r->settings.set->timeout)
		return;
	redis_topics_forgive(r);
	r->told_up = true;
	r->since_ms = now;
	r->why[0] = '\0';
	counter.backplane_up = 1;
	log_info("backplane redis: connected broker=%s topics=%u",
	    redis_broker(r), r->topics.by_name.count);
	r->up->up(r->ctx);
}

/* Attempts that fail in the same way again and again are one line. */
void
redis_say_why(struct redis *r, const char *why)
{
	char text[sizeof(r->why)];

	snprintf(text, sizeof(text), "%s", why);
	if (strcmp(text, r->why) == 0)
		return;
	memcpy(r->why, text, sizeof(text));
	log_warn("backplane redis: %s%s", r->told_up ? "lost " : "",
	    log_bytes(bytes_str(text)));
}

void
redis_health_down(struct redis *r, const char *where, const char *why)
{
	char text[sizeof(r->why)];

	snprintf(text, sizeof(text), "%.120s: %.170s", where, why);
	redis_say_why(r, text);
	if (some_connected(r))
		return;
	r->connected = false;
	if (!r->told_up)
		return;
	r->told_up = false;
	r->since_ms = clock_ms();
	counter.backplane_up = 0;
	r->up->down(r->ctx, r->why);
}

void
redis_health_tick(struct redis *r, uint64_t now)
{
	(void)now;
	redis_health_check(r);
}

static const char *const complaints[] = {
	[COMPLAIN_DROPPED] = "messages are dropped",
	[COMPLAIN_REFUSED] = "the broker refuses messages",
	[COMPLAIN_KEEPS] = "the broker does not keep last messages",
	[COMPLAIN_SUBSCRIBE] = "the broker refuses a subscription",
};

void
redis_complain(struct redis *r, enum redis_complaints what, const char *why)
{
	struct redis_complaint *c = &r->complaint[what];
	uint64_t now = clock_ms();

	c->unsaid++;
	if (c->said_ms != 0 && now - c->said_ms < COMPLAIN_MS)
		return;
	log_warn("backplane redis: %s times=%llu: %s", complaints[what],
	    (unsigned long long)c->unsaid, log_bytes(bytes_str(why)));
	c->said_ms = now;
	c->unsaid = 0;
}

void
redis_soon(struct redis *r)
{
	event_active(r->soon, EV_TIMEOUT, 0);
}
