/* SPDX-License-Identifier: MIT
 *
 * Rooms whose wire is raw: on the broker a message is its bare text, because
 * servers of other kinds share it.  So our own messages come back without a
 * number, and are known by what they say: of each topic, the texts of our own
 * that are due are kept as hashes, in order.  The first that is equal is the one
 * that is back; a text that equals none is from somebody else.
 *
 * A text is not due any more when its topic is not listened to and the broker
 * has taken it, or never will.
 *
 * Two hosts that say the same at the same time take each other's for their own:
 * each delivers two, as it should.  Other hosts cannot tell when a message is
 * written a second time because a connection broke: those come twice.
 *
 * Runs in: the router.  Part of: struct router.
 */
#ifndef PEAL_RAW_H
#define PEAL_RAW_H

#include <sys/queue.h>

#include "backplane/backplane.h"
#include "common/hash.h"
#include "common/msg.h"

struct router;

#define RAW_DUE_MAX	4096	/* of a topic; then the oldest is forgotten */

struct raws {
	struct hash	by_topic;	/* struct raw_topic */
	struct hash	by_number;	/* struct raw_own */
};

void	raw_init(struct router *);
void	raw_done(struct router *);

/* Publishes the bare text of a message; false: it has none.  due: this host
 * listens, or will. */
bool	raw_publish(struct router *, const struct topic *,
	    const struct msg_publish *, uint64_t number, bool due);
/* The number of our own that has come back with this text; 0: none. */
uint64_t raw_back(struct router *, const struct topic *, struct bytes text);
/* What somebody else says there, as a message; good until the next call.  -1:
 * no text, or no room. */
int	raw_message(struct router *, const struct topic *, struct bytes text,
	    struct msg_publish *);

/* The broker has taken it, or never will (why). */
void	raw_published(struct router *, uint64_t number, const char *why);
/* The topic is live / is not any more / is not listened to any more. */
void	raw_joined(struct router *, const struct topic *);
void	raw_gap(struct router *, const struct topic *);
void	raw_leave(struct router *, const struct topic *);

#endif
