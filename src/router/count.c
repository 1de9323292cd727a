/* SPDX-License-Identifier: MIT
 *
 * Numbers of subscribers, pushed.
 *
 * Runs in: the router.
 */
#include "router/count.h"

#include <stdlib.h>

#include "common/util.h"
#include "router/router.h"

struct counting {
	TAILQ_ENTRY(counting)	 link;		/* while changed */
	struct route		*route;
	uint64_t		 pushed;	/* clock_ms() of the last */
	uint64_t		 count;		/* that was it */
	bool			 inherited;	/* by a router before us */
	bool			 changed;
};

void
count_want(struct route *t)
{
	if (t->counting != NULL || t->members != NULL)
		return;
	t->counting = xcalloc(1, sizeof(*t->counting));
	t->counting->route = t;
}

void
count_changed(struct route *t)
{
	struct counting *k = t->counting;

	if (k == NULL || k->changed)
		return;
	k->changed = true;
	TAILQ_INSERT_TAIL(&t->census->router->countings, k, link);
}

void
count_forget(struct route *t)
{
	struct counting *k = t->counting;

	if (k == NULL)
		return;
	if (k->changed)
		TAILQ_REMOVE(&t->census->router->countings, k, link);
	free(k);
	t->counting = NULL;
}

void
count_inherit(struct route *t, uint64_t count, uint64_t pushed)
{
	count_want(t);
	if (t->counting == NULL)
		return;
	t->counting->inherited = true;
	t->counting->count = count;
	t->counting->pushed = pushed;
}

void
count_unknown(struct route *t)
{
	if (t->counting != NULL)
		t->counting->inherited = false;
}

void
count_bequeath(const struct route *t)
{
	const struct counting *k = t->counting;
	struct buf *out = elder_out(t->census->router);

	if (out == NULL || k == NULL || k->pushed == 0)
		return;
	msg_pack_legacy_count(out, &(struct msg_legacy_count){
	    .app = t->census->app, .channel = route_name(t),
	    .count = k->count, .pushed = k->pushed });
}

static void
count_push(struct router *r, struct counting *k)
{
	struct route *t = k->route;
	struct msg_count m = {
		.epoch = r->epoch,
		.app = t->census->app, .channel = route_name(t),
		.count = route_count(t),
	};

	TAILQ_REMOVE(&r->countings, k, link);
	k->changed = false;
	if (k->inherited && k->count == m.count)
		return;
	k->inherited = false;
	k->pushed = r->now;
	k->count = m.count;
	count_bequeath(t);
	m.serial = ++r->serial;
	buf_clear(&r->scratch);
	msg_pack_count(&r->scratch, &m);
	route_cast(t, buf_view(&r->scratch));
}

void
counts_push(struct router *r)
{
	struct counting *k, *next;

	if (r->sync.on)
		return;
	for (k = TAILQ_FIRST(&r->countings); k != NULL; k = next) {
		next = TAILQ_NEXT(k, link);
		if (route_count(k->route) <= COUNT_FEW || k->pushed == 0 ||
		    r->now >= k->pushed + COUNT_EVERY)
			count_push(r, k);
	}
}
