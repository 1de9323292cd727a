/* SPDX-License-Identifier: MIT
 *
 * How often each of many times was seen.  Log-linear: 64 steps for each power of
 * two, so that a percentile is wrong by less than 1.6 %, whatever the unit is;
 * below 64 it is exact.  Adding costs a count of leading zeros and an increment.
 *
 * Zeroed memory is an empty one.  It holds no pointers: it may lie in memory that
 * processes share, if only one of them writes.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BITS	6
#define HISTOGRAM_STEPS	(1u << HISTOGRAM_BITS)
#define HISTOGRAM_SIZE	((64 - HISTOGRAM_BITS + 1) * HISTOGRAM_STEPS)

struct histogram {
	uint64_t	 n, max;
	uint64_t	 step[HISTOGRAM_SIZE];
};

void	histogram_add(struct histogram *, uint64_t value);
void	histogram_merge(struct histogram *, const struct histogram *);
/* The value that `share` (0 to 1) of them do not exceed; 0 of an empty one. */
uint64_t histogram_at(const struct histogram *, double share);

#endif
