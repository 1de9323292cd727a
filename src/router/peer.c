/* SPDX-License-Identifier: MIT
 *
 * Links to workers: life, acknowledgements, pressure.
 *
 * Runs in: the router.
 */
#include "router/peer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "router/control.h"
#include "router/router.h"

/* ---- life --------------------------------------------------------------- */

static int
on_message(void *ctx, struct ipc *ipc, unsigned type, struct unpacker *u,
    const char **why)
{
	struct peer *p = ctx;

	(void)ipc;
	if (p->gone)
		return 0;
	/* Numbers below hello, and one above, are the master's alone to say. */
	if (p->master != (type < MSG_hello || type == MSG_courier_link)) {
		*why = "a message that is not its to send";
		return -1;
	}
	if (!p->master && !p->hello && type != MSG_hello) {
		*why = "no hello";
		return -1;
	}
	return router_take(p, type, u, why);
}

static void
on_gone(void *ctx, struct ipc *ipc, const char *why)
{
	struct peer *p = ctx;

	(void)ipc;
	p->gone = true;
	if (p->master)
		router_orphaned(p->router);
	else if (!p->router->stopping)
		log_info("worker has left slot=%" PRIu64 " generation=%" PRIu64
		    " why=\"%s\"", p->slot, p->generation,
		    why != NULL ? why : "closed");
}

static void
on_pressure(void *ctx, struct ipc *ipc, bool full)
{
	struct peer *p = ctx;

	(void)ipc;
	if (p->full == full)
		return;
	p->full = full;
	p->router->n_full += full ? 1 : -1u;
}

static const struct ipc_ops worker_ops = {
	.on_message = on_message, .on_gone = on_gone,
	.on_pressure = on_pressure,
};
static const struct ipc_ops master_ops = {
	.on_message = on_message, .on_gone = on_gone,
};

static struct peer *
peer_make(struct router *r, int fd, bool with_fds, const struct ipc_ops *ops)
{
	struct peer *p = xcalloc(1, sizeof(*p));

	p->router = r;
	LIST_INIT(&p->watchers);
	TAILQ_INIT(&p->batches);
	p->ipc = ipc_new(r->base, fd, with_fds, ops, p);
	return p;
}

struct peer *
peer_new(struct router *r, int fd, uint64_t slot, uint64_t generation)
{
	struct peer *p;
	unsigned i = 0;

	while (i < PEERS_MAX && r->by_index[i] != NULL)
		i++;
	if (i == PEERS_MAX) {
		log_error("too many workers: link refused slot=%" PRIu64, slot);
		close(fd);
		return NULL;
	}
	p = peer_make(r, fd, false, &worker_ops);
	p->index = i;
	p->slot = slot;
	p->generation = generation;
	/* The same for a worker whatever router it talks to. */
	p->origin = slot << 32 | (uint32_t)generation;
	r->by_index[i] = p;
	TAILQ_INSERT_TAIL(&r->peers, p, link);
	elder_peer(r, p);
	heir_peer(r, p);
	return p;
}

struct peer *
peer_master(struct router *r, int fd)
{
	struct peer *p = peer_make(r, fd, true, &master_ops);

	p->master = true;
	return p;
}

void
peer_free(struct peer *p)
{
	struct batch *b;

	while ((b = TAILQ_FIRST(&p->batches)) != NULL) {
		TAILQ_REMOVE(&p->batches, b, link);
		free(b);
	}
	ipc_free(p->ipc);
	free(p);
}

void
peer_refuse(struct peer *p, const char *why)
{
	log_warn("worker refused slot=%" PRIu64 " generation=%" PRIu64
	    " why=\"%s\"", p->slot, p->generation, why);
	p->gone = true;
}

/* Nobody waits for a dead worker. */
static void
peer_forget(struct peer *p, const struct peer *dead)
{
	struct batch *b;

	p->touched[dead->index / 64] &= ~(1ull << dead->index % 64);
	TAILQ_FOREACH(b, &p->batches, link) {
		for (unsigned i = 0; i < b->n; i++) {
			if (b->at[i].peer == dead)
				b->at[i--] = b->at[--b->n];
		}
	}
}

static void
peer_bury(struct router *r, struct peer *dead)
{
	struct peer *p;

	TAILQ_REMOVE(&r->peers, dead, link);
	r->by_index[dead->index] = NULL;
	TAILQ_FOREACH(p, &r->peers, link)
		peer_forget(p, dead);
	passage_forget(r, dead);
	answers_forget(r, dead);
	controls_forget(r, dead);
	census_forget(r, dead);
	shifts_forget(r, dead);
	marks_forget(r, dead);
	sync_forget(r, dead);
	peer_free(dead);
}

