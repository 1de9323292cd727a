/* SPDX-License-Identifier: MIT
 *
 * fork and exec of this binary in a role: a clean process that has nothing of
 * the master's but descriptor 3 (its link), 1 and 2.  And of another one that is
 * on disk now, to see what it is good for (preflight.h).
 *
 * Runs in: master.  Owns: nothing.
 */
#ifndef PEAL_SPAWN_H
#define PEAL_SPAWN_H

#include <sys/types.h>

/*
 * Starts exe (which must be this binary; if the file is another one by now, the
 * one that runs) with title as its only argument and link as descriptor 3; link
 * stays the caller's.  The process ignores INT, TERM, HUP and QUIT: a terminal
 * or a supervisor signals the whole group, and children obey messages only.
 * Its environment holds what libraries need and none of the settings (they may
 * be secrets).  -1 with why.
 */
pid_t	spawn(const char *exe, const char *title, int link, const char **why);

/*
 * Starts the file exe as it is now, whatever it is, with the whole environment
 * and fds as descriptors 3 and 4; they stay the caller's.  If it cannot be
 * executed, the reason is written to the second one and the exit status is
 * SPAWN_FAILED.  -1 with why.
 */
#define SPAWN_FAILED	127

pid_t	spawn_on_trial(const char *exe, const char *title, const char *argument,
	    const int fds[2], const char **why);

#endif
