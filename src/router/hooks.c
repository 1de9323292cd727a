/* SPDX-License-Identifier: MIT
 *
 * The link to the courier, and what it has not acknowledged.
 *
 * Runs in: the router.
 */
#include "router/hooks.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/counters.h"
#include "common/log.h"
#include "common/util.h"
#include "router/router.h"

#define MSG_ROLE	hooks
#define MSG_CTX		struct router
#include "common/dispatch.inc"

/* One message that is not acknowledged. */
struct hook {
	TAILQ_ENTRY(hook)	 link;
	uint64_t		 serial;
	bool			 state;
	uint32_t		 n;
	char			 frame[];
};

static size_t
cost(size_t n)
{
	return sizeof(struct hook) + n;
}

/* ---- what is kept ----------------------------------------------------------- */

static void
hook_free(struct hooks *h, struct hook *one)
{
	if (h->next == one)
		h->next = TAILQ_NEXT(one, link);
	TAILQ_REMOVE(&h->queue, one, link);
	h->octets -= cost(one->n);
	free(one);
}

static void
queue_clear(struct hooks *h)
{
	while (!TAILQ_EMPTY(&h->queue))
		hook_free(h, TAILQ_FIRST(&h->queue));
}

/* A roll tells anew what there is. */
static void
forget_states(struct router *r)
{
	struct hooks *h = &r->hooks;
	struct hook *one, *next;

	if (!h->blind)
		log_warn("the courier does not keep up: it will be told anew "
		    "what there is");
	for (one = TAILQ_FIRST(&h->queue); one != NULL; one = next) {
		next = TAILQ_NEXT(one, link);
		if (one->state)
			hook_free(h, one);
	}
	h->blind = true;
	roll_want(r);
}

static void
event_dropped(struct hooks *h)
{
	counter.hooks_untold++;
	if (!h->full)
		log_warn("the courier does not keep up: events for webhooks "
		    "are dropped");
	h->full = true;
}

static void
keep(struct hooks *h, bool state)
{
	struct hook *one = xmalloc(cost(h->pen.n));

	one->serial = h->serial;
	one->state = state;
	one->n = (uint32_t)h->pen.n;
	memcpy(one->frame, h->pen.p, h->pen.n);
	TAILQ_INSERT_TAIL(&h->queue, one, link);
	h->octets += cost(one->n);
	if (h->next == NULL)
		h->next = one;
}

void
hooks_put(struct router *r, bool state)
{
	struct hooks *h = &r->hooks;
	bool room = h->octets + cost(h->pen.n) <= HOOKS_QUEUE;

	if (h->pen.n == 0 || (state && h->blind))
		return;		/* it could not be packed, or is not needed */
	if (room)
		keep(h, state);
	else if (state)
		forget_states(r);
	else
		event_dropped(h);
	if (room && !state)
		h->full = false;
	buf_reuse(&h->pen);
}

/* ---- the link ----------------------------------------------------------------- */

void
hooks_on_hook_ack(struct router *r, struct ipc *ipc,
    const struct msg_hook_ack *m)
{
	struct hooks *h = &r->hooks;
	struct hook *one;

	(void)ipc;
	if (m->serial > h->sent) {
		log_warn("the courier acknowledges what it was not told");
		h->lost = true;
		return;
	}
	/* What is not sent yet has a higher one. */
	while ((one = TAILQ_FIRST(&h->queue)) != NULL &&
	    one->serial <= m->serial)
		hook_free(h, one);
}

static int
on_message(void *ctx, struct ipc *ipc, unsigned type, struct unpacker *u,
    const char **why)
{
	struct router *r = ctx;

	return r->hooks.lost ? 0 : hooks_dispatch(r, ipc, type, u, why);
}

static void
on_gone(void *ctx, struct ipc *ipc, const char *why)
{
	struct router *r = ctx;

	(void)ipc;
	if (!r->stopping && !elder_yielded(r))
		log_info("the courier has left why=\"%s\"", why);
	r->hooks.lost = true;
}

