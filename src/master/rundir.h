/* SPDX-License-Identifier: MIT
 *
 * The directory of the control socket.
 *
 * Runs in: master.  Owns: nothing.  The directory stays when the service ends.
 */
#ifndef PEAL_RUNDIR_H
#define PEAL_RUNDIR_H

#include <sys/types.h>

#include <stdbool.h>

/*
 * Makes it (not its parents): by root for root and the group of the service's
 * user, else for who makes it alone.
 *
 * One that is there stays as it is, unless it is ours by name and not by
 * anybody's settings (ours), root's and no symbolic link: then root lets the
 * group of the service's user in, if that user could not look into it otherwise.
 * Nobody who may enter by the directory's mode loses that, but another group does.
 *
 * -1 with errno if there is none, or (EPERM) if it belongs to somebody who is
 * neither root, nor this process's user, nor uid: he could put a socket of his own
 * in the place of ours.
 */
int	rundir_make(const char *dir, bool ours, uid_t uid, gid_t gid);

#endif
