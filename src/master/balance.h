/* SPDX-License-Identifier: MIT
 *
 * Which worker passes how many connections on, and to whom, so that all hold
 * about the same number.  Arithmetic only; spread.c does what is decided here.
 *
 * The kernel gives each worker the same share of those who come, but by chance:
 * of 1,000 over eight workers one has 140.  Who holds more than the mean passes
 * on some of the next that it accepts.  What stays is what comes between two
 * decisions, and the slack: a few connections more or less cost less than to pass
 * them on.
 *
 * Half of what is too much is passed on at a time, as the numbers are a moment
 * old; and who lacks many (a worker that replaces one that died) gets some of
 * them at a time, so that it does not have to make all handshakes of a storm
 * alone.
 *
 * Runs in: master.
 */
#ifndef PEAL_BALANCE_H
#define PEAL_BALANCE_H

#include <stdbool.h>
#include <stdint.h>

#define BALANCE_MAX	64	/* of the array */

struct balance {
	bool		 serves;	/* false: leave it alone */
	uint64_t	 holds;		/* connections, and those that wait */
	/* The decision. */
	uint64_t	 give;		/* so many of the next; 0: keeps all */
	unsigned	 to;		/* which place of the array */
};

/* Fills in the decision for n of them; arrived: connections that came to all of
 * them since the last one. */
void	balance_plan(struct balance *, unsigned n, uint64_t arrived);
/* The fullest as percent of the mean; 100 if there is nothing. */
unsigned balance_fullest(const struct balance *, unsigned n);

#endif
