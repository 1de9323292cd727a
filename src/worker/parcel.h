/* SPDX-License-Identifier: MIT
 *
 * The link of a hand-over (handover.h): parcels over a SOCK_SEQPACKET pair, one a
 * packet, a msgpack array [kind, ...] with the descriptors beside it.
 *
 * The other side may be another release, and may be broken.  A kind that is not
 * known here is passed over, as are fields behind the known ones; those that are
 * missing are 0 or empty.  What is malformed ends the link.  A record whose
 * descriptor was lost on the way (no more files may be open here), is another
 * one than the sender meant, or whose octets are not all there, comes with a
 * fault, and only it is refused.
 *
 * When a link ends, what the other side had sent before is still handed out, and
 * on_gone() follows: so who gives something away knows at the end of it what
 * was accepted.  parcel_written() tells how much of ours the kernel has taken; the
 * other side will find that, also if this process dies.
 *
 * Runs in: workers.  Owned by: who called parcel_link_new().
 */
#ifndef PEAL_PARCEL_H
#define PEAL_PARCEL_H

#include "common/buf.h"

struct event_base;
struct parcel_link;

/* As on the wire; never used again. */
enum parcel_kind {
	PARCEL_CHANNEL = 1,	/* app name of_kind */
	PARCEL_OFFERED = 2,	/* n */
	PARCEL_TAKE = 3,
	PARCEL_RECORD = 4,	/* was epoch dev ino size record */
	PARCEL_SLICED = 5,
	PARCEL_TAKEN = 6,	/* was */
	PARCEL_REFUSED = 7,	/* was why again */
	PARCEL_WATCH = 8,	/* was online offline */
	PARCEL_OVER = 9,
};

/* Which fields count, the kind says; the others are 0. */
struct parcel {
	enum parcel_kind kind;
	uint64_t	 was;		/* number of a conn on the old side */
	struct bytes	 app, name;
	uint64_t	 of_kind;	/* CHANNEL_* bits */
	uint64_t	 n;
	uint64_t	 epoch;		/* router's, when it was packed */
	struct bytes	 record;
	uint64_t	 dev, ino;	/* of its socket; parcel_send() sets them */
	uint64_t	 size;		/* of a record that came beside; likewise */
	struct bytes	 why;
	uint64_t	 again;		/* nothing is wrong with it: try later */
	struct bytes	 online, offline;	/* packed arrays of names */
	int		 fd;		/* record: its socket */
	const char	*fault;		/* record: received, but no good */
};

struct parcel_ops {
	/* Octets are good until return; fd is the callee's (-1: none). */
	void	(*on_parcel)(void *ctx, struct parcel *);
	/* Called once, from the loop; nothing can be sent any more. */
	void	(*on_gone)(void *ctx, const char *why);
};

#define PARCEL_INLINE	(32u << 10)	/* a longer record lies in a memfd */
#define PARCEL_RECORD_MAX (256u << 20)	/* octets of a record */
#define PARCEL_QUEUE	(64u << 20)	/* octets that may wait for the kernel */
#define PARCEL_NAMES	(16u << 10)	/* octets of a list of names */
#define PARCEL_WHY	200		/* octets of a reason; more is cut off */

/* Takes the descriptor. */
struct parcel_link *parcel_link_new(struct event_base *, int fd,
	    const struct parcel_ops *, void *ctx);
/* Also from inside its own calls. */
void	parcel_link_free(struct parcel_link *);
/* Nothing more is sent or expected; on_gone() follows. */
void	parcel_link_end(struct parcel_link *, const char *why);

/* Queues it.  The socket of a record remains the caller's and must stay open
 * until parcel_flush() was called.  -1 with why: a record that cannot go. */
int	parcel_send(struct parcel_link *, const struct parcel *,
	    const char **why);
/* Writes what the kernel takes; the rest follows by itself. */
void	parcel_flush(struct parcel_link *);
/* Parcels ever queued, and taken by the kernel. */
uint64_t parcel_queued(const struct parcel_link *);
uint64_t parcel_written(const struct parcel_link *);

/* ---- for the link itself, and tests ---------------------------------------- */

/* Appends the packet's octets. */
void	parcel_pack(struct buf *, const struct parcel *);
/* 1; 0: of a kind that is not known here; -1: malformed. */
int	parcel_unpack(struct bytes, struct parcel *);

#endif
