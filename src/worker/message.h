/* SPDX-License-Identifier: MIT
 *
 * A published message, and a run of them: messages of one channel that came
 * together.  A front door makes one frame of a run (per variant: plain, deflated
 * with some window ...), all its clients share it.
 *
 * event, data and user are JSON tokens as the publisher wrote them; data and
 * user may be empty.  But with PUBLISH_TEXT data is UTF-8 and with
 * PUBLISH_BINARY octets, as a client of a room sent them.
 *
 * Runs in: workers, while what one read has brought is handled: the octets stand
 * where they came in.  Owns: its encodings.
 */
#ifndef PEAL_MESSAGE_H
#define PEAL_MESSAGE_H

#include "common/buf.h"
#include "worker/frame.h"

#define MESSAGE_VARIANTS	16	/* a front's variants are below this */
#define RUN_ENCODINGS		32	/* of one run, over all fronts */
#define RUN_MESSAGES		64	/* in one run */
#define RUN_OCTETS		(64u << 10)	/* in more than one message */

struct channel;
struct client;
struct front;

enum message_kind {
	MESSAGE_EVENT,			/* event, data, user; position */
	MESSAGE_ADDED, MESSAGE_REMOVED,	/* a member: id, object */
	MESSAGE_COUNT			/* count */
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
};

/* All messages of a run for one kind of clients, one behind the other. */
struct encoding {
	const struct front	*front;
	unsigned		 variant;
	struct frame		*frame;		/* NULL: this front sends nothing */
	unsigned		 n;		/* messages that it does send */
	uint32_t		 sent;		/* clients that got all of it */
	uint32_t		 end[RUN_MESSAGES];	/* of each in the frame */
};

struct run {
	struct message		 messages[RUN_MESSAGES];
	unsigned		 n;
	size_t			 octets;	/* of them, about */
	struct encoding		 encoded[RUN_ENCODINGS];
	unsigned		 n_encoded, last;
};

/* Is there room for this one, too? */
bool	run_takes(const struct run *, const struct message *);
void	run_add(struct run *, const struct message *);
/* That of a client; borrowed, good until the next call.  Who sends the frame counts
 * that in sent. */
struct encoding *run_encoding(struct run *, const struct client *);
/* A frame of the messages from..to - 1 alone, one reference, and how many of them
 * are in it; NULL: none. */
struct frame *encoding_part(const struct encoding *, unsigned from, unsigned to,
	    unsigned *n);
/* No messages any more; what was sent is counted. */
void	run_clear(struct run *);

#endif
