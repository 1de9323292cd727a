/* SPDX-License-Identifier: MIT */
#include "histogram.h"

static unsigned
step_of(uint64_t value)
{
	unsigned shift;

	if (value < HISTOGRAM_STEPS)
		return (unsigned)value;
	shift = 63u - HISTOGRAM_BITS - (unsigned)__builtin_clzll(value);
	return (shift + 1) * HISTOGRAM_STEPS +
	    (unsigned)(value >> shift) - HISTOGRAM_STEPS;
}

/* The middle of a step. */
static uint64_t
value_of(unsigned step)
{
	unsigned shift;
	uint64_t low;

	if (step < HISTOGRAM_STEPS)
		return step;
	shift = step / HISTOGRAM_STEPS - 1;
	low = (uint64_t)(step % HISTOGRAM_STEPS + HISTOGRAM_STEPS) << shift;
	return low + ((1ull << shift) >> 1);
}

void
histogram_add(struct histogram *h, uint64_t value)
{
	h->step[step_of(value)]++;
	h->n++;
	if (value > h->max)
		h->max = value;
}

void
histogram_merge(struct histogram *h, const struct histogram *more)
{
	for (unsigned i = 0; i < HISTOGRAM_SIZE; i++)
		h->step[i] += more->step[i];
	h->n += more->n;
	if (more->max > h->max)
		h->max = more->max;
}

uint64_t
histogram_at(const struct histogram *h, double share)
{
	uint64_t rank = (uint64_t)(share * (double)h->n), below = 0, value;

	if (rank >= h->n)
		return h->max;
	for (unsigned i = 0; i < HISTOGRAM_SIZE; i++) {
		below += h->step[i];
		if (below <= rank)
			continue;
		value = value_of(i);
		return value < h->max ? value : h->max;
	}
	return h->max;
}
