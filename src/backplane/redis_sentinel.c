/* SPDX-License-Identifier: MIT
 *
 * Where the master is, as Redis Sentinels say (a finder of redis.h: one node
 * that serves all lanes).
 *
 * The Sentinels are asked in turn, from the one that last answered on, whenever
 * the node's connection is gone; what they name is used only if it calls itself
 * a master (ROLE, redis_link.c).  One of them is listened to as well, so that an
 * old master is left at once when another takes its place.  While none can be
 * reached, the master last known is tried.
 *
 * Runs in: the router.  Owned by: struct redis.
 */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

#include <event2/event.h>

#include "backplane/redis.h"
#include "backplane/redis_told.h"
#include "common/log.h"
#include "common/util.h"

#define SENTINEL_PORT	26379
#define PAUSE_MIN_MS	50
#define PAUSE_MAX_MS	2000
#define HOLD_MS		500	/* so long others may need to learn of it */
#define SWITCHED	"+switch-master"

struct sentinel {
	struct redis		*redis;
	struct redis_node	*node;
	struct redis_place	*places, master;
	size_t			 n, at;		/* at: asked last */
	size_t			 watch_at;
	struct redis_sign	 sign;
	struct redis_link	*ask, *watch;
	struct event		*again;
	bool			 known;		/* master is */
	bool			 wanted;	/* an answer is */
	bool			 trying;	/* ask is being opened */
	bool			 asked;		/* and waits for the answer */
	bool			 watching;	/* watch is open or opening */
	unsigned		 tried;		/* since the last answer */
	unsigned		 pause_ms;
};

/* ---- asking --------------------------------------------------------------- */

static struct bytes
master_name(const struct sentinel *s)
{
	return bytes_str(s->redis->settings.set->sentinel_master);
}

static void
arm(struct sentinel *s, unsigned ms)
{
	struct timeval in = timeval_ms(ms);

	if (!event_pending(s->again, EV_TIMEOUT, NULL))
		event_add(s->again, &in);
}

static void
question(struct sentinel *s)
{
	struct bytes command[] = { B("SENTINEL"), B("get-master-addr-by-name"),
	    master_name(s) };

	if (s->asked)
		return;
	s->asked = true;
	redis_link_command(s->ask, NELEM(command), command);
}

static void
want(struct sentinel *s)
{
	s->wanted = true;
	if (redis_link_up(s->ask))
		question(s);
	else if (!s->trying)
		arm(s, 0);
}

static void
say_why(struct sentinel *s, const char *why)
{
	char text[300];

	if (redis_node_up(s->node))
		return;
	snprintf(text, sizeof(text), "no Sentinel helps: %.100s: %.160s",
	    redis_link_text(s->ask), why);
	redis_say_why(s->redis, text);
}

/* This Sentinel was of no use: the next one, after a pause if all have been
 * asked. */
static void
next(struct sentinel *s, const char *why)
{
	unsigned ms = 0;

	s->trying = s->asked = false;
	if (!s->wanted)
		return;
	if (++s->tried >= s->n) {
		s->tried = 0;
		say_why(s, why);
		ms = s->pause_ms / 2 + random_1_to(s->pause_ms / 2);
		if ((s->pause_ms *= 2) > PAUSE_MAX_MS)
			s->pause_ms = PAUSE_MAX_MS;
		if (s->known && !redis_node_up(s->node))
			redis_node_open(s->node, &s->master);
	}
	s->at = (s->at + 1) % s->n;
	arm(s, ms);
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	struct sentinel *s = arg;

	(void)fd;
	(void)what;
	if (!s->wanted || s->trying)
		return;
	s->trying = true;
	redis_link_open(s->ask, &s->places[s->at]);
}

static void
found(struct sentinel *s, const struct redis_place *place)
{
	if (!s->known || !redis_place_eq(place, &s->master)) {
		for (unsigned lane = 0; s->known && lane < LANES; lane++)
			redis_lane_hold(s->redis, lane, HOLD_MS);
		s->master = *place;
		s->known = true;
		log_info("backplane redis: Sentinel's master host=%s port=%u",
		    log_bytes(bytes_str(place->host)), place->port);
	}
	redis_node_open(s->node, &s->master);
}

/* ---- the link that asks --------------------------------------------------- */

static void
ask_up(void *ctx, struct redis_link *link)
{
	struct sentinel *s = ctx;

	(void)link;
	s->trying = false;
	if (s->wanted)
		question(s);
}

static void
ask_down(void *ctx, struct redis_link *link, const char *why)
{
	(void)link;
	next(ctx, why);
}

static void
watch(struct sentinel *s, size_t at)
{
	if (s->watching)
		return;
	s->watching = true;
	s->watch_at = at;
	redis_link_open(s->watch, &s->places[at]);
}

