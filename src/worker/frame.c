/* SPDX-License-Identifier: MIT
 *
 * Counted octets on their way to sockets.
 *
 * Runs in: workers.
 */
#include <stdlib.h>

#include "common/log.h"
#include "common/util.h"
#include "worker/backlog.h"
#include "worker/frame.h"

struct frame *
frame_new(size_t n)
{
	struct frame *f;

	if (n > UINT32_MAX - sizeof(*f))
		fatal("frame of %zu octets", n);
	f = xmalloc(sizeof(*f) + n);
	f->refs = 1;
	f->n = n;
	backlog_add(FRAME_COST + n);
	return f;
}

struct frame *
frame_of(struct bytes b)
{
	struct frame *f = frame_new(b.n);

	if (b.n > 0)
		memcpy(f->p, b.p, b.n);
	return f;
}

struct frame *
frame_kept(struct frame *f)
{
	backlog_sub(FRAME_COST + f->n);
	return f;
}

void
frame_unref(struct frame *f)
{
	if (f == NULL || --f->refs > 0)
		return;
	backlog_sub(FRAME_COST + f->n);
	free(f);
}
