/* SPDX-License-Identifier: MIT
 *
 * A router that replaces another: see heir.h.
 *
 * Runs in: the router.
 */
#include "router/heir.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/counters.h"
#include "common/log.h"
#include "common/util.h"
#include "router/facts.h"
#include "router/hear.h"
#include "router/router.h"

#define KEEP_MS		2000	/* what was heard, after it is over */
#define JOIN_LATE_MS	1000	/* a text may come later here than there */

#define MSG_ROLE	heir
#define MSG_CTX		struct router
#include "common/dispatch.inc"

/* ---- what was heard ---------------------------------------------------------- */

bool
heir_heard(struct router *r, const struct envelope *e, unsigned lane)
{
	const struct heard *d = r->heir.heard.count == 0 ? NULL :
	    heard_find(r, e->node, e->incarnation, false);

	return d != NULL && e->number <= d->numbers[lane];
}

bool
heir_raw(struct router *r, const struct topic *topic, struct bytes text)
{
	struct fact *f;

	if (r->heir.facts.count == 0)
		return false;
	f = fact_find(r, fact_of_text(topic->channel, legacy_hash(r, text)));
	if (f == NULL || f->n == 0 || f->until < r->now)
		return false;
	f->n--;
	return true;
}

/* The elder has dealt with it. */
static bool
is_done(void *ctx, const struct topic *topic, struct bytes octets)
{
	struct router *r = ctx;
	struct envelope e;

	if (topic->raw)
		return false;
	return envelope_open(octets, carrier_key(r), &e) != ENVELOPE_GOOD ||
	    heir_heard(r, &e, carrier_lane(topic));
}

struct text {
	const struct router	*router;
	uint64_t		 hash;
};

static bool
is_text(void *ctx, const struct topic *topic, struct bytes octets)
{
	const struct text *t = ctx;

	(void)topic;
	return legacy_hash(t->router, octets) == t->hash;
}

/* ---- what the elder tells ------------------------------------------------------ */

/* It is not believed any longer. */
static void
refuse(struct router *r, const char *why)
{
	log_warn("the router's predecessor is not understood why=\"%s\"",
	    why);
	r->heir.lost = true;
}

static struct route *
route_named(struct router *r, struct bytes app, struct bytes channel, bool make)
{
	struct census *c = make ? census_get(r, app) : census_find(r, app);

	if (c == NULL)
		return NULL;
	return make ? route_get(c, channel) : route_find(c, channel);
}

void
heir_on_legacy_topic(struct router *r, struct ipc *ipc,
    const struct msg_legacy_topic *m)
{
	struct route *t = route_named(r, m->app, m->channel, true);

	(void)ipc;
	if (t->legacy & LEGACY_TOPIC)
		return;
	t->legacy |= LEGACY_TOPIC;
	r->heir.unjoined++;
	carrier_join(t);
}

void
heir_on_legacy_left(struct router *r, struct ipc *ipc,
    const struct msg_legacy_left *m)
{
	struct route *t = route_named(r, m->app, m->channel, false);

	(void)ipc;
	if (t == NULL || !(t->legacy & LEGACY_TOPIC))
		return;
	heir_joined(t, true);
	t->legacy = 0;
	route_leave(t);
	route_release(t);
}

void
heir_joined(struct route *t, bool live)
{
	struct heir *h = &t->census->router->heir;

	if (!(t->legacy & LEGACY_TOPIC) || t->joined == live)
		return;
	if (live)
		h->unjoined--;
	else
		h->unjoined++;
}

void
heir_on_legacy_count(struct router *r, struct ipc *ipc,
    const struct msg_legacy_count *m)
{
	struct route *t = route_named(r, m->app, m->channel, true);

	(void)ipc;
	t->legacy |= LEGACY_HELD;
	count_inherit(t, m->count, m->pushed);
}

void
heir_on_legacy_room(struct router *r, struct ipc *ipc,
    const struct msg_legacy_room *m)
{
	struct route *t = route_named(r, m->app, m->channel, !m->gone);

	(void)ipc;
	if (t == NULL)
		return;
	if (m->gone)
		replay_disinherit(t);
	else
		replay_inherit(t, m->position_epoch, m->position_offset,
		    m->left);
	route_release(t);
}

