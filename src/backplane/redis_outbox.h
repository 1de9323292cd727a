/* SPDX-License-Identifier: MIT
 *
 * What goes to one node: commands in order, each kept until the broker has
 * answered it.  When the connection breaks, what is not answered is sent again,
 * before what is newer: a broker that took the command but could not answer
 * gets it twice, and receivers drop the copy by its number.
 *
 * All outboxes of a driver share one backlog with a limit in octets; over it
 * the oldest command of all is dropped, and what waits longer than backlog_age
 * too.
 *
 * Runs in: the router.  Part of: struct redis_node; struct redis (limbo).
 */
#ifndef PEAL_REDIS_OUTBOX_H
#define PEAL_REDIS_OUTBOX_H

#include <sys/queue.h>

#include "backplane/backplane.h"

struct redis;
struct redis_link;
struct redis_node;
struct redisReply;

enum redis_command_kind {
	COMMAND_PUBLISH, COMMAND_STORE, COMMAND_FETCH,
	COMMAND_GHOST	/* was taken away while its answer was due */
};

struct redis_command {
	TAILQ_ENTRY(redis_command)	 link;
	enum redis_command_kind		 kind;
	unsigned			 lane;
	uint64_t			 cookie;
	uint64_t			 queued_ms;
	bool				 sent;
	const char			*why;	/* it failed; told later */
	unsigned			 replies;	/* it gets so many */
	unsigned			 answered;
	uint64_t			 ttl_ms;	/* store, fetch */
	char				*wire;	/* RESP, by hiredis */
	size_t				 wire_n;
	struct buf			 text;	/* fetched so far */
};

TAILQ_HEAD(redis_commands, redis_command);

struct redis_outbox {
	struct redis_commands	 all;	/* first sent, then unsent */
	struct redis_command	*unsent;	/* the first of these */
};

struct redis_backlog {
	uint64_t		 n, octets;	/* in all outboxes */
	struct redis_commands	 failed;	/* the router is yet to be told */
};

void	redis_outbox_init(struct redis_outbox *);
/* Frees what is in it, telling nobody. */
void	redis_outbox_done(struct redis *, struct redis_outbox *);

/* The three verbs. */
void	redis_outbox_publish(struct redis *, const struct topic *,
	    struct bytes, uint64_t cookie);
void	redis_outbox_store(struct redis *, const struct topic *,
	    struct bytes, uint64_t ttl_ms, uint64_t cookie);
void	redis_outbox_fetch(struct redis *, const struct topic *,
	    uint64_t cookie);

/* Writes what is unsent to the node's publish link, as much as makes sense. */
void	redis_outbox_send(struct redis_node *);
/* Its link broke: all is unsent again. */
void	redis_outbox_rewind(struct redis *, struct redis_outbox *);
/* A lane's commands go to the end of another outbox, in order. */
void	redis_outbox_move(struct redis_outbox *from, struct redis_outbox *to,
	    unsigned lane);
/* An answer to the oldest sent command; -1 with why: the link must end. */
int	redis_outbox_reply(struct redis_node *, const struct redisReply *,
	    const char **why);

/* Every second: drops what is too old. */
void	redis_backlog_tick(struct redis *, uint64_t now_ms);
/* Tells the router of commands that failed. */
void	redis_backlog_tell(struct redis *);

#endif
