/* SPDX-License-Identifier: MIT
 *
 * peal-benchmark: number, channel and due time in the data of a message.
 */
#include <string.h>

#include "benchmark.h"

static void
put_hex(char *to, uint64_t value, unsigned digits)
{
	static const char digit[] = "0123456789abcdef";

	for (unsigned i = digits; i-- > 0; value >>= 4)
		to[i] = digit[value & 15];
}

static bool
get_hex(const char *p, unsigned digits, uint64_t *value)
{
	uint64_t v = 0;
	unsigned char c, bad = 0;

	for (unsigned i = 0; i < digits; i++) {
		c = (unsigned char)p[i];
		bad |= !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'));
		v = v << 4 | ((c & 15) + (c >> 6) * 9u);
	}
	*value = v;
	return !bad;
}

void
mark_write(char *to, uint32_t number, uint32_t channel, uint64_t due)
{
	to[0] = to[33] = '~';
	put_hex(to + 1, number, 8);
	put_hex(to + 9, channel, 8);
	put_hex(to + 17, due, 16);
	memset(to + MARK_SIZE, 'x', opt.size - MARK_SIZE);
}

bool
mark_read(const char *p, size_t n, uint32_t *number, uint32_t *channel,
    uint64_t *due)
{
	static size_t place;	/* it stands where it stood in the last one */
	uint64_t a, b;
	const char *at;

	if (n < MARK_SIZE)
		return false;
	if (place > n - MARK_SIZE || p[place] != '~') {
		at = memchr(p, '~', n - MARK_SIZE + 1);
		if (at == NULL)
			return false;
		place = (size_t)(at - p);
	}
	p += place;
	if (p[33] != '~' || !get_hex(p + 1, 8, &a) || !get_hex(p + 9, 8, &b) ||
	    !get_hex(p + 17, 16, due))
		return false;
	*number = (uint32_t)a;
	*channel = (uint32_t)b;
	return true;
}
