/* SPDX-License-Identifier: MIT
 *
 * What is said on a new connection before it can be used: user and password,
 * database, a name for CLIENT LIST, is it a master?, and a PING, which a server
 * that is not ready refuses.  All of it is sent at once; the answers are judged
 * one by one.
 *
 * Runs in: the router.  Part of: a link.
 */
#ifndef PEAL_REDIS_SIGN_H
#define PEAL_REDIS_SIGN_H

#include "common/buf.h"

struct redis_sign;
struct redis_step;
struct redisReply;

#define SIGN_STEPS	6

struct redis_signing {
	const struct redis_step	*step[SIGN_STEPS];	/* answers due */
	unsigned		 n, at;
	bool			 mute;		/* we may not PING */
};

/* Appends what is to be said. */
void	redis_signing_say(struct redis_signing *, const struct redis_sign *,
	    struct buf *out);
/* The next answer: 1 all is well, 0 more must come, -1 refused, with why. */
int	redis_signing_take(struct redis_signing *, const struct redisReply *,
	    char *why, size_t size);

/* Appends a command, as RESP. */
void	redis_command(struct buf *, size_t argc, const struct bytes *argv);

#endif
