/* SPDX-License-Identifier: MIT
 *
 * What this host listens to on Redis.  Joins and leaves collect during a turn
 * and leave in commands of up to 512 names.  A topic has one request under way
 * at most; when it is answered and the wish has changed, the next one is sent.
 * Answers are taken by the name in them, never by count: "subscribe" means that
 * from here on messages arrive, whoever asked.
 *
 * Names on the broker: PREFIX:APP:CHANNEL, in a cluster PREFIX:{TAG}:APP:CHANNEL,
 * with ":", "%", "{" and "}" in APP percent-encoded so that no two topics share
 * a name.  A raw topic has the name it is given, and is never sharded.
 *
 * Runs in: the router.  Part of: struct redis.
 */
#ifndef PEAL_REDIS_TOPICS_H
#define PEAL_REDIS_TOPICS_H

#include <sys/queue.h>

#include "backplane/backplane.h"
#include "common/hash.h"

struct redis;
struct redis_node;
struct redisReply;

enum redis_asked { ASKED_NOTHING, ASKED_SUBSCRIBE, ASKED_UNSUBSCRIBE };

struct redis_topic {
	struct hash_link		 by_name;
	TAILQ_ENTRY(redis_topic)	 of_lane;
	TAILQ_ENTRY(redis_topic)	 ask;	/* of its node */
	TAILQ_ENTRY(redis_topic)	 tell;
	unsigned			 lane;
	bool				 raw;
	bool				 wanted;	/* by the router */
	bool				 live;	/* the broker said subscribed */
	bool				 told;	/* joined() was the last word */
	bool				 asks;	/* in ask */
	bool				 tells;	/* in tell */
	bool				 owed;	/* up() waits for it */
	bool				 alone;	/* in a command of its own */
	enum redis_asked		 asked;	/* under way */
	uint64_t			 asked_ms;
	size_t				 app_n, channel_n, name_n;
	char				 text[];	/* app channel name */
};

TAILQ_HEAD(redis_topic_list, redis_topic);

struct redis_topics {
	struct hash		 by_name;
	struct redis_topic_list	 lane[LANES];
	struct redis_topic_list	 orphans;	/* ask, but have no node */
	struct redis_topic_list	 tell;		/* was live when joined */
	uint64_t		 owed;
};

void	redis_topics_init(struct redis_topics *);
void	redis_topics_done(struct redis *);

/* The name on the broker, appended. */
void	redis_topic_name(struct redis *, const struct topic *, struct buf *);

void	redis_topics_join(struct redis *, const struct topic *);
void	redis_topics_leave(struct redis *, const struct topic *);
/* joined() for those that were live already; from the loop. */
void	redis_topics_tell(struct redis *);

/* The node's subscribe link is up: all of its lanes are asked for. */
void	redis_topics_ask_all(struct redis_node *);
/* Sends what is queued for the node; forgets what nobody wants. */
void	redis_topics_send(struct redis_node *);
/* The same for what has no node. */
void	redis_topics_forget(struct redis *);
/* Its subscribe link is gone: gap() for each that was joined. */
void	redis_topics_lost(struct redis_node *);
/* The lane is about to leave this node for another, or none: gap() for each
 * that was joined; they are asked for there. */
void	redis_topics_move(struct redis *, unsigned lane,
	    struct redis_node *from, struct redis_node *to);

void	redis_topics_message(struct redis_node *, struct bytes name,
	    struct bytes payload);
int	redis_topics_reply(struct redis_node *, const struct redisReply *,
	    const char **why);
/* up() need not wait any longer. */
void	redis_topics_forgive(struct redis *);
/* Every second: asks again for what is not answered. */
void	redis_topics_tick(struct redis *, uint64_t now_ms);

#endif
