/* SPDX-License-Identifier: MIT
 *
 * The numbers of all processes: what each has told last, and sums over all of
 * them, dead ones included.
 *
 * What only grows never goes back: when a process is gone, what it had counted
 * is kept (retired), for its slot and in all, and an exec of the master carries
 * that.  So a process that is killed costs at most what it had not told, a second.
 * What it held is gone with it: its connections count as closed, for the reason
 * NUMBERS_DIED.
 *
 * Two things are told by name and not by place: reasons for closing, and ways (an
 * application's front door, or its API), as releases may differ in them and
 * settings bring new ones.  Both lists are limited; what is beyond the limit is
 * not counted.  Ways of applications that are gone make room when half of it is
 * used.  A worker is believed only in ways of applications that are in some
 * settings at present.
 *
 * Runs in: master.  Owns: the sums; what a child has told is its struct's.
 */
#ifndef PEAL_NUMBERS_H
#define PEAL_NUMBERS_H

#include <sys/resource.h>

#include "common/counters.h"

#define NUMBERS_REASONS	200		/* for closing */
#define NUMBERS_WAYS	4096
#define NUMBERS_DIED	"PROCESS_DIED"	/* a reason of the master's own */

struct child;
struct config;
struct state;
struct state_child;

/* What one process has told, beside its counters. */
struct numbers {
	uint64_t	*closes;	/* by place in the list of reasons */
	size_t		 n_closes;
	struct usage	*usage;		/* by place in the list of ways */
	size_t		 n_usage;
};

struct way {
	const char	*app, *front;	/* "1001", "pusher" or "api" */
	size_t		 place;		/* in the list */
};

/* ---- what is told ---------------------------------------------------------- */

/* Takes the counters that a child has told. */
void	numbers_told(struct child *, const struct counters *);
/* A process was reaped: all the time that it used. */
void	numbers_used(struct child *, const struct rusage *);
/* A process is gone: what it counted is kept. */
void	numbers_retire(struct child *);
/* Its struct goes. */
void	numbers_done(struct numbers *);
/* The service ends. */
void	numbers_end(void);

/* ---- what is known --------------------------------------------------------- */

/* Memory and processor time of all processes, as the kernel has it now. */
void	numbers_look(void);
/* The sum of all processes; gauges of a router that is not in force are left out,
 * as it counts the same as the one that is. */
void	numbers_total(struct counters *);
/* What all processes counted that ever were in this slot; gauges of those that are
 * there. */
void	numbers_of_slot(unsigned slot, struct counters *);
/* Of the master itself: octets; microseconds. */
void	numbers_own(uint64_t *memory, uint64_t *cpu_us);

/* The applications of these settings are known, with nothing done yet: a series of
 * Prometheus begins at 0, as what is there when it is first seen counts for no
 * rate. */
void	numbers_expect(const struct config *);
/* Settings have changed: if half of the room for ways is used, those of
 * applications that are in no settings any more are forgotten.  Places in the list
 * change. */
void	numbers_prune(void);

/* The i-th of the list; NULL or false behind the last. */
const char *numbers_reason(size_t i, uint64_t *closed);
bool	numbers_way(size_t i, struct way *);
/* What all processes did by it. */
struct usage numbers_by_way(const struct way *);

/* ---- over an exec ------------------------------------------------------------ */

void	numbers_save(struct state *);
void	numbers_save_child(const struct child *, struct state_child *);
/* All sums; comes before the children. */
void	numbers_restore(const struct state *);
void	numbers_restore_child(const struct state_child *, struct child *);

#endif
