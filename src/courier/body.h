/* SPDX-License-Identifier: MIT
 *
 * What a webhook says: the events as Pusher writes them, the body they stand in,
 * its signature.
 *
 *	{"time_ms":1700000000000,"events":[{"name":"channel_occupied",...},...]}
 *
 * Runs in: the courier.  Owns: nothing.
 */
#ifndef PEAL_COURIER_BODY_H
#define PEAL_COURIER_BODY_H

#include "common/buf.h"
#include "common/msg.h"

/* In the journal, too: never change a number. */
enum event_kind {
	EVENT_OCCUPIED = 1, EVENT_VACATED, EVENT_ADDED, EVENT_REMOVED,
	EVENT_CLIENT, EVENT_MISS, EVENT_COUNT, EVENT_OPENED, EVENT_CLOSED,
	EVENT_KINDS
};

/* "channel_occupied"; NULL for a number that is none. */
const char *body_name(unsigned kind);
/* 0 for a name that is none. */
unsigned body_kind(struct bytes name);
/* Of a state that came or went. */
static inline unsigned
body_of_state(bool member, bool present)
{
	return member ? present ? EVENT_ADDED : EVENT_REMOVED :
	    present ? EVENT_OCCUPIED : EVENT_VACATED;
}

/* The object of one event, appended; the names are UTF-8. */
void	body_state(struct buf *, unsigned kind, struct bytes channel,
	    struct bytes user);
/* Of a hook_event.  -1, and nothing appended: a field that is no JSON or no
 * UTF-8. */
int	body_once(struct buf *, const struct msg_hook_event *);
/* The kind of it; 0 if there is no such. */
unsigned body_of_hook(uint64_t kind);

/* The body's beginning and end; between stand events with commas. */
void	body_begin(struct buf *, uint64_t time_ms);
void	body_end(struct buf *);
/* X-Pusher-Signature: hexadecimal HMAC-SHA256 of the body. */
void	body_sign(struct bytes secret, struct bytes body, char hex[64]);

#endif
