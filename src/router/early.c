/* SPDX-License-Identifier: MIT
 *
 * Messages that came early.
 *
 * Runs in: the router.
 */
#include "router/early.h"

#include <stdlib.h>

#include "common/util.h"

struct early {
	TAILQ_ENTRY(early)	 link;
	struct topic		 topic;
	struct bytes		 octets;
	char			 room[];	/* app, channel, octets */
};

void
early_init(struct earlies *es)
{
	TAILQ_INIT(&es->list);
	es->octets = 0;
}

static size_t
cost(const struct early *e)
{
	return sizeof(*e) + e->topic.app.n + e->topic.channel.n + e->octets.n;
}

static void
early_free(struct earlies *es, struct early *e)
{
	TAILQ_REMOVE(&es->list, e, link);
	es->octets -= cost(e);
	free(e);
}

void
early_done(struct earlies *es)
{
	while (!TAILQ_EMPTY(&es->list))
		early_free(es, TAILQ_FIRST(&es->list));
}

static struct bytes
copy(char **at, struct bytes b)
{
	struct bytes own = bytes_of(*at, b.n);

	if (b.n > 0)
		memcpy(*at, b.p, b.n);
	*at += b.n;
	return own;
}

bool
early_keep(struct earlies *es, const struct topic *topic, struct bytes octets)
{
	size_t n = topic->app.n + topic->channel.n + octets.n;
	struct early *e;
	char *at;

	if (es->octets + sizeof(*e) + n > EARLY_MAX)
		return false;
	e = xmalloc(sizeof(*e) + n);
	at = e->room;
	e->topic = *topic;
	e->topic.app = copy(&at, topic->app);
	e->topic.channel = copy(&at, topic->channel);
	e->octets = copy(&at, octets);
	TAILQ_INSERT_TAIL(&es->list, e, link);
	es->octets += cost(e);
	return true;
}

void
early_prune(struct earlies *es, void *ctx, bool (*drop)(void *ctx,
    const struct topic *, struct bytes))
{
	struct early *e;

	while ((e = TAILQ_FIRST(&es->list)) != NULL &&
	    drop(ctx, &e->topic, e->octets))
		early_free(es, e);
}

bool
early_remove(struct earlies *es, const struct topic *topic, void *ctx,
    bool (*drop)(void *ctx, const struct topic *, struct bytes))
{
	struct early *e;

	TAILQ_FOREACH(e, &es->list, link) {
		if (e->topic.raw != topic->raw ||
		    !bytes_eq(e->topic.app, topic->app) ||
		    !bytes_eq(e->topic.channel, topic->channel) ||
		    !drop(ctx, &e->topic, e->octets))
			continue;
		early_free(es, e);
		return true;
	}
	return false;
}

void
early_over(struct earlies *es, struct router *r, void (*take)(void *ctx,
    const struct topic *, struct position, struct bytes))
{
	static const struct position nowhere;
	struct early *e;

	while ((e = TAILQ_FIRST(&es->list)) != NULL) {
		take(r, &e->topic, nowhere, e->octets);
		early_free(es, e);
	}
}
