/* SPDX-License-Identifier: MIT
 *
 * Questions to the census and their answers, row by row.
 *
 * A question is answered at the end of the turn, after every link was read once
 * more: a worker tells its numbers before its client hears of them, so what a
 * client knows, the answer knows.  Lists go out in slices, as fast as who asked
 * reads them: a turn looks at SLICE rows for all lists of the API, and as many for
 * those of pealctl and pages, which take turns.  A channel or member that
 * disappears between two slices is left out, a new one may be in.
 *
 * Runs in: the router.  Owned by: the router's list.  Dies: with its last row,
 * or with who asked.
 */
#ifndef PEAL_ANSWER_H
#define PEAL_ANSWER_H

#include <sys/queue.h>

#include "common/msg.h"

struct answer;
struct member;
struct peer;
struct route;
struct router;

#define SLICE		1000		/* rows in one turn, looked at */
#define SLICE_BACKLOG	(1u << 20)	/* octets unread by who asked: wait */

/* Where rows go. */
struct answer_ops {
	void	(*row)(void *to, uint64_t cookie, const struct msg_row *);
	void	(*done)(void *to, uint64_t cookie);
	/* Octets that wait to be read. */
	size_t	(*backlog)(const void *to);
};

TAILQ_HEAD(answer_list, answer);

/* kind: QUERY_*; app and name as in msg_query. */
void	answer_ask(struct router *, unsigned kind, struct bytes app,
	    struct bytes name, uint64_t cookie, const struct answer_ops *,
	    void *to);
/* A worker's query. */
void	answer_query(struct router *, struct peer *, const struct msg_query *);
/* Who asked is gone; no done() comes. */
void	answers_forget(struct router *, const void *to);

/* At the end of a turn: reads all links if a question waits, then answers.
 * True if there is more to do at once. */
bool	answers_turn(struct router *);

/* What was asked of the broker with this cookie (fetch.h) is here, or will not
 * come. */
void	answers_fetched(struct router *, uint64_t cookie);

/* These are about to be freed; walks step over them. */
void	answers_skip_route(struct router *, const struct route *);
void	answers_skip_member(struct router *, const struct member *);

#endif