static int
ask_reply(void *ctx, struct redis_link *link, const redisReply *reply,
    const char **why)
{
	struct sentinel *s = ctx;
	struct redis_place place;

	(void)link;
	if (!s->asked)
		return 0;
	s->asked = false;
	if (redis_told_master(&place, reply) != 0) {
		*why = reply->type == REDIS_REPLY_ERROR ?
		    "the Sentinel refuses to answer" :
		    "the Sentinel does not know backplane.sentinel_master";
		return -1;
	}
	s->wanted = false;
	s->tried = 0;
	s->pause_ms = PAUSE_MIN_MS;
	found(s, &place);
	watch(s, s->at);
	return 0;
}

static const struct redis_link_ops ask_ops = {
	.up = ask_up, .down = ask_down, .reply = ask_reply
};

/* ---- the link that listens ------------------------------------------------ */

static void
watch_up(void *ctx, struct redis_link *link)
{
	struct bytes command[] = { B("SUBSCRIBE"), B(SWITCHED) };

	(void)ctx;
	redis_link_command(link, NELEM(command), command);
}

static void
watch_down(void *ctx, struct redis_link *link, const char *why)
{
	struct sentinel *s = ctx;

	(void)link;
	(void)why;
	s->watching = false;	/* tick() goes to the next */
}

/* What happened before we listened is asked for. */
static int
watch_reply(void *ctx, struct redis_link *link, const redisReply *reply,
    const char **why)
{
	(void)link;
	if (reply->type == REDIS_REPLY_ERROR) {
		*why = "the Sentinel refuses SUBSCRIBE";
		return -1;
	}
	want(ctx);
	return 0;
}

static void
watch_message(void *ctx, struct redis_link *link, struct bytes channel,
    struct bytes payload)
{
	struct sentinel *s = ctx;
	struct redis_place place;

	(void)link;
	if (bytes_eq(channel, B(SWITCHED)) &&
	    redis_told_switch(&place, payload, master_name(s)) == 0)
		found(s, &place);
}

static const struct redis_link_ops watch_ops = {
	.up = watch_up, .down = watch_down, .reply = watch_reply,
	.message = watch_message
};

/* ---- the finder ----------------------------------------------------------- */

static void
sentinel_close(void *self)
{
	struct sentinel *s = self;

	if (s->again != NULL)
		event_free(s->again);
	if (s->ask != NULL)
		redis_link_free(s->ask);
	if (s->watch != NULL)
		redis_link_free(s->watch);
	free(s->places);
	free(s);
}

static void *
sentinel_open(struct redis *redis, const char **why)
{
	const struct config_backplane *set = redis->settings.set;
	struct sentinel *s = xcalloc(1, sizeof(*s));

	s->redis = redis;
	s->n = set->sentinels.n;
	s->places = xcalloc(s->n, sizeof(*s->places));
	for (size_t i = 0; i < s->n; i++)
		if (redis_place_parse(&s->places[i],
		    bytes_str(set->sentinels.at[i]), SENTINEL_PORT) != 0) {
			*why = "backplane.sentinels: not HOST:PORT";
			sentinel_close(s);
			return NULL;
		}
	s->sign.user = set->sentinel_username;
	s->sign.password = set->sentinel_password;
	s->pause_ms = PAUSE_MIN_MS;
	/* Not all hosts begin with the same one. */
	s->at = random_1_to((uint32_t)s->n) - 1;
	return s;
}

static void
sentinel_start(void *self)
{
	struct sentinel *s = self;
	struct redis *redis = s->redis;

	/* Whoever was a master may be a replica now. */
	redis->settings.publish.master = redis->settings.subscribe.master = true;
	s->again = evtimer_new(redis->base, on_again, s);
	s->ask = redis_link_new(redis, false, &s->sign, &ask_ops, s);
	s->watch = redis_link_new(redis, true, &s->sign, &watch_ops, s);
	s->node = redis_node_new(redis);
	for (unsigned lane = 0; lane < LANES; lane++)
		redis_lane_set(redis, lane, s->node);
	want(s);
}

static void
sentinel_lost(void *self, struct redis_node *node, struct redis_link *link,
    const char *why)
{
	(void)node;
	(void)link;
	(void)why;
	want(self);
}

static void
sentinel_moved(void *self, struct redis_node *node, unsigned lane,
    const char *error)
{
	(void)node;
	(void)lane;
	(void)error;
	want(self);
}

static void
sentinel_tick(void *self)
{
	struct sentinel *s = self;

	if (s->known)
		watch(s, (s->watch_at + 1) % s->n);
}

const struct redis_finder redis_sentinel = {
	.name = "sentinel",
	.open = sentinel_open,
	.close = sentinel_close,
	.start = sentinel_start,
	.lost = sentinel_lost,
	.moved = sentinel_moved,
	.tick = sentinel_tick
};
