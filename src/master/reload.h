/* SPDX-License-Identifier: MIT
 *
 * Settings and log file of a running service: reading them again, and pushing
 * what changed to all processes.
 *
 * A mistake in the file, a certificate that does not fit or a setting that
 * cannot change in a running server changes nothing at all.
 *
 * Runs in: master.  Owns: the log's descriptor.
 */
#ifndef PEAL_RELOAD_H
#define PEAL_RELOAD_H

#include "common/config.h"

/*
 * Reads the settings again.  0: they are in force and on their way to all
 * processes; names of what changed are added to changed (empty: nothing did).
 * -1 with *why (caller frees): nothing was changed.
 */
int	reload_now(struct buf *changed, char **why);
/* The same without changing anything: what would reload_now() say? */
int	reload_try(struct buf *changed, char **why);
/* Number of the question that all processes answer once they have the settings,
 * see children_answered(). */
uint64_t reload_asked(void);
/* A child answered: is the reload complete? */
void	reload_check(void);

/* Opens the log of these settings and sets its level.  -1 with *why. */
int	reload_log(const struct config *, char **why);
/* USR1: the file was moved away; opens a new one, also for the children. */
void	reload_log_again(void);

#endif
