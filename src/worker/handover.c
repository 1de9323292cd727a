/* SPDX-License-Identifier: MIT
 *
 * The old side of a hand-over: see handover.h.
 */
#include "worker/handover.h"

#include <unistd.h>

void
handover_on_heir(struct event_base *base, const struct msg_heir *m)
{
	(void)base;
	close(m->fd);
}

void
handover_on_depart(struct event_base *base, const struct msg_depart *m)
{
	(void)base, (void)m;
}

void
handover_on_marked(const struct msg_marked *m)
{
	(void)m;
}

bool
handover_watch(const struct msg_watch *m)
{
	(void)m;
	return false;
}

void
handover_router_lost(void)
{
}

void
handover_turn(void)
{
}

bool
handover_on(void)
{
	return false;
}

bool
handover_done(void)
{
	return false;
}
