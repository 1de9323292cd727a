/* SPDX-License-Identifier: MIT
 *
 * Which worker passes connections on: see balance.h.
 *
 * Runs in: master.
 */
#include "master/balance.h"

#define SLACK		50	/* of the mean: one part of so many, and 1 */
#define TAKES		2	/* at a time: so often its share of who comes */
#define ANYWAY		8	/* and so many more */

/* What the array comes to. */
struct sums {
	uint64_t	 mean, share;	/* share: of those who came */
	unsigned	 serving;
};

static struct sums
sum_up(const struct balance *w, unsigned n, uint64_t arrived)
{
	struct sums s = { 0, 0, 0 };
	uint64_t total = 0;

	for (unsigned i = 0; i < n; i++) {
		if (!w[i].serves)
			continue;
		s.serving++;
		total += w[i].holds;
	}
	if (s.serving != 0) {
		s.mean = (total + s.serving / 2) / s.serving;
		s.share = arrived / s.serving;
	}
	return s;
}

/* How many more it may be given now. */
static uint64_t
room_of(const struct balance *w, const struct sums *s)
{
	uint64_t most = TAKES * s->share + ANYWAY, lacks;

	if (!w->serves || w->holds >= s->mean)
		return 0;
	lacks = s->mean - w->holds;
	return lacks < most ? lacks : most;
}

/* The fullest that has no order yet and more than the slack; n: none. */
static unsigned
next_giver(const struct balance *w, unsigned n, const struct sums *s)
{
	uint64_t most = s->mean + s->mean / SLACK + 1;
	unsigned at = n;

	for (unsigned i = 0; i < n; i++)
		if (w[i].serves && w[i].give == 0 && w[i].holds > most) {
			most = w[i].holds;
			at = i;
		}
	return at;
}

static unsigned
widest(const uint64_t *room, unsigned n)
{
	unsigned at = 0;

	for (unsigned i = 1; i < n; i++)
		if (room[i] > room[at])
			at = i;
	return at;
}

/* Half of what is too much, but no more than it will be asked to accept: the rest
 * of the room is for others. */
static uint64_t
gift_of(const struct balance *w, const struct sums *s)
{
	uint64_t half = (w->holds - s->mean + 1) / 2, most = s->share + ANYWAY;

	return half < most ? half : most;
}

void
balance_plan(struct balance *w, unsigned n, uint64_t arrived)
{
	struct sums s = sum_up(w, n, arrived);
	uint64_t room[BALANCE_MAX], gift;
	unsigned i, to;

	for (i = 0; i < n; i++) {
		w[i].give = 0;
		room[i] = room_of(&w[i], &s);
	}
	while ((i = next_giver(w, n, &s)) < n) {
		to = widest(room, n);
		if (room[to] == 0)
			return;
		gift = gift_of(&w[i], &s);
		w[i].give = gift < room[to] ? gift : room[to];
		w[i].to = to;
		room[to] -= w[i].give;
	}
}

unsigned
balance_fullest(const struct balance *w, unsigned n)
{
	uint64_t total = 0, most = 0;
	unsigned serving = 0;

	for (unsigned i = 0; i < n; i++) {
		if (!w[i].serves)
			continue;
		serving++;
		total += w[i].holds;
		if (w[i].holds > most)
			most = w[i].holds;
	}
	return total == 0 ? 100 :
	    (unsigned)((most * serving * 100 + total / 2) / total);
}
