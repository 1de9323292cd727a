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

unsigned
hooked(const struct config_webhook *hook)
{
	unsigned bits = 0;

	for (size_t k = 0; k < hook->events.n; k++)
		bits |= bit_of(hook->events.at[k]);
	return bits;
}

struct bytes
hooked_app(const struct config *c, const struct config_webhook *hook)
{
	struct bytes id = bytes_str(hook->app);

	return id.n == 0 && c->n_app == 1 ? bytes_str(c->app[0].id) : id;
}

/* As with Pusher, who counts for subscribers counts for webhooks. */
unsigned
hooked_for(const struct config_app *app, unsigned bits)
{
	return app->subscription_count ? bits : bits & ~HOOKED_COUNTS;
}
