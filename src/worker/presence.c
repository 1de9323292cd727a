/* SPDX-License-Identifier: MIT
 *
 * Members of a presence channel: see presence.h.
 */
#include <stdlib.h>

#include "common/util.h"
#include "worker/app.h"
#include "worker/channel.h"
#include "worker/fanout.h"
#include "worker/presence.h"

static struct bytes
member_key(const struct hash_link *l)
{
	return member_user(container_of(l, struct member, link));
}

struct presence *
presence_new(void)
{
	struct presence *p = xcalloc(1, sizeof(*p));

	hash_init(&p->by_user, member_key);
	TAILQ_INIT(&p->order);
	return p;
}

static void
member_remove(struct presence *p, struct member *m)
{
	if (p->unwritten == m)
		p->unwritten = TAILQ_NEXT(m, order);
	else if (m->piece[0].n > 0)
		p->gone++;
	hash_remove(&p->by_user, &m->link);
	TAILQ_REMOVE(&p->order, m, order);
	free(m);
}

/* They are to be written from the first member on. */
static void
texts_forget(struct presence *p)
{
	for (unsigned i = 0; i < PRESENCE_TEXTS; i++)
		buf_done(&p->texts[i]);
	p->unwritten = TAILQ_FIRST(&p->order);
	p->gone = 0;
}

void
presence_free(struct presence *p)
{
	struct member *m;

	while ((m = TAILQ_FIRST(&p->order)) != NULL)
		member_remove(p, m);
	hash_done(&p->by_user);
	texts_forget(p);
	free(p);
}

uint32_t
presence_count(const struct presence *p)
{
	return p->by_user.count;
}

static struct member *
member_find(struct presence *p, struct bytes user)
{
	struct hash_link *l = hash_find(&p->by_user, user);

	return l != NULL ? container_of(l, struct member, link) : NULL;
}

struct bytes
presence_object(struct presence *p, struct bytes user)
{
	struct member *m = member_find(p, user);

	return m != NULL ? member_object(m) : bytes_of(NULL, 0);
}

static struct member *
member_add(struct presence *p, struct bytes user, struct bytes object)
{
	struct member *m = xcalloc(1, sizeof(*m) + user.n + object.n);

	m->user_n = user.n;
	m->member_n = object.n;
	memcpy(m->room, user.p, user.n);
	if (object.n > 0)
		memcpy(m->room + user.n, object.p, object.n);
	m->seen = p->roster;
	hash_insert(&p->by_user, &m->link);
	TAILQ_INSERT_TAIL(&p->order, m, order);
	if (p->unwritten == NULL)
		p->unwritten = m;
	return m;
}

/* ---- the list as a text -------------------------------------------------- */

/* The pieces of those who went are cut out: the others move up. */
static void
texts_close(struct presence *p)
{
	struct member *m;

	for (unsigned i = 0; i < PRESENCE_TEXTS; i++) {
		struct buf *b = &p->texts[i];
		uint32_t n = 0;

		for (m = TAILQ_FIRST(&p->order); m != p->unwritten;
		    m = TAILQ_NEXT(m, order)) {
			memmove(b->p + n, b->p + m->piece[i].at, m->piece[i].n);
			m->piece[i].at = n;
			n += m->piece[i].n;
		}
		b->n = n;
	}
	p->gone = 0;
}

static void
texts_go_on(struct presence *p,
    void (*write)(const struct member *, struct buf *))
{
	struct member *m;
	unsigned i;

	for (; (m = p->unwritten) != NULL; p->unwritten = TAILQ_NEXT(m, order)) {
		for (i = 0; i < PRESENCE_TEXTS; i++)
			m->piece[i].at = (uint32_t)p->texts[i].n;
		write(m, p->texts);
		for (i = 0; i < PRESENCE_TEXTS; i++)
			m->piece[i].n = (uint32_t)p->texts[i].n -
			    m->piece[i].at;
	}
}

