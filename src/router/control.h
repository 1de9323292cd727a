/* SPDX-License-Identifier: MIT
 *
 * Questions and commands from outside: connections of pealctl whose verb is the
 * router's, passed on by the master with the line that came, and what a worker
 * asks for somebody (worker/ask.h).  Both say the same, a line of JSON:
 *
 *	{"verb":"channels","app":"chat","prefix":"news-"}
 *
 * and get lines of JSON, the last one {"ok":true,...} or
 * {"ok":false,"error":"why"}, which has "again":true if the same may well be
 * answered in a moment, by the next router.  app is an id or a label of [app LABEL]; it may be
 * left out where there is only one.
 *
 *	channels	prefix, match (a part of the name), limit
 *		{"channel":"a","subscriptions":3,"users":2}
 *		last: total, with those over the limit
 *	users		channel
 *		{"id":"1","member":{...}}
 *	connections
 *		{"app":"1","open":9,"subscribed":7}
 *	inspect		channel, user, socket ("123.456"), slow (true: only those
 *			for whom octets wait, the most first), limit (100, at
 *			most 1000); without app: of all
 *		{"app":"1","socket_id":"123.456","front":"pusher","worker":1,
 *		"address":"192.0.2.1","user":"7","channels":2,"names":["a","b"],
 *		"backlog":0,"age":12,"idle":3}
 *		of this host; user: signed in as, or who it is in a presence
 *		channel, or null; names: the first 20; backlog: octets that wait;
 *		age and idle: seconds
 *		last: total; missing: workers that did not answer, by slot
 *	kick		user: all connections that signed in as this user, or are
 *			it in a presence channel, on all hosts; last: closed, how
 *			many of this host that are; elsewhere, where hosts are
 *			joined: those that signed in there; missing.  It is done
 *			even if the asker goes before the answer
 *			socket: one of this host; last: closed (0 or 1), missing
 *	terminate	user: the same as kick
 *	tail		channel (a name, or a prefix and *), kinds (a list of
 *			names), data (octets shown, 1000, at most 65536)
 *		see tap.h; until who asked goes
 *	publish		channel, event, data (all strings); what the API would
 *			refuse is refused
 *	backplane	see overview.h
 *	hosts		its rows alone
 *
 * Lists go out as fast as they are read.  Who does not read for half a minute is
 * left.  A router that is replaced answers what it can, and then says so: tails
 * and questions to workers end at once.  How those end that wait for something:
 *
 *			the asker goes	a worker dies,	the router is replaced
 *					or is late
 *	lists		forgotten	-		go on while they are
 *							read, then "again"
 *	inspect		forgotten	missing		"again"
 *	kick, socket	workers know	missing		"again"
 *	kick, user	done at once	missing		"again"; done if nobody
 *							is there to ask
 *	tail		forgotten	-		"again"
 *
 * A worker that dies takes what it asked for others with it: these have gone.
 *
 * Runs in: the router.  Dies: when the answer is written, or the other side has
 * gone.  Fuzzed: tests/fuzz/fuzz_control.c.
 */
#ifndef PEAL_ROUTER_CONTROL_H
#define PEAL_ROUTER_CONTROL_H

#include "common/msg.h"

struct peer;
struct router;

#define CONTROLS_MAX	64	/* descriptors at a time */
#define ASKS_MAX	64	/* and asks of workers */
#define CONTROLS_READ	200	/* ms without anything read: it is not waited
				   for when this router is replaced */

/* Takes the descriptor and answers the request. */
void	control_take(struct router *, int fd, struct bytes request);
/* The same for a worker / its asker does not listen any more. */
void	control_ask(struct peer *, const struct msg_ask *);
void	control_ask_end(struct peer *, uint64_t cookie);
/* A worker is dead. */
void	controls_forget(struct router *, const struct peer *);

/* In a turn: those that waited for this router begin. */
void	controls_turn(struct router *);
/* Behind all that may add something: writes what can leave. */
void	controls_write(struct router *);
/* Each second. */
void	controls_tick(struct router *);
/* Our successor is to be in force: what takes long ends / all ends. */
void	controls_yield(struct router *);
void	controls_freeze(struct router *);
/* Between the two: is somebody being answered who reads? */
bool	controls_busy(const struct router *);
void	controls_done(struct router *);

#endif
