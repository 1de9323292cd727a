/* SPDX-License-Identifier: MIT
 *
 * What pealctl backplane shows: a line of JSON for each host, this one first,
 *
 *	{"node":"00c0ffee00c0ffee","name":"web1","own":true,"state":"up",...}
 *
 * and a last one with the state of the broker and the counters of both:
 *
 *	{"ok":true,"driver":"redis","state":"up","since":12,...}
 *
 * state is "alone" (no driver), "up", "joining" (the broker is there, the
 * topic of the hosts not yet), "degraded" (messages are delivered here without
 * waiting for the broker) or "down".  Times are seconds, lag_us is of the last
 * round trip and 0 if there was none.
 *
 * Runs in: the router.  Owns: nothing.
 */
#ifndef PEAL_OVERVIEW_H
#define PEAL_OVERVIEW_H

#include "common/buf.h"

struct router;

void	overview_write(struct router *, struct buf *out);
/* The rows of the hosts; also where there is but this one. */
void	overview_hosts(struct router *, struct buf *out);

#endif
