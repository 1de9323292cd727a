/* SPDX-License-Identifier: MIT
 *
 * Listening sockets that the master has bound for this worker, and accepting
 * from them.  A worker may have several of one address (master/listen.h).
 *
 * Who comes faster than the settings allow (governor.h) waits in the kernel's
 * queue: the sockets of that [listen] section are not watched for so long.
 *
 * Runs in: workers.  Owns: this process's copies of the sockets.
 */
#ifndef PEAL_LISTENER_H
#define PEAL_LISTENER_H

#include "worker/worker.h"

struct conn;
struct event_base;
struct msg_listener;

/* Takes the descriptor; nothing is accepted before listeners_start(). */
void	listener_add(const struct msg_listener *);
/* There are new settings. */
void	listeners_settings(void);
void	listeners_start(struct event_base *);
/* Takes a connection that another worker accepted at this address and passed on
 * (pass.h); -1: it was closed. */
int	listener_adopt(int fd, struct bytes address);
/* The first request's head is there, or the conn dies: it is not among those
 * being let in any more.  May be called again. */
void	listener_settled(struct conn *);
/*
 * Accepts no more and closes this process's copies.  Whoever waits at this
 * moment is still let in, as the socket may be about to be closed everywhere;
 * but not over the limits, nor where TLS is spoken: such a connection could only
 * be sent away again.  May be called again.
 */
void	listeners_stop(void);

#endif
