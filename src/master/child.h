/* SPDX-License-Identifier: MIT
 *
 * The processes under the master: one router (slot 0) and the workers (slots
 * 1 to n).  A slot lives as long as the service; the process in it is replaced
 * when it dies or hangs, and has a new generation then.
 *
 * Runs in: master.  Owned by: the master's table.  Owns: its link.
 */
#ifndef PEAL_CHILD_H
#define PEAL_CHILD_H

#include "common/config.h"
#include "common/counters.h"
#include "common/ipc.h"

#define SLOT_ROUTER		0
#define SLOT_WORKER_FIRST	1

enum child_state {
	CHILD_DOWN,		/* no process; a respawn may be due */
	CHILD_STARTING,		/* has not said ready */
	CHILD_UP,
	CHILD_ENDING		/* its link is closed, it is not reaped yet */
};

struct child;

struct child_role {
	const char	*name;		/* "worker" */
	enum config_view view;		/* the settings it may see */
	/* What only this role is told in its setup, or NULL. */
	void		(*tell)(struct child *);
};

struct child {
	const struct child_role	*role;
	unsigned		 slot;
	enum child_state	 state;
	pid_t			 pid;		/* 0: none */
	struct ipc		*ipc;		/* NULL: none */
	bool			 fresh;		/* go was not sent yet */
	bool			 told_to_stop;
	uint64_t		 generation;	/* of the present process */
	unsigned		 fails;		/* early deaths in a row */
	uint64_t		 since_ms;	/* start of the present state */
	uint64_t		 spawned_ms;
	uint64_t		 heard_ms;	/* last pong */
	uint64_t		 asked, answered;	/* ping, pong */
	struct event		*respawn;
	char			 lost[80];	/* why its link ended */
	struct counters		 counters;	/* as last reported */
};

/* "router" or "worker 2", good until the next call. */
const char *child_name(const struct child *);
/* "starting", "up" ... */
const char *child_state_name(const struct child *);

/* ---- one of them (child.c) ----------------------------------------------- */

void	child_init(struct child *, unsigned slot);
/* Starts its process, which is told nothing yet; tries again later if it cannot
 * be started. */
void	child_spawn(struct child *);
/* Ends its setup. */
void	child_go(struct child *);
/* Its process was reaped: notes what it counted, and has it replaced. */
void	child_died(struct child *, int status);
void	child_kill(struct child *);
/* Every second: a ping, or an end if it hangs. */
void	child_watch(struct child *, uint64_t now_ms);

/* ---- all of them (children.c) -------------------------------------------- */

/* Makes the table and starts all. */
void	children_start(unsigned workers);
/* Starts n slots, from the first on, and links workers to the router. */
void	children_bring_up(unsigned first, unsigned n);
/* Frees the table, when all are gone. */
void	children_free(void);
/* A process was reaped; false if it is none of ours. */
bool	children_reaped(pid_t, int status);
/* Every second: pings, and an end to those that hang. */
void	children_tick(uint64_t now_ms);
/* Writes what is queued; at the end of each turn. */
void	children_flush(void);
/* All are up. */
bool	children_up(void);
/* Workers / processes that are there. */
unsigned children_workers(void);
unsigned children_count(void);

/* Sends all settings in force, and the certificates. */
void	children_settings(void);
/* Sends the log's descriptor. */
void	children_log(void);
/* Asks all for a sign of life; true later, when everyone has answered it (and
 * so has read all that was sent before). */
uint64_t children_ask(void);
bool	children_answered(uint64_t asked);

/* Stop: the workers first, then the router; the last resort. */
void	children_stop_workers(uint64_t grace_ms);
void	children_stop_router(void);
void	children_kill(void);

/* What all processes counted, the dead ones too. */
void	children_sum(struct counters *);
/* Passes a connection of pealctl on; -1 if there is no router just now. */
int	child_control(int fd, struct bytes request);

#endif
