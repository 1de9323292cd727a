/* SPDX-License-Identifier: MIT
 *
 * [rooms]: do its settings fit together, and with the others; and which section
 * is a channel a room of?
 *
 * A room's ID is the client's to choose, so what stands before it must decide
 * alone what kind of channel comes of it and whose it is.
 *
 * Runs in: master, pealctl (check); workers, router (lookup).  Owns: nothing.
 */
#include <stdlib.h>

#include "common/config_parts.h"
#include "common/log.h"
#include "common/util.h"

#define SECRET_MIN	16	/* octets of token_secret */
#define BEFORE_MAX	500	/* octets before the ID: 1024 with it, at most */
#define EVENT_MAX	200

/* ---- lookup -------------------------------------------------------------- */

const struct config_rooms *
config_rooms_of(const struct config *c, struct bytes app, struct bytes channel)
{
	size_t i;

	for (i = 0; i < c->n_rooms; i++) {
		const struct config_rooms *set = &c->rooms[i];
		struct bytes name = bytes_str(set->channel);

		/* No section's name begins another's: the first is the one. */
		if (channel.n > name.n && bytes_starts(channel, name) &&
		    bytes_eq(bytes_str(set->app), app))
			return set;
	}
	return NULL;
}

/* ---- one section --------------------------------------------------------- */

struct check {
	struct config_draft		*d;
	const struct config_mark	*m;
	struct config_rooms		*set;
};

static int
refuse(const struct check *k, const char *key, const char *why)
{
	return config_draft_refuse_key(k->d, k->m, key, "%s", why);
}

/* Where Pusher's clients, the API and the watcher of the service live. */
static bool
path_taken(struct bytes path)
{
	return bytes_eq(path, B("/app")) || bytes_starts(path, B("/app/")) ||
	    bytes_eq(path, B("/apps")) || bytes_starts(path, B("/apps/")) ||
	    bytes_eq(path, B("/up")) || bytes_eq(path, B("/ready"));
}

static int
check_path(const struct check *k, const char *key, const char *path)
{
	if (path == NULL || path[0] != '/')
		return refuse(k, key, "must begin with a slash");
	if (strpbrk(path, "?#% ") != NULL)
		return refuse(k, key, "may not hold ? # % or spaces");
	if (path_taken(bytes_str(path)))
		return refuse(k, key, "/app, /apps, /up and "
		    "/ready are taken");
	return 0;
}

static int
check_paths(const struct check *k)
{
	const char *sse = k->set->sse_path;

	if (check_path(k, "path", k->set->path) < 0)
		return -1;
	if (sse == NULL)
		return 0;
	if (check_path(k, "sse_path", sse) < 0)
		return -1;
	if (sse[1] == '\0' || sse[strlen(sse) - 1] != '/')
		return refuse(k, "sse_path", "must end with a slash, and be "
		    "more than one");
	return 0;
}

/* Names of parameters, as they stand in a query. */
static int
check_parameters(const struct check *k)
{
	const char *room = k->set->parameter, *token = k->set->token_parameter;

	if (room == NULL || strpbrk(room, "&=#%+ ") != NULL)
		return refuse(k, "parameter",
		    "a name without & = # % + and spaces");
	if (token == NULL || strpbrk(token, "&=#%+ ") != NULL)
		return refuse(k, "token_parameter",
		    "a name without & = # % + and spaces");
	if (strcmp(room, token) == 0)
		return refuse(k, "token_parameter", "is that of the room");
	return 0;
}

/*
 * Prefixes that give a channel a meaning of its own.  Neither may a room be
 * one, nor may an ID complete one: channel = p with the room rivate-x.
 */
static int
check_channel(const struct check *k)
{
	static const struct bytes special[] = {
		BYTES("presence-"), BYTES("cache-"), BYTES("private-cache-"),
		BYTES("private-encrypted-"), BYTES("#"),
	};
	struct bytes name = bytes_str(k->set->channel);
	size_t i;

	if (name.n == 0 || name.n > BEFORE_MAX || !utf8_valid(name))
		return refuse(k, "channel", "is needed, of 1 to 500 octets");
	for (i = 0; i < NELEM(special); i++)
		if (bytes_starts(name, special[i]) ||
		    bytes_starts(special[i], name))
			return config_draft_refuse_key(k->d, k->m, "channel",
			    "%s: no room can be a channel that begins with "
			    "%.*s", k->set->channel, (int)special[i].n,
			    special[i].p);
	return 0;
}

static int
check_event(const struct check *k)
{
	struct bytes event = bytes_str(k->set->event);

	if (event.n == 0 || event.n > EVENT_MAX || !utf8_valid(event))
		return refuse(k, "event", "is needed, of 1 to 200 octets");
	if (bytes_starts(event, B("pusher")))
		return refuse(k, "event", "pusher... is not for messages");
	return 0;
}

