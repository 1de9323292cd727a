/* SPDX-License-Identifier: MIT
 *
 * The first moments of a router.
 *
 * Runs in: the router.
 */
#include "router/sync.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/util.h"
#include "router/router.h"

#define FRAME_HEAD	4	/* octets of length before a message */

struct held {
	TAILQ_ENTRY(held)	 link;
	struct peer		*peer;
	unsigned		 type;
	size_t			 n;
	char			 frame[];
};

void
sync_init(struct router *r)
{
	r->sync = (struct sync){ .on = true };
	TAILQ_INIT(&r->sync.held);
}

/* What is for others, and no less so when who said it is dead. */
static bool
outlives(unsigned type)
{
	return type == MSG_publish || type == MSG_kick;
}

static void
held_free(struct router *r, struct held *h)
{
	TAILQ_REMOVE(&r->sync.held, h, link);
	h->peer->last_words -= outlives(h->type);
	free(h);
}

void
sync_done(struct router *r)
{
	while (!TAILQ_EMPTY(&r->sync.held))
		held_free(r, TAILQ_FIRST(&r->sync.held));
}

void
sync_hold(struct router *r, struct peer *peer, unsigned type,
    struct bytes frame)
{
	struct held *h = xmalloc(sizeof(*h) + frame.n);

	h->peer = peer;
	h->type = type;
	h->n = frame.n;
	peer->last_words += outlives(type);
	memcpy(h->frame, frame.p, frame.n);
	TAILQ_INSERT_TAIL(&r->sync.held, h, link);
}

static void
held_replay(struct held *h, struct msg_reader *reader)
{
	struct bytes body = bytes_of(h->frame + FRAME_HEAD, h->n - FRAME_HEAD);
	struct unpacker u;
	const char *why;
	unsigned type;

	if (msg_read(reader, body, &type, &u, &why) < 0 ||
	    router_take(h->peer, type, &u, &why) < 0)
		fatal("a held message cannot be read: %s", why);
}

/* What was held goes its way now, in its order, if it is one of those. */
static void
replay(struct router *r, bool (*one)(const struct held *))
{
	struct msg_reader *reader = msg_reader_new();
	struct held *h, *next;

	for (h = TAILQ_FIRST(&r->sync.held); h != NULL; h = next) {
		next = TAILQ_NEXT(h, link);
		if (!one(h))
			continue;
		if (!h->peer->gone || outlives(h->type))
			held_replay(h, reader);
		held_free(r, h);
	}
	msg_reader_free(reader);
}

static bool
is_any(const struct held *h)
{
	(void)h;
	return true;
}

/* It needs no more than the workers. */
static bool
is_message(const struct held *h)
{
	return outlives(h->type) || h->type == MSG_connection;
}

static bool
is_last_word(const struct held *h)
{
	return h->peer->gone && outlives(h->type);
}

static void
sync_over(struct router *r)
{
	r->sync.on = false;
	heir_announce(r);
	log_debug("synced workers=%" PRIu64 " of=%" PRIu64, r->sync.settled,
	    r->sync.expect);
	census_rosters(r);
	replay(r, is_any);
	heir_over(r);
}

void
sync_go(struct router *r, uint64_t expect)
{
	r->sync.going = true;
	r->sync.expect = expect;
	r->sync.deadline = r->now + SYNC_TIMEOUT;
}

void
sync_settled(struct router *r, struct peer *peer)
{
	if (peer->synced)
		return;
	peer->synced = true;
	r->sync.settled++;
}

bool
sync_keeps(struct router *r, struct peer *dead)
{
	sync_settled(r, dead);
	return !r->sync.told && dead->last_words > 0;
}

void
sync_forget(struct router *r, struct peer *dead)
{
	struct held *h, *next;

	for (h = TAILQ_FIRST(&r->sync.held); h != NULL; h = next) {
		next = TAILQ_NEXT(h, link);
		if (h->peer == dead)
			held_free(r, h);
	}
}

/* Each that is there has told, and there were so many: one that was started
 * meanwhile does not stand for another. */
static bool
all_have_told(const struct router *r)
{
	const struct peer *p;

	TAILQ_FOREACH(p, &r->peers, link)
		if (!p->synced && !p->gone)
			return false;
	return r->sync.settled >= r->sync.expect;
}

void
sync_turn(struct router *r)
{
	struct sync *s = &r->sync;

	if (s->late) {
		/* A worker that was too late brought members that the others
		 * do not know. */
		s->late = false;
		census_rosters(r);
	}
	if (!s->on || !s->going)
		return;
	if (!s->told) {
		bool all = all_have_told(r);

		if (!all && r->now < s->deadline)
			return;
		if (!all)
			log_warn("not all workers have told what they hold");
		s->told = true;
		heir_settle(r);
		/* Before lists are told: nobody hears of the members of those
		 * who are dead. */
		replay(r, is_last_word);
		peers_bury(r);
		if (hosts_awaited(r))
			replay(r, is_message);
	}
	if (!hosts_awaited(r))
		sync_over(r);
}
