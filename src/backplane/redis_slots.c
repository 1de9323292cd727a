/* SPDX-License-Identifier: MIT */
#include "backplane/redis_slots.h"

#include <string.h>

#include "backplane/backplane.h"

/* Numbers of up to three digits to the base of 36 are tried as tags. */
#define TAG_DIGITS	3
#define TAG_TRIES	(36 * 36 * 36)

static uint16_t	crc_table[256];
static char	tags[LANES][TAG_DIGITS + 1];
static uint16_t	slots[LANES];
static bool	ready;

static void
crc_init(void)
{
	for (unsigned octet = 0; octet < 256; octet++) {
		unsigned crc = octet << 8;

		for (int bit = 0; bit < 8; bit++)
			crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
		crc_table[octet] = (uint16_t)crc;
	}
}

static unsigned
slot_of(struct bytes s)
{
	uint16_t crc = 0;

	for (size_t i = 0; i < s.n; i++)
		crc = (uint16_t)(crc << 8) ^
		    crc_table[crc >> 8 ^ (unsigned char)s.p[i]];
	return crc % REDIS_SLOTS;
}

static size_t
tag_write(char *tag, unsigned n)
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	char reverse[TAG_DIGITS];
	size_t i = 0, length;

	do
		reverse[i++] = digits[n % 36];
	while ((n /= 36) != 0);
	for (length = 0; i > 0; length++)
		tag[length] = reverse[--i];
	tag[length] = '\0';
	return length;
}

static void
init(void)
{
	unsigned left = LANES;

	crc_init();
	for (unsigned n = 0; n < TAG_TRIES && left > 0; n++) {
		char tag[TAG_DIGITS + 1];
		size_t length = tag_write(tag, n);
		unsigned slot = slot_of(bytes_of(tag, length));
		unsigned lane = slot / (REDIS_SLOTS / LANES);

		if (tags[lane][0] != '\0')
			continue;
		memcpy(tags[lane], tag, length + 1);
		slots[lane] = (uint16_t)slot;
		left--;
	}
	ready = true;
}

unsigned
redis_slot(struct bytes key)
{
	ptrdiff_t open, close;

	if (!ready)
		init();
	if ((open = bytes_find(key, '{')) >= 0) {
		struct bytes rest = bytes_skip(key, (size_t)open + 1);

		if ((close = bytes_find(rest, '}')) > 0)
			key = bytes_of(rest.p, (size_t)close);
	}
	return slot_of(key);
}

const char *
redis_lane_tag(unsigned lane)
{
	if (!ready)
		init();
	return tags[lane];
}

unsigned
redis_lane_slot(unsigned lane)
{
	if (!ready)
		init();
	return slots[lane];
}

unsigned
redis_slot_lane(unsigned slot)
{
	unsigned lane = slot / (REDIS_SLOTS / LANES);

	return lane < LANES && redis_lane_slot(lane) == slot ? lane : LANES;
}
