/* SPDX-License-Identifier: MIT
 *
 * The other hosts: who lives, and how we reach them.
 *
 * Runs in: the router.
 */
#include "router/host.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/counters.h"
#include "common/log.h"
#include "common/util.h"
#include "router/hear.h"
#include "router/router.h"

#define AWAIT_LOOK	10	/* ms */

static uint64_t
max_of(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t
min_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void
sooner(uint64_t *at, uint64_t other)
{
	if (other < *at)
		*at = other;
}

/* ---- the table ---------------------------------------------------------- */

static struct bytes
key_of_host(const struct hash_link *l)
{
	const struct host *h = container_of(l, const struct host, by_node);

	return bytes_of(&h->node, sizeof(h->node));
}

static void
count_hosts(struct router *r)
{
	const struct host *h;
	uint64_t n = 1;

	TAILQ_FOREACH(h, &r->hosts, link)
		n += h->state != HOST_LOST;
	counter.hosts = n;
}

/* It comes to life, for the first time or again. */
static void
host_begin(struct host *h)
{
	h->state = HOST_WANTED;
	h->begun = h->taking = false;
	h->name[0] = '\0';
	host_want(h, h->router->sync.on ? 1 : random_1_to(100));
	h->router->contact.next_beat = 0;	/* it may not know us */
	count_hosts(h->router);
	hooks_hosts(h->router, NULL);
}

static void
host_free(struct host *h)
{
	struct router *r = h->router;

	while (!TAILQ_EMPTY(&h->rows))
		item_drop(TAILQ_FIRST(&h->rows));
	r->contact.sweeping -= h->sweeping;
	hash_remove(&r->contact.by_node, &h->by_node);
	TAILQ_REMOVE(&r->hosts, h, link);
	seen_free(h->seen);
	elder_skip_host(r, h);
	free(h);
}

/* Room for a new one, in place of one that is only remembered. */
static void
host_forget(struct router *r)
{
	struct host *h;

	TAILQ_FOREACH(h, &r->hosts, link) {
		if (h->state == HOST_LOST) {
			host_free(h);
			return;
		}
	}
}

static struct host *
host_new(struct router *r, const struct envelope *e)
{
	struct contact *c = &r->contact;
	struct host *h;

	if (c->by_node.count >= HOSTS_MAX)
		host_forget(r);
	if (c->by_node.count >= HOSTS_MAX) {
		if (!c->crowded)
			log_warn("more than %d hosts: others are ignored",
			    HOSTS_MAX);
		c->crowded = true;
		return NULL;
	}
	h = xcalloc(1, sizeof(*h));
	h->router = r;
	h->node = e->node;
	h->incarnation = e->incarnation;
	TAILQ_INIT(&h->rows);
	hash_insert(&c->by_node, &h->by_node);
	TAILQ_INSERT_TAIL(&r->hosts, h, link);
	host_begin(h);
	return h;
}

struct host *
host_of(struct router *r, const struct envelope *e)
{
	struct hash_link *l = hash_find(&r->contact.by_node,
	    bytes_of(&e->node, sizeof(e->node)));
	struct host *h = l != NULL ? container_of(l, struct host, by_node)
	    : NULL;

	if (h != NULL && e->incarnation < h->incarnation)
		return NULL;
	if (h != NULL && e->incarnation > h->incarnation) {
		/* Who was there has died, and left nobody to speak for it. */
		if (h->state != HOST_LOST)
			hooks_hosts(r, h);
		host_free(h);
		h = NULL;
	}
	if (h == NULL)
		h = host_new(r, e);
	if (h == NULL)
		return NULL;
	h->heard = clock_ms();
	if (h->state == HOST_LOST)
		host_begin(h);
	return h;
}

void
host_want(struct host *h, uint64_t in_ms)
{
	h->want_at = h->router->now + in_ms;
	sooner(&h->router->contact.next_want, h->want_at);
}

bool
hosts_say(struct router *r)
{
	struct contact *c = &r->contact;

	if (r->now - c->said_since >= HOSTS_SAID_EVERY) {
		if (c->unsaid > 0)
			log_warn("many hosts come and go: lines left out n=%u",
			    c->unsaid);
		c->said_since = r->now;
		c->said = c->unsaid = 0;
	}
	if (c->said == HOSTS_SAID_MAX) {
		c->unsaid++;
		return false;
	}
	c->said++;
	return true;
}

/* ---- dropping rows ------------------------------------------------------ */

void
host_sweep(struct host *h)
{
	h->swept = h->mark;
	h->router->contact.sweeping += !h->sweeping;
	h->sweeping = true;
}

void
host_lost(struct host *h, const char *why)
{
	if (hosts_say(h->router))
		log_info("host left name=%s node=%016" PRIx64 " why=\"%s\"",
		    log_value(bytes_str(h->name)), h->node, why);
	h->state = HOST_LOST;
	h->taking = false;
	h->mark++;
	host_sweep(h);
	count_hosts(h->router);
	hooks_hosts(h->router, NULL);
}

/* True when all are gone. */
static bool
host_swept(struct host *h, unsigned *budget)
{
	struct away *a;

	while ((a = TAILQ_FIRST(&h->rows)) != NULL && a->mark < h->swept) {
		if (*budget == 0)
			return false;
		--*budget;
		item_drop(a);
	}
	return true;
}

/* A lost host that returns sends once more what the broker did not confirm, as
 * far as it is not too old: what was seen of it is kept for so long. */
static bool
is_remembered(const struct host *h)
{
	return h->seen != NULL && h->router->now <
	    h->heard + h->router->config->backplane.backlog_age;
}

/* True if some are left for the next turn. */
static bool
hosts_sweep(struct router *r)
{
	unsigned budget = SWEEP_TURN;
	struct host *h, *next;

	if (r->contact.sweeping == 0)
		return false;
	for (h = TAILQ_FIRST(&r->hosts); h != NULL; h = next) {
		next = TAILQ_NEXT(h, link);
		if (!h->sweeping || !host_swept(h, &budget))
			continue;
		h->sweeping = false;
		r->contact.sweeping--;
		if (h->state == HOST_LOST && !is_remembered(h))
			host_free(h);
	}
	return r->contact.sweeping > 0;
}

/* ---- speaking ----------------------------------------------------------- */

/* Of our own messages the cluster's come back, too; so long without one, and we
 * are who does not hear. */
static bool
deaf(const struct router *r)
{
	const struct config_backplane *set = &r->config->backplane;

	return (r->backplane->flags & BACKPLANE_ECHOES) != 0 &&
	    r->now >= r->contact.echoed +
	    max_of(2 * set->heartbeat, set->host_timeout / 2);
}

static void
say(struct router *r, enum envelope_kind kind)
{
	struct tell *tell = &r->tell;
	uint64_t head[HEAD_OF_BEAT] = {
		tell_epoch(r), tell->number, tell->rows, tell->sum,
		!r->contact.told,
	};

	buf_clear(&tell->payload);
	wire_head(&tell->payload, head, NELEM(head));
	pack_bytes(&tell->payload, bytes_str(r->contact.name));
	carrier_broadcast(r, kind, buf_view(&tell->payload), false);
	r->contact.next_beat = r->now + r->config->backplane.heartbeat;
}

void
hosts_beat(struct router *r)
{
	say(r, ENVELOPE_BEAT);
}

static void
say_wants(struct router *r)
{
	struct contact *c = &r->contact;
	struct host *h;

	c->next_want = UINT64_MAX;
	TAILQ_FOREACH(h, &r->hosts, link) {
		if (h->state != HOST_WANTED)
			continue;
		if (r->now >= h->want_at) {
			buf_clear(&r->tell.payload);
			wire_head(&r->tell.payload, &h->node, 1);
			carrier_broadcast(r, ENVELOPE_WANT,
			    buf_view(&r->tell.payload), false);
			host_want(h, WANT_AGAIN + random_1_to(200));
		}
		sooner(&c->next_want, h->want_at);
	}
}

void
hosts_bye(struct router *r)
{
	uint64_t epoch;

	if (!r->tell.on || !r->contact.up)
		return;
	epoch = tell_epoch(r);
	buf_clear(&r->tell.payload);
	wire_head(&r->tell.payload, &epoch, 1);
	carrier_broadcast(r, ENVELOPE_BYE, buf_view(&r->tell.payload), false);
}

/* ---- hearing ------------------------------------------------------------ */

static void
own_words(struct router *r, enum envelope_kind kind)
{
	struct contact *c = &r->contact;

	if (deaf(r))
		c->since = r->now;
	c->echoed = clock_ms();
	if (kind == ENVELOPE_SNAPSHOT)
		snapshot_echo(r);
	if (kind == ENVELOPE_HELLO && !c->returned) {
		c->returned = true;
		c->answers_by = r->now + AWAIT_ANSWERS;
	}
}

int
host_take(struct router *r, struct host *h, const struct envelope *e)
{
	if (h != NULL) {
		elder_said(r, e);
		return hear(h, e);
	}
	own_words(r, e->kind);
	return 0;
}

/* ---- who lives ---------------------------------------------------------- */

/* clock_ms() when it has been silent for too long. */
static uint64_t
ends_at(const struct router *r, const struct host *h, bool reached)
{
	const struct config_backplane *set = &r->config->backplane;
	uint64_t at = h->heard + max_of(set->host_timeout,
	    set->partition_timeout);

	return reached ? min_of(at, max_of(h->heard, r->contact.since) +
	    set->host_timeout) : at;
}

static void
hosts_look(struct router *r)
{
	bool reached = r->contact.up && !deaf(r);
	uint64_t at;
	struct host *h, *next;

	r->contact.next_look = r->now + r->config->backplane.heartbeat;
	for (h = TAILQ_FIRST(&r->hosts); h != NULL; h = next) {
		next = TAILQ_NEXT(h, link);
		if (h->state == HOST_LOST) {
			if (!h->sweeping && !is_remembered(h))
				host_free(h);
			continue;
		}
		at = ends_at(r, h, reached);
		if (r->now < at) {
			sooner(&r->contact.next_look, at);
			continue;
		}
		counter.hosts_lost++;
		elder_lost(h);
		host_lost(h, reached ? "it is silent" :
		    "we cannot reach it for too long");
		hooks_hosts(r, h);
	}
}

/* Our clock went on while we did not: the others were not silent. */
static void
hosts_thaw(struct router *r, uint64_t missed)
{
	struct contact *c = &r->contact;
	struct host *h;

	log_warn("stood still for %" PRIu64 " ms", missed);
	c->since = min_of(c->since + missed, r->now);
	c->echoed = min_of(c->echoed + missed, r->now);
	TAILQ_FOREACH(h, &r->hosts, link)
		h->heard = min_of(h->heard + missed, r->now);
}

/* ---- life --------------------------------------------------------------- */

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;	/* hosts_turn() does it */
}

