/* SPDX-License-Identifier: MIT
 *
 * The counters and gauges of tables/counters.def: one plain array per process,
 * counted as  counter.accepted++.
 *
 * Runs in: every process; the master keeps one copy per child and adds them up.
 */
#ifndef PEAL_COUNTERS_H
#define PEAL_COUNTERS_H

#include "common/buf.h"

struct counters {
#define COUNTER(name, help)	uint64_t name;
#define GAUGE(name, help)	uint64_t name;
#include "tables/counters.def"
};

extern struct counters counter;

struct counter_info {
	const char	*name, *help;
	bool		 is_gauge;
	size_t		 offset;	/* of its uint64_t in struct counters */
};
extern const struct counter_info counter_info[];
extern const size_t counter_count;

/* msgpack array of all values in table order, and back; -1 if it is none.  What
 * another release has more of is dropped, what it has not is 0. */
void	counters_pack(const struct counters *, struct buf *);
int	counters_unpack(struct counters *, struct bytes);
/* sum += c */
void	counters_add(struct counters *sum, const struct counters *c);

#endif
