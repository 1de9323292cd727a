/* SPDX-License-Identifier: MIT
 *
 * Plain rooms, what their two doors (rooms.c, sse.c) share: which section a
 * request is for, which room, who may enter, and what a message is as text.
 *
 * A room is a channel of an application: the section's `channel` and the room's
 * ID.  So everything that reaches a channel reaches the room: the HTTP API,
 * clients of other doors, other hosts.
 *
 * A token is EXPIRES.SIGNATURE: a time in seconds since 1970, and the hex
 * HMAC-SHA256 with token_secret of ROOM:EXPIRES, where ROOM is the ID as the
 * client names it, decoded.  It is the room's: sections that shall not open
 * each other's rooms of the same name need secrets of their own.
 *
 * Runs in: workers.  Fuzzed: tests/fuzz/fuzz_rooms.c.
 */
#ifndef PEAL_FRONT_ROOM_H
#define PEAL_FRONT_ROOM_H

#include "front/front.h"

/* A [rooms] section, also while its settings change; never freed. */
struct room_section {
	const struct config_rooms	*set;	/* NULL: it is gone */
	char				*label;
};

/* What hangs on a client in a room (of_front). */
struct guest {
	const struct room_section	*section;
	uint64_t			 since_epoch, since_offset;	/* sse */
	char				*lines;		/* sse: for its head */
	bool				 trusted;	/* needs no token any more */
	uint16_t			 name_n;
	char				 name[];	/* of the channel */
};

static inline struct guest *
guest_of(const struct client *c)
{
	return c->of_front;
}

static inline const struct config_rooms *
guest_set(const struct client *c)
{
	return guest_of(c)->section->set;
}

static inline struct bytes
guest_channel(const struct client *c)
{
	return bytes_of(guest_of(c)->name, guest_of(c)->name_n);
}

/* CHANNEL_* of a room: it is private to Pusher's clients, or not. */
unsigned guest_kind(const struct client *);

/* ---- sections -------------------------------------------------------------- */

/* The hooks settings, stays and done of both doors. */
void	rooms_settings(const struct config *);
bool	guest_stays(const struct client *);
void	guest_done(struct client *);

/* The hooks freeze and thaw of both doors.  What a client has told before it is
 * granted, or waits for its room, is not carried: it does not go then. */
int	guest_freeze(const struct client *, struct buf *, const char **why);
int	guest_thaw(struct client *, struct bytes, const char **why);

/* Does a request want to become a WebSocket? */
static inline bool
room_upgrade(const struct http_request *req)
{
	return http_list_has(req->upgrade, B("websocket"));
}

/* The section with this path / whose sse_path begins it; NULL. */
const struct room_section *room_section_ws(struct bytes path);
const struct room_section *room_section_sse(struct bytes path);

/* ---- entering -------------------------------------------------------------- */

/* The last parameter of this name in a query, decoded; empty if it is not
 * there.  False: it is badly encoded.  Good until the next call. */
bool	room_parameter(struct bytes query, const char *name, struct bytes *);

/* May a page of the request's Origin enter? */
bool	room_origin(const struct room_section *, const struct http_request *);
/* Fills in a refusal; gives false. */
bool	room_refuse(struct front_refusal *, unsigned status, const char *words);

/*
 * Makes the client a guest of the room `id` (decoded), if application and name
 * are good.  False: refused.
 */
bool	guest_new(struct client *, const struct room_section *, struct bytes id,
	    struct front_refusal *);

/* Is this a token for the guest's room, now? */
bool	guest_token(const struct client *, struct bytes token);
/* It has none, or a wrong one; counts that. */
void	guest_no_token(const struct client *);

/* ---- messages -------------------------------------------------------------- */

/* What a message is as text: that of a text, of a JSON string, or JSON as it
 * stands.  False: it has none.  Good until the next call. */
bool	room_text(const struct message *, struct bytes *text);
/* The name of its event; empty if that is the one the room's texts have. */
struct bytes room_event(const struct message *);

#endif
