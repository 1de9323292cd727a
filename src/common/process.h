/* SPDX-License-Identifier: MIT
 *
 * What worker, router and courier do alike as children of the master: how they
 * begin and turn, and what the master says to each of them.  It has started them
 * with terminals' signals and SIGPIPE ignored (master/spawn.c).
 *
 * What cannot be ends the process: fatal() if the master is wrong, die() if the
 * machine or the settings are.
 *
 * Runs in: workers, router and courier; process_log_settings() in the master, too.
 * Owns: nothing.
 */
#ifndef PEAL_PROCESS_H
#define PEAL_PROCESS_H

#include "common/config.h"
#include "common/jail.h"
#include "common/msg.h"

#define PROCESS_LINK	3	/* a child's descriptor to the master */

struct event_base;
struct ipc;

/* Before anything else; returns the process's loop. */
struct event_base *process_begin(const char *who);
/* Waits for what comes and handles it; more: something is left to do, so it only
 * looks. */
void	process_turn(struct event_base *, bool more);

/* The handlers' part that is the same for all. */
void	process_start(const struct msg_start *);
struct config *process_settings(const struct msg_settings *);
void	process_log(const struct msg_log *);
void	process_ping(struct ipc *master, const struct msg_ping *);
/* Ends the process if there are no settings yet: what the master says, such as
 * "go", needs them. */
void	process_needs(const struct config *, const char *what);
/* On go: no way back. */
void	process_lock(enum jail_role, const struct config *);

/* Tells the master what this process has counted. */
void	process_report(struct ipc *master);

/* What settings say of the log, but for its descriptor. */
void	process_log_settings(const struct config *);

#endif