static int
check_default(const struct check *k)
{
	struct bytes room = bytes_str(k->set->default_room);
	size_t i;

	if (room.n > k->set->max_room_name || !utf8_valid(room))
		return refuse(k, "default_room", "is longer than "
		    "max_room_name, or no UTF-8");
	for (i = 0; i < room.n; i++)
		if ((unsigned char)room.p[i] < 32 || room.p[i] == 127)
			return refuse(k, "default_room",
			    "holds a control character");
	return 0;
}

static int
check_token(const struct check *k)
{
	struct bytes secret = bytes_str(k->set->token_secret);

	if (secret.n > 0 && secret.n < SECRET_MIN)
		return refuse(k, "token_secret", "needs 16 characters or "
		    "more: openssl rand -hex 32");
	/* The other door to the same channel must not stand open. */
	if (secret.n > 0 && !bytes_starts(bytes_str(k->set->channel),
	    B("private-")))
		return refuse(k, "channel", "must begin with private- beside "
		    "a token_secret: private-room-; or clients of Pusher's "
		    "protocol get in without a token");
	return 0;
}

/* Nobody may reach the names of Peal's own messages by a room's ID. */
static int
check_wire(const struct check *k)
{
	const struct config_backplane *b = &k->d->config->backplane;
	struct bytes raw = bytes_str(k->set->raw_channel);
	struct bytes own = bytes_str(b->channel);

	if (k->set->wire != WIRE_RAW)
		return 0;
	if (b->driver != BACKPLANE_REDIS)
		return refuse(k, "wire", "raw is for [backplane] driver = "
		    "redis");
	if (k->set->binary)
		return refuse(k, "binary", "is not possible with wire = raw: "
		    "text and binary look alike there");
	if (raw.n == 0 || raw.n > BEFORE_MAX)
		return refuse(k, "raw_channel", "is needed, of 1 to 500 "
		    "octets");
	if (bytes_starts(raw, own) || bytes_starts(own, raw))
		return refuse(k, "raw_channel", "must differ from [backplane] "
		    "channel, and neither may begin the other");
	return 0;
}

/* ---- against each other -------------------------------------------------- */

static bool
same(const char *a, const char *b)
{
	return bytes_eq(bytes_str(a), bytes_str(b));
}

static bool
overlap(const char *a, const char *b)
{
	return bytes_starts(bytes_str(a), bytes_str(b)) ||
	    bytes_starts(bytes_str(b), bytes_str(a));
}

/* Two doors to the same rooms: what is the rooms' must be one. */
static bool
agree(const struct config_rooms *a, const struct config_rooms *b)
{
	return same(a->event, b->event) && a->history == b->history &&
	    a->history_ttl == b->history_ttl && a->wire == b->wire &&
	    same(a->raw_channel, b->raw_channel);
}

static int
check_pair(const struct check *k, const struct config_rooms *other)
{
	const struct config_rooms *set = k->set;

	if (same(set->path, other->path))
		return refuse(k, "path", "another [rooms] section has it");
	if (set->sse_path != NULL && same(set->sse_path, other->sse_path))
		return refuse(k, "sse_path", "another [rooms] section has it: "
		    "give each its own, or none");
	if (set->wire == WIRE_RAW && other->wire == WIRE_RAW &&
	    overlap(set->raw_channel, other->raw_channel) &&
	    !(same(set->app, other->app) && same(set->channel, other->channel)))
		return refuse(k, "raw_channel", "begins like that of another "
		    "[rooms] section");
	if (!same(set->app, other->app) ||
	    !overlap(set->channel, other->channel))
		return 0;
	if (!same(set->channel, other->channel))
		return refuse(k, "channel", "begins like that of another "
		    "[rooms] section: its rooms could be reached from there");
	return agree(set, other) ? 0 : refuse(k, "channel", "is that of "
	    "another [rooms] section, which differs in event, history, "
	    "history_ttl, wire or raw_channel");
}

int
config_check_rooms(struct config_draft *d)
{
	struct config *c = d->config;
	size_t i, j;

	for (i = 0; i < c->n_rooms; i++) {
		const struct check k = {
			d, config_draft_nth(d, "rooms", i), &c->rooms[i],
		};

		if (config_check_app(d, k.m, &k.set->app) < 0 ||
		    check_paths(&k) < 0 ||
		    check_parameters(&k) < 0 || check_channel(&k) < 0 ||
		    check_event(&k) < 0 || check_default(&k) < 0 ||
		    config_check_origins(d, k.m, &k.set->allowed_origins) < 0 ||
		    check_token(&k) < 0 || check_wire(&k) < 0)
			return -1;
		for (j = 0; j < i; j++)
			if (check_pair(&k, &c->rooms[j]) < 0)
				return -1;
	}
	return 0;
}
