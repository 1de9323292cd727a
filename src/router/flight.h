/* SPDX-License-Identifier: MIT
 *
 * Own messages in flight: given to the backplane, wanted by clients of this
 * host, not back yet.
 *
 * Numbers are consecutive, so the table is a ring that is indexed by number; a
 * number that is not in flight (nobody here wanted it, or it is back) is a
 * hole, and holes at the front are given up.  Each keeps its sealed envelope,
 * from which it is delivered; what the broker brings back only says when.
 *
 * A lane keeps its order: what is older on it has to be delivered first, so
 * each lane is a queue.
 *
 * It knows for each worker up to which serial nothing is in flight: that is
 * what may be acknowledged (peer.h).
 *
 * Runs in: the router.  Part of: struct passage.
 */
#ifndef PEAL_FLIGHT_H
#define PEAL_FLIGHT_H

#include "backplane/backplane.h"
#include "common/buf.h"

struct peer;

struct flight {
	uint64_t	 number;
	uint64_t	 sent;		/* clock_ms() */
	struct peer	*from;		/* NULL: nobody waits for it (any more) */
	uint64_t	 origin, serial; /* of who published it */
	uint64_t	 settled;	/* what `from` had settled before it */
	uint64_t	 before, after;	/* numbers in flight of the same; 0: none */
	uint64_t	 lane_next;	/* in flight on the same lane; 0: none */
	uint64_t	 at;		/* of its octets, counted since the start */
	uint32_t	 n;
	uint16_t	 lane;
	bool		 live;		/* no hole */
};

struct flights {
	struct flight	*ring;
	uint64_t	 room;		/* a power of two, or 0 */
	uint64_t	 first;		/* number at the front */
	uint64_t	 n;		/* from there on, holes included */
	uint64_t	 live;
	struct {
		uint64_t	 first, last;	/* numbers; 0: none */
	} lanes[LANES];
	struct buf	 octets;	/* their envelopes, one behind the other */
	uint64_t	 dropped;	/* octets that stood before those */
	size_t		 past;		/* at their front, not needed any more */
};

void	flights_init(struct flights *);
void	flights_done(struct flights *);

/* Where the next envelope is sealed.  What is there and is not taken by
 * flight_add() must be cut off again. */
struct buf *flights_tail(struct flights *);
/* Octets kept. */
size_t	flights_octets(const struct flights *);

/* A message is in flight.  Its envelope is the last n octets of the tail; its
 * number is larger than all before.  Fill in sent, origin, serial and from
 * (through flight_of()). */
struct flight *flight_add(struct flights *, uint64_t number, unsigned lane,
	    uint32_t n);
/* A worker waits for it; settled: the last serial before this one. */
void	flight_of(struct flights *, struct flight *, struct peer *,
	    uint64_t settled);
/* NULL if it is not in flight. */
struct flight *flight_find(struct flights *, uint64_t number);
/* The oldest one, of all and of a lane.  NULL: none. */
struct flight *flight_first(const struct flights *);
struct flight *flight_first_of(const struct flights *, unsigned lane);
/* Good until something is added. */
struct bytes flight_octets(const struct flights *, const struct flight *);
/* It is delivered.  It must be the oldest of its lane. */
void	flight_end(struct flights *, struct flight *);
/* A worker is dead; its messages stay in flight. */
void	flights_forget(struct flights *, struct peer *);

#endif
