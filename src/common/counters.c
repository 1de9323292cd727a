/* SPDX-License-Identifier: MIT
 *
 * Counters and gauges, see counters.h.
 */
#include "common/counters.h"

#include "common/msg.h"
#include "common/util.h"

struct counters counter;

const struct counter_info counter_info[] = {
#define COUNTER(name, help) \
	{ #name, help, false, offsetof(struct counters, name) },
#define GAUGE(name, help) \
	{ #name, help, true, offsetof(struct counters, name) },
#include "tables/counters.def"
};
const size_t counter_count = NELEM(counter_info);

/* The struct is nothing but its uint64_t, in table order. */
#define COUNTERS	(sizeof(struct counters) / sizeof(uint64_t))
_Static_assert(NELEM(counter_info) == COUNTERS, "a counter is no uint64_t");

void
counters_pack(const struct counters *c, struct buf *out)
{
	uint64_t values[COUNTERS];

	memcpy(values, c, sizeof(values));
	msg_pack_numbers(out, values, COUNTERS);
}

int
counters_unpack(struct counters *c, struct bytes packed)
{
	uint64_t values[COUNTERS];

	if (msg_unpack_numbers(packed, values, COUNTERS) < 0)
		return -1;
	memcpy(c, values, sizeof(values));
	return 0;
}

void
counters_add(struct counters *sum, const struct counters *c)
{
#define COUNTER(name, help)	sum->name += c->name;
#define GAUGE(name, help)	sum->name += c->name;
#include "tables/counters.def"
}