void
peers_bury(struct router *r)
{
	struct peer *p, *next;

	for (p = TAILQ_FIRST(&r->peers); p != NULL; p = next) {
		next = TAILQ_NEXT(p, link);
		if (!p->gone)
			continue;
		/* Nobody waits until it reads. */
		on_pressure(p, p->ipc, false);
		if (!sync_keeps(r, p))
			peer_bury(r, p);
	}
}

void
peers_read(struct router *r)
{
	struct peer *p;

	TAILQ_FOREACH(p, &r->peers, link) {
		if (!p->gone)
			ipc_read_now(p->ipc);
	}
}

void
peers_last_words(struct router *r)
{
	struct peer *p;
	bool lost = false;

	TAILQ_FOREACH(p, &r->peers, link)
		lost |= p->gone;
	if (lost)
		peers_read(r);
}

void
peers_cast(struct router *r, struct bytes frame)
{
	struct peer *p;

	TAILQ_FOREACH(p, &r->peers, link)
		ipc_put(p->ipc, frame);
}

/* ---- acknowledgements --------------------------------------------------- */

/* Octets that may wait without need: a part of the smallest window that a worker
 * can have for what is not acknowledged. */
#define UNAWAITED_MAX	16384
#define PUBLISH_OVERHEAD 128	/* of a message, about */

void
peer_unawaited(struct peer *p, size_t octets)
{
	p->unawaited += octets + PUBLISH_OVERHEAD;
	if (p->unawaited > UNAWAITED_MAX)
		peer_hurry(p);
}

void
peer_published(struct peer *p, const struct msg_publish *m)
{
	peer_unawaited(p, m->app.n + m->channel.n + m->event.n + m->data.n +
	    m->user.n);
	if ((m->flags & PUBLISH_CLIENT) == 0)
		peer_hurry(p);
}

static void
peer_flush(struct peer *p)
{
	if (!p->gone && peer_backlog(p) > 0)
		ipc_flush(p->ipc);
}

/* The same at the end, but not if the kernel took no more a moment ago. */
static void
peer_flush_rest(struct peer *p)
{
	if (ipc_stuck_since(p->ipc) == 0)
		peer_flush(p);
}

static bool
peer_unsettled(const struct peer *p)
{
	return p->settled > p->batched || !TAILQ_EMPTY(&p->batches);
}

bool
peer_written(const struct peer *p)
{
	return p->gone || (peer_backlog(p) == 0 && !peer_unsettled(p));
}

void
peer_inherit(struct peer *p, uint64_t serial)
{
	if (serial > p->highest)
		p->highest = p->settled = serial;
	peer_hurry(p);
}

/* Has the kernel taken all that this turn's publishes caused? */
static bool
turn_written(const struct peer *p)
{
	for (unsigned w = 0; w < NELEM(p->touched); w++) {
		for (uint64_t set = p->touched[w]; set != 0; set &= set - 1) {
			const struct peer *to = p->router->by_index[w * 64 +
			    (unsigned)__builtin_ctzll(set)];

			if (ipc_written(to->ipc) < to->mark)
				return false;
		}
	}
	return true;
}

static bool
batch_written(const struct batch *b)
{
	for (unsigned i = 0; i < b->n; i++) {
		if (ipc_written(b->at[i].peer->ipc) < b->at[i].need)
			return false;
	}
	return true;
}

/* The rest of what is due leaves when something else does. */
static bool
ack_leaves(const struct peer *p)
{
	return p->awaited > p->acked || peer_backlog(p) > 0 ||
	    p->router->stopping || elder_frozen(p->router);
}

static void
peer_ack(struct peer *p)
{
	struct msg_ack ack = { .serial = p->due };

	if (p->due <= p->acked || !ack_leaves(p))
		return;
	p->acked = p->due;
	if (p->acked == p->highest)
		p->unawaited = 0;
	msg_pack_ack(ipc_out(p->ipc), &ack);
}

