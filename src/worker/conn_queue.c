/* SPDX-License-Identifier: MIT
 *
 * Frames that wait: see conn_queue.h.
 */
#include "worker/conn_queue.h"

#include <stdlib.h>

#include "common/util.h"
#include "worker/backlog.h"

#define LOOKED_AT	16	/* frames, for queue_share() */

/* Frames behind the first. */
struct conn_queue {
	struct frame	**ring;
	uint32_t	  at, n, cap;
};

static struct frame *
frame_at(const struct conn_queue *q, uint32_t i)
{
	return q->ring[(q->at + i) % q->cap];
}

static void
ring_grow(struct conn_queue *q)
{
	uint32_t i, cap = q->cap == 0 ? 8 : q->cap * 2;
	struct frame **ring = xreallocarray(NULL, cap, sizeof(*ring));

	for (i = 0; i < q->n; i++)
		ring[i] = frame_at(q, i);
	backlog_add((cap - q->cap) * sizeof(*ring));
	free(q->ring);
	q->ring = ring;
	q->at = 0;
	q->cap = cap;
}

void
queue_push(struct conn *c, struct frame *f)
{
	struct conn_queue *q = c->more;

	c->queued += f->n;
	if (c->first == NULL) {
		c->first = f;
		return;
	}
	if (q == NULL)
		q = c->more = xcalloc(1, sizeof(*q));
	if (q->n == q->cap)
		ring_grow(q);
	q->ring[(q->at + q->n++) % q->cap] = f;
}

/* Lets go of the first frame. */
static void
queue_shift(struct conn *c)
{
	struct conn_queue *q = c->more;

	frame_unref(c->first);
	c->first = NULL;
	c->sent = 0;
	if (q == NULL)
		return;
	c->first = q->ring[q->at];
	q->at = (q->at + 1) % q->cap;
	if (--q->n == 0) {
		backlog_sub(q->cap * sizeof(*q->ring));
		free(q->ring);
		free(q);
		c->more = NULL;
	}
}

void
queue_wrote(struct conn *c, size_t n)
{
	c->queued -= n;
	while (n > 0) {
		size_t left = c->first->n - c->sent;

		if (n < left) {
			c->sent += n;
			return;
		}
		n -= left;
		queue_shift(c);
	}
}

void
queue_clear(struct conn *c)
{
	while (c->first != NULL)
		queue_shift(c);
	c->queued = 0;
}

unsigned
queue_gather(const struct conn *c, struct iovec *iov, unsigned max)
{
	unsigned n = 0;
	uint32_t i;

	iov[n].iov_base = c->first->p + c->sent;
	iov[n++].iov_len = c->first->n - c->sent;
	for (i = 0; c->more != NULL && i < c->more->n && n < max; i++) {
		struct frame *f = frame_at(c->more, i);

		iov[n].iov_base = f->p;
		iov[n++].iov_len = f->n;
	}
	return n;
}

uint32_t
queue_length(const struct conn *c)
{
	return c->more != NULL ? c->more->n : 0;
}

uint64_t
queue_backlog(const struct conn *c)
{
	uint64_t octets = c->queued - (c->first->n - c->sent);

	return octets + (c->more != NULL ? (uint64_t)c->more->n * FRAME_COST :
	    0);
}

static uint64_t
frame_share(const struct frame *f)
{
	return ((uint64_t)f->n + FRAME_COST) / f->refs;
}

uint64_t
queue_share(const struct conn *c)
{
	const struct conn_queue *q = c->more;
	uint64_t sum = 0;
	uint32_t step, i, n = 0;

	if (q == NULL)
		return frame_share(c->first);
	step = q->n / LOOKED_AT + 1;
	for (i = 0; i < q->n; i += step, n++)
		sum += frame_share(frame_at(q, i));
	return frame_share(c->first) + sum * q->n / n +
	    q->cap * sizeof(*q->ring);
}

/* ---- a hand-over ---------------------------------------------------------------- */

void
queue_octets(const struct conn *c, struct buf *out, uint32_t *first)
{
	uint32_t i;

	*first = 0;
	if (c->first == NULL)
		return;
	*first = c->first->n - c->sent;
	buf_add(out, c->first->p + c->sent, *first);
	for (i = 0; c->more != NULL && i < c->more->n; i++) {
		const struct frame *f = frame_at(c->more, i);

		buf_add(out, f->p, f->n);
	}
}

void
queue_restore(struct conn *c, struct bytes octets, uint32_t first)
{
	if (first > 0)
		queue_push(c, frame_of(bytes_of(octets.p, first)));
	octets = bytes_skip(octets, first);
	if (octets.n > 0)
		queue_push(c, frame_of(octets));
}
