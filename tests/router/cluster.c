/* SPDX-License-Identifier: MIT
 *
 * Several routers in this process, joined by a broker that the test plays.
 */
#include "cluster.h"

#define STEP	200	/* ms */

struct line {
	TAILQ_ENTRY(line)	 link;
	char			*topic, *app, *channel;
	unsigned		 lane;
	unsigned		 seen;	/* by these ports, as bits */
	size_t			 n;
	char			 octets[];
};

static struct port *opening;	/* what the driver's open() is for */
static uint64_t opening_node, opening_generation;

/* ---- the driver --------------------------------------------------------- */

static char *
topic_text(const struct topic *t)
{
	return xasprintf("%.*s %.*s", (int)t->app.n, t->app.p,
	    (int)t->channel.n, t->channel.p);
}

static void *
port_open(const struct config_backplane *set, struct event_base *base,
    const struct backplane_up *up, void *ctx, const char **why)
{
	struct router *r = ctx;

	(void)set, (void)base, (void)why;
	opening->up = up;
	opening->ctx = ctx;
	r->node = opening_node;
	r->incarnation = 1000 + opening_node;
	r->generation = opening_generation;
	return opening;
}

static void
port_close(void *self)
{
	(void)self;
}

static void
port_start(void *self)
{
	struct port *p = self;

	p->started = true;
}

static void
port_flush(void *self)
{
	(void)self;
}

static void
port_join(void *self, const struct topic *t, struct position since)
{
	struct port *p = self;

	(void)since;
	p->topics = xreallocarray(p->topics, p->n_topics + 1,
	    sizeof(p->topics[0]));
	p->topics[p->n_topics++] = topic_text(t);
}

static void
port_leave(void *self, const struct topic *t)
{
	struct port *p = self;
	char *text = topic_text(t);

	for (size_t i = 0; i < p->n_topics; i++) {
		if (strcmp(p->topics[i], text) != 0)
			continue;
		free(p->topics[i]);
		memmove(&p->topics[i], &p->topics[i + 1],
		    (--p->n_topics - i) * sizeof(p->topics[0]));
		p->n_live -= i < p->n_live;
		break;
	}
	free(text);
}

static void
publish(struct cluster *c, const struct topic *t, struct bytes octets)
{
	struct line *l = xcalloc(1, sizeof(*l) + octets.n);
	struct envelope e;

	l->topic = topic_text(t);
	l->app = bytes_dup(t->app);
	l->channel = bytes_dup(t->channel);
	l->lane = t->lane;
	l->n = octets.n;
	memcpy(l->octets, octets.p, octets.n);
	TAILQ_INSERT_TAIL(&c->lines, l, link);
	if (envelope_open(octets, B(""), &e) == ENVELOPE_GOOD)
		c->published[e.kind]++;
}

static void
port_publish(void *self, const struct topic *t, struct bytes octets,
    uint64_t cookie)
{
	struct port *p = self;

	(void)cookie;
	if (p->connected)
		publish(p->cluster, t, octets);
}

static void
port_state(const void *self, struct backplane_state *state)
{
	const struct port *p = self;

	*state = (struct backplane_state){ .up = p->connected,
	    .why = p->cut ? B("refused") : B("") };
}

static const struct backplane played = {
	.name = "played", .flags = BACKPLANE_ECHOES,
	.open = port_open, .close = port_close, .start = port_start,
	.flush = port_flush, .join = port_join, .leave = port_leave,
	.publish = port_publish, .state = port_state,
};

/* ---- the broker --------------------------------------------------------- */

static void
line_free(struct cluster *c, struct line *l)
{
	TAILQ_REMOVE(&c->lines, l, link);
	free(l->topic);
	free(l->app);
	free(l->channel);
	free(l);
}

static bool
listens(const struct port *p, const struct line *l)
{
	for (size_t i = 0; i < p->n_live; i++) {
		if (strcmp(p->topics[i], l->topic) == 0)
			return true;
	}
	return false;
}

static void
line_give(struct port *p, struct line *l)
{
	struct cluster *c = p->cluster;
	struct topic t = { .app = bytes_str(l->app),
	    .channel = bytes_str(l->channel), .lane = l->lane };
	struct position nowhere = { 0, 0 };
	struct envelope e;

	l->seen |= 1u << (p - c->ports);
	if (!p->connected || !listens(p, l))
		return;
	if (c->lose != NULL &&
	    envelope_open(bytes_of(l->octets, l->n), B(""), &e) ==
	    ENVELOPE_GOOD && c->lose(c, &e, p))
		return;
	p->up->message(p->ctx, &t, nowhere, bytes_of(l->octets, l->n));
}

