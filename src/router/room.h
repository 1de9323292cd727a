/* SPDX-License-Identifier: MIT
 *
 * Which channels are rooms ([rooms] in the settings), as far as the router
 * minds: their history, and what they are called on the broker when its other
 * users know nothing of Peal (wire = raw).
 *
 * A room is a channel of the section's application whose name begins with the
 * section's `channel` and goes on: room-7 is room 7.  Sections of different
 * rooms never begin alike (config_rooms.c); two of the same agree in all that
 * matters here.
 *
 * Runs in: the router.  Owns: nothing; the settings are good until the next.
 */
#ifndef PEAL_ROUTER_ROOM_H
#define PEAL_ROUTER_ROOM_H

#include "common/buf.h"
#include "common/config.h"

struct router;

/* The section that a channel is a room of, or NULL. */
const struct config_rooms *room_of(const struct router *, struct bytes app,
	    struct bytes channel);

/* Is a room's wire raw?  Then its name on the broker is appended. */
bool	room_raw_name(const struct router *, struct bytes app,
	    struct bytes channel, struct buf *name);
/*
 * The other way: a name on the broker to application and channel; false if no
 * raw section has it.  *app is borrowed from the settings, the channel is
 * appended.
 */
bool	room_of_raw_name(const struct router *, struct bytes name,
	    struct bytes *app, struct buf *channel);

#endif
