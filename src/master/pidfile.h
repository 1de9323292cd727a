/* SPDX-License-Identifier: MIT
 *
 * The file that holds the master's process id.  It is locked for as long as the
 * service lives: a second instance with the same file is refused, a file left
 * by a dead one is taken over.
 *
 * Runs in: master.  Owns: the descriptor and the file.
 */
#ifndef PEAL_PIDFILE_H
#define PEAL_PIDFILE_H

/* path NULL: none.  -1 with *why (caller frees). */
int	pidfile_take(const char *path, char **why);
void	pidfile_drop(void);

#endif
