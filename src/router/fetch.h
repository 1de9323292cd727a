/* SPDX-License-Identifier: MIT
 *
 * Asking the broker for the last message of a cache channel: for a channel that
 * this host has just begun to listen to, and for a question about one that it
 * does not listen to.  What comes is put to the history; no answer within
 * echo_timeout is one too.
 *
 * Runs in: the router.  Owned by: the router's list.  Dies: with its answer.
 */
#ifndef PEAL_FETCH_H
#define PEAL_FETCH_H

#include <sys/queue.h>

#include "common/hash.h"

struct envelope;
struct fetch;
struct router;
struct topic;

TAILQ_HEAD(fetch_list, fetch);

struct fetches {
	struct fetch_list	 list;		/* the oldest first */
	struct hash		 by_cookie;
	uint64_t		 last;		/* cookie */
};

void	fetch_init(struct router *);
void	fetch_done(struct router *);

/* Can the broker be asked at all? */
bool	fetch_possible(const struct router *);
/*
 * Asks; the cookie, never 0.  When it is answered, or not in time,
 * pending_fetched() and answers_fetched() are told.
 *
 * listening: this host is joined to the channel's topic.  The answer then waits
 * for a mark that was published behind the question: all that is older than
 * the mark has come by then, so that nothing that is answered, or older, comes
 * once more after it.
 */
uint64_t fetch_ask(struct router *, struct bytes app, struct bytes channel,
	    bool listening);

/* A mark that answers no question. */
void	fetch_mark(struct router *, const struct topic *);

/* From the driver. */
void	fetch_answered(struct router *, uint64_t cookie, struct bytes octets,
	    uint64_t ttl_ms, const char *why);
/* ENVELOPE_MARK of our own; -1: its payload is wrong. */
int	fetch_marked(struct router *, const struct envelope *);
/* The broker is gone: nothing will be answered. */
void	fetch_down(struct router *);
void	fetch_turn(struct router *);
/* clock_ms() when fetch_turn() has something to do; 0: never. */
uint64_t fetch_due(const struct router *);

#endif
