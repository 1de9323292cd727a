/* SPDX-License-Identifier: MIT
 *
 * Counters, gauges and histograms, see counters.h.
 */
#include "common/counters.h"

#include "common/msg.h"
#include "common/util.h"

struct counters counter;
uint64_t closed_by[CLOSE_REASONS];

const struct counter_info counter_info[] = {
#define COUNTER(name, help) \
	{ #name, help, false, offsetof(struct counters, name) },
#define GAUGE(name, help) \
	{ #name, help, true, offsetof(struct counters, name) },
#define HISTOGRAM(name, help)
#include "tables/counters.def"
};
const size_t counter_count = NELEM(counter_info);

const struct counter_info histogram_info[] = {
#define COUNTER(name, help)
#define GAUGE(name, help)
#define HISTOGRAM(name, help) \
	{ #name, help, false, offsetof(struct counters, name) },
#include "tables/counters.def"
};
const size_t histogram_kinds = NELEM(histogram_info);

const struct counter_info usage_info[] = {
#define COUNTER(name, help) \
	{ #name, help, false, offsetof(struct usage, name) },
#define GAUGE(name, help) \
	{ #name, help, true, offsetof(struct usage, name) },
#include "tables/usage.def"
};
const size_t usage_count = NELEM(usage_info);

/* The structs are nothing but their uint64_t, in table order. */
#define NUMBERS(type)	(sizeof(type) / sizeof(uint64_t))
_Static_assert(NELEM(counter_info) + NELEM(histogram_info) *
    NUMBERS(struct histogram) == NUMBERS(struct counters),
    "a counter is no uint64_t");
_Static_assert(NELEM(usage_info) == NUMBERS(struct usage),
    "a counter is no uint64_t");

/* ---- histograms ---------------------------------------------------------- */

const struct histogram_bound histogram_bounds[] = {
#define BOUND(ns, text)	{ ns, text },
	HISTOGRAM_BOUNDS(BOUND)
#undef BOUND
};

/* Most are short: the search begins there. */
void
histogram_add(struct histogram *h, uint64_t ns, uint64_t n)
{
	size_t i = 0;

	while (i < NELEM(histogram_bounds) && ns > histogram_bounds[i].ns)
		i++;
	h->counts[i] += n;
	h->sum += n * ns;
}

uint64_t
histogram_count(const struct histogram *h)
{
	uint64_t n = 0;

	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		n += h->counts[i];
	return n;
}

static void
histogram_sum(struct histogram *sum, const struct histogram *h)
{
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		sum->counts[i] += h->counts[i];
	sum->sum += h->sum;
}

/* ---- of a process -------------------------------------------------------- */

void
counters_pack(const struct counters *c, struct buf *out)
{
	uint64_t values[NUMBERS(struct counters)];

	memcpy(values, c, sizeof(values));
	msg_pack_numbers(out, values, NELEM(values));
}

int
counters_unpack(struct counters *c, struct bytes packed)
{
	uint64_t values[NUMBERS(struct counters)];

	if (msg_unpack_numbers(packed, values, NELEM(values)) < 0)
		return -1;
	memcpy(c, values, sizeof(values));
	return 0;
}

void
counters_add(struct counters *sum, const struct counters *c)
{
#define COUNTER(name, help)	sum->name += c->name;
#define GAUGE(name, help)	sum->name += c->name;
#define HISTOGRAM(name, help)	histogram_sum(&sum->name, &c->name);
#include "tables/counters.def"
}

void
counters_retire(struct counters *sum, const struct counters *c)
{
#define COUNTER(name, help)	sum->name += c->name;
#define GAUGE(name, help)
#define HISTOGRAM(name, help)	histogram_sum(&sum->name, &c->name);
#include "tables/counters.def"
}

/* ---- of an application --------------------------------------------------- */

void
usage_pack(const struct usage *u, struct buf *out)
{
	uint64_t values[NUMBERS(struct usage)];

	memcpy(values, u, sizeof(values));
	msg_pack_numbers(out, values, NELEM(values));
}

int
usage_unpack(struct usage *u, struct bytes packed)
{
	uint64_t values[NUMBERS(struct usage)];

	if (msg_unpack_numbers(packed, values, NELEM(values)) < 0)
		return -1;
	memcpy(u, values, sizeof(values));
	return 0;
}

void
usage_add(struct usage *sum, const struct usage *u)
{
#define COUNTER(name, help)	sum->name += u->name;
#define GAUGE(name, help)	sum->name += u->name;
#include "tables/usage.def"
}

void
usage_retire(struct usage *sum, const struct usage *u)
{
#define COUNTER(name, help)	sum->name += u->name;
#define GAUGE(name, help)
#include "tables/usage.def"
	sum->closed += u->connections;
}
