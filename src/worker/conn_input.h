/* SPDX-License-Identifier: MIT
 *
 * What conns read, and what their stages did not use yet.
 *
 * One system call reads into a large buffer of the worker, behind what is kept;
 * the stage is shown both.  A few calls a turn and conn: who sends faster waits.
 * A conn whose stage did not want input for a while (conn_pause()), or for which
 * TLS holds octets that epoll cannot see, is put on a list and shown its input
 * again later in the turn (conns_go_on()).
 *
 * conn_pause(), conn_resume() and conns_go_on(), for all, are in conn.h; this is
 * for conn.c and conn_output.c.
 *
 * Runs in: workers.  Owned by: what is kept, by its conn, and freed with it.
 */
#ifndef PEAL_CONN_INPUT_H
#define PEAL_CONN_INPUT_H

#include "worker/conn.h"

void	input_init(void);
/* The socket has something, or its end.  The conn may die. */
void	input_read(struct conn *);
/* What was kept elsewhere; shown when the conn is told to go on. */
void	input_restore(struct conn *, struct bytes octets);

/* Has something to be shown to its stage this turn.  A conn that is dirty
 * waits in that list first. */
void	input_again(struct conn *);
/* On the list and off it, nothing else: c->again is the caller's. */
void	input_add(struct conn *);
void	input_remove(struct conn *);
/* Is anybody on it? */
bool	input_waits(void);

#endif
