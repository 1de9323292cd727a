/* SPDX-License-Identifier: MIT
 *
 * The router's side of the backplane.
 *
 * Runs in: the router.
 */
#include "router/carrier.h"

#include "common/log.h"
#include "common/util.h"
#include "router/router.h"

/* ---- upcalls ------------------------------------------------------------ */

static void
on_joined(void *ctx, const struct topic *topic, struct position at)
{
	(void)at;
	pending_joined(ctx, topic);
}

static const struct backplane_up upcalls = {
	.joined = on_joined,
};

/* ---- life --------------------------------------------------------------- */

void
carrier_open(struct router *r)
{
	const char *why = "";

	if (r->backplane == NULL)	/* a test brings its own */
		r->backplane =
		    backplane_by_driver(r->config->backplane.driver);
	if (r->backplane == NULL)
		die("this build has no such backplane driver");
	r->carrier = r->backplane->open(&r->config->backplane, r->base,
	    &upcalls, r, &why);
	if (r->carrier == NULL)
		die("backplane %s: %s", r->backplane->name, why);
}

void
carrier_close(struct router *r)
{
	if (r->carrier != NULL)
		r->backplane->close(r->carrier);
}

bool
carrier_alone(const struct router *r)
{
	return (r->backplane->flags & BACKPLANE_LOCAL) != 0;
}

void
carrier_start(struct router *r)
{
	if (!carrier_alone(r))
		r->backplane->start(r->carrier);
}

/* ---- topics ------------------------------------------------------------- */

void
carrier_join(struct route *t)
{
	struct router *r = t->census->router;
	struct topic topic = route_topic(t);

	if (carrier_alone(r))
		t->joined = true;
	else
		r->backplane->join(r->carrier, &topic,
		    (struct position){ 0, 0 });
}

void
carrier_leave(struct route *t)
{
	struct router *r = t->census->router;
	struct topic topic = route_topic(t);

	if (!carrier_alone(r))
		r->backplane->leave(r->carrier, &topic);
}
