/* SPDX-License-Identifier: MIT
 *
 * Which events [webhook]s want.
 *
 * Runs in: the router, workers.
 */
#include "common/hooked.h"

#include "common/util.h"

static const struct {
	struct bytes	 name;
	unsigned	 bit;
} events[] = {
	{ BYTES("channel_occupied"), HOOKED_CHANNELS },
	{ BYTES("channel_vacated"), HOOKED_CHANNELS },
	{ BYTES("member_added"), HOOKED_MEMBERS },
	{ BYTES("member_removed"), HOOKED_MEMBERS },
	{ BYTES("client_event"), HOOKED_CLIENT },
	{ BYTES("cache_miss"), HOOKED_MISSES },
	{ BYTES("subscription_count"), HOOKED_COUNTS },
	{ BYTES("connection_opened"), HOOKED_OPENED },
	{ BYTES("connection_closed"), HOOKED_CLOSED },
};

static unsigned
bit_of(const char *name)
{
	for (size_t i = 0; i < NELEM(events); i++) {
		if (bytes_eq(events[i].name, bytes_str(name)))
			return events[i].bit;
	}
	return 0;
}

static bool
is_for(const struct config *c, const struct config_webhook *hook,
    const struct config_app *app)
{
	struct bytes name = bytes_str(hook->app);

	if (name.n == 0)
		return c->n_app == 1;
	return bytes_eq(name, bytes_str(app->id)) ||
	    bytes_eq(name, bytes_str(app->label));
}

unsigned
hooked(const struct config *c, const struct config_app *app)
{
	unsigned bits = 0;

	for (size_t i = 0; i < c->n_webhook; i++) {
		const struct config_webhook *hook = &c->webhook[i];

		if (!is_for(c, hook, app))
			continue;
		for (size_t k = 0; k < hook->events.n; k++)
			bits |= bit_of(hook->events.at[k]);
	}
	/* As with Pusher, who counts for subscribers counts for webhooks. */
	return app->subscription_count ? bits : bits & ~HOOKED_COUNTS;
}
