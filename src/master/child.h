/* SPDX-License-Identifier: MIT
 *
 * The processes under the master, in crews: one router (slot 0) and the workers
 * (slots 1 to n).  A process that dies or hangs is replaced by another in its
 * slot; a reload replaces the whole crew (replace.h), and for a while there are
 * two.
 *
 *	in force	always there; whoever dies in it is replaced
 *	coming		is set up to be the next in force; serves nobody yet
 *	leaving		hands over to the one in force; nobody is replaced
 *	beside		the courier, if there are webhooks: it is replaced alone
 *			(beside.h), and nothing waits for it
 *
 * Each process has a generation, which no other of its slot ever had, in
 * whatever crew: connection numbers are made of both.
 *
 * Runs in: master.  Owned by: the master.  Owns: links, timers, what a crew works
 * with if it is not in force.
 */
#ifndef PEAL_CHILD_H
#define PEAL_CHILD_H

#include "common/config.h"
#include "common/counters.h"
#include "common/ipc.h"
#include "master/listen.h"
#include "master/numbers.h"

#define WORKERS_MAX		64
#define SLOT_ROUTER		0
#define SLOT_WORKER_FIRST	1
#define SLOT_COURIER		(SLOT_WORKER_FIRST + WORKERS_MAX)
#define SLOTS			(SLOT_COURIER + 1)

enum child_state {
	CHILD_DOWN,		/* no process; a respawn may be due */
	CHILD_STARTING,		/* has not said ready */
	CHILD_UP,
	CHILD_ENDING		/* its link is closed, it is not reaped yet */
};

/* Places of the crews in the master. */
enum { CREW_IN_FORCE, CREW_COMING, CREW_LEAVING, CREW_BESIDE, CREWS };

struct certificate;
struct child;

struct crew {
	struct child		*at;		/* [0] the router, then workers */
	unsigned		 n;
	uint64_t		 number;	/* 1, 2 ... of this service */
	/* What one that comes will work with, and one that leaves worked with
	 * (its [listen] sections); one in force works with the master's. */
	struct config		*config;
	struct certificate	*certificates;
	struct listen		 listen;
};

struct child_role {
	const char	*name;		/* "worker" */
	enum config_view view;		/* the settings it may see */
	/* What only this role is told in its setup, or NULL. */
	void		(*tell)(struct child *);
};

/* What a worker that leaves has said of its hand-over. */
struct handed {
	uint64_t	 moved, kept, refused;
	bool		 settled;
	uint64_t	 since_ms;	/* of the last change, or warning */
	unsigned	 warnings;	/* since the last change */
	char		 why[200];	/* of the last refusal */
};

/* What a worker was told last to pass on (spread.h). */
struct child_pass {
	unsigned	 to;		/* slot */
	uint64_t	 generation;	/* of that one */
	uint64_t	 count;
	uint64_t	 passed;	/* by then */
};

struct child {
	struct crew		*crew;
	const struct child_role	*role;
	unsigned		 slot;
	enum child_state	 state;
	pid_t			 pid;		/* 0: none */
	struct ipc		*ipc;		/* NULL: none */
	bool			 fresh;		/* go was not sent yet */
	bool			 own;		/* started by this binary */
	bool			 told_to_stop;
	uint64_t		 generation;	/* of the present process */
	unsigned		 spawns;	/* processes in this place so far,
						   but those that followed one
						   that was told to stop */
	unsigned		 fails;		/* early deaths in a row */
	uint64_t		 since_ms;	/* start of the present state */
	uint64_t		 spawned_ms;
	uint64_t		 heard_ms;	/* last pong */
	uint64_t		 asked, answered;	/* ping, pong */
	unsigned		 unanswered;	/* looks in a row that found no
						   answer to the last ping */
	uint64_t		 silent_ms;	/* as ping says it */
	struct event		*respawn;
	char			 lost[80];	/* why its link ended */
	struct counters		 counters;	/* as last reported */
	struct numbers		 numbers;	/* the same, by name */
	uint64_t		 version;	/* MSG_VERSION; 0: not known */
	uint64_t		 waiting;	/* to be accepted by it, then */
	struct child_pass	 pass;
	bool			 yielded;	/* a router that is replaced */
	struct handed		 handed;
};

