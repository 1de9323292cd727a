/* SPDX-License-Identifier: MIT
 *
 * What we tell other hosts of ourselves: changes as they come, and on demand
 * all that we hold (snapshot.h).
 *
 * An item that changes is put on a list; at the end of the turn, but for long
 * not more often than every TELL_EVERY ms, each item on it is told once, with
 * the number that it has now.  Envelopes with changes are numbered, so that who
 * missed one knows.  While the broker is away the list waits.
 *
 * Runs in: the router.  Part of: struct router.
 */
#ifndef PEAL_TELL_H
#define PEAL_TELL_H

#include "router/census_wire.h"
#include "router/snapshot.h"

#define TELL_EVERY	5		/* ms */
#define TELL_BURST	8		/* so often without waiting */
#define TELL_PAYLOAD	(48u << 10)	/* octets of one envelope, about */
#define TELL_TURN	8		/* envelopes of changes in a turn */
#define TELL_GONE	(1u << 20)	/* octets of what is gone, untold */
#define TELL_AGAIN	100		/* ms after the broker took nothing */

struct tell {
	bool			 on;	/* there are others to tell */
	bool			 inherited;	/* we speak as a router
						   before this one, of */
	uint64_t		 epoch;
	struct item_list	 changed, told;
	struct buf		 gone;	/* rows of items that are no more */
	struct wire_pen		 gone_pen;
	uint64_t		 gone_rows, gone_sum;
	uint64_t		 number;	/* of the last changes told */
	uint64_t		 rows, sum;	/* told, n > 0 */
	uint64_t		 even;	/* clock_ms(): by then telling is not
						   more often than it should */
	bool			 broken;	/* something was lost: others
						   need a snapshot */
	struct snapshot		 snapshot;
	struct buf		 payload;
};

void	tell_open(struct router *);
void	tell_close(struct router *);

/* Which epoch others know us by. */
uint64_t tell_epoch(const struct router *);

/* The router before this one told that there are n of it; before the first
 * turn. */
void	tell_legacy(struct router *, const struct item_name *, uint64_t n);
/* What is here of an item has changed. */
void	tell_changed(struct router *, struct item *);
/* An item goes away. */
void	tell_gone(struct router *, struct item *);

/* The broker did not take what was told: others need a snapshot. */
void	tell_failed(struct router *);

/* Has something changed that is not told yet? */
bool	tell_pending(const struct tell *);

/* End of a turn, while hosts can be reached and all workers have told what they
 * hold.  True if there is more to do at once. */
bool	tell_turn(struct router *);
/* clock_ms() when there is more to do; UINT64_MAX: not by itself. */
uint64_t tell_due(const struct router *);

#endif
