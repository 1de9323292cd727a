/* SPDX-License-Identifier: MIT
 *
 * A reload is tried before anything changes: the binary that is on disk now is
 * started as "peald: preflight" with a copy of our state (state.h).  It thaws
 * it, reads the settings as a reload would, and the certificates; binds nothing.
 * What it has read comes back packed and is opaque to us: it may be another
 * release.
 *
 * Runs in: master (preflight_start), a process of its own (preflight_main).
 */
#ifndef PEAL_PREFLIGHT_H
#define PEAL_PREFLIGHT_H

#include "common/buf.h"

#define PREFLIGHT_MS	15000	/* then it is killed, and has failed */

/* done() is called once, from the loop: next is what it brought, or empty with
 * why.  -1 with *why (caller frees): it could not be started. */
int	preflight_start(void (*done)(struct bytes next, const char *why),
	    char **why);
void	preflight_cancel(void);
/* Was that process ours?  (SIGCHLD) */
bool	preflight_reaped(int pid, int status);
/* Is the file still the one that was tried last? */
bool	preflight_same_binary(void);

/* Descriptor 3: memfd with the state; 4: memfd for the result, which begins with
 * PREFLIGHT_GOOD.  Exit status 0, or 1 with the reason in the result.  argv[1] is
 * PREFLIGHT_WORD: a release that has no preflight would run as a second master,
 * if it did not meet an option that it does not know. */
#define PREFLIGHT_GOOD	"peal is fit\n"
#define PREFLIGHT_WORD	"--preflight"

int	preflight_main(void);

#endif
