/* SPDX-License-Identifier: MIT
 *
 * The JSON of one event, shared by the queues of all targets that it goes to.
 *
 * Runs in: the courier.  Owned by: references.  Dies: with the last.
 */
#ifndef PEAL_COURIER_TEXT_H
#define PEAL_COURIER_TEXT_H

#include <stdlib.h>

#include "common/util.h"

struct text {
	uint32_t	 refs;
	uint16_t	 kind;		/* EVENT_* */
	uint16_t	 channel_n;
	size_t		 n;
	char		 p[];		/* the text, the channel */
};

/* One reference is the caller's. */
static inline struct text *
text_new(unsigned kind, struct bytes channel, struct bytes json)
{
	struct text *t = xmalloc(sizeof(*t) + json.n + channel.n);

	t->refs = 1;
	t->kind = (uint16_t)kind;
	t->channel_n = (uint16_t)channel.n;
	t->n = json.n;
	memcpy(t->p, json.p, json.n);
	if (channel.n != 0)
		memcpy(t->p + json.n, channel.p, channel.n);
	return t;
}

static inline struct bytes
text_json(const struct text *t)
{
	return bytes_of(t->p, t->n);
}

static inline struct bytes
text_channel(const struct text *t)
{
	return bytes_of(t->p + t->n, t->channel_n);
}

static inline void
text_unref(struct text *t)
{
	if (--t->refs == 0)
		free(t);
}

#endif
