/* SPDX-License-Identifier: MIT
 *
 * A message and its encodings: see message.h.
 */
#include "front/front.h"
#include "worker/message.h"

static struct frame *
message_encode(struct message *m, const struct front *front, unsigned variant)
{
	struct encoding *e;

	/* More kinds of clients in one channel than there is room for: the
	 * last place is used over and over. */
	if (m->n_encoded == MESSAGE_ENCODINGS) {
		e = &m->encoded[--m->n_encoded];
		if (e->frame != NULL)
			frame_unref(e->frame);
	}
	m->last = m->n_encoded++;
	e = &m->encoded[m->last];
	e->front = front;
	e->variant = variant;
	e->frame = front->encode(m, variant);
	return e->frame;
}

struct frame *
message_frame(struct message *m, const struct client *cl)
{
	const struct front *front = cl->front;
	unsigned variant = front->variant(cl), i;
	struct encoding *e = &m->encoded[m->last];

	if (m->n_encoded > 0 && e->front == front && e->variant == variant)
		return e->frame;
	for (i = 0; i < m->n_encoded; i++) {
		e = &m->encoded[i];
		if (e->front == front && e->variant == variant) {
			m->last = i;
			return e->frame;
		}
	}
	return message_encode(m, front, variant);
}

void
message_done(struct message *m)
{
	unsigned i;

	for (i = 0; i < m->n_encoded; i++)
		if (m->encoded[i].frame != NULL)
			frame_unref(m->encoded[i].frame);
	m->n_encoded = 0;
}
