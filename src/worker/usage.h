/* SPDX-License-Identifier: MIT
 *
 * What each application's clients do, by the front door that they came by, and
 * its API: struct usage of common/counters.h, one for each in struct app.
 *
 * Counting allocates nothing and looks nothing up; what goes to many is counted
 * once for all of them (message.c).  A connection that is handed over is among
 * the connections of one worker after the other, but was opened once.
 *
 * Runs in: workers.  Owned by: its app.
 */
#ifndef PEAL_USAGE_H
#define PEAL_USAGE_H

#include "worker/app.h"
#include "worker/client.h"

struct front;

/* The API, as front is NULL, or a front door. */
struct usage *usage_of(struct app *, const struct front *);

/* Of a client whose application is known. */
static inline struct usage *
usage_of_client(const struct client *cl)
{
	return usage_of(cl->app, cl->front);
}

/* Messages that went to clients of it, and their octets. */
void	usage_sent(struct app *, const struct front *, uint64_t messages,
	    uint64_t octets);

/* Tells the master what has changed since the last call, of usage and of closed_by;
 * if it understands that. */
void	usage_tell(void);

#endif
