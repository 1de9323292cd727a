/* SPDX-License-Identifier: MIT
 *
 * One connection to one Redis: finds the address, connects, TLS, signs in, and
 * then carries commands out and replies in.  It keeps itself honest: a PING each
 * second, and an end when nothing is heard for [backplane] timeout.
 *
 * A link does not reconnect on its own.  When an attempt fails or the
 * connection breaks, down() is called, and the owner says where to go next by
 * redis_link_open() (also from inside down()).  Pauses between attempts (50 ms
 * to 1 s, with jitter) are made in there, and are forgotten when the link was
 * well for a while or is sent to another place.
 *
 * What is written collects until redis_links_flush(), once a turn.
 *
 * Everything read is bounded before it is believed (redis_reply.h); what is
 * wrong ends the connection, never the process.
 *
 * Runs in: the router.  Owned by: who made it.  Dies: redis_link_free(), also
 * from inside its own calls to the owner (its memory goes a turn later).
 */
#ifndef PEAL_REDIS_LINK_H
#define PEAL_REDIS_LINK_H

#include <sys/queue.h>

#include "common/buf.h"

struct redis;
struct redis_link;
struct redisReply;	/* hiredis */

/* host: a name, a numeric address, or /path of a unix socket. */
struct redis_place {
	char		host[256];
	uint16_t	port;
};

/* What is said after connecting.  Strings belong to the owner and are read at
 * each attempt; empty or NULL: not said. */
struct redis_sign {
	const char	*user, *password;
	const char	*name;		/* CLIENT SETNAME; no blanks */
	uint64_t	 database;
	bool		 master;	/* refuse a replica (ROLE) */
};

struct redis_link_ops {
	/* Signed in: commands may be sent.  Nothing of an earlier connection
	 * will be answered. */
	void	(*up)(void *ctx, struct redis_link *);
	/* The attempt failed or the connection broke. */
	void	(*down)(void *ctx, struct redis_link *, const char *why);
	/* A reply that is no answer to the link's own PING: on a publish link
	 * the answer to the oldest command, on a subscribe link anything but
	 * messages.  -1 with why ends the connection (down() follows). */
	int	(*reply)(void *ctx, struct redis_link *,
		    const struct redisReply *, const char **why);
	/* message or smessage; on subscribe links.  May be NULL. */
	void	(*message)(void *ctx, struct redis_link *,
		    struct bytes channel, struct bytes payload);
};

/* subscriber: replies do not pair with commands, and there are messages. */
struct redis_link *redis_link_new(struct redis *, bool subscriber,
	    const struct redis_sign *, const struct redis_link_ops *,
	    void *ctx);
void	redis_link_free(struct redis_link *);

/* Goes there; what there was is dropped without down(). */
void	redis_link_open(struct redis_link *, const struct redis_place *);
/* Ends what there is, without down(); redis_link_open() begins again. */
void	redis_link_close(struct redis_link *);

bool	redis_link_up(const struct redis_link *);
/* Closed, or down() was just called: it waits for redis_link_open(). */
bool	redis_link_idle(const struct redis_link *);
const struct redis_place *redis_link_place(const struct redis_link *);
/* "10.0.0.1:6379" or the path; good until the link's next open. */
const char *redis_link_text(const struct redis_link *);
/* Last round trip of a PING, in microseconds; 0: none yet. */
uint64_t redis_link_rtt_us(const struct redis_link *);
/* For so long may others, whose attempts failed as often as ours (or once
 * more), still be in their pause. */
uint64_t redis_link_others_ms(const struct redis_link *);

/* Queues a command; only while up. */
void	redis_link_command(struct redis_link *, size_t argc,
	    const struct bytes *argv);
/* The same, written in RESP already: n commands. */
void	redis_link_wire(struct redis_link *, struct bytes wire, uint64_t n);
/* Octets queued that the kernel has not taken. */
size_t	redis_link_unwritten(const struct redis_link *);
/* Writes what is queued; a failure shows later. */
void	redis_link_flush(struct redis_link *);

/* ---- all links of a driver ------------------------------------------------ */

/* Frees what was freed, writes what is queued on any link. */
void	redis_links_flush(struct redis *);
/* Answers to resolve; an unknown cookie is nothing (a descriptor is closed). */
struct msg_list;
void	redis_links_resolved(struct redis *, uint64_t cookie,
	    const struct msg_list *, const char *why);
void	redis_links_connected(struct redis *, uint64_t cookie, int fd);

/* "HOST:PORT", "HOST", "[::1]:6379", "/path"; -1 if it is none of them. */
int	redis_place_parse(struct redis_place *, struct bytes text,
	    uint16_t default_port);
bool	redis_place_eq(const struct redis_place *, const struct redis_place *);

#endif
