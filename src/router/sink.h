/* SPDX-License-Identifier: MIT
 *
 * Where the answer to a question goes, line by line: the descriptor of pealctl,
 * or, as told, the worker that passes the question on (worker/ask.h).
 *
 * What is written collects and leaves at the end of the turn.  A descriptor gets
 * what the kernel takes; a worker's link, which carries clients' messages, too,
 * gets nothing while SINK_LINK octets wait on it.  The rest waits here: whoever
 * writes looks at sink_backlog() and stops, or leaves something out.
 *
 * Runs in: the router.  Part of: struct control.  Owns: the descriptor.
 */
#ifndef PEAL_ROUTER_SINK_H
#define PEAL_ROUTER_SINK_H

#include "common/buf.h"

struct event;
struct peer;
struct router;

#define SINK_LINK	(256u << 10)
#define SINK_TOLD	(128u << 10)	/* octets of one told, about */

struct sink {
	struct router	*router;
	int		 fd;		/* pealctl's; -1: a worker's ask */
	struct event	*on_write;	/* wakes the loop */
	struct peer	*peer;
	uint64_t	 cookie;
	struct buf	 out;		/* whole lines */
	size_t		 at;		/* gone of out */
	uint64_t	 moved;		/* clock_ms() when something went */
	bool		 ended;		/* nothing more is added */
	bool		 over;		/* all has left, or nobody is there */
};

/* One of them; takes the descriptor. */
void	sink_to_fd(struct sink *, struct router *, int fd);
void	sink_to_ask(struct sink *, struct peer *, uint64_t cookie);
void	sink_done(struct sink *);

/* The last line: {"ok":true}, or why not.  What comes behind it is nobody's. */
void	sink_ok(struct sink *);
void	sink_fail(struct sink *, const char *why);
/* It may be asked again in a moment: with "again":true. */
void	sink_again(struct sink *, const char *why);

/* Octets that have not left. */
static inline size_t
sink_backlog(const struct sink *s)
{
	return s->out.n - s->at;
}

/* The end of a turn: what can leave leaves. */
void	sink_flush(struct sink *);
/* Each second: is somebody there, and does he read? */
void	sink_check(struct sink *);

#endif