void
heir_on_legacy_kept(struct router *r, struct ipc *ipc,
    const struct msg_legacy_kept *m)
{
	struct route *t = route_named(r, m->app, m->channel, false);

	(void)ipc;
	if (t != NULL && t->replay != NULL)
		replay_inherit_kept(t, m);
}

void
heir_on_legacy_cached(struct router *r, struct ipc *ipc,
    const struct msg_legacy_cached *m)
{
	struct route *t = route_named(r, m->app, m->channel, true);

	(void)ipc;
	history_inherit(t, m->event, m->data, m->since);
	route_release(t);
}

static struct host *
host_named(struct router *r, uint64_t node, uint64_t incarnation)
{
	struct envelope e = { .node = node, .incarnation = incarnation };

	if (node == r->node && incarnation == r->incarnation)
		return NULL;
	return host_of(r, &e);
}

void
heir_on_legacy_host(struct router *r, struct ipc *ipc,
    const struct msg_legacy_host *m)
{
	struct host *h = host_named(r, m->node, m->incarnation);

	(void)ipc;
	if (h == NULL)
		return;
	if (m->state > HOST_LOST || m->name.n > WIRE_HOST_MAX) {
		refuse(r, "a host that cannot be");
		return;
	}
	h->state = (enum host_state)m->state;
	h->heard = m->heard < r->now ? m->heard : r->now;
	h->begun = m->begun != 0;
	h->epoch = m->epoch;
	h->number = m->number;
	h->crowded = m->crowded != 0;
	h->taking = false;
	memcpy(h->name, m->name.n > 0 ? m->name.p : "", m->name.n);
	h->name[m->name.n] = '\0';
}

static void
take_own_rows(struct router *r, struct wire_eye eye)
{
	struct item_name name;
	uint64_t n;

	while (wire_read_row(&eye, &name, &n))
		fact_set(r, fact_key(FACT_ROW, &name), n);
}

static void
take_rows(struct host *h, struct wire_eye eye)
{
	struct item_name name;
	uint64_t n;

	while (wire_read_row(&eye, &name, &n)) {
		if (item_set(h, &name, n) < 0)
			h->crowded = true;
	}
}

static struct host *
host_by_node(struct router *r, uint64_t node)
{
	struct hash_link *l = hash_find(&r->contact.by_node,
	    bytes_of(&node, sizeof(node)));

	return l != NULL ? container_of(l, struct host, by_node) : NULL;
}

void
heir_on_legacy_rows(struct router *r, struct ipc *ipc,
    const struct msg_legacy_rows *m)
{
	struct host *h = host_by_node(r, m->node);
	struct wire_eye eye;

	(void)ipc;
	wire_open(&eye, m->rows);
	if (!wire_check(eye))
		refuse(r, "rows that cannot be");
	else if (m->node == r->node)
		take_own_rows(r, eye);
	else if (h != NULL)
		take_rows(h, eye);
}

void
heir_on_legacy_said(struct router *r, struct ipc *ipc,
    const struct msg_legacy_said *m)
{
	struct envelope e = { .node = m->node, .incarnation = m->incarnation,
	    .kind = (enum envelope_kind)m->kind, .payload = m->payload };
	struct host *h;

	(void)ipc;
	if (m->kind < ENVELOPE_HELLO || m->kind >= ENVELOPE_MARK) {
		refuse(r, "a kind that cannot be");
		return;
	}
	h = host_named(r, m->node, m->incarnation);
	if (h != NULL)
		hear(h, &e);
}

void
heir_on_legacy_lost(struct router *r, struct ipc *ipc,
    const struct msg_legacy_lost *m)
{
	struct host *h = host_by_node(r, m->node);

	(void)ipc;
	if (h != NULL && h->state != HOST_LOST)
		host_lost(h, "so says the router before this one");
}

