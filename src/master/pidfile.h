/* SPDX-License-Identifier: MIT
 *
 * The file that holds the master's process id.  It is locked for as long as the
 * service lives: a second instance with the same file is refused, a file left
 * by a dead one is taken over, and what is no plain file is refused.
 *
 * Runs in: master.  Owns: the descriptor and the file.
 */
#ifndef PEAL_PIDFILE_H
#define PEAL_PIDFILE_H

/* path NULL: none.  -1 with *why (caller frees). */
int	pidfile_take(const char *path, char **why);
void	pidfile_drop(void);
/* Over an exec, in which the lock stays: descriptor (-1: none) and path; takes
 * the descriptor. */
int	pidfile_save(const char **path);
void	pidfile_restore(int fd, const char *path);
/* Could it be taken?  Leaves nothing behind. */
int	pidfile_try(const char *path, char **why);
/* The settings name another file now, or none.  If it cannot be taken, the old one
 * stays. */
void	pidfile_follow(const char *path);

#endif
