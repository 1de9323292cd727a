/* SPDX-License-Identifier: MIT
 *
 * The slots of a Redis Cluster: which one a name belongs to, and a hash tag for
 * each lane, so that what is named prefix:{tag}:... lies in one slot.
 *
 * A cluster shares out its 16384 slots among its masters, mostly in unbroken
 * ranges.  The tag of lane n is the first short number (to the base of 36) whose
 * slot lies in the nth of LANES equal parts, so each master has its fair share
 * of the lanes.  All hosts must come to the same tags: they are part of the
 * names on the broker.
 *
 * Runs in: the router.
 */
#ifndef PEAL_REDIS_SLOTS_H
#define PEAL_REDIS_SLOTS_H

#include "common/buf.h"

#define REDIS_SLOTS	16384

/* Of a key or a shard channel: CRC16 (XMODEM) of what stands between the first
 * { and the next }, if that is anything, else of the whole name (Redis Cluster
 * specification, "Hash tags"). */
unsigned redis_slot(struct bytes name);

/* Of a lane (below LANES), without braces; good for ever. */
const char *redis_lane_tag(unsigned lane);
unsigned redis_lane_slot(unsigned lane);
/* Whose tag has this slot, or LANES. */
unsigned redis_slot_lane(unsigned slot);

#endif
