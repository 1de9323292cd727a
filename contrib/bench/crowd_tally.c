/* SPDX-License-Identifier: MIT
 *
 * crowd: is everything there, once, in order, and how late was it?
 *
 * A number that the application knows as sent must come to everybody who is in
 * its channel; one that was refused, or whose answer never came, may (unsure).
 */
#include <stdlib.h>
#include <string.h>

#include "crowd.h"

/* ---- events ----------------------------------------------------------------- */

static const char *
number(const char *p, const char *end, uint64_t *n)
{
	const char *from = p;

	for (*n = 0; p < end && *p >= '0' && *p <= '9' && p - from < 19; p++)
		*n = *n * 10 + (uint64_t)(*p - '0');
	return p > from ? p : NULL;
}

bool
event_read(const char *p, size_t n, struct event *e)
{
	const char *end = p + n;
	uint64_t v[4];

	if ((p = memchr(p, '~', n)) == NULL || end - p < 3 ||
	    (p[1] != 'a' && p[1] != 'c'))
		return false;
	e->stream = p[1] == 'a' ? FROM_API : FROM_CLIENT;
	p += 2;
	for (unsigned i = 0; i < 4; i++)
		if (p == end || *p != ' ' ||
		    (p = number(p + 1, end, &v[i])) == NULL)
			return false;
	e->channel = (uint32_t)v[0];
	e->number = (uint32_t)v[1];
	e->due = v[2];
	e->sent = v[3];
	return e->channel < shared->channels;
}

/* ---- who was in doubt ------------------------------------------------------- */

static _Atomic uint64_t *
doubt(struct channel *ch, enum stream s, uint32_t n)
{
	return &ch->unsure[s][n % UNSURE_RING / 64];
}

void
tally_unsure(struct channel *ch, enum stream s, uint32_t n)
{
	atomic_fetch_or(doubt(ch, s, n), 1ull << (n % 64));
}

/* Before it leaves: from now on it is awaited. */
void
tally_sending(struct channel *ch, enum stream s, uint32_t n)
{
	atomic_fetch_and(doubt(ch, s, n), ~(1ull << (n % 64)));
	atomic_store(&ch->sent[s], n + 1);
}

static bool
sure(struct channel *ch, enum stream s, uint32_t n)
{
	return (atomic_load(doubt(ch, s, n)) >> (n % 64) & 1) == 0;
}

/* ---- a client in a channel -------------------------------------------------- */

/* What is sent from now on is for it.  Who was away goes on where it was: what
 * it missed is missing. */
void
tally_entered(struct sub *sub)
{
	struct channel *ch = &shared->channel[sub->channel];

	sub->in = true;
	atomic_fetch_add(&ch->present, 1);
	for (unsigned s = 0; s < STREAMS; s++) {
		uint32_t now = atomic_load(&ch->sent[s]);

		if (sub->was) {
			sub->since[s] = now;
			continue;
		}
		sub->fresh[s] = true;
		sub->next[s] = now;
	}
	sub->was = true;
}

void
tally_left(struct sub *sub)
{
	struct channel *ch = &shared->channel[sub->channel];

	if (!sub->in)
		return;
	sub->in = false;
	atomic_fetch_sub(&ch->present, 1);
	atomic_fetch_add(&ch->changes, 1);
	atomic_store(&ch->changed, now_us());
}

static void
count_missing(struct sub *sub, enum stream s, uint32_t from, uint32_t to)
{
	struct channel *ch = &shared->channel[sub->channel];

	for (uint32_t n = from; n < to; n++) {
		if (!sure(ch, s, n))
			continue;
		if (!sub->in || n < sub->since[s])
			stats->missing_away++;
		else
			fault(&stats->missing, "%s: %c %u missing before %u",
			    ch->name, "ac"[s], n, to);
	}
}

/* One that is older than the last. */
static void
late(struct sub *sub, const struct event *e)
{
	struct channel *ch = &shared->channel[sub->channel];
	uint32_t back = sub->next[e->stream] - 1 - e->number;
	uint64_t bit = back < 64 ? 1ull << back : 0;

	if (bit == 0 || (sub->seen[e->stream] & bit) != 0) {
		fault(&stats->doubled, "%s: %c %u again, after %u", ch->name,
		    "ac"[e->stream], e->number, sub->next[e->stream] - 1);
	} else if (sure(ch, e->stream, e->number)) {
		fault(&stats->disordered, "%s: %c %u after %u", ch->name,
		    "ac"[e->stream], e->number, sub->next[e->stream] - 1);
		if (stats->missing > 0)
			stats->missing--;
	}
	sub->seen[e->stream] |= bit;
}

void
tally_event(struct sub *sub, const struct event *e)
{
	struct channel *ch = &shared->channel[sub->channel];
	enum stream s = e->stream;
	uint32_t step;

	if (e->number >= atomic_load(&ch->sent[s])) {
		fault(&stats->strange, "%s: %u was never sent", ch->name,
		    e->number);
		return;
	}
	if (sub->fresh[s] && e->number < sub->next[s]) {
		sub->next[s] = e->number;
		sub->seen[s] = 0;
	}
	sub->fresh[s] = false;
	if (e->number < sub->next[s]) {
		late(sub, e);
		return;
	}
	if (e->number > sub->next[s])
		count_missing(sub, s, sub->next[s], e->number);
	step = e->number + 1 - sub->next[s];
	sub->seen[s] = step < 64 ? sub->seen[s] << step | 1 : 1;
	sub->next[s] = e->number + 1;
}

/* speaks: its own client events do not come back. */
bool
tally_complete(struct sub *sub, bool speaks, bool last)
{
	struct channel *ch = &shared->channel[sub->channel];
	bool all = true;

	for (unsigned s = 0; s < (speaks ? FROM_CLIENT : STREAMS); s++) {
		uint32_t to = atomic_load(&ch->sent[s]);
		uint32_t n = sub->next[s];

		/* What was sent while it was away does not come any more. */
		if (n < sub->since[s])
			n = sub->since[s];
		for (; n < to && all; n++)
			all = !sure(ch, s, n);
		if (last)
			count_missing(sub, s, sub->next[s], to);
	}
	return all;
}

/* ---- times ------------------------------------------------------------------ */

/* Sixteen buckets for each doubling, from 16 us on. */
void
log_value(uint32_t *buckets, uint64_t us)
{
	unsigned power, at;

	us = us < 16 ? 16 : us;
	power = 63 - (unsigned)__builtin_clzll(us);
	at = (power - 4) * 16 + (unsigned)(us >> (power - 4)) % 16;
	buckets[at < BUCKETS ? at : BUCKETS - 1]++;
}

/* In milliseconds. */
double
log_percentile(const uint32_t *buckets, double p)
{
	uint64_t total = 0, sum = 0;

	for (unsigned i = 0; i < BUCKETS; i++)
		total += buckets[i];
	for (unsigned i = 0; i < BUCKETS && total > 0; i++) {
		sum += buckets[i];
		if ((double)sum >= p * (double)total)
			return (double)((uint64_t)(16 + i % 16 + 1) <<
			    (i / 16)) / 1000;
	}
	return 0;
}
