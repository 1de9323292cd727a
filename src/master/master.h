/* SPDX-License-Identifier: MIT
 *
 * The master: the life of the service on this host.  Binds the addresses,
 * starts workers and router, replaces those that die or hang, pushes changed
 * settings to them and ends them in good order.  It never reads an octet that a
 * client sent, so nothing a client sends can end it.
 *
 * Runs in: master; there is one per process.  Owns: everything in here.
 * Dies: with the service; its process id stays the same until then.
 */
#ifndef PEAL_MASTER_H
#define PEAL_MASTER_H

#include "common/config.h"
#include "common/counters.h"
#include "common/tls.h"
#include "master/certificate.h"
#include "master/child.h"
#include "master/listen.h"

struct event_base;

struct master {
	struct event_base	*base;
	const struct config_source *source;
	struct config		*config;	/* in force */
	char			*exe;		/* of this binary, absolute */
	uid_t			 uid;		/* of workers and router */
	gid_t			 gid;

	struct listen		 listen;
	struct certificate	*certificates;
	uint64_t		 node, incarnation;
	char			 tickets[TLS_TICKET_KEYS];

	struct crew		*crew[CREWS];	/* NULL: there is none */
	uint64_t		 crews;		/* how many there were */
	uint64_t		 generation[SLOTS];	/* last of a slot */
	uint64_t		 restarts[SLOTS];	/* of who was not told to stop */
	struct counters		 retired;	/* counted by those that died */

	uint64_t		 started_ms, started_wall_ms;
	bool			 hup_is_reload;	/* started by nohup */
	bool			 had_terminal;	/* at the start */
	bool			 ready;		/* all children were, once */
	bool			 ending;	/* it will stop soon: stop.h */
	bool			 stopping;
	bool			 done;
	int			 status;	/* of the exit */
};

extern struct master master;

/* Runs the service until it is stopped; returns the exit status. */
int	master_main(const struct config_source *);
/* Its parts that are the same after an exec (again.c): event loop, signals and
 * timers; then the loop, until the service ends. */
void	master_events(void);
int	master_run(void);
/* The process's title; caller frees. */
char	*master_title(const struct config_source *);

/* Ends the service now: clients are closed within grace_ms.  A second call can
 * only make it sooner. */
void	master_stop(uint64_t grace_ms);
/* Workers that these settings ask for. */
unsigned master_workers(const struct config *);
/* The service cannot go on: logs why, ends with status 1. */
void	master_give_up(const char *why);
/* A child became ready, passed a ping or died: see what waits for that. */
void	master_child_changed(void);

#endif
