/* SPDX-License-Identifier: MIT
 *
 * One Redis: a link to publish and one to subscribe (a connection that listens
 * can say nothing else), and the lanes it serves.
 *
 * Runs in: the router.  Owns: its links and its outbox.
 */
#include <stdlib.h>

#include <event2/event.h>

#include "backplane/redis.h"
#include "common/util.h"

#define HOLD_MS	500	/* and their pause: to connect, sign in, subscribe */

/* ---- its links ----------------------------------------------------------- */

/* Only so that a turn is made, at whose end is sent what was held. */
static void
on_held(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
}

/* A server that was away is there again: the other hosts find that out when
 * their pauses are over, and would miss what is sent at once. */
static void
hold(struct redis_node *node)
{
	uint64_t ms = redis_link_others_ms(node->publish),
	    subscribe = redis_link_others_ms(node->subscribe);
	struct timeval in;

	ms = HOLD_MS + (ms > subscribe ? ms : subscribe);
	/* A little later: at the end of that turn the time is over. */
	in = timeval_ms(ms + 2);
	node->held_until_ms = clock_ms() + ms;
	node->gone = false;
	event_base_once(node->redis->base, -1, EV_TIMEOUT, on_held, NULL, &in);
}

static void
on_publish_up(void *ctx, struct redis_link *l)
{
	struct redis_node *node = ctx;

	(void)l;
	/* To a process before this one it was there, and went. */
	if (node->gone || (node->redis->adopted && !node->was_up))
		hold(node);
	node->was_up |= redis_node_up(node);
	redis_outbox_probe(node);
	redis_health_check(node->redis);
}

static void
on_subscribe_up(void *ctx, struct redis_link *l)
{
	struct redis_node *node = ctx;

	(void)l;
	node->was_up |= redis_node_up(node);
	redis_topics_ask_all(node);
	redis_health_check(node->redis);
}

static void
lost(struct redis_node *node, struct redis_link *l, const char *why)
{
	struct redis *r = node->redis;

	if (!redis_link_up(node->publish) && !redis_link_up(node->subscribe))
		node->gone = node->was_up;
	redis_health_down(r, redis_link_text(l), why);
	r->finder->lost(r->finding, node, l, why);
}

static void
on_publish_down(void *ctx, struct redis_link *l, const char *why)
{
	struct redis_node *node = ctx;

	redis_outbox_rewind(node, why);
	lost(node, l, why);
}

static void
on_subscribe_down(void *ctx, struct redis_link *l, const char *why)
{
	struct redis_node *node = ctx;

	redis_topics_lost(node);
	lost(node, l, why);
}

static int
on_publish_reply(void *ctx, struct redis_link *l,
    const struct redisReply *reply, const char **why)
{
	(void)l;
	return redis_outbox_reply(ctx, reply, why);
}

static int
on_subscribe_reply(void *ctx, struct redis_link *l,
    const struct redisReply *reply, const char **why)
{
	struct redis_node *node = ctx;
	int result = redis_topics_reply(node, reply, why);

	(void)l;
	if (!node->redis->told_up)
		redis_health_check(node->redis);
	return result;
}

static void
on_message(void *ctx, struct redis_link *l, struct bytes channel,
    struct bytes payload)
{
	(void)l;
	redis_topics_message(ctx, channel, payload);
}

static const struct redis_link_ops publish_ops = {
	.up = on_publish_up,
	.down = on_publish_down,
	.reply = on_publish_reply,
};

static const struct redis_link_ops subscribe_ops = {
	.up = on_subscribe_up,
	.down = on_subscribe_down,
	.reply = on_subscribe_reply,
	.message = on_message,
};

/* ---- life ---------------------------------------------------------------- */

