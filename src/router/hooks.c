/* SPDX-License-Identifier: MIT
 *
 * What the router tells the courier.
 *
 * Runs in: the router.
 */
#include "router/hooks.h"

#include <unistd.h>

#include "router/router.h"

void
hooks_link(struct router *r, int fd)
{
	(void)r;
	close(fd);
}

void
hooks_connection(struct router *r, const struct msg_connection *m)
{
	(void)r, (void)m;
}