void
heir_on_legacy_heard(struct router *r, struct ipc *ipc,
    const struct msg_legacy_heard *m)
{
	struct heard *d;
	struct host *h;

	(void)ipc;
	if (m->lane >= LANES) {
		refuse(r, "a lane that cannot be");
		return;
	}
	d = heard_find(r, m->node, m->incarnation, true);
	if (m->number > d->numbers[m->lane])
		d->numbers[m->lane] = m->number;
	h = host_named(r, m->node, m->incarnation);
	if (h == NULL)
		return;
	if (h->seen == NULL)
		h->seen = seen_new(&r->passage.seen_rows);
	seen_note(h->seen, (unsigned)m->lane, m->number, m->origin, m->serial);
}

/* It is here already, or will be, unless we joined too late to hear it. */
void
heir_on_legacy_raw(struct router *r, struct ipc *ipc,
    const struct msg_legacy_raw *m)
{
	struct text text = { r, m->hash };
	struct topic topic = { .app = B(""), .channel = m->channel,
	    .raw = true };
	struct fact *f;

	(void)ipc;
	if (early_remove(&r->reach.early, &topic, &text, is_text))
		return;
	f = fact_get(r, fact_of_text(m->channel, m->hash));
	if (f->until < r->now)
		f->n = 0;
	f->n++;
	f->until = r->now + JOIN_LATE_MS;
}

void
heir_on_legacy_user(struct router *r, struct ipc *ipc,
    const struct msg_legacy_user *m)
{
	(void)ipc;
	fact_set(r, fact_of_user(m->app, m->user), m->online);
}

void
heir_on_legacy_watcher(struct router *r, struct ipc *ipc,
    const struct msg_legacy_watcher *m)
{
	(void)ipc;
	fact_set(r, fact_of_watcher(m->slot, m->generation, m->conn), !m->gone);
}

void
heir_on_legacy_worker(struct router *r, struct ipc *ipc,
    const struct msg_legacy_worker *m)
{
	struct heir *h = &r->heir;

	(void)ipc;
	if (h->n_workers < HEIR_WORKERS)
		h->workers[h->n_workers++] = *m;
}

void
heir_on_legacy_unsent(struct router *r, struct ipc *ipc,
    const struct msg_legacy_unsent *m)
{
	(void)ipc;
	if (m->lane < LANES && m->commands <= UINT8_MAX &&
	    r->backplane->adopt != NULL)
		r->backplane->adopt(r->carrier, &(struct backplane_parcel){
		    .lane = (unsigned)m->lane, .queued = m->queued,
		    .commands = (unsigned)m->commands,
		    .plain_at = m->plain_at, .plain_n = m->plain,
		    .wire = m->wire });
}

void
heir_on_legacy_told(struct router *r, struct ipc *ipc,
    const struct msg_legacy_told *m)
{
	(void)ipc, (void)m;
	r->heir.told = true;
	r->heir.told_since = r->now;
}

void
heir_on_legacy_yield(struct router *r, struct ipc *ipc,
    const struct msg_legacy_yield *m)
{
	(void)ipc, (void)m;
	r->heir.yields = true;
	r->heir.yields_since = r->now;
}

void
heir_on_legacy_end(struct router *r, struct ipc *ipc,
    const struct msg_legacy_end *m)
{
	(void)ipc;
	r->heir.end = *m;
	r->heir.ended = true;
}

/* ---- the link ------------------------------------------------------------------ */

static int
on_message(void *ctx, struct ipc *ipc, unsigned type, struct unpacker *u,
    const char **why)
{
	struct router *r = ctx;

	/* In force, or given up: too late. */
	if (!r->heir.waits || r->heir.lost)
		return 0;
	return heir_dispatch(r, ipc, type, u, why);
}

static void
on_gone(void *ctx, struct ipc *ipc, const char *why)
{
	struct router *r = ctx;

	(void)ipc;
	if (!r->heir.ended)
		log_warn("the router's predecessor has left why=\"%s\"",
		    why);
	r->heir.lost = true;
}

static const struct ipc_ops ops = {
	.on_message = on_message, .on_gone = on_gone,
};