void
presence_texts(struct presence *p,
    void (*write)(const struct member *, struct buf *),
    struct bytes texts[PRESENCE_TEXTS])
{
	static struct buf brief[PRESENCE_TEXTS];
	bool keep = presence_count(p) >= PRESENCE_KEEP;
	struct buf *from = keep ? p->texts : brief;
	struct member *m;
	unsigned i;

	/* Most have gone: what they needed is given back. */
	if (!keep || p->gone > 3 * presence_count(p))
		texts_forget(p);
	if (keep) {
		if (p->gone > 0)
			texts_close(p);
		texts_go_on(p, write);
	} else {
		for (i = 0; i < PRESENCE_TEXTS; i++)
			buf_reuse(&brief[i]);
		TAILQ_FOREACH(m, &p->order, order)
			write(m, brief);
	}
	for (i = 0; i < PRESENCE_TEXTS; i++)
		texts[i] = buf_view(&from[i]);
}

/* ---- what the router says ------------------------------------------------ */

static struct channel *
presence_channel(struct bytes app_id, struct bytes name)
{
	struct app *app = app_by_id(app_id);
	struct channel *ch = app != NULL ? channel_find(app, name) : NULL;

	return ch != NULL && ch->presence != NULL ? ch : NULL;
}

/* Tells the subscribers on this worker. */
static void
announce(struct channel *ch, enum message_kind kind, const struct member *who,
    uint64_t serial)
{
	struct message m = {
		.kind = kind, .channel = ch, .serial = serial,
		.id = member_user(who), .object = member_object(who),
	};

	fanout(&m);
}

void
presence_on_added(const struct msg_member_added *a)
{
	struct channel *ch = presence_channel(a->app, a->channel);

	if (ch == NULL || !ch->presence->known ||
	    member_find(ch->presence, a->user) != NULL)
		return;
	announce(ch, MESSAGE_ADDED,
	    member_add(ch->presence, a->user, a->member),
	    fanout_serial(a->epoch, a->serial));
}

void
presence_on_removed(const struct msg_member_removed *r)
{
	struct channel *ch = presence_channel(r->app, r->channel);
	struct member *m;

	if (ch == NULL || (m = member_find(ch->presence, r->user)) == NULL)
		return;
	announce(ch, MESSAGE_REMOVED, m, fanout_serial(r->epoch, r->serial));
	fanout_flush();
	member_remove(ch->presence, m);
}

/* A row of a roster: known already, or to be announced when the roster is
 * complete (if this worker knew an older one). */
void
presence_on_member(const struct msg_member *row)
{
	struct channel *ch = presence_channel(row->app, row->channel);
	struct presence *p;
	struct member *m;

	if (ch == NULL)
		return;
	p = ch->presence;
	if (p->in_roster++ == 0)
		p->roster++;
	if ((m = member_find(p, row->user)) != NULL)
		m->seen = p->roster;
	else
		member_add(p, row->user, row->member)->fresh = p->known;
}

void
presence_on_roster(const struct msg_roster *r)
{
	struct channel *ch = presence_channel(r->app, r->channel);
	uint64_t serial = fanout_serial(r->epoch, r->serial);
	struct presence *p;
	struct member *m, *next;

	if (ch == NULL)
		return;
	p = ch->presence;
	if (p->in_roster == 0)
		p->roster++;
	p->in_roster = 0;
	TAILQ_FOREACH(m, &p->order, order) {
		if (m->fresh)
			announce(ch, MESSAGE_ADDED, m, serial);
		m->fresh = false;
	}
	for (m = TAILQ_FIRST(&p->order); m != NULL; m = next) {
		next = TAILQ_NEXT(m, order);
		if (m->seen == p->roster)
			continue;
		if (p->known)
			announce(ch, MESSAGE_REMOVED, m, serial);
		fanout_flush();
		member_remove(p, m);
	}
	p->known = true;
}
