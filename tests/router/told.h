/* SPDX-License-Identifier: MIT
 *
 * A courier's memory, for tests under random schedules: which channels are
 * occupied and which members present, as far as it was told.  It outlives links
 * and routers, as a journal does.
 */
#ifndef TESTS_ROUTER_TOLD_H
#define TESTS_ROUTER_TOLD_H

#include "driver.h"

/* For the settings of such a test. */
#define TOLD_HOOK	"[webhook a]\napp = chat\n" \
			"url = https://hooks.example.org/\n" \
			"events = channel_occupied, member_added\n"

struct told {
	struct hash	 there;		/* "CHANNEL" or "CHANNEL USER" */
	uint64_t	 mark;		/* of this roll, or the last */
	bool		 rolling;
	bool		 sure;		/* a roll has come on this link */
	uint64_t	 rolls;		/* that ended, ever */
	/* These are always there, and are never to go.  NULL: none. */
	bool		 (*steady)(const char *name);
};

void	told_init(struct told *);
void	told_done(struct told *);
/* A new link: to a courier that remembers. */
void	told_link(struct told *, struct rig *);
/* Takes what the courier got.  What it knew on a link that has had its roll must
 * not be told twice. */
void	told_hear(struct told *, struct rig *);
/* Fails unless it is what the router counts for app 1. */
void	told_check(struct told *, struct router *);

#endif
