/* SPDX-License-Identifier: MIT
 *
 * What the envelopes of messages carry:
 *
 *	ENVELOPE_EVENT	[origin, serial, event, data, user, except_a,
 *			except_b, flags]; its topic is the channel
 *	ENVELOPE_KICK	[origin, serial, app, user], on the cluster's topic
 *	ENVELOPE_HOOK	[app, channel], on the cluster's topic: somebody has
 *			subscribed to this cache channel, and nothing is kept
 *
 * origin and serial name the publisher on its host (peer.h).
 *
 * Runs in: the router.
 */
#ifndef PEAL_PAYLOAD_H
#define PEAL_PAYLOAD_H

#include "common/msg.h"
#include "router/envelope.h"

/* In place of what is in the buf. */
void	event_pack(struct buf *, uint64_t origin, const struct msg_publish *);
void	kick_pack(struct buf *, uint64_t origin, const struct msg_kick *);
/* -1: not well-formed.  Bytes point into the envelope. */
int	event_unpack(const struct envelope *, uint64_t *origin,
	    struct msg_publish *);
int	kick_unpack(const struct envelope *, uint64_t *origin,
	    struct msg_kick *);
void	miss_pack(struct buf *, struct bytes app, struct bytes channel);
int	miss_unpack(const struct envelope *, struct bytes *app,
	    struct bytes *channel);
/* What goes into clients' text frames must be text. */
bool	event_is_sound(const struct msg_publish *);

#endif
