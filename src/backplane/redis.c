/* SPDX-License-Identifier: MIT
 *
 * The Redis driver: its verbs.
 *
 * Runs in: the router.  Owned by: the router.
 */
#include "backplane/redis.h"

#include <stdio.h>
#include <stdlib.h>

#include <event2/event.h>

#include "common/log.h"
#include "common/util.h"

/* ---- time ---------------------------------------------------------------- */

static void
on_second(evutil_socket_t fd, short what, void *arg)
{
	struct redis *r = arg;
	uint64_t now = clock_ms();

	(void)fd, (void)what;
	redis_backlog_tick(r, now);
	redis_topics_tick(r, now);
	if (r->finder->tick != NULL)
		r->finder->tick(r->finding);
	redis_health_tick(r, now);
}

static void
on_soon(evutil_socket_t fd, short what, void *arg)
{
	struct redis *r = arg;

	(void)fd, (void)what;
	redis_backlog_tell(r);
	redis_topics_tell(r);
}

static void
on_held(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	redis_lanes_release(arg);
}

/* ---- life ---------------------------------------------------------------- */

static const struct redis_finder *
finder_for(const struct config_backplane *set)
{
	return set->cluster ? &redis_cluster :
	    set->sentinels.n > 0 ? &redis_sentinel : &redis_fixed;
}

static void
redis_close(void *self)
{
	struct redis *r = self;
	struct redis_node *node;

	redis_topics_done(r);
	while ((node = TAILQ_FIRST(&r->nodes)) != NULL)
		redis_node_free(node);
	if (r->finding != NULL)
		r->finder->close(r->finding);
	redis_links_flush(r);
	redis_outbox_done(r, &r->limbo);
	redis_backlog_done(r);
	redis_settings_done(&r->settings);
	event_free(r->second);
	event_free(r->soon);
	event_free(r->held);
	free(r);
}

static void *
redis_open(const struct config_backplane *set, struct event_base *base,
    const struct backplane_up *up, void *ctx, const char **why)
{
	struct redis *r = xcalloc(1, sizeof(*r));

	r->base = base;
	r->up = up;
	r->ctx = ctx;
	r->finder = finder_for(set);
	r->since_ms = clock_ms();
	TAILQ_INIT(&r->links);
	TAILQ_INIT(&r->nodes);
	redis_outbox_init(&r->limbo);
	redis_backlog_init(&r->backlog);
	redis_topics_init(&r->topics);
	r->second = event_new(base, -1, EV_PERSIST, on_second, r);
	r->soon = event_new(base, -1, 0, on_soon, r);
	r->held = event_new(base, -1, 0, on_held, r);
	if (r->second == NULL || r->soon == NULL || r->held == NULL)
		fatal("no timer for the backplane");
	if (redis_settings_open(&r->settings, set, why) == 0)
		r->finding = r->finder->open(r, why);
	if (r->finding == NULL) {
		redis_close(r);
		return NULL;
	}
	return r;
}

static void
redis_start(void *self)
{
	struct redis *r = self;
	struct timeval second = { 1, 0 };

	event_add(r->second, &second);
	r->finder->start(r->finding);
}

/* More is sent when the kernel took all and there is more to send. */
static void
redis_flush(void *self)
{
	struct redis *r = self;
	struct redis_node *node;

	redis_topics_forget(r);
	TAILQ_FOREACH(node, &r->nodes, link) {
		redis_topics_send(node);
		while (redis_outbox_send(node))
			redis_link_flush(node->publish);
	}
	redis_links_flush(r);
}

/* ---- verbs --------------------------------------------------------------- */

static void
redis_join(void *self, const struct topic *topic, struct position since)
{
	(void)since;
	redis_topics_join(self, topic);
}

static void
redis_leave(void *self, const struct topic *topic)
{
	redis_topics_leave(self, topic);
}

static void
redis_publish(void *self, const struct topic *topic, struct bytes payload,
    uint64_t cookie)
{
	redis_outbox_publish(self, topic, payload, cookie);
}

static void
redis_store(void *self, const struct topic *topic, struct bytes payload,
    uint64_t ttl_ms, uint64_t cookie)
{
	redis_outbox_store(self, topic, payload, ttl_ms, cookie);
}

static void
redis_fetch(void *self, const struct topic *topic, uint64_t cookie)
{
	redis_outbox_fetch(self, topic, cookie);
}

static void
redis_resolved(void *self, uint64_t cookie, const struct msg_list *addresses,
    const char *why)
{
	redis_links_resolved(self, cookie, addresses, why);
}

static void
redis_connected(void *self, uint64_t cookie, int fd)
{
	redis_links_connected(self, cookie, fd);
}

/* ---- state --------------------------------------------------------------- */

const char *
redis_broker(const struct redis *r)
{
	static char text[360];
	const struct redis_node *node = TAILQ_FIRST(&r->nodes);
	const char *name = r->finder->name;
	unsigned n = 0;

	if (node == NULL) {
		snprintf(text, sizeof(text), "redis (%s)", name);
		return text;
	}
	for (const struct redis_node *o = node; o != NULL;
	    o = TAILQ_NEXT(o, link))
		n++;
	snprintf(text, sizeof(text), "%s://%s%s%s%s",
	    node->place.host[0] == '/' ? "unix" :
	    r->settings.tls ? "rediss" : "redis",
	    redis_link_text(node->publish), name[0] != '\0' ? " (" : "", name, name[0] != '\0' ? ")" : "");
	if (n > 1)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
		    " and %u more", n - 1);
	return text;
}

static void
redis_state(const void *self, struct backplane_state *s)
{
	const struct redis *r = self;
	const struct redis_node *node;
	uint64_t rtt;

	*s = (struct backplane_state){ .up = r->told_up, .since = r->since_ms,
	    .broker = bytes_str(redis_broker(r)), .why = bytes_str(r->why),
	    .topics = r->topics.by_name.count, .backlog = r->backlog.n,
	    .backlog_octets = r->backlog.octets };
	TAILQ_FOREACH(node, &r->nodes, link) {
		rtt = redis_link_rtt_us(node->publish);
		if (rtt > s->lag_us)
			s->lag_us = rtt;
	}
}

static void
redis_unsent(const void *self, void *arg, void (*each)(void *arg,
    const struct backplane_parcel *))
{
	const struct redis *r = self;
	const struct redis_node *node;

	redis_outbox_show(&r->limbo, arg, each);
	TAILQ_FOREACH(node, &r->nodes, link)
		redis_outbox_show(&node->outbox, arg, each);
}

static void
redis_adopt(void *self, const struct backplane_parcel *p)
{
	redis_outbox_adopt(self, p);
}

const struct backplane backplane_redis = {
	.name = "redis",
	.flags = BACKPLANE_ECHOES,
	.open = redis_open,
	.close = redis_close,
	.start = redis_start,
	.flush = redis_flush,
	.join = redis_join,
	.leave = redis_leave,
	.publish = redis_publish,
	.store = redis_store,
	.fetch = redis_fetch,
	.resolved = redis_resolved,
	.connected = redis_connected,
	.state = redis_state,
	.unsent = redis_unsent,
	.adopt = redis_adopt,
};
