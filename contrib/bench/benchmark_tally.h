/* SPDX-License-Identifier: MIT
 *
 * Did a subscriber get every message of its channel, once, in order?  The
 * messages of a channel have numbers from 0.  The numbers just below the next
 * one are remembered singly; of those before that, only how many never came.
 *
 * Zeroed memory is a subscriber that waits for number 0.
 */
#ifndef BENCH_BENCHMARK_TALLY_H
#define BENCH_BENCHMARK_TALLY_H

#include <stdint.h>

struct tally {
	uint32_t	 next;
	uint32_t	 missing;	/* below next, that did not come */
	uint64_t	 seen;		/* bit i: next - 1 - i has come */
};

enum heard { HEARD_GOOD, HEARD_DOUBLED, HEARD_LATE };

/* HEARD_LATE: it came, but after a later one; it is no longer missing. */
enum heard tally_heard(struct tally *, uint32_t number);
/* How many of the first `sent` have not come. */
uint32_t tally_missing(const struct tally *, uint32_t sent);

#endif
