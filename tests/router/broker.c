/* SPDX-License-Identifier: MIT
 *
 * A played broker, see broker.h.
 */
#include "broker.h"

static struct broker *opening;

static const struct backplane played;

/* ---- parcels ------------------------------------------------------------ */

static struct parcel *
parcel_new(enum parcel_kind kind, const struct topic *t, struct bytes octets,
    uint64_t cookie)
{
	struct parcel *p = xcalloc(1, sizeof(*p));

	p->kind = kind;
	p->app = bytes_dup(t->app);
	p->app_n = t->app.n;
	p->channel = bytes_dup(t->channel);
	p->channel_n = t->channel.n;
	p->raw = t->raw;
	p->octets = bytes_dup(octets);
	p->n = octets.n;
	p->cookie = cookie;
	return p;
}

static void
parcel_free(struct parcel *p)
{
	free(p->app);
	free(p->channel);
	free(p->octets);
	free(p);
}

static struct topic
topic_of(const struct parcel *p)
{
	return (struct topic){ .app = bytes_of(p->app, p->app_n),
	    .channel = bytes_of(p->channel, p->channel_n), .raw = p->raw };
}

static bool
same_topic(const struct topic *a, const struct topic *b)
{
	return a->raw == b->raw && bytes_eq(a->app, b->app) &&
	    bytes_eq(a->channel, b->channel);
}

static struct parcel *
parcel_find(struct parcels *list, const struct topic *t)
{
	struct parcel *p;

	TAILQ_FOREACH(p, list, link) {
		struct topic own = topic_of(p);

		if (same_topic(&own, t))
			return p;
	}
	return NULL;
}

static void
parcels_clear(struct parcels *list)
{
	struct parcel *p;

	while ((p = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, p, link);
		parcel_free(p);
	}
}

static void
put(struct parcels *list, enum parcel_kind kind, const struct topic *t,
    struct bytes octets, uint64_t cookie)
{
	struct parcel *p = parcel_new(kind, t, octets, cookie);

	TAILQ_INSERT_TAIL(list, p, link);
}

static void
drop(struct parcels *list, const struct topic *t)
{
	struct parcel *p = parcel_find(list, t);

	if (p == NULL)
		return;
	TAILQ_REMOVE(list, p, link);
	parcel_free(p);
}

/* ---- the driver --------------------------------------------------------- */

static void *
played_open(const struct config_backplane *set, struct event_base *base,
    const struct backplane_up *up, void *ctx, const char **why)
{
	struct port *port = &opening->ports[opening->n++];

	(void)set, (void)base, (void)why;
	assert_true(opening->n <= PORTS);
	port->broker = opening;
	port->upcalls = up;
	port->ctx = ctx;
	TAILQ_INIT(&port->publish);
	TAILQ_INIT(&port->answered);
	TAILQ_INIT(&port->listen);
	TAILQ_INIT(&port->inbox);
	TAILQ_INIT(&port->wanted);
	TAILQ_INIT(&port->topics);
	return port;
}

static void
played_nothing(void *self)
{
	(void)self;
}

static void
played_close(void *self)
{
	struct port *port = self;

	parcels_clear(&port->publish);
	parcels_clear(&port->answered);
	parcels_clear(&port->listen);
	parcels_clear(&port->inbox);
	parcels_clear(&port->wanted);
	parcels_clear(&port->topics);
}

static void
played_join(void *self, const struct topic *t, struct position since)
{
	struct port *port = self;

	(void)since;
	assert_null(parcel_find(&port->wanted, t));
	put(&port->wanted, PARCEL_JOIN, t, B(""), 0);
	if (port->up)
		put(&port->listen, PARCEL_JOIN, t, B(""), 0);
}

static void
played_leave(void *self, const struct topic *t)
{
	struct port *port = self;

	assert_non_null(parcel_find(&port->wanted, t));
	drop(&port->wanted, t);
	if (port->up)
		put(&port->listen, PARCEL_LEAVE, t, B(""), 0);
}

static void
played_publish(void *self, const struct topic *t, struct bytes octets,
    uint64_t cookie)
{
	struct port *port = self;

	put(&port->publish, PARCEL_MESSAGE, t, octets, cookie);
}

