/* SPDX-License-Identifier: MIT
 *
 * The master becomes the binary that is on disk now, in the same process:
 * children stay its children, sockets stay open, clients notice nothing.
 *
 *	preflight.h	tries the binary on disk, in a process of its own: does it
 *			start, does it understand our state, does it take the
 *			settings?  What it read is carried along, so nothing is
 *			read after the exec that could have changed.
 *	state.h		all that this process must remember, in a memfd
 *	again_exec()	the exec: there is no way back from it
 *	again_main()	the first moments of the new binary; it never exits on an
 *			error, but keeps its children and says so
 *
 * Then the children are replaced: replace.h.
 *
 * Runs in: master.
 */
#ifndef PEAL_AGAIN_H
#define PEAL_AGAIN_H

#include "common/buf.h"

/* The path of this binary, for master.exe: where it was started from. */
char	*again_exe(void);
/* Is the file there another one by now, or gone? */
bool	again_binary_changed(void);
/* What preflight gets of it: all that an exec would carry. */
void	again_pack(struct bytes next, struct buf *out);
/* next: what preflight brought.  Returns only if nothing has changed: -1 with
 * *why (caller frees). */
int	again_exec(struct bytes next, char **why);
/* argv[1] of "peald: master" is the memfd's number; returns the exit status. */
int	again_main(int memfd);

#endif