/* "router", "courier" or "worker 2", good until the next call. */
const char *child_name(const struct child *);
/* "starting", "up" ... */
const char *child_state_name(const struct child *);

/* ---- one of them (child.c) ----------------------------------------------- */

void	child_init(struct child *, struct crew *, unsigned slot);
/* Starts its process, which is told nothing yet; tries again later if it cannot
 * be started. */
void	child_spawn(struct child *);
/* Its process was there before an exec of the master, and goes on: takes the
 * link's descriptor, or -1. */
void	child_adopt(struct child *, int link);
/* Ends its setup. */
void	child_go(struct child *);
/* Has one without a process started, after a pause if it died early. */
void	child_schedule(struct child *);
/* Its process was reaped: notes what it counted, and has it replaced. */
void	child_died(struct child *, int status);
void	child_kill(struct child *);
/* Asks it for a sign of life: n, more than was asked before. */
void	child_ping(struct child *, uint64_t n);
/* Every second: a ping, or an end if it hangs. */
void	child_watch(struct child *, uint64_t now_ms);

/* ---- crews (children.c) -------------------------------------------------- */

/* All of it is down. */
struct crew *crew_new(unsigned workers);
/* The courier alone. */
struct crew *crew_new_beside(void);
/* When all its processes are gone, or the master ends. */
void	crew_free(struct crew *);
/* Starts n slots, from the first on, links workers to the router, unless the
 * crew is one that comes, and ends their setup. */
void	crew_bring_up(struct crew *, unsigned first, unsigned n);
/* All are up; no process is left. */
bool	crew_up(const struct crew *);
bool	crew_gone(const struct crew *);
struct child *crew_router(const struct crew *);
bool	child_is_router(const struct child *);
bool	child_is_worker(const struct child *);
/* The newest message that it understands is of this MSG_VERSION; 0: not known. */
uint64_t child_version(const struct child *);
/* In which place of the master: CREW_*. */
unsigned child_crew(const struct child *);

/* ---- all of them (children.c) -------------------------------------------- */

/* Makes the first crew and starts it; the courier follows by itself (beside.h). */
void	children_start(unsigned workers);
/* Frees all crews. */
void	children_free(void);
/* One after the other, over all crews; NULL begins and ends. */
struct child *children_next(const struct child *);
/* A process was reaped; false if it is none of ours. */
bool	children_reaped(pid_t, int status, const struct rusage *);
/* Every second: pings, and an end to those that hang. */
void	children_tick(uint64_t now_ms);
/* Writes what is queued; at the end of each turn. */
void	children_flush(void);
/* The crew in force is up. */
bool	children_up(void);
/* Workers with a link; of them those that the router in force should know;
 * processes that are there; of them those that route. */
unsigned children_workers(void);
unsigned children_linked(void);
unsigned children_count(void);
unsigned children_routers(void);
/* Links all workers but those that come to the router in force. */
void	children_link(void);

/* Sends all settings in force, and the certificates. */
void	children_settings(void);
/* Sends the log's descriptor. */
void	children_log(void);
/* Asks all for a sign of life; true later, when everyone has answered it (and
 * so has read all that was sent before). */
uint64_t children_ask(void);
bool	children_answered(uint64_t asked);

/* Stop: the workers first, then the routers; the last resort. */
void	children_stop_workers(uint64_t grace_ms);
void	children_stop_routers(void);
void	children_kill(void);

/* Passes a connection of pealctl on; -1 if there is no router just now. */
int	child_control(int fd, struct bytes request);

#endif