static void
name_ourselves(struct contact *c)
{
	if (gethostname(c->name, sizeof(c->name)) < 0)
		c->name[0] = '\0';
	c->name[WIRE_HOST_MAX] = '\0';
}

void
hosts_init(struct router *r)
{
	struct contact *c = &r->contact;

	hash_init(&c->by_node, key_of_host);
	tell_open(r);
	counter.hosts = 1;
	if (carrier_alone(r))
		return;
	name_ourselves(c);
	r->tell.on = true;
	c->started = c->turned = r->now;
	c->next_want = UINT64_MAX;
	c->timer = evtimer_new(r->base, on_timer, NULL);
	if (c->timer == NULL)
		fatal("no timer");
}

void
hosts_done(struct router *r)
{
	struct host *h;

	r->tell.on = false;
	while ((h = TAILQ_FIRST(&r->hosts)) != NULL)
		host_free(h);
	hash_done(&r->contact.by_node);
	if (r->contact.timer != NULL)
		event_free(r->contact.timer);
	r->contact.timer = NULL;
	tell_close(r);
}

void
hosts_up(struct router *r)
{
	struct contact *c = &r->contact;
	struct host *h;

	c->up = true;
	c->since = c->echoed = r->now;
	if (!heir_waits(r))
		say(r, ENVELOPE_HELLO);
	TAILQ_FOREACH(h, &r->hosts, link) {
		if (h->state == HOST_WANTED)
			host_want(h, random_1_to(100));
	}
}