static void
played_store(void *self, const struct topic *t, struct bytes octets,
    uint64_t ttl, uint64_t cookie)
{
	struct port *port = self;

	put(&port->publish, PARCEL_STORE, t, octets, cookie);
	TAILQ_LAST(&port->publish, parcels)->ttl = ttl;
}

static void
played_fetch(void *self, const struct topic *t, uint64_t cookie)
{
	struct port *port = self;

	put(&port->publish, PARCEL_FETCH, t, B(""), cookie);
}

static void
played_state(const void *self, struct backplane_state *state)
{
	const struct port *port = self;
	const struct parcel *p;

	*state = (struct backplane_state){ .up = port->up };
	TAILQ_FOREACH(p, &port->publish, link)
		state->backlog++;
}

static const struct backplane played = {
	.name = "played", .flags = BACKPLANE_ECHOES,
	.open = played_open, .close = played_close,
	.start = played_nothing, .flush = played_nothing,
	.join = played_join, .leave = played_leave,
	.publish = played_publish, .store = played_store,
	.fetch = played_fetch, .state = played_state,
};

/* ---- the broker --------------------------------------------------------- */

static void
broker_cast(struct broker *b, const struct parcel *p)
{
	struct topic t = topic_of(p);

	b->taken++;
	for (unsigned i = 0; i < b->n; i++) {
		struct port *port = &b->ports[i];

		if (port->rig == NULL)
			continue;
		if (parcel_find(&port->topics, &t) != NULL)
			put(&port->inbox, PARCEL_MESSAGE, &t,
			    bytes_of(p->octets, p->n), 0);
		else
			b->lost++;
	}
}

bool
port_take(struct port *port)
{
	struct broker *b = port->broker;
	struct parcel *p = TAILQ_FIRST(&port->publish), *kept;
	struct topic t;

	if (p == NULL || !port->up)
		return false;
	t = topic_of(p);
	TAILQ_REMOVE(&port->publish, p, link);
	if (p->kind == PARCEL_FETCH) {
		kept = parcel_find(&b->kept, &t);
		put(&port->inbox, PARCEL_FETCHED, &t, kept != NULL ?
		    bytes_of(kept->octets, kept->n) : B(""), p->cookie);
		if (kept != NULL)
			TAILQ_LAST(&port->inbox, parcels)->ttl = kept->ttl;
		parcel_free(p);
		return true;
	}
	if (p->kind == PARCEL_STORE) {
		drop(&b->kept, &t);
		put(&b->kept, PARCEL_STORE, &t, bytes_of(p->octets, p->n), 0);
		TAILQ_LAST(&b->kept, parcels)->ttl = p->ttl;
	}
	broker_cast(b, p);
	TAILQ_INSERT_TAIL(&port->answered, p, link);
	return true;
}

bool
port_listen(struct port *port)
{
	struct parcel *p = TAILQ_FIRST(&port->listen);
	struct topic t;

	if (p == NULL || !port->up)
		return false;
	t = topic_of(p);
	drop(&port->topics, &t);
	if (p->kind == PARCEL_JOIN) {
		put(&port->topics, PARCEL_JOIN, &t, B(""), 0);
		put(&port->inbox, PARCEL_JOINED, &t, B(""), 0);
	}
	TAILQ_REMOVE(&port->listen, p, link);
	parcel_free(p);
	return true;
}

bool
port_give(struct port *port)
{
	static const struct position nowhere;
	struct parcel *p = TAILQ_FIRST(&port->inbox);
	struct topic t;

	if (p == NULL)
		return false;
	TAILQ_REMOVE(&port->inbox, p, link);
	t = topic_of(p);
	if (p->kind == PARCEL_FETCHED)
		port->upcalls->fetched(port->ctx, p->cookie,
		    bytes_of(p->octets, p->n), p->ttl, NULL);
	else if (parcel_find(&port->wanted, &t) == NULL)
		;	/* the driver knows better by now */
	else if (p->kind == PARCEL_JOINED &&
	    parcel_find(&port->listen, &t) != NULL)
		;	/* it has left since, and is to join again */
	else if (p->kind == PARCEL_JOINED)
		port->upcalls->joined(port->ctx, &t, nowhere);
	else
		port->upcalls->message(port->ctx, &t, nowhere,
		    bytes_of(p->octets, p->n));
	parcel_free(p);
	return true;
}