static const struct ipc_ops ops = {
	.on_message = on_message, .on_gone = on_gone,
};

static void
unlink_courier(struct router *r)
{
	struct hooks *h = &r->hooks;

	ipc_free(h->ipc);
	h->ipc = NULL;
	h->lost = h->greeted = false;
	h->next = TAILQ_FIRST(&h->queue);
	roll_stop(r);
}

void
hooks_link(struct router *r, int fd)
{
	struct hooks *h = &r->hooks;

	if (h->ipc != NULL && !h->lost)
		ipc_read_now(h->ipc);	/* what it has acknowledged */
	unlink_courier(r);
	h->ipc = ipc_new(r->base, fd, false, &ops, r);
	h->hosts_due = true;
	h->sent = 0;
	roll_want(r);
}

uint64_t
hooks_backlog(const struct router *r)
{
	const struct ipc *ipc = r->hooks.ipc;

	return ipc != NULL ? ipc_queued(ipc) - ipc_written(ipc) : 0;
}

/* May something be said now? */
static bool
ready(const struct router *r)
{
	return r->hooks.ipc != NULL && !r->hooks.lost && !r->sync.on &&
	    !heir_waits(r);
}

/* ---- hosts ---------------------------------------------------------------------- */

static void
put_node(char *at, uint64_t node)
{
	for (int i = 7; i >= 0; i--, node >>= 8)
		at[i] = (char)node;
}

static void
say_hosts(struct router *r, uint64_t lost)
{
	static char room[HOSTS_MAX + 1][8];
	static struct bytes nodes[HOSTS_MAX + 1];
	const struct host *other;
	uint32_t n = 1;

	put_node(room[0], r->node);
	TAILQ_FOREACH(other, &r->hosts, link) {
		if (other->state != HOST_LOST && n <= HOSTS_MAX)
			put_node(room[n++], other->node);
	}
	for (uint32_t i = 0; i < n; i++)
		nodes[i] = bytes_of(room[i], sizeof(room[i]));
	msg_pack_hook_hosts(ipc_out(r->hooks.ipc), &(struct msg_hook_hosts){
	    .own = r->node, .lost = lost, .nodes_out = { nodes, n },
	    .epoch = r->epoch });
}

static void
greet(struct router *r)
{
	struct hooks *h = &r->hooks;

	if (!h->hosts_due)
		return;
	for (unsigned i = 0; i < h->n_silent; i++)
		say_hosts(r, h->silent[i]);
	if (h->n_silent == 0)
		say_hosts(r, 0);
	h->n_silent = 0;
	h->hosts_due = false;
	h->greeted = true;
}

void
hooks_hosts(struct router *r, const struct host *lost)
{
	struct hooks *h = &r->hooks;

	if (h->wanted == 0)
		return;
	h->hosts_due = true;
	if (lost == NULL)
		return;
	/* Of many, those who were lost last. */
	if (h->n_silent == HOOKS_LOST)
		memmove(h->silent, h->silent + 1,
		    --h->n_silent * sizeof(h->silent[0]));
	h->silent[h->n_silent++] = lost->node;
}

/* ---- the turn --------------------------------------------------------------------- */

/* What is kept and not sent yet, as far as the link takes it. */
static void
pump(struct router *r)
{
	struct hooks *h = &r->hooks;

	while (h->next != NULL && hooks_backlog(r) < HOOKS_WINDOW) {
		ipc_put(h->ipc, bytes_of(h->next->frame, h->next->n));
		h->sent = h->next->serial;
		h->next = TAILQ_NEXT(h->next, link);
	}
}

/* Is there room again for states? */
static void
see_again(struct hooks *h)
{
	if (h->blind && h->next == NULL && h->octets <= HOOKS_QUEUE / 2)
		h->blind = false;
}

