/* SPDX-License-Identifier: MIT
 *
 * A published message and its encodings.  A front door makes each encoding
 * once (per variant: plain, deflated with some window ...), all its clients
 * share it.
 *
 * event, data and user are JSON tokens as the publisher wrote them; data and
 * user may be empty.
 *
 * Runs in: workers, while one deliver is handled.  Owns: its encodings.
 */
#ifndef PEAL_MESSAGE_H
#define PEAL_MESSAGE_H

#include "common/buf.h"
#include "worker/frame.h"

#define MESSAGE_VARIANTS	16

struct front;
struct client;

struct message {
	struct bytes	 channel;	/* name, as text */
	struct bytes	 event, data, user;
	uint64_t	 position_epoch, position_offset;
	uint32_t	 except_a, except_b;	/* socket id left out, or 0 0 */
	const struct front *front;	/* whose encodings these are */
	struct frame	*encoded[MESSAGE_VARIANTS];
};

/* The frame for a client; borrowed, good until message_done(). */
struct frame *message_frame(struct message *, const struct client *);
void	message_done(struct message *);

#endif
