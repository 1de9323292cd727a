/* SPDX-License-Identifier: MIT
 *
 * Which channels are rooms.
 *
 * Runs in: the router.
 */
#include "router/room.h"

#include "router/router.h"

const struct config_rooms *
room_of(const struct router *r, struct bytes app, struct bytes channel)
{
	return r->config != NULL ? config_rooms_of(r->config, app, channel) :
	    NULL;
}

/* The room's own name: what stands behind the section's `channel`. */
static struct bytes
room_id(const struct config_rooms *set, struct bytes channel)
{
	return bytes_skip(channel, bytes_str(set->channel).n);
}

bool
room_raw_name(const struct router *r, struct bytes app, struct bytes channel,
    struct buf *name)
{
	const struct config_rooms *set = room_of(r, app, channel);

	if (set == NULL || set->wire != WIRE_RAW)
		return false;
	buf_bytes(name, bytes_str(set->raw_channel));
	buf_bytes(name, room_id(set, channel));
	return true;
}

bool
room_of_raw_name(const struct router *r, struct bytes name, struct bytes *app,
    struct buf *channel)
{
	for (size_t i = 0; r->config != NULL && i < r->config->n_rooms; i++) {
		const struct config_rooms *set = &r->config->rooms[i];
		struct bytes raw = bytes_str(set->raw_channel);

		if (set->wire != WIRE_RAW || name.n <= raw.n ||
		    !bytes_starts(name, raw))
			continue;
		*app = bytes_str(set->app);
		buf_bytes(channel, bytes_str(set->channel));
		buf_bytes(channel, bytes_skip(name, raw.n));
		return true;
	}
	return false;
}
