/* SPDX-License-Identifier: MIT
 *
 * Changes of a cluster's layout, in the log: see redis_moves.h.
 */
#include "backplane/redis_moves.h"

#include "common/log.h"

void
redis_moves_tick(struct redis_moves *m, uint64_t now)
{
	if (m->changes == 0 || (m->said_ms != 0 &&
	    now - m->said_ms < MOVES_AGAIN_MS &&
	    now - m->last_ms < MOVES_LAST_MS))
		return;
	log_info("backplane redis: cluster layout masters=%u lanes_moved=%u "
	    "changes=%u", m->masters, m->lanes, m->changes);
	m->said_ms = now;
	m->changes = m->lanes = 0;
}

void
redis_moves_add(struct redis_moves *m, unsigned masters, unsigned lanes,
    uint64_t now)
{
	m->masters = masters;
	m->lanes += lanes;
	m->changes++;
	m->last_ms = now;
	redis_moves_tick(m, now);
}
