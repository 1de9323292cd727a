/* SPDX-License-Identifier: MIT
 *
 * Locks a process in, after it has all it needs: an empty, deleted directory
 * as root (if it still is root), groups and user dropped, no new privileges,
 * and a seccomp list of the system calls its role needs.  Default is to kill;
 * "log" lets pass and writes to the kernel's audit log.
 *
 * Runs in: workers, router and courier, once, on the go message.
 */
#ifndef PEAL_JAIL_H
#define PEAL_JAIL_H

#include "common/config.h"

/* JAIL_ROUTER_BACKPLANE: a router that connects to a broker (over IP; a unix
 * socket it is given by the master).  JAIL_COURIER: connects over IP, too, and
 * writes at places of files that it was given. */
enum jail_role { JAIL_WORKER, JAIL_ROUTER, JAIL_ROUTER_BACKPLANE,
	JAIL_COURIER };

/* user: NULL keeps the present one.  -1 with why; the process must end then. */
int	jail_enter(enum jail_role, const char *user, int mode, const char **why);
/* "seccomp and chroot", "seccomp", "none": what this build and user can. */
const char *jail_describe(void);

#endif
