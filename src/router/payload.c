/* SPDX-License-Identifier: MIT
 *
 * What the envelopes of messages carry.
 *
 * Runs in: the router.
 */
#include "router/payload.h"

#include "common/packed.h"

#define EVENT_FIELDS	8
#define KICK_FIELDS	4
#define MISS_FIELDS	2

void
event_pack(struct buf *out, uint64_t origin, const struct msg_publish *m)
{
	buf_reuse(out);
	pack_array(out, EVENT_FIELDS);
	pack_u64(out, origin);
	pack_u64(out, m->serial);
	pack_bytes(out, m->event);
	pack_bytes(out, m->data);
	pack_bytes(out, m->user);
	pack_u64(out, m->except_a);
	pack_u64(out, m->except_b);
	pack_u64(out, m->flags);
}

bool
event_is_sound(const struct msg_publish *m)
{
	return utf8_valid(m->event) && utf8_valid(m->user) &&
	    ((m->flags & PUBLISH_BINARY) || utf8_valid(m->data));
}

/* The sizes are those that a worker would take. */
int
event_unpack(const struct envelope *e, uint64_t *origin,
    struct msg_publish *m)
{
	struct packed in = packed_open(e->payload);

	*m = (struct msg_publish){ .app = e->app, .channel = e->channel };
	packed_array(&in, EVENT_FIELDS);
	*origin = packed_u64(&in);
	m->serial = packed_u64(&in);
	m->event = packed_bytes(&in, MSG_MAX);
	m->data = packed_bytes(&in, MSG_MAX);
	m->user = packed_bytes(&in, 4096);
	m->except_a = packed_u64(&in);
	m->except_b = packed_u64(&in);
	m->flags = packed_u64(&in);
	return packed_end(&in) ? 0 : -1;
}

void
kick_pack(struct buf *out, uint64_t origin, const struct msg_kick *m)
{
	buf_reuse(out);
	pack_array(out, KICK_FIELDS);
	pack_u64(out, origin);
	pack_u64(out, m->serial);
	pack_bytes(out, m->app);
	pack_bytes(out, m->user);
}

int
kick_unpack(const struct envelope *e, uint64_t *origin, struct msg_kick *m)
{
	struct packed in = packed_open(e->payload);

	packed_array(&in, KICK_FIELDS);
	*origin = packed_u64(&in);
	m->serial = packed_u64(&in);
	m->app = packed_bytes(&in, 200);
	m->user = packed_bytes(&in, 1024);
	return packed_end(&in) ? 0 : -1;
}

void
miss_pack(struct buf *out, struct bytes app, struct bytes channel)
{
	buf_reuse(out);
	pack_array(out, MISS_FIELDS);
	pack_bytes(out, app);
	pack_bytes(out, channel);
}

/* Names become strings of JSON. */
int
miss_unpack(const struct envelope *e, struct bytes *app, struct bytes *channel)
{
	struct packed in = packed_open(e->payload);

	packed_array(&in, MISS_FIELDS);
	*app = packed_bytes(&in, 200);
	*channel = packed_bytes(&in, 1024);
	return packed_end(&in) && channel->n > 0 && utf8_valid(*app) &&
	    utf8_valid(*channel) ? 0 : -1;
}
