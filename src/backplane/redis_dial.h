/* SPDX-License-Identifier: MIT
 *
 * Making a connection: finds the addresses of a place and tries one after the
 * other.  Numeric addresses need nobody; names and unix sockets are asked of
 * the router (backplane.h, resolve), as a process in jail can open neither.
 *
 * Runs in: the router.  Part of: a link.
 */
#ifndef PEAL_REDIS_DIAL_H
#define PEAL_REDIS_DIAL_H

#include <netinet/in.h>

#include "common/msg.h"

#define DIAL_ADDRESSES	16

struct event;
struct redis;
struct redis_place;

struct redis_dial {
	struct redis		*redis;
	/* fd: a connected, non-blocking socket that is now the callee's; or
	 * -1 with why.  Called from the loop, once per start. */
	void			(*done)(void *ctx, int fd, const char *why);
	void			*ctx;

	uint64_t		 cookie;	/* asked for; 0: nothing */
	uint16_t		 port;
	struct in6_addr		 address[DIAL_ADDRESSES];
	uint8_t			 size[DIAL_ADDRESSES];	/* 4 or 16 */
	unsigned		 n, next;
	int			 fd;
	struct event		*wait;		/* connected, or too late */
	struct event		*late;		/* no answer to resolve */
	char			 why[160];
};

void	redis_dial_init(struct redis_dial *, struct redis *,
	    void (*done)(void *ctx, int fd, const char *why), void *ctx);
void	redis_dial_done(struct redis_dial *);

/* Not from inside a verb: it may ask for a name at once. */
void	redis_dial_start(struct redis_dial *, const struct redis_place *);
/* Nothing is called any more. */
void	redis_dial_stop(struct redis_dial *);

/* Answers to resolve, if the cookie is ours; the descriptor is taken. */
void	redis_dial_resolved(struct redis_dial *, const struct msg_list *,
	    const char *why);
void	redis_dial_connected(struct redis_dial *, int fd);

#endif
