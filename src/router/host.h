/* SPDX-License-Identifier: MIT
 *
 * The hosts that the backplane joins, as this one sees them: a row each, with
 * what that host last said of its own clients (subscribers per channel, members
 * per presence channel, signed-in users, connections per application).  These
 * numbers are added to our own in every answer, so each host answers at once
 * from memory.
 *
 * Each router tells its own row as changes, collected for a moment, with a
 * running change number; its heartbeat repeats the number, and who missed one
 * asks for a snapshot, which goes out in chunks and replaces what is known
 * without a blink.  A host that falls silent for host_timeout loses its row, and
 * its members leave; while it is this host that cannot reach the broker, rows
 * are kept for partition_timeout.
 *
 * Runs in: the router.  Owned by: the router's list.  Dies: host_lost(), or
 * hosts_done().
 */
#ifndef PEAL_HOST_H
#define PEAL_HOST_H

#include <sys/queue.h>

#include "common/hash.h"
#include "router/envelope.h"
#include "router/seen.h"

struct router;

struct host {
	TAILQ_ENTRY(host)	 link;
	struct router		*router;
	uint64_t		 node, incarnation;
	uint64_t		 heard;		/* clock_ms() */
	struct seen		*seen;		/* passage.c makes it, NULL
						   until then; seen_free() */
};

/*
 * The host that an envelope of another node comes from, made known if it is
 * new; NULL if it must be ignored (an older incarnation of a node).  Called by
 * carrier.c for every good envelope but our own.
 */
struct host *host_of(struct router *, const struct envelope *);
/* An envelope of kind HELLO to BYE, from another host, or our own (own: host is
 * NULL).  -1: its payload is wrong, nothing of it was taken. */
int	host_take(struct router *, struct host *, const struct envelope *);

void	hosts_init(struct router *);
void	hosts_done(struct router *);
/* The broker can be reached again: say hello. / Not any more. */
void	hosts_up(struct router *);
void	hosts_down(struct router *);
/* End of a turn: changes go out; each second: heartbeats, the silent ones. */
void	hosts_turn(struct router *);
void	hosts_tick(struct router *);
/* While a new router waits for the workers, does it have to wait for other
 * hosts yet?  False if alone, if all that answered have told all, or if it has
 * taken too long. */
bool	hosts_awaited(const struct router *);

#endif