void
port_hears(struct port *port, struct bytes app, struct bytes channel,
    struct bytes octets)
{
	struct topic t = { .app = app, .channel = channel };

	put(&port->inbox, PARCEL_MESSAGE, &t, octets, 0);
}

void
port_down(struct port *port, unsigned again)
{
	struct parcels topics = TAILQ_HEAD_INITIALIZER(topics);
	struct parcel *p;

	if (!port->up)
		return;
	port->up = false;
	while (again-- > 0 && (p = TAILQ_LAST(&port->answered, parcels)) !=
	    NULL) {
		TAILQ_REMOVE(&port->answered, p, link);
		TAILQ_INSERT_HEAD(&port->publish, p, link);
	}
	parcels_clear(&port->inbox);
	parcels_clear(&port->listen);
	TAILQ_CONCAT(&topics, &port->topics, link);
	while ((p = TAILQ_FIRST(&topics)) != NULL) {
		struct topic t = topic_of(p);

		if (parcel_find(&port->wanted, &t) != NULL)
			port->upcalls->gap(port->ctx, &t);
		TAILQ_REMOVE(&topics, p, link);
		parcel_free(p);
	}
	port->upcalls->down(port->ctx, "cut");
}

void
port_up(struct port *port)
{
	struct parcel *p;

	if (port->up)
		return;
	port->up = true;
	TAILQ_FOREACH(p, &port->wanted, link) {
		struct topic t = topic_of(p);

		put(&port->listen, PARCEL_JOIN, &t, B(""), 0);
	}
	while (port_listen(port))
		;
	while (port_give(port))
		;
	port->upcalls->up(port->ctx);
}

void
broker_turn(struct broker *b)
{
	for (unsigned i = 0; i < b->n; i++) {
		if (b->ports[i].rig != NULL)
			rig_run(b->ports[i].rig);
	}
}

void
broker_run(struct broker *b)
{
	bool busy = true;

	while (busy) {
		busy = false;
		broker_turn(b);
		for (unsigned i = 0; i < b->n; i++) {
			struct port *port = &b->ports[i];

			if (port->rig == NULL)
				continue;
			while (!port->mute && (port_listen(port) ||
			    port_take(port)))
				busy = true;
			while (!port->deaf && port_give(port))
				busy = true;
		}
		broker_turn(b);
	}
}

/* ---- life --------------------------------------------------------------- */

struct port *
port_of(struct broker *b, const struct rig *g)
{
	for (unsigned i = 0; i < b->n; i++) {
		if (b->ports[i].rig == g)
			return &b->ports[i];
	}
	fail_msg("no such host");
	return NULL;
}

struct rig *
broker_rig(struct broker *b, const char *ini, uint64_t node)
{
	struct rig *g;

	if (b->n == 0)
		TAILQ_INIT(&b->kept);
	opening = b;
	g = rig_backplane(ini, &played);
	b->ports[b->n - 1].rig = g;
	g->router->node = node;
	g->router->incarnation = 1000 + node;
	port_up(&b->ports[b->n - 1]);
	broker_run(b);
	return g;
}

struct rig *
broker_heir(struct broker *b, const char *ini, struct rig *elder)
{
	struct rig *g;

	opening = b;
	g = rig_heir(ini, &played, elder);
	b->ports[b->n - 1].rig = g;
	return g;
}

void
broker_drop(struct broker *b, struct rig *g)
{
	struct port *port = port_of(b, g);

	rig_free(g);
	port->rig = NULL;
}

void
broker_done(struct broker *b)
{
	for (unsigned i = 0; i < b->n; i++) {
		if (b->ports[i].rig != NULL)
			rig_free(b->ports[i].rig);
	}
	parcels_clear(&b->kept);
}