void
hosts_down(struct router *r)
{
	struct contact *c = &r->contact;

	if (!c->up)
		return;
	c->up = false;
	c->since = r->now;
}

/* ---- the turn ----------------------------------------------------------- */

static bool
is_awaited(const struct contact *c, const struct router *r)
{
	const struct host *h;

	if (!c->returned || r->now < c->answers_by)
		return true;
	TAILQ_FOREACH(h, &r->hosts, link) {
		if (h->state == HOST_WANTED)
			return true;
	}
	return false;
}

bool
hosts_told(const struct router *r)
{
	return !r->tell.on || (r->contact.up && !is_awaited(&r->contact, r));
}

/* A broker that refuses us is not waited for. */
bool
hosts_awaited(const struct router *r)
{
	const struct contact *c = &r->contact;
	struct backplane_state state = { .up = false };

	if (!r->tell.on || r->now >= c->started + AWAIT_MOST || heir_same(r))
		return false;
	if (c->up)
		return is_awaited(c, r);
	if (r->backplane->state != NULL)
		r->backplane->state(r->carrier, &state);
	return state.up || state.why.n == 0;
}

/* Wakes the loop when something is due. */
static void
arm(struct router *r)
{
	struct contact *c = &r->contact;
	uint64_t at = c->next_look;
	struct timeval tv;

	if (c->up) {
		sooner(&at, c->next_beat);
		sooner(&at, c->next_want);
		if (r->sync.told)
			sooner(&at, tell_due(r));
	}
	if (r->sync.on)
		sooner(&at, r->now + AWAIT_LOOK);
	if (at == c->woken && evtimer_pending(c->timer, NULL))
		return;
	c->woken = at;
	tv = timeval_ms(at > r->now ? at - r->now : 1);
	event_add(c->timer, &tv);
}

bool
hosts_turn(struct router *r)
{
	const struct config_backplane *set = &r->config->backplane;
	struct contact *c = &r->contact;
	uint64_t still = max_of(2 * set->heartbeat, set->host_timeout / 2);
	bool more = false;

	if (!r->tell.on)
		return false;
	if (r->now >= c->turned + still)
		hosts_thaw(r, r->now - c->turned);
	c->turned = r->now;
	if (elder_frozen(r))
		return false;
	if (heir_waits(r))
		return hosts_sweep(r);
	if (c->up && carrier_up(r)) {
		if (r->sync.told) {
			c->told = true;
			more |= tell_turn(r);
		}
		if (r->now >= c->next_beat)
			say(r, ENVELOPE_BEAT);
		if (r->now >= c->next_want)
			say_wants(r);
	}
	if (r->now >= c->next_look)
		hosts_look(r);
	more |= hosts_sweep(r);
	arm(r);
	return more;
}
