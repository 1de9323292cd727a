/* SPDX-License-Identifier: MIT */
#include "benchmark_tally.h"

#define WINDOW	64u

static enum heard
heard_before(struct tally *t, uint32_t number)
{
	uint32_t back = t->next - 1 - number;
	uint32_t near;

	if (back < WINDOW) {
		if ((t->seen >> back & 1) != 0)
			return HEARD_DOUBLED;
		t->seen |= 1ull << back;
		t->missing--;
		return HEARD_LATE;
	}
	/* Too long ago to know: it can be one of those that never came. */
	near = (uint32_t)__builtin_popcountll(~t->seen);
	if (t->missing <= near)
		return HEARD_DOUBLED;
	t->missing--;
	return HEARD_LATE;
}

enum heard
tally_heard(struct tally *t, uint32_t number)
{
	uint32_t skipped;

	if (number < t->next)
		return heard_before(t, number);
	skipped = number - t->next;
	t->missing += skipped;
	t->seen = skipped + 1 < WINDOW ? t->seen << (skipped + 1) | 1 : 1;
	t->next = number + 1;
	return HEARD_GOOD;
}

uint32_t
tally_missing(const struct tally *t, uint32_t sent)
{
	return t->missing + (sent > t->next ? sent - t->next : 0);
}