/* Puts an acknowledgement of all that has left on the link. */
static void
peer_settle(struct peer *p)
{
	struct batch *b;

	while ((b = TAILQ_FIRST(&p->batches)) != NULL && batch_written(b)) {
		p->due = b->serial;
		TAILQ_REMOVE(&p->batches, b, link);
		p->n_batches--;
		free(b);
	}
	if (b == NULL && p->settled > p->batched && turn_written(p)) {
		p->due = p->batched = p->settled;
		memset(p->touched, 0, sizeof(p->touched));
	}
	peer_ack(p);
}

/* A batch that needs all touched links up to where they stand.  If there are
 * too many already, it takes the place of the last one and its needs. */
static struct batch *
batch_new(struct peer *p)
{
	struct router *r = p->router;
	struct batch *b, *last = NULL;
	unsigned n = 0;

	if (p->n_batches >= BATCHES_MAX)
		last = TAILQ_LAST(&p->batches, batch_list);
	b = xmalloc(sizeof(*b) + PEERS_MAX * sizeof(b->at[0]));
	for (unsigned i = 0; i < PEERS_MAX; i++) {
		struct peer *to = r->by_index[i];
		bool due = (p->touched[i / 64] >> i % 64 & 1) != 0;

		for (unsigned k = 0; last != NULL && k < last->n; k++)
			due |= last->at[k].peer == to;
		if (!due || ipc_written(to->ipc) >= to->mark)
			continue;
		b->at[n].peer = to;
		b->at[n++].need = to->mark;
	}
	b->n = n;
	if (last != NULL) {
		TAILQ_REMOVE(&p->batches, last, link);
		p->n_batches--;
		free(last);
	}
	return xrealloc(b, sizeof(*b) + n * sizeof(b->at[0]));
}

/* What could not be acknowledged in this turn waits in a batch; beyond
 * BATCHES_MAX the last batch takes in the new one. */
static void
peer_store(struct peer *p)
{
	struct batch *b;

	if (p->settled == p->batched)
		return;
	b = batch_new(p);
	b->serial = p->batched = p->settled;
	memset(p->touched, 0, sizeof(p->touched));
	TAILQ_INSERT_TAIL(&p->batches, b, link);
	p->n_batches++;
}

/* ---- the end of a turn -------------------------------------------------- */

static void
peers_pressure(struct router *r)
{
	struct buf *out = &r->scratch;

	if (r->xoff == (r->n_full > 0))
		return;
	r->xoff = r->n_full > 0;
	log_debug("publishing is %s", r->xoff ? "held back" : "free again");
	buf_clear(out);
	if (r->xoff)
		msg_pack_xoff(out, &(struct msg_xoff){ 0 });
	else
		msg_pack_xon(out, &(struct msg_xon){ 0 });
	peers_cast(r, buf_view(out));
}

/*
 * Those that only receive go first; a publisher's acknowledgement then often
 * leaves in the same write as what it receives itself.
 */
bool
peers_flush(struct router *r)
{
	struct peer *p;
	bool more = false;

	peers_pressure(r);
	TAILQ_FOREACH(p, &r->peers, link)
		p->mark = ipc_queued(p->ipc);
	TAILQ_FOREACH(p, &r->peers, link) {
		if (peer_unsettled(p))
			continue;
		peer_ack(p);
		peer_flush(p);
	}
	TAILQ_FOREACH(p, &r->peers, link) {
		if (peer_unsettled(p)) {
			peer_settle(p);
			peer_flush(p);
		}
	}
	TAILQ_FOREACH(p, &r->peers, link) {
		if (peer_unsettled(p))
			peer_settle(p);
		peer_store(p);
	}
	peers_pressure(r);
	TAILQ_FOREACH(p, &r->peers, link)
		peer_flush_rest(p);
	TAILQ_FOREACH(p, &r->peers, link) {
		const struct batch *b = TAILQ_FIRST(&p->batches);

		more |= b != NULL && batch_written(b);
	}
	return more;
}

void
peers_watch(struct router *r)
{
	uint64_t limit = r->config != NULL ? r->config->peal.watchdog : 5000;
	struct peer *p;

	TAILQ_FOREACH(p, &r->peers, link) {
		uint64_t since = ipc_stuck_since(p->ipc);

		peer_hurry(p);
		if (p->stalled || since == 0 || r->now < since + limit)
			continue;
		p->stalled = true;
		log_warn("worker does not read slot=%" PRIu64
		    " generation=%" PRIu64, p->slot, p->generation);
		msg_pack_stalled(ipc_out(r->master->ipc), &(struct msg_stalled){
		    .slot = p->slot, .generation = p->generation });
	}
}
