/* SPDX-License-Identifier: MIT
 *
 * Who of the hosts sends, see choice.h.
 *
 * Runs in: the courier.
 */
#include "courier/choice.h"

#include <stdlib.h>

#include "common/hash.h"
#include "common/util.h"

struct recent {
	TAILQ_ENTRY(recent) link;
	uint64_t	 when, node;
	unsigned	 kind;
	size_t		 app_n, channel_n, user_n;
	char		 names[];	/* app, channel, user */
};

/* ---- the choice ------------------------------------------------------------ */

/* All hosts must find the same, whichever release they run: never change it. */
static uint64_t
score(uint64_t node, struct bytes app, struct bytes channel)
{
	uint64_t key[2] = { node, hash_siphash13((const uint64_t[2]){ 1, 2 },
	    app) };

	return hash_siphash13(key, channel);
}

uint64_t
choice_choose(const struct choice *h, struct bytes app, struct bytes channel)
{
	uint64_t best = h->own, most = score(h->own, app, channel), s;

	for (uint32_t i = 0; i < h->n; i++) {
		s = score(h->nodes[i], app, channel);
		if (s > most || (s == most && h->nodes[i] > best)) {
			most = s;
			best = h->nodes[i];
		}
	}
	return best;
}

bool
choice_chosen(const struct choice *h, struct bytes app, struct bytes channel)
{
	return h->n <= 1 || choice_choose(h, app, channel) == h->own;
}

static uint64_t
node_of(struct bytes b)
{
	uint64_t node = 0;

	for (size_t i = 0; i < b.n && i < 8; i++)
		node = node << 8 | (unsigned char)b.p[i];
	return node;
}

void
choice_set(struct choice *h, uint64_t own, const struct msg_list *nodes)
{
	free(h->nodes);
	h->nodes = NULL;
	h->own = own;
	h->n = 0;
	if (nodes->n > 0)
		h->nodes = xcalloc(nodes->n, sizeof(*h->nodes));
	for (uint32_t i = 0; i < nodes->n; i++)
		h->nodes[h->n++] = node_of(msg_list_at(nodes, i));
}

/* ---- what others were to send ----------------------------------------------- */

static size_t
cost(const struct recent *r)
{
	return sizeof(*r) + r->app_n + r->channel_n + r->user_n;
}

static void
forget(struct choice *h, struct recent *r)
{
	TAILQ_REMOVE(&h->recent, r, link);
	h->octets -= cost(r);
	free(r);
}

static void
purge(struct choice *h, uint64_t now)
{
	struct recent *r;

	while ((r = TAILQ_FIRST(&h->recent)) != NULL &&
	    (h->octets > RECENT_OCTETS || now - r->when > h->window))
		forget(h, r);
}

static char *
put(char *to, struct bytes b)
{
	if (b.n != 0)
		memcpy(to, b.p, b.n);
	return to + b.n;
}

void
choice_remember(struct choice *h, const struct notice *n, uint64_t now)
{
	struct recent *r;

	if (!choice_many(h))
		return;
	r = xmalloc(sizeof(*r) + n->app.n + n->channel.n + n->user.n);
	r->when = now;
	r->node = choice_choose(h, n->app, n->channel);
	r->kind = n->kind;
	r->app_n = n->app.n;
	r->channel_n = n->channel.n;
	r->user_n = n->user.n;
	put(put(put(r->names, n->app), n->channel), n->user);
	TAILQ_INSERT_TAIL(&h->recent, r, link);
	h->octets += cost(r);
	purge(h, now);
}

void
choice_lost(struct choice *h, uint64_t node, uint64_t now,
    void (*say)(void *ctx, const struct notice *), void *ctx)
{
	struct recent *r, *next;
	struct notice n;

	purge(h, now);
	for (r = TAILQ_FIRST(&h->recent); r != NULL; r = next) {
		next = TAILQ_NEXT(r, link);
		if (r->node != node)
			continue;
		n.kind = r->kind;
		n.app = bytes_of(r->names, r->app_n);
		n.channel = bytes_of(r->names + r->app_n, r->channel_n);
		n.user = bytes_of(r->names + r->app_n + r->channel_n,
		    r->user_n);
		r->node = choice_choose(h, n.app, n.channel);
		if (r->node != h->own)
			continue;
		say(ctx, &n);
		forget(h, r);
	}
}

void
choice_init(struct choice *h)
{
	*h = (struct choice){ .window = RECENT_MS };
	TAILQ_INIT(&h->recent);
}

void
choice_timeout(struct choice *h, uint64_t ms)
{
	h->window = RECENT_MS + ms;
}

void
choice_done(struct choice *h)
{
	struct recent *r;

	while ((r = TAILQ_FIRST(&h->recent)) != NULL)
		forget(h, r);
	free(h->nodes);
	choice_init(h);
}
