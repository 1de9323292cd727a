/* SPDX-License-Identifier: MIT
 *
 * RFC 7692 permessage-deflate, without context takeover in both directions:
 * nothing is kept per connection, a message is compressed once for all that
 * share a window size, and a hand-over has nothing to move.
 *
 * Runs in: workers.  Owns: one zlib state per window size and one for reading,
 * per process.
 */
#ifndef PEAL_DEFLATE_H
#define PEAL_DEFLATE_H

#include "common/buf.h"

/*
 * Picks the first offer of a Sec-WebSocket-Extensions list that can be served.
 * Returns the window bits to compress with (9..15) and appends the answer's
 * value, or 0 if none fits (no extension is answered then).  Never an error: a
 * list that cannot be parsed is no offer.
 */
unsigned deflate_negotiate(struct bytes offers, struct buf *answer);

/* Compresses a whole message; the 00 00 FF FF tail is taken off (7.2.1). */
void	deflate_message(struct bytes, unsigned window_bits, struct buf *out);

/*
 * Inflates a whole message (7.2.2), appending to out; stops as soon as more
 * than max octets came out.  0, -1 bad data, -2 too large.
 */
int	inflate_message(struct bytes, size_t max, struct buf *out);

#endif
