/* SPDX-License-Identifier: MIT
 *
 * The unix socket that pealctl speaks to.  A client sends one line of JSON,
 * {"verb":"status"}, and gets lines of JSON; the last has "ok": true, or false
 * with "error".  What concerns the service is answered here, what concerns
 * channels and clients goes to the router, descriptor and all.
 *
 * Only root, the peal user and the user of the master may speak.
 *
 * Runs in: master.  Owns: the socket, its file, and connections until they are
 * answered or passed on.
 */
#ifndef PEAL_CONTROL_H
#define PEAL_CONTROL_H

#include "common/buf.h"

/*
 * Opens the socket of the settings in force; call after listen_open().  -1 with
 * *why (caller frees) if another instance answers there.  Where no directory
 * can be made for it, warns and goes on without.
 */
int	control_open(char **why);
/* Path of the socket, or NULL. */
const char *control_path(void);
/* A child answered or died: some callers wait for that. */
void	control_check(void);
/* The service ends: those who waited for it are told; the file is removed. */
void	control_close(void);

#endif