static bool
speak(struct router *r)
{
	struct hooks *h = &r->hooks;
	bool more = false;

	greet(r);
	pump(r);
	see_again(h);
	/* Who has yielded does not know what is there any more. */
	if (h->next == NULL && !h->blind && h->wanted != 0 &&
	    !elder_yielded(r))
		more = roll_turn(r);
	ipc_flush(h->ipc);
	return (more || h->next != NULL) && hooks_backlog(r) < HOOKS_WINDOW;
}

bool
hooks_turn(struct router *r)
{
	struct hooks *h = &r->hooks;
	bool more = false;

	if (h->ipc == NULL)
		return false;
	if (!h->lost && ready(r))
		more = speak(r);
	/* Its successor speaks to the courier now. */
	if (h->lost || (elder_yielded(r) && hooks_settled(r)))
		unlink_courier(r);
	return more;
}

bool
hooks_settled(const struct router *r)
{
	return TAILQ_EMPTY(&r->hooks.queue) && hooks_backlog(r) == 0;
}

/* In a reload there may be no courier at the moment: the next one is linked to us
 * before it reads what our successor says. */
static bool
has_ended(struct router *r)
{
	struct hooks *h = &r->hooks;

	if (elder_yielded(r))
		return hooks_settled(r);
	return h->ipc == NULL || (hooks_settled(r) &&
	    (!roll_pending(r) || h->wanted == 0));
}

bool
hooks_ended(struct router *r)
{
	struct hooks *h = &r->hooks;

	if (has_ended(r))
		return true;
	if (h->ends == 0)
		h->ends = r->now + (elder_yielded(r) ? HOOKS_ELDER : HOOKS_END);
	return r->now >= h->ends;
}

void
hooks_give_up(struct router *r)
{
	const struct hook *one;
	uint64_t n = 0;

	for (one = r->hooks.next; one != NULL; one = TAILQ_NEXT(one, link))
		n += !one->state;
	counter.hooks_untold += n;
	if (n > 0)
		log_warn("events for webhooks that the courier was not told n=%"
		    PRIu64, n);
	queue_clear(&r->hooks);
}

/* ---- life --------------------------------------------------------------------------- */

void
hooks_init(struct router *r)
{
	TAILQ_INIT(&r->hooks.queue);
}

void
hooks_done(struct router *r)
{
	struct hooks *h = &r->hooks;

	queue_clear(h);
	ipc_free(h->ipc);
	roll_done(r);
	buf_done(&h->pen);
	buf_done(&h->text);
}

static void
settings(struct router *r)
{
	const struct config *set = r->config;
	struct census *c;

	r->hooks.wanted = 0;
	for (size_t i = 0; i < set->n_webhook; i++) {
		c = census_find(r, hooked_app(set, &set->webhook[i]));
		if (c != NULL)
			c->hooks |= hooked(&set->webhook[i]);
	}
	for (size_t i = 0; i < set->n_app; i++) {
		c = census_get(r, bytes_str(set->app[i].id));
		c->hooks = hooked_for(&set->app[i], c->hooks);
		r->hooks.wanted |= c->hooks;
	}
}

/* An application that wants more than before is told of from the start. */
void
hooks_settings(struct router *r)
{
	uint32_t n;
	struct census **all = census_all(r, &n);
	unsigned *was = xreallocarray(NULL, n + 1, sizeof(*was));
	bool more = false;

	for (uint32_t i = 0; i < n; i++) {
		was[i] = all[i]->hooks;
		all[i]->hooks = 0;
	}
	settings(r);
	for (uint32_t i = 0; i < n; i++)
		more |= (all[i]->hooks & ~was[i]) != 0;
	free(was);
	free(all);
	if (r->hooks.wanted == 0)
		queue_clear(&r->hooks);
	if (more && r->hooks.ipc != NULL)
		roll_want(r);
}
