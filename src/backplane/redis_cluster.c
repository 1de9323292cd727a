/* SPDX-License-Identifier: MIT
 *
 * Who serves what in a Redis Cluster (a finder of redis.h: one node for each
 * master that serves a lane).
 *
 * CLUSTER SLOTS is read at the start and every 30 s, and at once when a node
 * says MOVED, ends pub/sub of a topic unasked, or its connection breaks; then
 * again and again until every lane has a node that is up.  All nodes that were
 * ever named are asked in turn, those that seem dead last.  An answer of a node
 * that knows less than another one did (cluster_current_epoch) is not believed.
 *
 * MOVED moves its lane at once, the next reading the rest.  ASK, TRYAGAIN and
 * CLUSTERDOWN change nothing: the command is sent again there, and the layout
 * read again.
 *
 * Runs in: the router.  Owned by: struct redis.
 */
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

#include "backplane/redis.h"
#include "backplane/redis_moves.h"
#include "backplane/redis_reply.h"
#include "backplane/redis_slots.h"
#include "backplane/redis_told.h"
#include "common/log.h"
#include "common/util.h"

#define CLUSTER_PORT	6379
#define PAUSE_MIN_MS	50
#define PAUSE_MAX_MS	2000
#define BROKEN_MS	100	/* between readings while a node is away */
/* So long other hosts may need to learn what we have. */
#define HOLD_MOVED_MS	50	/* they are told, by sunsubscribe */
#define HOLD_LOST_MS	250	/* they look, every BROKEN_MS */
#define GAP_MS		50	/* between readings at least */
#define READ_MS		30000
#define STAY		5
#define OUTDATED_MS	60000	/* so long an epoch is remembered */
#define MOVED_MS	200	/* a lane is moved by MOVED once in so long */

/* The three questions, in one go. */
enum { ASK_EPOCH, ASK_SLOTS, ASK_SHARDED, ASKS };

struct cluster {
	struct redis		*redis;
	struct redis_place	*given;		/* by the settings */
	unsigned		 n_given;
	unsigned		 at;		/* whom to ask next */
	struct redis_place	 hint;		/* who knows better */
	bool			 hinted;
	struct redis_sign	 sign;
	struct redis_link	*link;
	struct event		*again;
	bool			 reading;	/* asked, or connecting for it */
	bool			 wanted;	/* once more */
	bool			 complained;	/* logged why it is no use */
	unsigned		 answers;	/* of ASKS */
	unsigned		 stay;		/* questions, with this one */
	unsigned		 tried;		/* since the last reading */
	unsigned		 pause_ms;
	uint64_t		 due_ms;	/* of again */
	uint64_t		 read_ms, believed_ms;
	uint64_t		 epoch, epoch_told;
	uint64_t		 moved_ms[LANES];
	struct redis_layout	 layout, told;
	struct redis_moves	 moves;
	char			 why[200];
};

/* ---- nodes and lanes ------------------------------------------------------ */

static struct redis_node *
node_of(struct redis *redis, const struct redis_place *place)
{
	struct redis_node *node;

	TAILQ_FOREACH(node, &redis->nodes, link)
		if (redis_place_eq(&node->place, place))
			return node;
	return NULL;
}

static void
give_lane(struct cluster *c, unsigned lane, const struct redis_place *place)
{
	struct redis_node *from = c->redis->lane[lane];
	struct redis_node *node = node_of(c->redis, place);
	bool made = node == NULL;

	if (made)
		node = redis_node_new(c->redis);
	if (from != NULL && from != node)
		redis_lane_hold(c->redis, lane,
		    redis_node_up(from) ? HOLD_MOVED_MS : HOLD_LOST_MS);
	redis_lane_set(c->redis, lane, node);
	if (made)
		redis_node_open(node, place);
}

static bool
all_up(const struct cluster *c)
{
	for (unsigned lane = 0; lane < LANES; lane++)
		if (c->redis->lane[lane] == NULL ||
		    !redis_node_up(c->redis->lane[lane]))
			return false;
	return true;
}

/* Not from inside a node's own calls, as its links must not be freed there. */
static void
drop_idle(struct cluster *c)
{
	struct redis_node *node, *next;

	for (node = TAILQ_FIRST(&c->redis->nodes); node != NULL; node = next) {
		next = TAILQ_NEXT(node, link);
		if (node->lanes == 0)
			redis_node_free(node);
	}
}

/* ---- reading -------------------------------------------------------------- */

static void
arm(struct cluster *c, unsigned ms)
{
	struct timeval in = timeval_ms(ms);
	uint64_t due = clock_ms() + ms;

	if (event_pending(c->again, EV_TIMEOUT, NULL) && c->due_ms <= due)
		return;
	c->due_ms = due;
	event_add(c->again, &in);
}

/* The layout may have changed; hint: who knows, or NULL. */
static void
want(struct cluster *c, const struct redis_place *hint)
{
	uint64_t since = clock_ms() - c->read_ms;

	if (hint != NULL) {
		c->hint = *hint;
		c->hinted = true;
	}
	c->wanted = true;
	if (!c->reading && c->tried == 0)
		arm(c, since < GAP_MS ? GAP_MS : 0);
}

