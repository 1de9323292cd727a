/* SPDX-License-Identifier: MIT
 *
 * How many of those who wait to be accepted may come in now.  When all clients
 * of a host come back at once, those that are being let in are to be done soon:
 * the others wait in the kernel's queue, where they cost nothing and time out
 * last.  Two measures, each of a [listen] section:
 *
 *	accept_rate	connections a second, over all workers: this one has its
 *			share.  What was not used is kept for a tenth of a
 *			second
 *	max_handshakes	connections of this worker that have not sent their
 *			first request yet (PROXY header, TLS handshake, HTTP
 *			head)
 *
 * Who does not send his head does not shut others out: over max_handshakes a
 * listener still goes through a whole queue within http.header_timeout
 * (governor_owed()).
 *
 * Arithmetic only; the clock and the sockets are listener.c's.
 *
 * Runs in: workers.  Owned by: listener.c, one for each [listen] section.
 */
#ifndef PEAL_GOVERNOR_H
#define PEAL_GOVERNOR_H

#include "common/config.h"

struct governor {
	uint64_t	 workers;	/* that share accept_rate */
	uint64_t	 credit;	/* of the rate; one connection is
					   1000 * workers of it */
	uint64_t	 as_of;		/* ms */
	uint32_t	 opening;	/* without a whole head */
	bool		 held;		/* nobody is accepted just now */
};

void	governor_init(struct governor *, uint64_t workers);
/* Of so many, at this time.  Held back for handshakes, it lets in again when an
 * eighth of them has ended. */
unsigned governor_allows(struct governor *, const struct config_listen *,
	    uint64_t now_ms, unsigned want);
/* Does the rate alone allow that many? */
unsigned governor_rate_allows(struct governor *, const struct config_listen *,
	    uint64_t now_ms, unsigned want);
/* One was accepted. */
void	governor_took(struct governor *, const struct config_listen *);
/*
 * What a listener that was held for ms accepts all the same; owed keeps the
 * fraction (of a connection, times timeout_ms).
 */
unsigned governor_owed(uint64_t *owed, uint64_t backlog, uint64_t timeout_ms,
	    uint64_t ms);

#endif
