/* SPDX-License-Identifier: MIT */
#include "backplane/redis_told.h"

#include <hiredis/hiredis.h>

#include "backplane/redis_reply.h"
#include "backplane/redis_slots.h"

int
redis_told_place(struct redis_place *place, struct bytes host, uint64_t port)
{
	if (host.n == 0 || host.n >= sizeof(place->host) ||
	    host.p[0] == '/' || port == 0 || port > 65535)
		return -1;
	/* No blanks or controls: it goes into texts for people as well. */
	for (size_t i = 0; i < host.n; i++)
		if (host.p[i] <= ' ' || host.p[i] == 0x7f)
			return -1;
	memset(place, 0, sizeof(*place));
	memcpy(place->host, host.p, host.n);
	place->port = (uint16_t)port;
	return 0;
}

static int
told_texts(struct redis_place *place, struct bytes host, struct bytes port)
{
	uint64_t number;

	return bytes_u64(port, &number) == 0 ?
	    redis_told_place(place, host, number) : -1;
}

/* Up to the next blank, which is taken off too. */
static struct bytes
word(struct bytes *text)
{
	ptrdiff_t blank = bytes_find(*text, ' ');
	struct bytes found = *text;

	if (blank >= 0)
		found.n = (size_t)blank;
	*text = bytes_skip(*text, found.n + (blank >= 0));
	return found;
}

/* ---- Sentinel ------------------------------------------------------------- */

int
redis_told_master(struct redis_place *place, const redisReply *reply)
{
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
		return -1;
	return told_texts(place, redis_reply_text(reply->element[0]),
	    redis_reply_text(reply->element[1]));
}

int
redis_told_switch(struct redis_place *place, struct bytes text,
    struct bytes name)
{
	struct bytes host, port;

	if (!bytes_eq(word(&text), name))
		return -1;
	word(&text);	/* the old one's */
	word(&text);
	host = word(&text);
	port = word(&text);
	return text.n == 0 ? told_texts(place, host, port) : -1;
}

/* ---- cluster -------------------------------------------------------------- */

int
redis_told_moved(struct redis_place *place, unsigned *slot, struct bytes text,
    const char *asked)
{
	struct bytes at, host;
	uint64_t number;
	size_t colon;

	if (!bytes_eq(word(&text), B("MOVED")) ||
	    bytes_u64(word(&text), &number) != 0 || number >= REDIS_SLOTS)
		return -1;
	at = word(&text);
	for (colon = at.n; colon > 0 && at.p[colon - 1] != ':'; colon--)
		;
	if (colon == 0)
		return -1;
	host = bytes_of(at.p, colon - 1);
	if (told_texts(place, host.n != 0 ? host : bytes_str(asked),
	    bytes_skip(at, colon)) != 0)
		return -1;
	*slot = (unsigned)number;
	return 0;
}

uint64_t
redis_told_epoch(struct bytes text)
{
	static const struct bytes key = BYTES("cluster_current_epoch:");
	uint64_t epoch;

	while (text.n != 0) {
		ptrdiff_t end = bytes_find(text, '\n');
		struct bytes line = bytes_of(text.p,
		    end < 0 ? text.n : (size_t)end);

		text = bytes_skip(text, line.n + (end >= 0));
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		if (bytes_starts(line, key) &&
		    bytes_u64(bytes_skip(line, key.n), &epoch) == 0)
			return epoch;
	}
	return 0;
}

/* [host, port, id, ...] of a node. */
static int
told_node(struct redis_place *place, const redisReply *node, const char *asked)
{
	struct bytes host;

	if (node->type != REDIS_REPLY_ARRAY || node->elements < 2 ||
	    node->element[1]->type != REDIS_REPLY_INTEGER ||
	    node->element[1]->integer <= 0)
		return -1;
	host = redis_reply_text(node->element[0]);
	/* Of a node whose name is not known (yet): "?". */
	if (host.n == 0 || bytes_eq(host, B("?")))
		host = bytes_str(asked);
	return redis_told_place(place, host,
	    (uint64_t)node->element[1]->integer);
}

/* Its index, or -1: there are too many. */
static int
place_index(struct redis_layout *layout, const struct redis_place *place)
{
	for (unsigned i = 0; i < layout->n; i++)
		if (redis_place_eq(&layout->place[i], place))
			return (int)i;
	if (layout->n == REDIS_LAYOUT_PLACES)
		return -1;
	layout->place[layout->n] = *place;
	return (int)layout->n++;
}

static bool
is_range(const redisReply *range)
{
	return range->type == REDIS_REPLY_ARRAY && range->elements >= 3 &&
	    range->element[0]->type == REDIS_REPLY_INTEGER &&
	    range->element[1]->type == REDIS_REPLY_INTEGER &&
	    range->element[0]->integer >= 0 &&
	    range->element[0]->integer <= range->element[1]->integer &&
	    range->element[1]->integer < REDIS_SLOTS;
}

static void
told_owner(struct redis_layout *layout, const redisReply *range,
    const char *asked)
{
	unsigned first = (unsigned)range->element[0]->integer;
	unsigned last = (unsigned)range->element[1]->integer;
	struct redis_place place;
	int index = -2;

	if (told_node(&place, range->element[2], asked) != 0)
		return;
	for (unsigned lane = 0; lane < LANES; lane++) {
		unsigned slot = redis_lane_slot(lane);

		if (slot < first || slot > last)
			continue;
		if (index == -2)
			index = place_index(layout, &place);
		layout->lane[lane] = index;
	}
}

int
redis_told_layout(struct redis_layout *layout, const redisReply *reply,
    const char *asked)
{
	struct redis_place place;

	layout->n = layout->masters = 0;
	for (unsigned lane = 0; lane < LANES; lane++)
		layout->lane[lane] = -1;
	if (reply->type != REDIS_REPLY_ARRAY)
		return -1;
	for (size_t i = 0; i < reply->elements; i++) {
		if (!is_range(reply->element[i]))
			return -1;
		told_owner(layout, reply->element[i], asked);
	}
	layout->masters = layout->n;
	for (size_t i = 0; i < reply->elements; i++)
		for (size_t k = 2; k < reply->element[i]->elements; k++)
			if (told_node(&place, reply->element[i]->element[k],
			    asked) == 0)
				place_index(layout, &place);
	return 0;
}
