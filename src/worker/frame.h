/* SPDX-License-Identifier: MIT
 *
 * Octets ready for a socket, counted: one frame serves every subscriber of a
 * channel and is sent straight from here.
 *
 * Runs in: workers.  Dies: with its last reference.
 */
#ifndef PEAL_FRAME_H
#define PEAL_FRAME_H

#include "common/buf.h"

#define FRAME_COST	32u	/* octets of memory beside its own, about */

struct frame {
	uint32_t	 refs;
	uint32_t	 n;
	char		 p[];
};

/* One reference, n octets to be filled in. */
struct frame *frame_new(size_t n);
/* One reference, a copy of the octets. */
struct frame *frame_of(struct bytes);
/* The same one, whose reference is kept as long as the process lives: it waits for
 * nobody, so it does not count as backlog. */
struct frame *frame_kept(struct frame *);
static inline struct frame *
frame_ref(struct frame *f)
{
	f->refs++;
	return f;
}
void	frame_unref(struct frame *);

#endif
