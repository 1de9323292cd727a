/* SPDX-License-Identifier: MIT
 *
 * Listening sockets that the master has bound for this worker, and accepting
 * from them.
 *
 * Runs in: workers.  Owns: this process's copies of the sockets.
 */
#ifndef PEAL_LISTENER_H
#define PEAL_LISTENER_H

#include "worker/worker.h"

struct event_base;

/* Takes the descriptor; nothing is accepted before listeners_start(). */
void	listener_add(int fd, unsigned section, bool local, struct bytes address);
void	listeners_start(struct event_base *);
/* Accepts no more and closes this process's copies. */
void	listeners_stop(void);

#endif
