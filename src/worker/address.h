/* SPDX-License-Identifier: MIT
 *
 * How many connections each IP address has on this worker, where
 * http.max_connections_per_address asks for it.
 *
 * Runs in: workers.  Owned by: its conns; dies with the last.
 */
#ifndef PEAL_ADDRESS_H
#define PEAL_ADDRESS_H

#include <sys/socket.h>

struct address;

/* One more; *out is NULL where nothing is counted.  -1 over the limit. */
int	address_take(const struct sockaddr *, struct address **out);
/* One fewer; NULL is ignored. */
void	address_give(struct address *);

#endif
