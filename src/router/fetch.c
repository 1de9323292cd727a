/* SPDX-License-Identifier: MIT
 *
 * Last messages of cache channels, asked of the broker.
 *
 * Runs in: the router.
 */
#include "router/fetch.h"

#include <stdlib.h>

#include "common/packed.h"
#include "common/util.h"
#include "router/router.h"

struct fetch {
	TAILQ_ENTRY(fetch)	 link;
	struct hash_link	 by_cookie;
	uint64_t		 cookie, due;
	bool			 unmarked;	/* the mark is not back */
	bool			 answered, known;
	size_t			 app_n, channel_n;
	char			 text[];	/* app, channel */
};

static struct bytes
fetch_app(const struct fetch *f)
{
	return bytes_of(f->text, f->app_n);
}

static struct bytes
fetch_channel(const struct fetch *f)
{
	return bytes_of(f->text + f->app_n, f->channel_n);
}

static struct bytes
key_of_fetch(const struct hash_link *l)
{
	const struct fetch *f = container_of(l, const struct fetch, by_cookie);

	return bytes_of(&f->cookie, sizeof(f->cookie));
}

void
fetch_init(struct router *r)
{
	hash_init(&r->fetches.by_cookie, key_of_fetch);
	TAILQ_INIT(&r->fetches.list);
	r->fetches.last = 0;
}

static void
fetch_free(struct router *r, struct fetch *f)
{
	TAILQ_REMOVE(&r->fetches.list, f, link);
	hash_remove(&r->fetches.by_cookie, &f->by_cookie);
	free(f);
}

void
fetch_done(struct router *r)
{
	while (!TAILQ_EMPTY(&r->fetches.list))
		fetch_free(r, TAILQ_FIRST(&r->fetches.list));
	hash_done(&r->fetches.by_cookie);
}

bool
fetch_possible(const struct router *r)
{
	return !carrier_alone(r) && r->reach.up && r->backplane->fetch != NULL;
}

static void
mark(struct router *r, const struct topic *topic, uint64_t cookie)
{
	struct buf payload = { 0 };

	pack_u64(&payload, cookie);
	carrier_mark(r, topic, buf_view(&payload));
	buf_done(&payload);
}

void
fetch_mark(struct router *r, const struct topic *topic)
{
	mark(r, topic, 0);
}

uint64_t
fetch_ask(struct router *r, struct bytes app, struct bytes channel,
    bool listening)
{
	struct topic topic = carrier_topic(r, app, channel);
	struct fetch *f = xcalloc(1, sizeof(*f) + app.n + channel.n);

	f->unmarked = listening;
	f->cookie = ++r->fetches.last;
	f->due = clock_ms() + r->config->backplane.echo_timeout;
	f->app_n = app.n;
	f->channel_n = channel.n;
	memcpy(f->text, app.p, app.n);
	memcpy(f->text + app.n, channel.p, channel.n);
	TAILQ_INSERT_TAIL(&r->fetches.list, f, link);
	hash_insert(&r->fetches.by_cookie, &f->by_cookie);
	r->backplane->fetch(r->carrier, &topic, f->cookie);
	if (listening)
		mark(r, &topic, f->cookie);
	return f->cookie;
}

/* ---- answers ------------------------------------------------------------ */

/* Who asked goes on with what there is. */
static void
fetch_end(struct router *r, struct fetch *f, bool known)
{
	struct census *c = census_find(r, fetch_app(f));
	struct route *t = c != NULL ? route_find(c, fetch_channel(f)) : NULL;

	if (t != NULL && t->fetch == f->cookie) {
		t->fetch = 0;
		if (known && t->joined)
			t->known = r->reach.era;
		pending_fetched(t);
	}
	answers_fetched(r, f->cookie);
	fetch_free(r, f);
}

/* Put to the history, unless what is there came later. */
static enum envelope_fault
fetch_keep(struct router *r, const struct fetch *f, struct bytes octets,
    uint64_t ttl_ms)
{
	struct envelope e;
	enum envelope_fault fault = envelope_open(octets, carrier_key(r), &e);
	struct route *t;

	if (fault != ENVELOPE_GOOD)
		return fault;
	if (!bytes_eq(e.app, fetch_app(f)) ||
	    !bytes_eq(e.channel, fetch_channel(f)))
		return ENVELOPE_BAD_PAYLOAD;
	t = route_get(census_get(r, e.app), e.channel);
	if (t->known != r->reach.era && passage_fetched(t, &e, ttl_ms) < 0)
		fault = ENVELOPE_BAD_PAYLOAD;
	route_release(t);
	return fault;
}

static struct fetch *
fetch_find(struct router *r, uint64_t cookie)
{
	struct hash_link *l = hash_find(&r->fetches.by_cookie,
	    bytes_of(&cookie, sizeof(cookie)));

	return l != NULL ? container_of(l, struct fetch, by_cookie) : NULL;
}

void
fetch_answered(struct router *r, uint64_t cookie, struct bytes octets,
    uint64_t ttl_ms, const char *why)
{
	struct fetch *f = fetch_find(r, cookie);
	enum envelope_fault fault;
	struct topic topic;

	if (f == NULL)
		return;
	if (why == NULL && octets.n > 0) {
		fault = fetch_keep(r, f, octets, ttl_ms);
		topic = carrier_topic(r, fetch_app(f), fetch_channel(f));
		if (fault != ENVELOPE_GOOD)
			carrier_grumble(r, fault, &topic);
	}
	f->answered = true;
	f->known = why == NULL;
	if (!f->unmarked)
		fetch_end(r, f, f->known);
}

int
fetch_marked(struct router *r, const struct envelope *e)
{
	struct packed in = packed_open(e->payload);
	uint64_t cookie = packed_u64(&in);
	struct fetch *f;

	if (!packed_end(&in))
		return -1;
	f = fetch_find(r, cookie);
	if (f == NULL)
		return 0;
	f->unmarked = false;
	if (f->answered)
		fetch_end(r, f, f->known);
	return 0;
}

void
fetch_down(struct router *r)
{
	while (!TAILQ_EMPTY(&r->fetches.list))
		fetch_end(r, TAILQ_FIRST(&r->fetches.list), false);
}

void
fetch_turn(struct router *r)
{
	struct fetch *f;

	while ((f = TAILQ_FIRST(&r->fetches.list)) != NULL && f->due <= r->now)
		fetch_end(r, f, false);
}

uint64_t
fetch_due(const struct router *r)
{
	const struct fetch *f = TAILQ_FIRST(&r->fetches.list);

	return f != NULL ? f->due : 0;
}
