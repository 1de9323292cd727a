/* SPDX-License-Identifier: MIT
 *
 * Which channels are rooms.
 *
 * Runs in: the router.
 */
#include "router/room.h"

#include "router/router.h"

/* Does name go on behind this beginning? */
static bool
goes_on(struct bytes name, struct bytes beginning)
{
	return name.n > beginning.n && bytes_starts(name, beginning);
}

const struct config_rooms *
room_of(const struct router *r, struct bytes app, struct bytes channel)
{
	const struct config_rooms *found = NULL;
	size_t longest = 0;

	for (size_t i = 0; r->config != NULL && i < r->config->n_rooms; i++) {
		const struct config_rooms *set = &r->config->rooms[i];
		struct bytes beginning = bytes_str(set->channel);

		if (found != NULL && beginning.n <= longest)
			continue;
		if (!goes_on(channel, beginning) ||
		    !bytes_eq(bytes_str(set->app), app))
			continue;
		found = set;
		longest = beginning.n;
	}
	return found;
}

struct bytes
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
	const struct config_rooms *found = NULL;
	size_t longest = 0;

	for (size_t i = 0; r->config != NULL && i < r->config->n_rooms; i++) {
		const struct config_rooms *set = &r->config->rooms[i];
		struct bytes beginning = bytes_str(set->raw_channel);

		if (set->wire != WIRE_RAW || !goes_on(name, beginning) ||
		    (found != NULL && beginning.n <= longest))
			continue;
		found = set;
		longest = beginning.n;
	}
	if (found == NULL)
		return false;
	*app = bytes_str(found->app);
	buf_bytes(channel, bytes_str(found->channel));
	buf_bytes(channel, bytes_skip(name, longest));
	return true;
}