static const struct redis_place *
candidate(const struct cluster *c, unsigned i)
{
	i %= c->layout.n + c->n_given;
	return i < c->layout.n ? &c->layout.place[i] :
	    &c->given[i - c->layout.n];
}

/* Whom to ask: who knows better; else the one that was asked, a few times; else
 * the next one that is not known to be away. */
static const struct redis_place *
choose(struct cluster *c)
{
	unsigned all = c->layout.n + c->n_given;

	if (c->hinted) {
		c->hinted = false;
		return &c->hint;
	}
	if (redis_link_up(c->link) && c->stay > 0)
		return redis_link_place(c->link);
	for (unsigned i = 0; i < all; i++) {
		const struct redis_place *place = candidate(c, c->at + i);
		const struct redis_node *node = node_of(c->redis, place);

		if ((node == NULL || redis_node_up(node)) &&
		    !redis_place_eq(place, redis_link_place(c->link))) {
			c->at = (c->at + i + 1) % all;
			return place;
		}
	}
	if (redis_link_up(c->link))
		return redis_link_place(c->link);
	c->at = (c->at + 1) % all;
	return candidate(c, c->at);
}

static void
ask(struct cluster *c)
{
	static const struct bytes asks[ASKS][2] = {
		[ASK_EPOCH] = { BYTES("CLUSTER"), BYTES("INFO") },
		[ASK_SLOTS] = { BYTES("CLUSTER"), BYTES("SLOTS") },
		/* Without arguments it says only whether it is known. */
		[ASK_SHARDED] = { BYTES("SPUBLISH") },
	};

	c->answers = 0;
	c->epoch_told = 0;
	if (c->stay > 0)
		c->stay--;
	for (int i = 0; i < ASKS; i++)
		redis_link_command(c->link, asks[i][1].n != 0 ? 2 : 1, asks[i]);
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	struct cluster *c = arg;
	const struct redis_place *place;

	(void)fd;
	(void)what;
	if (c->reading)
		return;
	c->reading = true;
	c->wanted = false;
	place = choose(c);
	if (redis_link_up(c->link) &&
	    redis_place_eq(redis_link_place(c->link), place))
		ask(c);
	else
		redis_link_open(c->link, place);
}

/* The layout is what was told last. */
static void
apply(struct cluster *c)
{
	unsigned changed = 0;

	c->layout = c->told;
	for (unsigned lane = 0; lane < LANES; lane++) {
		struct redis_node *before = c->redis->lane[lane];
		int i = c->layout.lane[lane];

		if (i >= 0)
			give_lane(c, lane, &c->layout.place[i]);
		else if (before != NULL)
			redis_lane_set(c->redis, lane, NULL);
		changed += c->redis->lane[lane] != before;
	}
	if (changed != 0)
		redis_moves_add(&c->moves, c->layout.masters, changed,
		    clock_ms());
	redis_health_check(c->redis);
}

/* It was read to the end. */
static void
read_done(struct cluster *c)
{
	uint64_t now = clock_ms();

	c->reading = c->complained = false;
	c->tried = 0;
	c->pause_ms = PAUSE_MIN_MS;
	c->read_ms = now;
	if (c->epoch_told < c->epoch && now - c->believed_ms < OUTDATED_MS) {
		c->stay = 0;
		arm(c, BROKEN_MS);
		return;
	}
	c->epoch = c->epoch_told;
	c->believed_ms = now;
	apply(c);
	if (c->wanted)
		arm(c, GAP_MS);
	else if (!all_up(c))
		arm(c, BROKEN_MS);
}

/* ---- its link ------------------------------------------------------------- */

static void
link_up(void *ctx, struct redis_link *link)
{
	struct cluster *c = ctx;

	(void)link;
	c->stay = STAY;
	if (c->reading)
		ask(c);
}

static void
say_why(struct cluster *c, const char *why)
{
	char text[300];

	snprintf(text, sizeof(text), "no node tells the layout: %.100s: %.150s",
	    redis_link_text(c->link), why);
	redis_say_why(c->redis, text);
}

static void
link_down(void *ctx, struct redis_link *link, const char *why)
{
	struct cluster *c = ctx;
	unsigned ms = 0;

	(void)link;
	if (!c->reading)
		return;
	c->reading = false;
	if (++c->tried >= c->layout.n + c->n_given) {
		c->tried = 1;
		say_why(c, why);
		ms = c->pause_ms / 2 + random_1_to(c->pause_ms / 2);
		if ((c->pause_ms *= 2) > PAUSE_MAX_MS)
			c->pause_ms = PAUSE_MAX_MS;
	}
	arm(c, ms);
}

/* A cluster that is none must be seen in the log, once. */
static int
useless(struct cluster *c, const char *what, const redisReply *reply,
    const char **why)
{
	snprintf(c->why, sizeof(c->why), "%s%s%s", what,
	    reply != NULL ? ": " : "",
	    reply != NULL ? log_bytes(redis_reply_text(reply)) : "");
	if (!c->complained)
		log_error("backplane redis: %s asked=%s", c->why,
		    redis_link_text(c->link));
	c->complained = true;
	*why = c->why;
	return -1;
}

