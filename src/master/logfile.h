/* SPDX-License-Identifier: MIT
 *
 * Where the service's log goes: stderr, a file, or the socket of syslog.
 *
 * Runs in: master.  Owns: the log's descriptor.
 */
#ifndef PEAL_LOGFILE_H
#define PEAL_LOGFILE_H

#include "common/config.h"

/* Opens the log of these settings, and takes its level and format.  -1 with *why
 * (caller frees). */
int	logfile_use(const struct config *, char **why);
/* The same without using it: would it do? */
int	logfile_try(const struct config *, char **why);
/* USR1: the file was moved away; opens a new one, also for the children. */
void	logfile_again(void);
/* Each second: a syslog that was started again has another socket. */
void	logfile_tick(void);

#endif
