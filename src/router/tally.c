/* SPDX-License-Identifier: MIT
 *
 * How many, by worker.
 *
 * Runs in: the router.
 */
#include "router/tally.h"

#include <stdlib.h>

#include "common/util.h"

static struct share *
tally_find(const struct tally *t, const struct peer *peer)
{
	for (uint32_t i = 0; i < t->n; i++) {
		if (t->at[i].peer == peer)
			return &t->at[i];
	}
	return NULL;
}

bool
tally_add(struct tally *t, struct peer *peer, uint64_t n)
{
	struct share *s = tally_find(t, peer);

	if (n == 0)
		return false;
	t->total += n;
	if (s != NULL) {
		s->n += n;
		return false;
	}
	if (t->n == t->cap) {
		t->cap = t->cap == 0 ? 1 : 2 * t->cap;
		t->at = xreallocarray(t->at, t->cap, sizeof(*t->at));
	}
	t->at[t->n++] = (struct share){ peer, n };
	return true;
}

uint64_t
tally_take(struct tally *t, struct peer *peer, uint64_t n)
{
	struct share *s = tally_find(t, peer);

	if (s == NULL)
		return 0;
	if (n > s->n)
		n = s->n;
	s->n -= n;
	t->total -= n;
	if (s->n == 0)
		*s = t->at[--t->n];
	if (t->n == 0)
		tally_done(t);
	return n;
}

uint64_t
tally_drop(struct tally *t, struct peer *peer)
{
	return tally_take(t, peer, UINT64_MAX);
}

bool
tally_move(struct tally *t, struct peer *from, struct peer *to)
{
	if (tally_take(t, from, 1) == 0)
		return false;
	tally_add(t, to, 1);
	return true;
}

bool
tally_has(const struct tally *t, const struct peer *peer)
{
	return tally_find(t, peer) != NULL;
}

void
tally_done(struct tally *t)
{
	free(t->at);
	*t = (struct tally){ 0 };
}
