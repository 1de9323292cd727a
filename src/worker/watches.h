/* SPDX-License-Identifier: MIT
 *
 * Watch messages (messages.def) that wait: for a connection that is on its way
 * to another worker, until it is known where it is served; or, when it is here,
 * until those have come that were sent to its elder.
 *
 * Runs in: workers.  Owned by: handover.c and inherit.c.
 */
#ifndef PEAL_WATCHES_H
#define PEAL_WATCHES_H

#include "common/msg.h"

struct parcel;
struct parcel_link;
struct watch_kept;

struct watches {
	struct watch_kept	*at;
	uint32_t		 n, cap;
};

/* Copies it, for this conn. */
void	watches_keep(struct watches *, uint64_t conn, const struct msg_watch *);
void	watches_keep_parcel(struct watches *, uint64_t conn,
	    const struct parcel *);
/* Those of a conn: its client is told, or the heir that has it, or nobody. */
void	watches_show(struct watches *, uint64_t conn);
void	watches_send(struct watches *, uint64_t conn, struct parcel_link *);
void	watches_drop(struct watches *, uint64_t conn);

#endif