static int
link_reply(void *ctx, struct redis_link *link, const redisReply *reply,
    const char **why)
{
	struct cluster *c = ctx;
	bool error = reply->type == REDIS_REPLY_ERROR;

	if (!c->reading)
		return 0;
	switch (c->answers++) {
	case ASK_EPOCH:
		/* Not allowed, perhaps: then all know the same. */
		c->epoch_told = error ? c->epoch :
		    redis_told_epoch(redis_reply_text(reply));
		return 0;
	case ASK_SLOTS:
		if (error || redis_told_layout(&c->told, reply,
		    redis_link_place(link)->host) != 0)
			return useless(c, "no answer to CLUSTER SLOTS",
			    error ? reply : NULL, why);
		return 0;
	default:
		if (error && bytes_starts(redis_reply_text(reply),
		    B("ERR unknown command")))
			return useless(c, "this Redis Cluster has no sharded "
			    "publish and subscribe (Redis 7 has)", NULL, why);
		read_done(c);
		return 0;
	}
}

static const struct redis_link_ops link_ops = {
	.up = link_up, .down = link_down, .reply = link_reply
};

/* ---- the finder ----------------------------------------------------------- */

static void
cluster_close(void *self)
{
	struct cluster *c = self;

	if (c->again != NULL)
		event_free(c->again);
	if (c->link != NULL)
		redis_link_free(c->link);
	free(c->given);
	free(c);
}

static void *
cluster_open(struct redis *redis, const char **why)
{
	const struct config_strings *nodes = &redis->settings.set->nodes;
	struct cluster *c = xcalloc(1, sizeof(*c));

	if (redis->settings.publish.database != 0) {
		*why = "backplane.database: a Redis Cluster has only 0";
		free(c);
		return NULL;
	}
	c->redis = redis;
	c->given = xcalloc(nodes->n + 1, sizeof(*c->given));
	c->given[0] = redis->settings.place;
	c->n_given = 1;
	c->pause_ms = PAUSE_MIN_MS;
	for (size_t i = 0; i < nodes->n; i++)
		if (redis_place_parse(&c->given[c->n_given++],
		    bytes_str(nodes->at[i]), CLUSTER_PORT) != 0) {
			*why = "backplane.nodes: not HOST:PORT";
			cluster_close(c);
			return NULL;
		}
	return c;
}

static void
cluster_start(void *self)
{
	struct cluster *c = self;

	c->sign = c->redis->settings.publish;
	c->again = evtimer_new(c->redis->base, on_again, c);
	c->link = redis_link_new(c->redis, false, &c->sign, &link_ops, c);
	want(c, NULL);
}

static void
cluster_lost(void *self, struct redis_node *node, struct redis_link *link,
    const char *why)
{
	struct cluster *c = self;

	(void)link;
	(void)why;
	if (node->lanes == 0)
		return;		/* on its way out */
	redis_node_open(node, &node->place);
	want(c, NULL);
}

static void
moved_to(struct cluster *c, struct redis_node *node, unsigned slot,
    const struct redis_place *place)
{
	unsigned lane = redis_slot_lane(slot);
	uint64_t now = clock_ms();

	/* Said of a lane that has left there already, or that is sent around
	 * in a circle: the layout will say. */
	if (lane < LANES && c->redis->lane[lane] == node &&
	    !redis_place_eq(place, &node->place) &&
	    (c->moved_ms[lane] == 0 || now - c->moved_ms[lane] >= MOVED_MS)) {
		c->moved_ms[lane] = now;
		give_lane(c, lane, place);
	}
	want(c, place);
}

static void
cluster_moved(void *self, struct redis_node *node, unsigned lane,
    const char *error)
{
	struct cluster *c = self;
	struct redis_place place;
	unsigned slot;

	(void)lane;
	if (error == NULL)
		want(c, &node->place);
	else if (redis_told_moved(&place, &slot, bytes_str(error),
	    node->place.host) == 0)
		moved_to(c, node, slot, &place);
	else
		want(c, NULL);
}

static void
cluster_tick(void *self)
{
	struct cluster *c = self;
	uint64_t now = clock_ms();

	drop_idle(c);
	redis_moves_tick(&c->moves, now);
	if (now - c->read_ms >= READ_MS) {
		c->stay = 0;
		want(c, NULL);
	} else if (!all_up(c)) {
		want(c, NULL);
	}
}

static struct bytes
cluster_tag(void *self, unsigned lane)
{
	(void)self;
	return bytes_str(redis_lane_tag(lane));
}

const struct redis_finder redis_cluster = {
	.name = "cluster",
	.sharded = true,
	.open = cluster_open,
	.close = cluster_close,
	.start = cluster_start,
	.lost = cluster_lost,
	.moved = cluster_moved,
	.tick = cluster_tick,
	.tag = cluster_tag
};
