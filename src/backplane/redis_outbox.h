/* SPDX-License-Identifier: MIT
 *
 * What goes to one node: commands in order, each kept until the broker has
 * answered it.  When the connection breaks, what is not answered is sent again,
 * before what is newer: a broker that took the command but could not answer
 * gets it twice, and receivers drop the copy by its number.
 *
 * All outboxes of a driver share one backlog with a limit in octets: over it
 * the oldest that was not sent is dropped, and what waits longer than
 * backlog_age too.  Questions (fetch) do not wait for a broker that is away.
 *
 * To store is MULTI, SET, PUBLISH, EXEC: value and message change together, or
 * two hosts that publish at a time could leave the older one as the last.  It
 * needs no right to run scripts, which a broker's user better has not.  When
 * the broker has no memory, or no right for us, to SET, the message would be
 * refused with the value: it is published plainly, and so are later stores, until
 * a SET of our own, tried when a connection is made and now and then, is taken
 * again.  In a cluster, a slot on its way (ASK) or without a master (CLUSTERDOWN)
 * stops this value, but not its message.
 *
 * Runs in: the router.  Part of: struct redis_node; struct redis (limbo).
 */
#ifndef PEAL_REDIS_OUTBOX_H
#define PEAL_REDIS_OUTBOX_H

#include <sys/queue.h>

#include "backplane/backplane.h"

struct redis;
struct redis_node;
struct redisReply;

enum redis_command_kind {
	COMMAND_PUBLISH, COMMAND_STORE, COMMAND_FETCH,
	COMMAND_PROBE,	/* may we SET? */
	COMMAND_GHOST	/* was taken away while its answer was due */
};

struct redis_command {
	TAILQ_ENTRY(redis_command) link;
	enum redis_command_kind	 kind;
	unsigned		 lane;
	bool			 sent;
	unsigned		 replies, answered;	/* due, got */
	uint64_t		 cookie, queued_ms;
	char			*wire;		/* RESP */
	size_t			 wire_n;
	size_t			 plain_at, plain_n;	/* PUBLISH in it */
	struct buf		 text;		/* fetched; why it failed */
	bool			 bad;		/* text is why */
	bool			 went;		/* stored or not */
};

TAILQ_HEAD(redis_commands, redis_command);

struct redis_outbox {
	struct redis_commands	 all;		/* the sent ones are first */
	struct redis_command	*unsent;	/* the first of the others */
};

struct redis_backlog {
	uint64_t		 n, octets;	/* in all outboxes */
	bool			 plain;		/* no SET just now */
	uint64_t		 probe_ms;	/* when it is tried again */
	struct redis_commands	 failed;	/* the router is yet to be told */
};

void	redis_backlog_init(struct redis_backlog *);
void	redis_outbox_init(struct redis_outbox *);
/* Frees what is in it, telling nobody. */
void	redis_outbox_done(struct redis *, struct redis_outbox *);
void	redis_backlog_done(struct redis *);

/* The three verbs. */
void	redis_outbox_publish(struct redis *, const struct topic *,
	    struct bytes, uint64_t cookie);
void	redis_outbox_store(struct redis *, const struct topic *,
	    struct bytes, uint64_t ttl_ms, uint64_t cookie);
void	redis_outbox_fetch(struct redis *, const struct topic *,
	    uint64_t cookie);

/* For another process: all messages in it, the oldest first / one of these. */
void	redis_outbox_show(const struct redis_outbox *, void *arg,
	    void (*each)(void *arg, const struct backplane_parcel *));
void	redis_outbox_adopt(struct redis *, const struct backplane_parcel *);

/* Asks whether values can be kept. */
void	redis_outbox_probe(struct redis_node *);

/* Writes what is unsent to the node's publish link, as much as makes sense now;
 * was it any? */
bool	redis_outbox_send(struct redis_node *);
/* Its link broke: all is unsent again, questions fail. */
void	redis_outbox_rewind(struct redis_node *, const char *why);
/* A lane's commands go to the end of another outbox, in order. */
void	redis_outbox_move(struct redis_outbox *from, struct redis_outbox *to,
	    unsigned lane);
/* The answer to the oldest sent command; -1 with why: the link must end. */
int	redis_outbox_reply(struct redis_node *, const struct redisReply *,
	    const char **why);

/* Every second: drops what is too old. */
void	redis_backlog_tick(struct redis *, uint64_t now_ms);
/* Tells the router of commands that failed; from the loop. */
void	redis_backlog_tell(struct redis *);

#endif
