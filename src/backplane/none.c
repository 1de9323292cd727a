/* SPDX-License-Identifier: MIT
 *
 * The backplane of a host that stands alone: messages never get as far as here.
 *
 * Runs in: the router.
 */
#include "backplane/backplane.h"

static void *
none_open(const struct config_backplane *set, struct event_base *base,
    const struct backplane_up *up, void *ctx, const char **why)
{
	(void)set, (void)base, (void)up, (void)why;
	return ctx;	/* anything but NULL; it is never looked at */
}

static void
none_close(void *self)
{
	(void)self;
}

const struct backplane backplane_none = {
	.name = "none",
	.flags = BACKPLANE_LOCAL,
	.open = none_open,
	.close = none_close,
};
