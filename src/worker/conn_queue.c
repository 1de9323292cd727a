/* SPDX-License-Identifier: MIT
 *
 * Frames that wait: see conn_queue.h.
 */
#include "worker/conn_queue.h"

#include <stdlib.h>

#include "common/poison.h"
#include "common/util.h"
#include "worker/backlog.h"

#define LOOKED_AT	16	/* frames, for queue_share() */
#define SMALLEST	8u	/* ring */
#define SPARE		1024	/* of these are kept: in a burst one is needed and
				   not needed any more for every write */

/* Frames behind the first. */
struct conn_queue {
	uint32_t	 at, n, cap;
	struct frame	*ring[];
};

static struct conn_queue *spare[SPARE];
static unsigned n_spare;

static struct conn_queue *
ring_new(uint32_t cap)
{
	struct conn_queue *q = cap == SMALLEST && n_spare > 0 ?
	    spare[--n_spare] :
	    xmalloc(sizeof(*q) + (size_t)cap * sizeof(q->ring[0]));

	unpoison(q, sizeof(*q) + (size_t)cap * sizeof(q->ring[0]));
	q->at = q->n = 0;
	q->cap = cap;
	backlog_add(cap * sizeof(q->ring[0]));
	return q;
}

static void
ring_free(struct conn_queue *q)
{
	backlog_sub(q->cap * sizeof(q->ring[0]));
	if (q->cap != SMALLEST || n_spare == SPARE) {
		free(q);
		return;
	}
	poison(q, sizeof(*q) + SMALLEST * sizeof(q->ring[0]));
	spare[n_spare++] = q;
}

static struct frame *
frame_at(const struct conn_queue *q, uint32_t i)
{
	return q->ring[(q->at + i) & (q->cap - 1)];
}

static struct conn_queue *
ring_grow(struct conn_queue *old)
{
	struct conn_queue *q = ring_new(old->cap * 2);

	for (; q->n < old->n; q->n++)
		q->ring[q->n] = frame_at(old, q->n);
	ring_free(old);
	return q;
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
		q = c->more = ring_new(SMALLEST);
	else if (q->n == q->cap)
		q = c->more = ring_grow(q);
	q->ring[(q->at + q->n++) & (q->cap - 1)] = f;
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
	c->first = frame_at(q, 0);
	q->at++;
	if (--q->n == 0) {
		ring_free(q);
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
	    q->cap * sizeof(q->ring[0]);
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
