/* SPDX-License-Identifier: MIT
 *
 * What conns write: who has something to say in this turn, and who does not read.
 *
 * A conn that is sent something is put on a list, once; at the end of the turn
 * those on it are written, in this order, one system call each if their sockets
 * take all.  Who does not take it waits for EPOLLOUT (c->blocked), and is slow
 * when too much is waiting behind the first frame, or for too long.
 *
 * conn_send() and the like, conn_half_full(), conn_too_slow(), conns_dirtied()
 * and conns_written(), for all, are in conn.h; this is for conn.c.
 *
 * Runs in: workers.  Owned by: the frames, by conn_queue.h.
 */
#ifndef PEAL_CONN_OUTPUT_H
#define PEAL_CONN_OUTPUT_H

#include "worker/conn.h"

void	output_init(void);
/* What waits leaves at the end of this turn, unless it cannot: then nothing
 * happens. */
void	output_dirty(struct conn *);
/* Off the list, nothing else: c->dirty is the caller's. */
void	output_remove(struct conn *);

/* Writes what the socket takes.  Of one that is closing comes the end behind it.
 * The conn may die. */
void	output_flush(struct conn *);
/* The end of what we say; the descriptor stays until the peer has closed, too. */
void	output_shut(struct conn *);
/* Of one that dies: what waits is tried once, whatever comes of it. */
void	output_last(struct conn *);

/* At the end of a turn: those on the list, or as many as one turn may write. */
void	output_turn(void);
/* Is anybody on it yet? */
bool	output_waits(void);

#endif
