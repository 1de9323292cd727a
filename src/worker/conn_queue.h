/* SPDX-License-Identifier: MIT
 *
 * The frames of a conn that wait to be written: the first in the conn itself,
 * those behind it in a ring that is made when there is more than one.
 *
 * Runs in: workers.  Owned by: its conn.
 */
#ifndef PEAL_CONN_QUEUE_H
#define PEAL_CONN_QUEUE_H

#include <sys/uio.h>

#include "worker/conn.h"

/* Takes the reference. */
void	queue_push(struct conn *, struct frame *);
/* n octets are out, no more than there are. */
void	queue_wrote(struct conn *, size_t n);
void	queue_clear(struct conn *);
/* What waits, as far as max pieces reach; at least one frame must wait. */
unsigned queue_gather(const struct conn *, struct iovec *, unsigned max);
/* Frames behind the first. */
uint32_t queue_length(const struct conn *);
/* What waits behind the first frame.  A frame costs more than its octets: a
 * pong of two must not be cheap to leave unread. */
uint64_t queue_backlog(const struct conn *);
/* About what memory would be free without it: of a frame that others wait for,
 * too, it has a part.  At least one frame must wait. */
uint64_t queue_share(const struct conn *);

/* All octets that wait; the first *first of them are the rest of one frame. */
void	queue_octets(const struct conn *, struct buf *, uint32_t *first);
/* And back, into an empty one; first is at most octets.n. */
void	queue_restore(struct conn *, struct bytes octets, uint32_t first);

#endif
