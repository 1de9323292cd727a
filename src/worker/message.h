/* SPDX-License-Identifier: MIT
 *
 * A published message and its encodings.  A front door makes each encoding
 * once (per variant: plain, deflated with some window ...), all its clients
 * share it.
 *
 * event, data and user are JSON tokens as the publisher wrote them; data and
 * user may be empty.  But with PUBLISH_TEXT data is UTF-8 and with
 * PUBLISH_BINARY octets, as a client of a room sent them.
 *
 * Runs in: workers, while one deliver is handled.  Owns: its encodings.
 */
#ifndef PEAL_MESSAGE_H
#define PEAL_MESSAGE_H

#include "common/buf.h"
#include "worker/frame.h"

#define MESSAGE_VARIANTS	16	/* a front's variants are below this */
#define MESSAGE_ENCODINGS	32	/* of one message, over all fronts */

struct channel;
struct client;
struct front;

enum message_kind {
	MESSAGE_EVENT,			/* event, data, user; position */
	MESSAGE_ADDED, MESSAGE_REMOVED,	/* a member: id, object */
	MESSAGE_COUNT			/* count */
};

struct encoding {
	const struct front	*front;
	unsigned		 variant;
	struct frame		*frame;		/* NULL: this front sends nothing */
};

struct message {
	enum message_kind	 kind;
	unsigned		 flags;		/* PUBLISH_*: what data is */
	const struct channel	*channel;
	struct bytes		 event, data, user;
	struct bytes		 id, object;
	uint64_t		 count;
	uint64_t		 position_epoch, position_offset;
	uint32_t		 except_a, except_b;	/* socket id left out, or 0 0 */
	uint64_t		 serial;	/* who has it already: fanout.h */
	struct encoding		 encoded[MESSAGE_ENCODINGS];
	unsigned		 n_encoded, last;
};

/* The frame for a client, or NULL; borrowed, good until message_done(). */
struct frame *message_frame(struct message *, const struct client *);
void	message_done(struct message *);

#endif