void
heir_init(struct router *r)
{
	r->heir = (struct heir){ 0 };
	facts_init(r);
}

void
heir_begin(struct router *r, int fd)
{
	if (r->heir.ipc != NULL || r->sync.going) {
		close(fd);
		return;
	}
	r->heir.waits = true;
	r->heir.ipc = ipc_new(r->base, fd, false, &ops, r);
}

bool
heir_waits(const struct router *r)
{
	return r->heir.waits;
}

bool
heir_same(const struct router *r)
{
	return r->heir.same;
}

/* ---- waiting -------------------------------------------------------------------- */

void
heir_go(struct router *r)
{
	r->heir.going = true;
	r->heir.going_since = r->now;
}

/* A broker that refuses us is not waited for. */
static bool
is_refused(const struct router *r)
{
	struct backplane_state state = { .up = true };

	if (r->reach.up || r->backplane->state == NULL)
		return false;
	r->backplane->state(r->carrier, &state);
	return !state.up && state.why.n > 0;
}

static bool
is_late(const struct router *r, uint64_t since, uint64_t ms)
{
	return r->now >= since + ms || carrier_alone(r) || is_refused(r);
}

/* All topics that the elder has told of are live. */
static bool
is_listening(const struct router *r)
{
	return r->reach.up && r->reach.live && r->heir.unjoined == 0;
}

static void
ask(struct router *r)
{
	struct heir *h = &r->heir;

	if (h->asked || !h->going || !((r->reach.up && r->reach.live) ||
	    is_late(r, h->going_since, HEIR_ASK)))
		return;
	h->asked = true;
	if (h->ipc != NULL)
		msg_pack_legacy_ask(ipc_out(h->ipc),
		    &(struct msg_legacy_ask){ .end_ = "" });
}

/* A dead elder leaves us what there is, and the master may not wait for us. */
static void
say_ready(struct router *r)
{
	struct heir *h = &r->heir;

	if (h->ready || !h->going || (h->waits && !h->lost && !(h->told &&
	    (is_listening(r) || is_late(r, h->told_since, HEIR_JOIN)))))
		return;
	h->ready = true;
	msg_pack_ready(ipc_out(r->master->ipc),
	    &(struct msg_ready){ .end_ = "" });
}

static void
say_live(struct router *r)
{
	struct heir *h = &r->heir;

	if (!h->yields || h->live || h->ipc == NULL || !(is_listening(r) ||
	    is_late(r, h->yields_since, HEIR_LIVE)))
		return;
	h->live = true;
	msg_pack_legacy_live(ipc_out(h->ipc),
	    &(struct msg_legacy_live){ .end_ = "" });
}

void
heir_turn(struct router *r)
{
	struct heir *h = &r->heir;

	if (h->waits) {
		early_prune(&r->reach.early, r, is_done);
		ask(r);
		say_live(r);
	}
	say_ready(r);
	if (h->ipc != NULL)
		ipc_flush(h->ipc);
	if (h->ipc != NULL && (h->lost || !h->waits)) {
		ipc_free(h->ipc);
		h->ipc = NULL;
	}
	if (h->over && r->now >= h->told_since + KEEP_MS) {
		h->over = false;
		facts_done(r);
		facts_init(r);
	}
}

/* ---- in force -------------------------------------------------------------------- */

void
heir_peer(struct router *r, struct peer *p)
{
	const struct heir *h = &r->heir;

	ipc_hold(p->ipc, h->waits, 0);
	if (h->waits || !h->ended)
		return;
	for (unsigned i = 0; i < h->n_workers; i++) {
		if (h->workers[i].slot == p->slot &&
		    h->workers[i].generation == p->generation)
			peer_inherit(p, h->workers[i].serial);
	}
}

