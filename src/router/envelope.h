/* SPDX-License-Identifier: MIT
 *
 * What hosts write to each other over the broker: a msgpack array
 *
 *	[ENVELOPE_VERSION, node, incarnation, number, kind, app, channel, payload]
 *
 * and, if [backplane] signing is on, behind it the 32 octets of
 * HMAC-SHA256(signing_key, all octets before).
 *
 * node and incarnation name a start of a host; number counts all that it wrote:
 * its upper 24 bits are the generation of its router, so that it rises when a
 * router is replaced.  app and channel repeat the topic, so that a signed
 * envelope cannot be played on another one.
 *
 * Everything in it is untrusted until opened; then it is as trustworthy as
 * those who can write to the broker (signing off) or know the key.
 *
 * Runs in: the router.  Fuzzed: tests/fuzz/fuzz_envelope.c.
 */
#ifndef PEAL_ENVELOPE_H
#define PEAL_ENVELOPE_H

#include "common/buf.h"

#define ENVELOPE_VERSION	1
#define ENVELOPE_NUMBER(generation)	((uint64_t)(generation) << 40)

enum envelope_kind {
	ENVELOPE_EVENT = 1,	/* a message of a channel: passage.c */
	ENVELOPE_KICK,		/* end a user's connections: passage.c */
	ENVELOPE_HELLO,		/* the rest: host.c */
	ENVELOPE_BEAT,
	ENVELOPE_WANT,
	ENVELOPE_CHANGES,
	ENVELOPE_SNAPSHOT,
	ENVELOPE_BYE,
	ENVELOPE_MARK,		/* to oneself, on a channel's topic: fetch.c */
	ENVELOPE_HOOK,		/* a cache missed, for webhooks: hooks_tell.c */
	ENVELOPE_KINDS
};

struct envelope {
	uint64_t		 node, incarnation, number;
	enum envelope_kind	 kind;
	struct bytes		 app, channel;	/* of the topic */
	struct bytes		 payload;
};

/* Appends.  key: empty for none. */
void	envelope_seal(struct buf *, const struct envelope *, struct bytes key);

enum envelope_fault {
	ENVELOPE_GOOD, ENVELOPE_BAD, ENVELOPE_BAD_VERSION, ENVELOPE_BAD_KIND,
	ENVELOPE_BAD_SIGNATURE,
	ENVELOPE_BAD_PAYLOAD,	/* what its kind's reader says */
	ENVELOPE_FAULTS
};
/* Takes all of it or nothing; bytes of the result point into the octets. */
enum envelope_fault envelope_open(struct bytes, struct bytes key,
	    struct envelope *);
/* One that we sealed with this key and have kept: the signature is not looked
 * at. */
enum envelope_fault envelope_open_own(struct bytes, struct bytes key,
	    struct envelope *);

#endif
