/* SPDX-License-Identifier: MIT
 *
 * Names of channels and events, as Pusher has them: what they say, and which ones
 * a publisher may not use.
 *
 * Runs in: workers (front doors and API), the router (pealctl and the page).
 */
#ifndef PEAL_CHANNEL_NAME_H
#define PEAL_CHANNEL_NAME_H

#include "common/buf.h"

/* What the name says; see channel_kind(). */
#define CHANNEL_PRIVATE		1	/* needs a signature */
#define CHANNEL_PRESENCE	2	/* has members; private too */
#define CHANNEL_ENCRYPTED	4	/* payload is not ours to read; private too */
#define CHANNEL_CACHE		8	/* the last event is replayed */
#define CHANNEL_USER		16	/* #server-to-user-ID */
#define CHANNEL_BAD		128	/* no valid name */

/* Kind by name (Pusher 1.5): CHANNEL_* bits, 0 for public, CHANNEL_BAD for a
 * name with wrong characters, a # elsewhere, or longer than max. */
unsigned channel_kind(struct bytes name, size_t max);

/* What its prefix alone says, without CHANNEL_USER: of a name that is known to be
 * good, or that need not be. */
unsigned channel_prefix(struct bytes name);

/* An event of the protocol itself, which is the server's alone to send. */
bool	event_reserved(struct bytes name);

#endif
