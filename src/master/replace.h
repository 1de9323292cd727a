/* SPDX-License-Identifier: MIT
 *
 * All children are replaced while they serve, after the master has become the
 * binary on disk (again.h).
 *
 *	raising		addresses are bound, a new router and new workers are
 *			started and set up.  If one does not say ready in time,
 *			all new ones go and nothing has changed.
 *	yielding	the router in force tells its heir the rest
 *	moving		all workers get a link to the new router; the new ones
 *			serve, the old ones hand over
 *	draining	what could not be moved (TLS) is closed at a pace; the
 *			service is in order, and settings that are LIVE can be
 *			loaded; another replacement waits for the end of it
 *
 * Three crews (child.h): the one in force, the one that comes, the one that
 * leaves.  From yielding on there is no way back, and none is needed: whoever
 * dies then is replaced as after a crash.
 *
 * Runs in: master.  Owns: the crews that come and leave.
 */
#ifndef PEAL_REPLACE_H
#define PEAL_REPLACE_H

#include "common/buf.h"

struct child;

enum replace_phase {
	REPLACE_IDLE, REPLACE_RAISING, REPLACE_YIELDING, REPLACE_MOVING,
	REPLACE_DRAINING
};

enum replace_phase replace_phase(void);
/* Begins, with the settings and certificates that preflight brought.  The end is
 * told by reload_done(). */
void	replace_begin(struct bytes next);
/* A child became ready, yielded, made progress or died. */
void	replace_check(void);
/* Every second. */
void	replace_tick(uint64_t now_ms);
/* Is the place of this one, which died, filled again (now)? */
bool	replace_refills(const struct child *);
/* A worker of the crew in force was brought up: those that leave may give it
 * what they have. */
void	replace_brought_up(struct child *);
/* The service stops: nothing goes on. */
void	replace_stop(void);

/* Generations, moved, kept, refused with reasons: members of pealctl status. */
void	replace_status(struct buf *json);

#endif