/* True if something was delivered.  The frozen get theirs later. */
static bool
port_serve(struct port *p)
{
	struct cluster *c = p->cluster;
	struct position nowhere = { 0, 0 };
	unsigned bit = 1u << (p - c->ports);
	bool busy = false;
	struct line *l;

	if (p->rig == NULL || p->frozen || !p->started)
		return false;
	if (!p->connected && !p->cut) {
		p->connected = busy = true;
		TAILQ_FOREACH(l, &c->lines, link)
			l->seen |= bit;
		p->up->up(p->ctx);
	}
	while (p->connected && p->n_live < p->n_topics) {
		char *text = p->topics[p->n_live++], *space;
		struct topic t;

		space = strchr(text, ' ');
		t = (struct topic){ .channel = bytes_str(space + 1) };
		t.app = bytes_of(text, (size_t)(space - text));
		t.lane = carrier_topic(p->ctx, t.app, t.channel).lane;
		p->up->joined(p->ctx, &t, nowhere);
		busy = true;
	}
	TAILQ_FOREACH(l, &c->lines, link) {
		if (l->seen & bit)
			continue;
		line_give(p, l);
		busy = true;
	}
	return busy;
}

static void
lines_drop(struct cluster *c)
{
	unsigned all = 0;
	struct line *l, *next;

	for (size_t i = 0; i < c->n; i++)
		all |= c->ports[i].rig != NULL && c->ports[i].connected ?
		    1u << i : 0;
	for (l = TAILQ_FIRST(&c->lines); l != NULL; l = next) {
		next = TAILQ_NEXT(l, link);
		if ((l->seen & all) == all)
			line_free(c, l);
	}
}

void
cluster_run(struct cluster *c)
{
	bool busy = true;

	while (busy) {
		busy = false;
		for (size_t i = 0; i < c->n; i++)
			busy |= port_serve(&c->ports[i]);
		lines_drop(c);
		for (size_t i = 0; i < c->n; i++) {
			if (c->ports[i].rig != NULL && !c->ports[i].frozen)
				rig_run(c->ports[i].rig);
		}
		for (size_t i = 0; i < c->n; i++)
			busy |= port_serve(&c->ports[i]);
	}
}

void
cluster_later(struct cluster *c, uint64_t ms)
{
	while (ms > 0) {
		uint64_t step = ms < STEP ? ms : STEP;
		bool passed = false;

		for (size_t i = 0; i < c->n; i++) {
			if (c->ports[i].rig == NULL || c->ports[i].frozen)
				continue;
			rig_later(c->ports[i].rig, passed ? 0 : step);
			passed = true;
		}
		assert_true(passed);
		cluster_run(c);
		ms -= step;
	}
}

void
cluster_say(struct cluster *c, struct bytes octets)
{
	struct topic t = carrier_cluster();

	publish(c, &t, octets);
}

/* ---- hosts -------------------------------------------------------------- */

struct cluster *
cluster_new(const char *ini)
{
	struct cluster *c = xcalloc(1, sizeof(*c));

	c->ini = ini;
	TAILQ_INIT(&c->lines);
	return c;
}

static struct port *
port_of(struct cluster *c, const struct rig *g)
{
	for (size_t i = 0; i < c->n; i++) {
		if (c->ports[i].rig == g)
			return &c->ports[i];
	}
	fail_msg("no such host");
	return NULL;
}

struct rig *
cluster_host(struct cluster *c, uint64_t node, uint64_t generation)
{
	size_t i = 0;

	while (i < c->n && c->ports[i].rig != NULL)
		i++;
	assert_true(i < CLUSTER_MOST);
	if (i == c->n)
		c->n++;
	opening = &c->ports[i];
	*opening = (struct port){ .cluster = c };
	opening_node = node;
	opening_generation = generation;
	opening->rig = rig_backplane(c->ini, &played);
	return opening->rig;
}

void
cluster_kill(struct cluster *c, struct rig *g)
{
	struct port *p = port_of(c, g);

	p->connected = false;
	rig_free(g);
	while (p->n_topics > 0)
		free(p->topics[--p->n_topics]);
	free(p->topics);
	p->rig = NULL;
}

void
cluster_free(struct cluster *c)
{
	for (size_t i = 0; i < c->n; i++) {
		if (c->ports[i].rig != NULL)
			cluster_kill(c, c->ports[i].rig);
	}
	while (!TAILQ_EMPTY(&c->lines))
		line_free(c, TAILQ_FIRST(&c->lines));
	free(c);
}

void
cluster_cut(struct cluster *c, struct rig *g)
{
	struct port *p = port_of(c, g);
	struct line *l;

	p->cut = true;
	if (!p->connected)
		return;
	p->connected = false;
	p->n_live = 0;
	TAILQ_FOREACH(l, &c->lines, link)
		l->seen |= 1u << (p - c->ports);
	p->up->down(p->ctx, "cut");
}

void
cluster_mend(struct cluster *c, struct rig *g)
{
	port_of(c, g)->cut = false;
}

void
cluster_freeze(struct cluster *c, struct rig *g, bool frozen)
{
	port_of(c, g)->frozen = frozen;
}
