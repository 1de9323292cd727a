/* SPDX-License-Identifier: MIT
 *
 * The unix socket that pealctl speaks to.  A client sends one line of JSON,
 * {"verb":"status"}, and gets lines of JSON; the last has "ok": true, or false
 * with "error".  What concerns the service is answered here, what concerns
 * channels and clients goes to the router, descriptor and all.
 *
 * Only root, the peal user and the user of the master may speak.  Who says
 * nothing for ten seconds is closed; at once, with words, if his place is needed:
 * idle connections keep nobody's question waiting.
 *
 * Runs in: master.  Owns: the socket, its file, and connections until they are
 * answered or passed on.
 */
#ifndef PEAL_CONTROL_H
#define PEAL_CONTROL_H

#include "common/buf.h"

struct state;

/*
 * Opens the socket of the settings in force; call after listen_open().  -1 with
 * *why (caller frees) if another instance answers there.  Where no directory
 * can be made for it, warns and goes on without.
 */
int	control_open(char **why);
/* Path of the socket, or NULL. */
const char *control_path(void);
/* A reload has ended: some callers wait for that. */
void	control_check(void);
/* The settings in force name another socket now.  If it cannot be made, the old
 * one stays. */
void	control_follow(void);

/* Over an exec: the socket, and callers as far as they are. */
void	control_save(struct state *);
void	control_restore(const struct state *);
/* The service ends: those who waited for it are told; the file is removed. */
void	control_close(void);

#endif
