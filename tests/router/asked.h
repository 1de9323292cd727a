/* SPDX-License-Identifier: MIT
 *
 * What questions of pealctl and of workers are to come to: a simple model, and a
 * comparison with what the router makes of them.  Who plays askers, workers and
 * time says here what has happened (begins(), goes(), is_missing() ...), and then
 * calls run_and_check().
 */
#ifndef TESTS_ROUTER_ASKED_H
#define TESTS_ROUTER_ASKED_H

#include "driver.h"

#define ASKERS		24
#define IDS		200
#define ROWS		60

enum wish {
	INSPECT, SLOW, KICK_SOCKET, KICK_USER, TAIL, TAIL_OPENED, CHANNELS,
	PUBLISH, HOSTS, NONSENSE, VERBS
};

enum stand {
	FREE,
	UNREAD,		/* a worker's, whose link is not read */
	HELD,		/* by an heir that waits */
	WAITS,		/* for workers */
	TAILS,
	ENDS		/* all that it is to get is known */
};

struct row {
	unsigned	backlog;
	char		text[80];
};

struct asker {
	enum stand	 stand;
	enum wish	 verb;
	unsigned	 id;
	struct rig	*rig;
	struct mate	*mate;		/* NULL: by a descriptor */
	int		 fd;
	bool		 asleep;	/* does not read */
	bool		 left;
	bool		 end;		/* it was told so */
	struct buf	 got, want;

	/* WAITS */
	uint64_t	 cookie, deadline, total, missing;
	bool		 waits[MATES];
	unsigned	 limit, n_rows;
	struct row	 rows[ROWS];
};

/* Closing a user: what each worker is to hear, and has heard. */
struct closing {
	struct rig	*rig;
	unsigned	 due[MATES], got[MATES];
};

enum moment { QUIET, RAISED, YIELDS, MOVED };

extern struct asker askers[ASKERS];
extern struct closing closings[IDS];
extern struct rig *rig, *heir;	/* in force, and its successor or NULL */
extern enum moment moment;
extern bool opened_told[2][MATES];	/* to workers of rig, and of heir */
extern unsigned n_ids, seed;
extern struct asked_seen {
	unsigned	answers, again, published, closed, handovers;
} seen;

#define WRONG(a, what) fail_msg("seed %u: asker %u, verb %u: %s: got \"%s\" " \
	"want \"%s\"", seed, (a)->id, (a)->verb, what, buf_cstr(&(a)->got), \
	buf_cstr(&(a)->want))

bool	lives(const struct mate *);
size_t	index_of(const struct mate *);
/* Does it keep what it is asked until it is in force? */
bool	is_held(const struct rig *);
/* NULL: there is none any more. */
struct asker *find_asker(unsigned id);

/* The router looks at the question / ended it because it is replaced. */
void	begins(struct asker *);
void	replaced(struct asker *);
/* It knows that nobody waits for an answer any more / never will. */
void	goes(struct asker *);
void	forget(struct asker *);
/* All that are waited for have answered? */
void	complete_if_all(struct asker *);
/* This worker is dead. */
void	is_missing(struct rig *, const struct mate *);
/* Those who have waited too long at this time. */
void	expire(struct rig *, uint64_t now);
/* If rig is in force by now. */
void	held_begin(void);
/* Until nothing happens any more: is all as it is to be? */
void	run_and_check(void);

#endif