struct redis_node *
redis_node_new(struct redis *r)
{
	struct redis_node *node = xcalloc(1, sizeof(*node));

	node->redis = r;
	node->publish = redis_link_new(r, false, &r->settings.publish,
	    &publish_ops, node);
	node->subscribe = redis_link_new(r, true, &r->settings.subscribe,
	    &subscribe_ops, node);
	redis_outbox_init(&node->outbox);
	TAILQ_INIT(&node->ask);
	TAILQ_INSERT_TAIL(&r->nodes, node, link);
	return node;
}

void
redis_node_free(struct redis_node *node)
{
	struct redis *r = node->redis;

	redis_link_close(node->publish);
	redis_link_close(node->subscribe);
	redis_outbox_rewind(node, "the node is gone");
	for (unsigned i = 0; i < LANES; i++)
		if (r->lane[i] == node)
			redis_lane_set(r, i, NULL);
	redis_outbox_done(r, &node->outbox);
	redis_link_free(node->publish);
	redis_link_free(node->subscribe);
	TAILQ_REMOVE(&r->nodes, node, link);
	free(node);
}

/* Nothing is lost without its consequences: down() is not called for it. */
static void
leave_place(struct redis_node *node)
{
	if (redis_link_up(node->publish))
		redis_outbox_rewind(node, "the node has moved");
	redis_topics_lost(node);
	redis_link_close(node->publish);
	redis_link_close(node->subscribe);
	redis_health_down(node->redis, redis_link_text(node->publish),
	    "another node takes its place");
}

static void
open_link(struct redis_link *l, const struct redis_place *place)
{
	if (redis_link_idle(l))
		redis_link_open(l, place);
}

void
redis_node_open(struct redis_node *node, const struct redis_place *place)
{
	if (!redis_place_eq(&node->place, place)) {
		if (node->place.host[0] != '\0')
			leave_place(node);
		node->place = *place;
	}
	open_link(node->publish, place);
	open_link(node->subscribe, place);
}

bool
redis_node_up(const struct redis_node *node)
{
	return redis_link_up(node->publish) && redis_link_up(node->subscribe);
}

/* ---- lanes --------------------------------------------------------------- */

struct redis_outbox *
redis_lane_outbox(struct redis *r, unsigned lane)
{
	struct redis_node *node = r->lane[lane];

	return node != NULL && r->held_ms[lane] == 0 ? &node->outbox :
	    &r->limbo;
}

void
redis_lane_set(struct redis *r, unsigned lane, struct redis_node *node)
{
	struct redis_node *from = r->lane[lane];
	struct redis_outbox *waits = redis_lane_outbox(r, lane);

	if (from == node)
		return;
	redis_outbox_move(waits, node != NULL && r->held_ms[lane] == 0 ?
	    &node->outbox : &r->limbo, lane);
	if (from != NULL)
		from->lanes--;
	if (node != NULL)
		node->lanes++;
	redis_topics_move(r, lane, from, node);
}

/* The timer, for the lane that is released next. */
static void
wake(struct redis *r, uint64_t now)
{
	uint64_t next = UINT64_MAX;
	struct timeval in;

	for (unsigned lane = 0; lane < LANES; lane++)
		if (r->held_ms[lane] != 0 && r->held_ms[lane] < next)
			next = r->held_ms[lane];
	if (next == UINT64_MAX)
		return;
	in = timeval_ms(next > now ? next - now : 0);
	event_add(r->held, &in);
}

void
redis_lane_hold(struct redis *r, unsigned lane, unsigned ms)
{
	uint64_t now = clock_ms();

	redis_outbox_move(redis_lane_outbox(r, lane), &r->limbo, lane);
	r->held_ms[lane] = now + ms;
	wake(r, now);
}

void
redis_lanes_release(struct redis *r)
{
	uint64_t now = clock_ms();

	for (unsigned lane = 0; lane < LANES; lane++) {
		if (r->held_ms[lane] == 0 || r->held_ms[lane] > now)
			continue;
		r->held_ms[lane] = 0;
		if (r->lane[lane] != NULL)
			redis_outbox_move(&r->limbo, &r->lane[lane]->outbox,
			    lane);
	}
	wake(r, now);
}
