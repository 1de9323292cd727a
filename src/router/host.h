/* SPDX-License-Identifier: MIT
 *
 * The hosts that the backplane joins, as this one sees them: a row each, with
 * what that host last said of its own clients (subscribers per channel, members
 * per presence channel, signed-in users, connections per application).  These
 * numbers are added to our own in every answer, so each host answers at once
 * from memory.
 *
 * Each router tells its own row as changes (tell.h); its heartbeat repeats the
 * change number, how many rows it told and their sum, and who missed something
 * asks for a snapshot, which goes out in chunks and replaces what is known
 * without a blink.  A host that falls silent for host_timeout loses its row,
 * and its members leave.  While it is this host that cannot reach the broker, or
 * does not hear itself, rows are kept for partition_timeout.
 *
 * Runs in: the router.  Owned by: the router's list.  Dies: when it is lost, its
 * rows are gone and nothing that it wrote can come again, or hosts_done().
 */
#ifndef PEAL_HOST_H
#define PEAL_HOST_H

#include <sys/queue.h>

#include "common/hash.h"
#include "router/census_wire.h"
#include "router/envelope.h"
#include "router/seen.h"

#define HOSTS_MAX	1000		/* others */
#define AWAY_MAX	(8u << 20)	/* rows of all of them ... */
#define AWAY_OCTETS_MAX	(1u << 30)	/* ... and of names and objects */
#define HOSTS_SAID_MAX	100	/* lines of hosts that come and go ... */
#define HOSTS_SAID_EVERY 10000	/* ... in so many ms */
#define SWEEP_TURN	2000		/* rows dropped in one turn */
#define WANT_AGAIN	1000		/* ms */
#define AWAIT_MOST	1500		/* ms from start */
#define AWAIT_ANSWERS	150		/* ms from our hello's return */

struct event;
struct router;

enum host_state {
	HOST_WANTED,		/* something is missing of what it holds */
	HOST_KNOWN,
	HOST_LOST		/* its rows are dropped; what was seen of it is
				   kept for a while */
};

struct host {
	TAILQ_ENTRY(host)	 link;
	struct hash_link	 by_node;
	struct router		*router;
	uint64_t		 node, incarnation;
	uint64_t		 heard;		/* clock_ms() */
	struct seen		*seen;		/* passage.c makes it, NULL
						   until then; seen_free() */
	enum host_state		 state;
	bool			 begun;		/* epoch is known */
	uint64_t		 epoch;		/* of its router */
	uint64_t		 number;	/* of its last changes */
	TAILQ_HEAD(, away)	 rows;		/* by mark */
	uint64_t		 n_rows, sum;
	uint64_t		 mark;		/* for rows told from now on */
	uint64_t		 swept;		/* those with a lower one go */
	bool			 sweeping;	/* until they have gone */
	bool			 crowded;	/* we had no room for some */
	bool			 taking;	/* a snapshot, of which */
	uint64_t		 id, index;	/* these come next */
	uint64_t		 want_at;	/* clock_ms(): ask for one */
	char			 name[WIRE_HOST_MAX + 1];
};

/* How this host reaches the others. */
struct contact {
	bool			 up;		/* the broker can be reached */
	bool			 returned;	/* our hello came back */
	bool			 told;		/* we told all that we hold */
	bool			 crowded;	/* too many hosts; said so */
	uint64_t		 since;		/* clock_ms() of up or down,
						   or when we heard again */
	uint64_t		 started, answers_by;
	uint64_t		 echoed;	/* own words came back last */
	uint64_t		 turned;	/* last turn */
	uint64_t		 next_beat, next_want, next_look;
	uint64_t		 woken;		/* the timer is set for */
	uint64_t		 said_since;	/* lines of who comes and goes */
	unsigned		 said, unsaid;
	struct event		*timer;
	struct hash		 by_node;
	uint64_t		 rows, octets;	/* of all hosts */
	unsigned		 sweeping;	/* hosts */
	char			 name[WIRE_HOST_MAX + 1];	/* ours */
};

/*
 * The host that an envelope of another node comes from, made known if it is
 * new; NULL if it must be ignored (an older incarnation of a node).  Called by
 * carrier.c for every good envelope but our own.
 */
struct host *host_of(struct router *, const struct envelope *);
/* An envelope of kind HELLO to BYE, from another host, or our own (own: host is
 * NULL).  -1: its payload is wrong, nothing of it was taken. */
int	host_take(struct router *, struct host *, const struct envelope *);

/* May the log tell of one that came or went?  Anybody may say on the broker that
 * he is a host. */
bool	hosts_say(struct router *);
/* Its rows go, in the next turns, and then the host. */
void	host_lost(struct host *, const char *why);
/* Rows that were not told since its mark was raised go, in the next turns. */
void	host_sweep(struct host *);
/* Ask it for all that it holds, in so many ms. */
void	host_want(struct host *, uint64_t in_ms);

/* Before the jail. */
void	hosts_init(struct router *);
void	hosts_done(struct router *);
/* The broker can be reached again: say hello. / Not any more. */
void	hosts_up(struct router *);
void	hosts_down(struct router *);
/* We end in good order. */
void	hosts_bye(struct router *);
/* A heartbeat out of turn. */
void	hosts_beat(struct router *);
/* End of a turn: changes go out, heartbeats, the silent ones are dropped.  True
 * if the next turn must not wait. */
bool	hosts_turn(struct router *);
/* While a new router waits for the workers, does it have to wait for other
 * hosts yet?  False if alone, if all that answered have told all, or if it has
 * taken too long. */
bool	hosts_awaited(const struct router *);
/* Can the others be reached, and has each of them told what it holds? */
bool	hosts_told(const struct router *);

#endif
