/* SPDX-License-Identifier: MIT
 *
 * Names of channels and events.
 */
#include "common/channel_name.h"

#include "common/util.h"

static const struct {
	struct bytes	prefix;
	unsigned	kind;
} kinds[] = {			/* the longer prefix first */
	{ BYTES("private-encrypted-cache-"),
	    CHANNEL_PRIVATE | CHANNEL_ENCRYPTED | CHANNEL_CACHE },
	{ BYTES("private-encrypted-"), CHANNEL_PRIVATE | CHANNEL_ENCRYPTED },
	{ BYTES("private-cache-"), CHANNEL_PRIVATE | CHANNEL_CACHE },
	{ BYTES("private-"), CHANNEL_PRIVATE },
	{ BYTES("presence-cache-"),
	    CHANNEL_PRIVATE | CHANNEL_PRESENCE | CHANNEL_CACHE },
	{ BYTES("presence-"), CHANNEL_PRIVATE | CHANNEL_PRESENCE },
	{ BYTES("cache-"), CHANNEL_CACHE },
};

static const struct bytes user_prefix = BYTES("#server-to-user-");

/* A-Z a-z 0-9 _ - = @ , . ; */
static bool
name_octet(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '=' ||
	    c == '@' || c == ',' || c == '.' || c == ';';
}

unsigned
channel_prefix(struct bytes name)
{
	for (size_t i = 0; i < NELEM(kinds); i++)
		if (bytes_starts(name, kinds[i].prefix))
			return kinds[i].kind;
	return 0;
}

unsigned
channel_kind(struct bytes name, size_t max)
{
	bool user = false;
	size_t i = 0;

	if (name.n == 0 || name.n > max)
		return CHANNEL_BAD;
	if (name.p[0] == '#') {
		if (!bytes_starts(name, user_prefix) ||
		    name.n == user_prefix.n)
			return CHANNEL_BAD;
		user = true;
		i = 1;
	}
	for (; i < name.n; i++)
		if (!name_octet(name.p[i]))
			return CHANNEL_BAD;
	return user ? CHANNEL_USER : channel_prefix(name);
}

bool
event_reserved(struct bytes name)
{
	return bytes_starts(name, B("pusher:")) ||
	    bytes_starts(name, B("pusher_internal:"));
}
