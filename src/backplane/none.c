/* SPDX-License-Identifier: MIT
 *
 * The backplane of a host that stands alone: every verb succeeds at once, and
 * what is published comes back from inside the call.
 *
 * Runs in: the router.  Owns: struct none.  Dies: close().
 */
#include "backplane/backplane.h"

#include <stdlib.h>

#include "common/util.h"

struct none {
	const struct backplane_up	*up;
	void				*ctx;
};

static const struct position here;	/* no positions of its own */
static const struct origin self_;	/* the only host */

static void *
none_open(const struct config_backplane *set, struct event_base *base,
    const struct backplane_up *up, void *ctx, const char **why)
{
	struct none *n = xmalloc(sizeof(*n));

	(void)set, (void)base, (void)why;
	n->up = up;
	n->ctx = ctx;
	return n;
}

static void
none_close(void *self)
{
	free(self);
}

static void
none_join(void *self, const struct topic *topic, struct position since)
{
	struct none *n = self;

	(void)since;
	n->up->joined(n->ctx, topic, here, NULL);
}

static void
none_leave(void *self, const struct topic *topic)
{
	(void)self, (void)topic;
}

static void
none_publish(void *self, const struct topic *topic, struct bytes key,
    struct bytes bytes, uint64_t cookie)
{
	struct none *n = self;

	(void)key;
	n->up->message(n->ctx, topic, here, &self_, cookie, bytes);
	n->up->published(n->ctx, cookie, here, NULL);
}

static void
none_broadcast(void *self, struct bytes bytes, uint64_t cookie)
{
	none_publish(self, NULL, B(""), bytes, cookie);
}

const struct backplane backplane_none = {
	.name = "none",
	.flags = BACKPLANE_LOCAL | BACKPLANE_ORDERED | BACKPLANE_ECHOES,
	.open = none_open,
	.close = none_close,
	.join = none_join,
	.leave = none_leave,
	.publish = none_publish,
	.broadcast = none_broadcast,
};
