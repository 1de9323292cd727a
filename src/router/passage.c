/* SPDX-License-Identifier: MIT
 *
 * A message's way from one worker to the others.
 *
 * Runs in: the router.
 */
#include "router/passage.h"

#include "common/counters.h"
#include "router/router.h"

/* A message of this host and who published it. */
struct passing {
	const struct msg_publish	*m;
	struct peer			*from;
	uint64_t			 origin;
};

/* Encoded once; a single worker gets it without a copy. */
static void
route_deliver(struct route *t, const struct passing *p)
{
	struct router *r = t->census->router;
	const struct msg_publish *m = p->m;
	struct msg_deliver d = {
		.epoch = r->epoch, .serial = ++r->serial,
		.origin = p->origin, .origin_serial = m->serial,
		.app = m->app, .channel = m->channel,
		.position_epoch = t->epoch, .position_offset = t->offset,
		.event = m->event, .data = m->data, .user = m->user,
		.except_a = m->except_a, .except_b = m->except_b,
		.flags = m->flags,
	};

	for (uint32_t i = 0; i < t->subs.n; i++)
		peer_touch(p->from, t->subs.at[i].peer);
	if (t->subs.n == 1) {
		msg_pack_deliver(ipc_out(t->subs.at[0].peer->ipc), &d);
		return;
	}
	buf_clear(&r->scratch);
	msg_pack_deliver(&r->scratch, &d);
	route_cast(t, buf_view(&r->scratch));
}

static bool
is_cached(const struct msg_publish *m)
{
	return (m->flags & (PUBLISH_CACHE | PUBLISH_CLIENT)) == PUBLISH_CACHE;
}

/* Numbered, kept if it is to be, and out to the workers that want it. */
static void
deliver(struct router *r, const struct passing *p)
{
	const struct msg_publish *m = p->m;
	bool keep = is_cached(m);
	struct census *c = keep ? census_get(r, m->app)
	    : census_find(r, m->app);
	struct route *t;

	counter.routed++;
	if (c == NULL)
		return;
	t = keep ? route_get(c, m->channel) : route_find(c, m->channel);
	if (t == NULL)
		return;
	t->offset++;
	if (t->subs.n > 0)
		route_deliver(t, p);
	if (keep)
		history_put(t, m->event, m->data);
	route_release(t);
}

/* Has this worker's message been routed before?  Notes it if not. */
static bool
seen_before(struct peer *from, uint64_t serial)
{
	if (from == NULL)
		return false;
	if (serial <= from->highest) {
		counter.duplicates++;
		return true;
	}
	from->highest = serial;
	return false;
}

void
passage_publish(struct router *r, struct peer *from,
    const struct msg_publish *m)
{
	struct passing p = {
		.m = m, .from = from,
		.origin = from != NULL ? from->origin : r->epoch,
	};

	if (!seen_before(from, m->serial))
		deliver(r, &p);
}

void
passage_kick(struct router *r, struct peer *from, const struct msg_kick *m)
{
	struct msg_terminate out = {
		.epoch = r->epoch, .serial = r->serial + 1,
		.app = m->app, .user = m->user,
	};
	struct peer *p;

	if (seen_before(from, m->serial))
		return;
	r->serial++;
	TAILQ_FOREACH(p, &r->peers, link)
		peer_touch(from, p);
	buf_clear(&r->scratch);
	msg_pack_terminate(&r->scratch, &out);
	peers_cast(r, buf_view(&r->scratch));
}
