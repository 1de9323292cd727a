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
	bool			 pushes;	/* workers want it */
	/* What the courier knows.  quiet: it was so when this router began,
	 * which is no news. */
	bool			 quiet;
	uint64_t		 hooked;
};

static struct counting *
counting_get(struct route *t)
{
	if (t->counting == NULL && t->members == NULL) {
		t->counting = xcalloc(1, sizeof(*t->counting));
		t->counting->route = t;
		t->counting->quiet = t->census->router->sync.on;
	}
	return t->counting;
}

void
count_want(struct route *t)
{
	struct counting *k = counting_get(t);

	if (k != NULL)
		k->pushes = true;
}

/* Members of presence channels are told one by one. */
static bool
is_hooked(const struct route *t)
{
	return (t->census->hooks & HOOKED_COUNTS) != 0 &&
	    t->members == NULL && !bytes_starts(route_name(t), B("presence-"));
}

void
count_changed(struct route *t)
{
	struct counting *k = t->counting;

	if (k == NULL && is_hooked(t))
		k = counting_get(t);
	if (k == NULL || k->changed)
		return;
	k->changed = true;
	TAILQ_INSERT_TAIL(&t->census->router->countings, k, link);
}

/* The courier is told what it does not know. */
static void
count_hook(struct route *t, uint64_t count)
{
	struct counting *k = t->counting;
	bool news = is_hooked(t) && !k->quiet && k->hooked != count;

	k->quiet = false;
	k->hooked = count;
	if (news)
		hooks_count(t, count);
}

void
count_forget(struct route *t)
{
	struct counting *k = t->counting;

	if (k == NULL)
		return;
	if (!t->census->router->sync.on)
		count_hook(t, 0);
	if (k->changed)
		TAILQ_REMOVE(&t->census->router->countings, k, link);
	free(k);
	t->counting = NULL;
}

void
count_inherit(struct route *t, uint64_t count, uint64_t pushed)
{
	struct counting *k = counting_get(t);

	if (k == NULL)
		return;
	k->inherited = true;
	k->quiet = false;
	k->count = k->hooked = count;
	k->pushed = pushed;
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
	count_hook(t, m.count);
	if (k->inherited && k->count == m.count)
		return;
	k->inherited = false;
	k->pushed = r->now;
	k->count = m.count;
	count_bequeath(t);
	if (!k->pushes)
		return;
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
