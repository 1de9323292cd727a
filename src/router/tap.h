/* SPDX-License-Identifier: MIT
 *
 * Live tails of events: what passes this router of one application, told line by
 * line to whoever asked (control.h).
 *
 *	{"time":MS,"app":"1001","kind":"published","channel":"news",
 *	    "event":"hello","data":"{\"a\":1}"}
 *
 *	published	a message, whether somebody hears it or not; one of another
 *			host when it is delivered here
 *	client_event	the same of a client: socket_id, user (in presence
 *			channels)
 *	occupied	a channel has its first subscriber over all hosts
 *	vacated		it lost its last one
 *	member_added, member_removed	user; data: the member's object
 *	opened, closed	of connections, for tails of no certain channel:
 *			socket_id, user; data: the words of its close
 *
 * A field that there is nothing for is left out.  data is the text of a string,
 * else the JSON as it stands, cut at a character; length, where it
 * was cut: octets of its JSON.  Octets that are no text are "(N octets)", and binary is true.
 *
 * Workers tell of connections only while somebody wants to see them (or a
 * [webhook]): who that is they are told with each tail that opens or closes.
 *
 * Nothing waits for a tail: over TAP_RATE lines a second, or with TAP_WAITING
 * octets unread, what comes is left out, counted, and told as {"dropped":N}
 * before the next line.  While nobody tails it costs one test an event.
 *
 * Runs in: the router.  Owned by: its control.  Dies: with it.
 */
#ifndef PEAL_ROUTER_TAP_H
#define PEAL_ROUTER_TAP_H

#include <sys/queue.h>

#include "common/msg.h"

struct event;
struct member;
struct peer;
struct route;
struct router;
struct sink;
struct tap;

#define TAPS_MAX	16
#define TAP_RATE	1000		/* lines of one in a second */
#define TAP_WAITING	(1u << 20)	/* octets of one that wait */
#define TAP_EVERY	50		/* ms that lines may wait for others */
#define TAP_DATA	1000		/* octets shown, if not said */
#define TAP_DATA_MAX	65536

enum tap_kind {
	TAP_PUBLISHED, TAP_CLIENT_EVENT, TAP_OCCUPIED, TAP_VACATED,
	TAP_MEMBER_ADDED, TAP_MEMBER_REMOVED, TAP_OPENED, TAP_CLOSED,
	TAP_KINDS
};

struct taps {
	LIST_HEAD(, tap)	 all;
	unsigned		 n;
	struct event		*timer;
	bool			 armed;		/* the timer runs */
	bool			 due;		/* what waits is to leave */
	struct buf		 token, text;	/* of what is shown */
};

/* What somebody wants to see. */
struct tap_wish {
	struct bytes	app;
	struct bytes	channel;	/* a name, a prefix and *, or empty */
	unsigned	kinds;		/* bits; 1 << TAP_PUBLISHED ... */
	uint64_t	data;		/* octets of it, 0: none */
};

/* -1: there is no kind of that name. */
int	tap_kind(struct bytes name);
/* That there is none, and which there are; good until the next call. */
const char *tap_no_kind(void);

/* NULL: there are too many. */
struct tap *tap_open(struct router *, struct sink *, const struct tap_wish *);
void	tap_close(struct tap *);
void	taps_init(struct router *);
void	taps_done(struct router *);
/* A worker is new: what it has to tell for those that are open. */
void	taps_greet(struct router *, struct peer *);

/* What happens.  Only to be called while taps.n is not 0. */
void	tap_message(struct router *, const struct msg_publish *);
void	tap_channel(struct route *, bool occupied);
void	tap_member(struct route *, const struct member *, bool present);
void	tap_connection(struct router *, const struct msg_connection *);

/* May what waits leave at the end of this turn, or does it wait for more? */
bool	tap_due(const struct tap *);
/* The end of a turn, behind that. */
void	taps_turn(struct router *);
/* Each second: what was left out is told. */
void	taps_tick(struct router *);

#endif
