/* SPDX-License-Identifier: MIT
 *
 * The two files of the courier's journal.  The master opens and keeps them, so what
 * was written to them outlives the courier, and an exec of the master: they are
 * memory (memfds), or, with [courier] spool, DIR/peal-0.journal and
 * DIR/peal-1.journal, which outlive the service, too.  What is in them is the
 * courier's business.
 *
 * Files are the service's user's, mode 0600, and locked (flock) as long as master or
 * courier have them: two services cannot share a directory.  A file that is no plain
 * file, has a second name, or belongs to somebody else is refused.
 *
 * Others than those in use (another spool by a reload) are prepared first; they
 * take the place of the old ones when no courier runs, and what those hold is copied
 * into them.
 *
 * Runs in: master.  Owns: the descriptors.  Dies: spool_drop().
 */
#ifndef PEAL_SPOOL_H
#define PEAL_SPOOL_H

#include <sys/types.h>

#include "common/config.h"

#define SPOOL_FILES	2

struct state;

/* Could these settings have their files, as far as one can see without opening
 * them?  -1 with *why (caller frees). */
int	spool_check(const struct config *, char **why);
/*
 * Opens what these settings need and is not in use yet, for this user; nothing if
 * there are no webhooks.  wait_ms: so long for another service to give them up, which
 * the log says at once.  -1 with *why (caller frees), and nothing has changed.
 */
int	spool_prepare(const struct config *, uid_t, gid_t, unsigned wait_ms,
	    char **why);
/* What is prepared is not wanted; or it is, as soon as no courier runs. */
void	spool_undo(void);
void	spool_commit(void);
bool	spool_waits(void);
/* No courier runs: what is wanted comes into use. */
void	spool_turn(void);
/* There are no webhooks any more, or the service ends. */
void	spool_drop(void);

/* The one in use, or -1. */
int	spool_fd(unsigned index);
/* It is on a disk. */
bool	spool_durable(void);

/* Over an exec. */
void	spool_save(struct state *);
void	spool_restore(const struct state *);

#endif
