/* SPDX-License-Identifier: MIT
 *
 * What a Redis says, in RESP2, made fit to be believed: every length, count and
 * depth is checked against a limit before memory is taken for it (hiredis
 * accepts an array of 100,000,000 elements), and only whole replies reach
 * redisReader.  Messages, the many, are pointed at where they lie and never
 * get there; nor do numbers.
 *
 * A reply that is whole but longer than allowed is skipped without being kept:
 * somebody else's long message costs that message, not the connection.
 *
 * Runs in: the router.  Owned by: its link.  Fuzzed: tests/fuzz/fuzz_redis.c.
 */
#ifndef PEAL_REDIS_REPLY_H
#define PEAL_REDIS_REPLY_H

#include "common/buf.h"

struct redisReply;
struct redisReader;

#define REPLY_DEPTH	4	/* arrays in arrays */
#define REPLY_ELEMENTS	32768	/* of one array, and of all in a reply */
#define REPLY_LINE	8192	/* octets of a line that is no length */
#define REPLY_BULK_ANY	(512u << 20)	/* more is no Redis */

enum redis_got {
	REDIS_GOT_NOTHING,	/* more octets are needed */
	REDIS_GOT_REPLY,
	REDIS_GOT_MESSAGE,
	REDIS_GOT_TOO_LONG,	/* a whole reply, which is gone */
	REDIS_GOT_GARBAGE	/* the connection must end */
};

struct redis_replies {
	size_t			 max;		/* octets of one reply */
	size_t			 at;		/* looked at so far */
	size_t			 gone;		/* skipped of this reply */
	unsigned		 depth, elements;
	uint32_t		 left[REPLY_DEPTH];
	bool			 too_long, ended;
	bool			 bulk;		/* at stands behind one */
	struct redisReader	*reader;

	/* the result */
	struct redisReply	*made;		/* by the reader; ours to free */
	const struct redisReply	*reply;
	struct bytes		 channel, payload;
	const char		*why;
};

/* max: octets of the longest reply that is taken. */
void	redis_replies_init(struct redis_replies *, size_t max);
void	redis_replies_done(struct redis_replies *);
/* Another connection: what was begun is forgotten. */
void	redis_replies_reset(struct redis_replies *);

/*
 * Looks for a reply in `in`, which starts where the last one ended.  *used
 * octets are done with, also when nothing was got.  The result is good until
 * the next call; channel and payload point into `in`.
 */
enum redis_got redis_replies_next(struct redis_replies *, struct bytes in,
	    size_t *used);

/* Is it a string (of any kind) with this text? */
bool	redis_reply_is(const struct redisReply *, const char *text);
/* Its text; empty if it is no string. */
struct bytes redis_reply_text(const struct redisReply *);

#endif
