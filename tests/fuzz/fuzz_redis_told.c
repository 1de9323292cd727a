/* SPDX-License-Identifier: MIT
 *
 * What Sentinels and clusters tell about where to go.  The first octet says
 * what it is; replies come in RESP, as they do from the wire.
 */
#include "fuzz.h"

#include "backplane/redis_reply.h"
#include "backplane/redis_slots.h"
#include "backplane/redis_told.h"

static void
check_place(const struct redis_place *place)
{
	size_t n = strnlen(place->host, sizeof(place->host));

	MUST(n > 0 && n < sizeof(place->host) && place->host[0] != '/');
	MUST(place->port != 0);
}

static void
check_layout(const struct redis_layout *layout)
{
	MUST(layout->masters <= layout->n);
	MUST(layout->n <= REDIS_LAYOUT_PLACES);
	for (unsigned i = 0; i < layout->n; i++) {
		check_place(&layout->place[i]);
		for (unsigned k = 0; k < i; k++)
			MUST(!redis_place_eq(&layout->place[i],
			    &layout->place[k]));
	}
	for (unsigned lane = 0; lane < LANES; lane++)
		MUST(layout->lane[lane] == -1 || (layout->lane[lane] >= 0 &&
		    (unsigned)layout->lane[lane] < layout->masters));
}

static void
told_replies(struct bytes in)
{
	static struct redis_layout layout;
	struct redis_replies replies;
	struct redis_place place;
	enum redis_got got;
	size_t used;

	redis_replies_init(&replies, 1 << 20);
	do {
		used = 0;
		got = redis_replies_next(&replies, in, &used);
		in = bytes_skip(in, used);
		if (got != REDIS_GOT_REPLY)
			continue;
		if (redis_told_master(&place, replies.reply) == 0)
			check_place(&place);
		if (redis_told_layout(&layout, replies.reply, "asked") == 0)
			check_layout(&layout);
	} while (got != REDIS_GOT_NOTHING && got != REDIS_GOT_GARBAGE);
	redis_replies_done(&replies);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes in = bytes_of(n != 0 ? (const char *)data + 1 : "",
	    n != 0 ? n - 1 : 0);
	struct redis_place place;
	unsigned slot;

	switch (n != 0 ? data[0] : 0) {
	case 'm':
		if (redis_told_moved(&place, &slot, in, "asked") == 0) {
			check_place(&place);
			MUST(slot < REDIS_SLOTS);
			slot = redis_slot_lane(slot);
			MUST(slot <= LANES);
		}
		break;
	case 's':
		if (redis_told_switch(&place, in, B("mymaster")) == 0)
			check_place(&place);
		break;
	case 'e':
		redis_told_epoch(in);
		break;
	case 'k':
		MUST(redis_slot(in) < REDIS_SLOTS);
		break;
	default:
		told_replies(in);
	}
	return 0;
}
