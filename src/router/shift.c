/* SPDX-License-Identifier: MIT
 *
 * A connection changes workers: see shift.h.
 *
 * Runs in: the router.
 */
#include "router/shift.h"

#include <stdlib.h>

#include "common/util.h"
#include "router/router.h"

enum shift_state { SHIFT_NAMED, SHIFT_SHIFTED, SHIFT_GONE };

struct shift_name {
	uint64_t	slot, generation, was;
};

struct shift {
	struct hash_link	 link;
	struct shift_name	 name;
	enum shift_state	 state;
	bool			 counted;	/* shifted: out of its row */
};

/* ---- what is noted ------------------------------------------------------ */

static struct bytes
key_of_shift(const struct hash_link *l)
{
	const struct shift *s = container_of(l, const struct shift, link);

	return bytes_of(&s->name, sizeof(s->name));
}

void
shifts_init(struct router *r)
{
	hash_init(&r->shifts.by_name, key_of_shift);
}

static void
shift_free(struct router *r, struct shift *s)
{
	hash_remove(&r->shifts.by_name, &s->link);
	free(s);
}

/* Those of one worker, or all. */
static void
drop(struct router *r, const struct peer *dead)
{
	struct hash_cursor at = { 0 };
	struct hash_link *l;

	while ((l = hash_walk(&r->shifts.by_name, &at)) != NULL) {
		struct shift *s = container_of(l, struct shift, link);

		if (dead == NULL || (s->name.slot == dead->slot &&
		    s->name.generation == dead->generation))
			shift_free(r, s);
	}
}

void
shifts_forget(struct router *r, const struct peer *dead)
{
	if (r->shifts.by_name.count > 0)
		drop(r, dead);
}

void
shifts_done(struct router *r)
{
	drop(r, NULL);
	hash_done(&r->shifts.by_name);
}

static struct shift *
shift_find(struct router *r, const struct msg_moved *m)
{
	struct shift_name name = { m->slot, m->generation, m->was };
	struct hash_link *l = hash_find(&r->shifts.by_name,
	    bytes_of(&name, sizeof(name)));

	return l != NULL ? container_of(l, struct shift, link) : NULL;
}

/* NULL: too many are noted, and this one is not. */
static struct shift *
shift_note(struct router *r, const struct msg_moved *m,
    enum shift_state state)
{
	struct shift *s = shift_find(r, m);

	if (s == NULL && r->shifts.by_name.count >= SHIFTS_MAX)
		return NULL;
	if (s == NULL) {
		s = xcalloc(1, sizeof(*s));
		s->name = (struct shift_name){ m->slot, m->generation,
		    m->was };
		hash_insert(&r->shifts.by_name, &s->link);
	}
	s->state = state;
	return s;
}

static struct peer *
peer_find(struct router *r, uint64_t slot, uint64_t generation)
{
	struct peer *p;

	TAILQ_FOREACH(p, &r->peers, link)
		if (p->slot == slot && p->generation == generation)
			return p;
	return NULL;
}

/* ---- one thing that it counts for ------------------------------------------ */

/* Takes a subscription from a worker, as leave does. */
static void
channel_goes(struct router *r, struct peer *old, const struct msg_moved *m,
    uint32_t i)
{
	census_leave(r, old, &(struct msg_leave){
	    .app = m->app, .channel = msg_list_at(&m->channels, i), .n = 1,
	    .user = msg_list_at(&m->users, i) });
}

/* old: who has it so far; NULL: nobody. */
static void
channel_comes(struct router *r, struct peer *old, struct peer *to,
    const struct msg_moved *m, uint32_t i)
{
	struct bytes user = msg_list_at(&m->users, i), none = { NULL, 0 };
	struct route *t = route_get(census_get(r, m->app),
	    msg_list_at(&m->channels, i));

	if (user.n > 0) {
		if (old == NULL || !members_move(t, old, to, user))
			members_arrive(t, to, user, i < m->members.n ?
			    msg_list_at(&m->members, i) : none);
	} else if (old == NULL || !route_move(t, old, to)) {
		route_add(t, to, 1);
		count_changed(t);
	}
}

static void
user_goes(struct router *r, struct peer *old, const struct msg_moved *m)
{
	struct census *c = census_find(r, m->app);

	if (c != NULL)
		users_signout(c, old, &(struct msg_signout){
		    .app = m->app, .conn = m->was, .user = m->user });
}

static void
user_comes(struct router *r, struct peer *old, struct peer *to,
    const struct msg_moved *m)
{
	struct census *c = census_get(r, m->app);

	if (old == NULL || !users_move(c, old, to, m))
		users_arrive(c, to, m);
}

/* ---- all that it counts for ------------------------------------------------ */

/* Away from its worker, with a word to all. */
static void
goes(struct router *r, struct peer *old, const struct msg_moved *m)
{
	for (uint32_t i = 0; i < m->channels.n; i++)
		channel_goes(r, old, m, i);
	if (m->user.n > 0)
		user_goes(r, old, m);
	if (m->open)
		load_went(census_get(r, m->app), old, m->channels.n > 0);
}

static void
comes(struct router *r, struct peer *old, struct peer *to,
    const struct msg_moved *m)
{
	for (uint32_t i = 0; i < m->channels.n; i++)
		channel_comes(r, old, to, m, i);
	if (m->user.n > 0)
		user_comes(r, old, to, m);
}

/* Its elder says that it is there, or that it is gone. */
static void
of_elder(struct router *r, struct peer *elder, const struct msg_moved *m)
{
	struct shift *s = shift_find(r, m);
	bool here = m->conn != 0;

	/* Among the open ones that the elder has told it was, too. */
	if (s != NULL && s->state == SHIFT_SHIFTED) {
		if (here && m->open && !s->counted)
			load_went(census_get(r, m->app), elder,
			    m->channels.n > 0);
		return;
	}
	if (shift_note(r, m, here ? SHIFT_NAMED : SHIFT_GONE) == NULL)
		return;
	if (here)
		comes(r, NULL, elder, m);
	else
		goes(r, elder, m);
}

/* Is it in the row of its elder? */
static bool
is_counted(const struct router *r, const struct shift *s,
    const struct msg_moved *m)
{
	if (s == NULL)
		return m->epoch == r->epoch;
	if (s->state == SHIFT_SHIFTED)
		return s->counted;	/* more channels of the same */
	return s->state == SHIFT_NAMED;
}

static void
of_heir(struct router *r, struct peer *to, const struct msg_moved *m)
{
	struct peer *old = peer_find(r, m->slot, m->generation);
	struct shift *s = shift_find(r, m);
	bool counted = is_counted(r, s, m);

	s = shift_note(r, m, SHIFT_SHIFTED);
	if (s != NULL)
		s->counted = counted;
	if (!counted)
		old = NULL;
	comes(r, old, to, m);
	if (!m->open)
		return;
	load_came(census_get(r, m->app), to, m->channels.n > 0);
	if (old != NULL)
		load_went(census_get(r, m->app), old, m->channels.n > 0);
}

void
shift_connection(struct router *r, struct peer *from,
    const struct msg_moved *m)
{
	if (m->users.n != m->channels.n) {
		peer_refuse(from, "a connection that cannot be");
		return;
	}
	if (m->slot == from->slot && m->generation == from->generation)
		of_elder(r, from, m);
	else
		of_heir(r, from, m);
}