/* Other hosts hear on what the elder would have said. */
static void
speak_on(struct router *r)
{
	const struct msg_legacy_end *end = &r->heir.end;
	struct contact *c = &r->contact;
	struct tell *tell = &r->tell;

	if (carrier_alone(r))
		return;
	r->passage.degraded = end->degraded || !r->reach.up;
	counter.backplane_degraded = r->passage.degraded;
	c->returned = true;
	c->since = c->echoed = r->now;
	c->next_beat = 0;
	if (!end->same)
		return;
	c->told = true;
	tell->broken = false;
	tell->inherited = true;
	tell->epoch = end->epoch;
	tell->number = end->number;
	tell->rows = end->rows;
	tell->sum = end->sum;
	tell->snapshot.id = end->snapshot;
	tell->snapshot.wanted = end->wanted;
}

/* As after a crash: we do not know what was delivered last. */
static void
begin_anew(struct router *r)
{
	replays_anew(r);
	if (r->contact.up)
		hosts_up(r);
}

void
heir_take_over(struct router *r, uint64_t expect)
{
	struct heir *h = &r->heir;
	struct peer *p;

	/* It was written before the elder said that it yields. */
	for (int i = 0; i < 2 && h->ipc != NULL && !h->lost; i++)
		ipc_read_now(h->ipc);
	if (!h->waits)
		return;
	early_prune(&r->reach.early, r, is_done);
	h->waits = false;
	h->same = h->ended;
	h->told_since = r->now;
	/* It had its time. */
	r->reach.tried |= is_refused(r);
	if (h->same)
		speak_on(r);
	else
		begin_anew(r);
	TAILQ_FOREACH(p, &r->peers, link)
		heir_peer(r, p);
	r->contact.started = r->now;
	sync_go(r, expect);
}

bool
heir_news(struct router *r, const struct peer *p, uint64_t conn)
{
	return r->heir.same && fact_find(r, fact_of_watcher(p->slot,
	    p->generation, conn)) == NULL;
}

bool
heir_online(struct router *r, struct bytes app, struct bytes user)
{
	return fact_find(r, fact_of_user(app, user)) != NULL;
}

/* What others were told, compared to what there is. */
void
heir_settle(struct router *r)
{
	struct hash_cursor at = { 0 };
	const struct msg_legacy_end *end = &r->heir.end;
	struct tell *tell = &r->tell;
	struct hash_link *l;

	if (!r->heir.same || !end->same || !tell->on)
		return;
	tell->rows = tell->sum = 0;
	while ((l = hash_walk(&r->heir.facts, &at)) != NULL) {
		const struct fact *f = container_of(l, struct fact, link);
		struct item_name name = fact_name(f);

		if (fact_kind_of(f) == FACT_ROW)
			tell_legacy(r, &name, f->n);
	}
	if (tell->rows == end->rows && tell->sum == end->sum)
		return;
	log_warn("what was told to other hosts is told anew");
	tell->broken = true;
}

void
heir_announce(struct router *r)
{
	struct census **all;
	uint32_t n;

	if (!r->heir.same)
		return;
	all = census_all(r, &n);
	for (uint32_t i = 0; i < n; i++)
		users_announce(all[i]);
	free(all);
}

/* A route that only the elder's word has held. */
static void
let_go(struct route *t)
{
	bool topic = (t->legacy & LEGACY_TOPIC) != 0;

	t->legacy = 0;
	if (!route_heard(t) && !replay_lingers(t) && topic)
		route_leave(t);
	route_release(t);
}

static void
let_all_go(struct census *c)
{
	struct route *t, *next;

	for (t = TAILQ_FIRST(&c->order); t != NULL; t = next) {
		next = TAILQ_NEXT(t, order);
		let_go(t);
	}
}

static void
routes_let_go(struct router *r)
{
	struct census **all;
	uint32_t n;

	all = census_all(r, &n);
	for (uint32_t i = 0; i < n; i++)
		let_all_go(all[i]);
	free(all);
}

void
heir_over(struct router *r)
{
	if (!r->heir.going)
		return;
	routes_let_go(r);
	r->heir.same = r->heir.going = false;
	r->heir.over = true;
	r->heir.told_since = r->now;
}

void
heir_done(struct router *r)
{
	ipc_free(r->heir.ipc);
	r->heir.ipc = NULL;
	if (r->heir.waits || r->heir.going)
		routes_let_go(r);
	facts_done(r);
}
