/* SPDX-License-Identifier: MIT
 *
 * A line of the log that strangers can provoke as often as they like: a few are
 * written a second, and each says how many were left out since the one before.
 *
 *	static struct notice notice;
 *
 *	if (notice_due(&notice, 9))
 *		notice_said(&notice, log_info("refused left_out=%" PRIu64,
 *		    notice.left_out));
 *
 * Runs in: workers.  Owned by: who writes the line; zeroed at first.
 */
#ifndef PEAL_NOTICE_H
#define PEAL_NOTICE_H

#include <stdbool.h>
#include <stdint.h>

struct notice {
	uint32_t	 second, lines;
	uint64_t	 left_out;
};

/* May one more be written in this second?  Else it is counted as left out. */
bool	notice_due(struct notice *, unsigned a_second);
/* What the log said to it: it may leave out a line by itself, which then has
 * told nobody of the others. */
void	notice_said(struct notice *, bool written);

#endif
