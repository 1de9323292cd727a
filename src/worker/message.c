/* SPDX-License-Identifier: MIT
 *
 * A run of messages and its encodings: see message.h.
 */
#include "common/counters.h"
#include "front/front.h"
#include "worker/message.h"
#include "worker/usage.h"

static size_t
message_octets(const struct message *m)
{
	return m->event.n + m->data.n + m->user.n + m->id.n + m->object.n +
	    m->channel->name_n;
}

bool
run_takes(const struct run *r, const struct message *m)
{
	return r->n == 0 || (r->n < RUN_MESSAGES &&
	    r->messages[0].channel == m->channel &&
	    r->octets + message_octets(m) <= RUN_OCTETS);
}

void
run_add(struct run *r, const struct message *m)
{
	r->octets += message_octets(m);
	r->messages[r->n++] = *m;
}

/* ---- encodings --------------------------------------------------------------- */

static struct frame *
join(struct frame **each, unsigned n, size_t octets)
{
	struct frame *f = frame_new(octets);
	size_t at = 0;
	unsigned i;

	for (i = 0; i < n; i++) {
		if (each[i] == NULL)
			continue;
		memcpy(f->p + at, each[i]->p, each[i]->n);
		at += each[i]->n;
		frame_unref(each[i]);
	}
	return f;
}

static void
encode(struct encoding *e, const struct run *r)
{
	struct frame *each[RUN_MESSAGES];
	size_t octets = 0;
	unsigned i;

	e->n = e->sent = 0;
	for (i = 0; i < r->n; i++) {
		each[i] = e->front->encode(&r->messages[i], e->variant);
		if (each[i] != NULL) {
			octets += each[i]->n;
			e->n++;
		}
		e->end[i] = (uint32_t)octets;
	}
	if (r->n == 1)
		e->frame = each[0];
	else
		e->frame = e->n > 0 ? join(each, r->n, octets) : NULL;
}

static void
encoding_done(const struct encoding *e, const struct run *r)
{
	uint64_t messages = (uint64_t)e->sent * e->n;

	if (messages > 0) {
		counter.messages_out += messages;
		usage_sent(r->messages[0].channel->app, e->front, messages,
		    (uint64_t)e->sent * e->frame->n);
	}
	frame_unref(e->frame);
}

static struct encoding *
encoding_new(struct run *r, const struct front *front, unsigned variant)
{
	struct encoding *e;

	/* More kinds of clients in one channel than there is room for: the
	 * last place is used over and over. */
	if (r->n_encoded == RUN_ENCODINGS)
		encoding_done(&r->encoded[--r->n_encoded], r);
	r->last = r->n_encoded++;
	e = &r->encoded[r->last];
	e->front = front;
	e->variant = variant;
	encode(e, r);
	return e;
}

struct encoding *
run_encoding(struct run *r, const struct client *cl)
{
	const struct front *front = cl->front;
	unsigned variant = front->variant(cl), i;
	struct encoding *e = &r->encoded[r->last];

	if (r->n_encoded > 0 && e->front == front && e->variant == variant)
		return e;
	for (i = 0; i < r->n_encoded; i++) {
		e = &r->encoded[i];
		if (e->front == front && e->variant == variant) {
			r->last = i;
			return e;
		}
	}
	return encoding_new(r, front, variant);
}

struct frame *
encoding_part(const struct encoding *e, unsigned from, unsigned to, unsigned *n)
{
	uint32_t begin = from == 0 ? 0 : e->end[from - 1], at = begin;

	*n = 0;
	for (; from < to; from++) {
		*n += e->end[from] > at;
		at = e->end[from];
	}
	return *n == 0 ? NULL :
	    frame_of(bytes_of(e->frame->p + begin, at - begin));
}

void
run_clear(struct run *r)
{
	unsigned i;

	for (i = 0; i < r->n_encoded; i++)
		encoding_done(&r->encoded[i], r);
	r->n = r->n_encoded = r->last = 0;
	r->octets = 0;
}
