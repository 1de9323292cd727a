/* SPDX-License-Identifier: MIT
 *
 * Finder: one Redis, where the settings say.
 *
 * Runs in: the router.
 */
#include "backplane/redis.h"

static void *
fixed_open(struct redis *r, const char **why)
{
	(void)why;
	return r;
}

static void
fixed_close(void *self)
{
	(void)self;
}

static void
fixed_start(void *self)
{
	struct redis *r = self;
	struct redis_node *node = redis_node_new(r);

	for (unsigned i = 0; i < LANES; i++)
		redis_lane_set(r, i, node);
	redis_node_open(node, &r->settings.place);
}

static void
fixed_lost(void *self, struct redis_node *node, struct redis_link *l,
    const char *why)
{
	struct redis *r = self;

	(void)l, (void)why;
	redis_node_open(node, &r->settings.place);
}

const struct redis_finder redis_fixed = {
	.name = "",
	.open = fixed_open,
	.close = fixed_close,
	.start = fixed_start,
	.lost = fixed_lost,
};
