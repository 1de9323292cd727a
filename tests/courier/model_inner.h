/* SPDX-License-Identifier: MIT
 *
 * Inside the model of a courier (model.h): what it knows, for its three files.
 *
 *	model.c		texts, queues, settings, the journal; comparing
 *	model_said.c	what the router says, and what must be said of it
 *	model_sent.c	requests, and how they are answered
 */
#ifndef PEAL_TEST_COURIER_MODEL_INNER_H
#define PEAL_TEST_COURIER_MODEL_INNER_H

#include "model.h"

#include <inttypes.h>
#include <limits.h>

#include "courier/body.h"

#define ITEMS		600	/* of a queue */
#define RECENTS		300
#define NONE		UINT_MAX

struct item {
	unsigned	 text;		/* number in texts */
	unsigned	 counts;	/* the channel of a subscription_count */
	uint64_t	 since;
};

struct goal {
	struct wish	 wish;		/* there: in the settings */
	bool		 exists;
	unsigned	 n;
	struct item	 items[ITEMS];
	uint64_t	 octets;
	unsigned	 n_request;
	char		 id[TARGET_ID + 1];
	unsigned	 body;		/* of the request */
	bool		 asked;		/* it is under way */
	bool		 ripe;		/* it could be made, before a count moved */
	unsigned	 failures;
	uint64_t	 failing_since, try_from, try_until;
};

struct state {
	bool		 there, held;
	unsigned	 since_roll;	/* the roll that named it last */
	uint64_t	 since, turn;	/* held; those of one turn in any order */
};

struct recent {
	uint64_t	 when, node;
	unsigned	 kind, app, channel, user;
};

struct model {
	struct goal	 goals[TARGETS];
	uint64_t	 hold_back, max_queue, max_requests;
	struct state	 states[FACTS];
	unsigned	 known[APPS], rolled[APPS];
	unsigned	 roll;
	bool		 rolling, settled;
	uint64_t	 turn;
	uint64_t	 missed[APPS][CHANNELS];
	struct recent	 recent[RECENTS];
	unsigned	 n_recent;
	uint64_t	 epoch, serial;
	unsigned	 number[APPS];		/* of client events, the last */
	uint64_t	 taken, delivered, dropped, expired;	/* in this life */
	uint64_t	 began;			/* waited at its beginning */
};

/* An event that must be said next. */
struct due {
	unsigned	 kind, app, channel, user;
	unsigned	 text;
	bool		 again;		/* CHANGE_NONE, though a state */
};

extern struct rig *rig;
extern struct model now, kept;	/* kept: as the journal has it */
extern struct choice hosts;
extern char **texts;
extern unsigned said[APPS], lost[APPS];	/* numbers of client events */
extern unsigned delivered_ever;
extern uint64_t seed;

#define WRONG(...) do {							\
		print_error("PEAL_TEST_SEED=%" PRIu64 ": ", seed);	\
		fail_msg(__VA_ARGS__);					\
	} while (0)
#define MUST(what) do {							\
		if (!(what))						\
			WRONG("not so: %s", #what);			\
	} while (0)

unsigned text_keep(char *);	/* takes it; its number */
unsigned text_of_state(unsigned kind, unsigned channel, unsigned user);
unsigned text_of_event(const struct msg_hook_event *);
unsigned number_of(struct bytes name, const char *const *names, unsigned n);
unsigned app_of(struct bytes);
unsigned channel_of(struct bytes);

uint64_t model_octets(void);	/* of all queues */
uint64_t model_items(void);
/* What an application's targets want: 1 << EVENT_*, SAID_*. */
unsigned model_wanted(unsigned app);
unsigned model_classes(unsigned app);
/* Which targets must get it: a set of bits.  Counts. */
unsigned goal_takers(const struct due *);
void	goal_push(struct goal *, const struct due *);
void	goal_pop(struct goal *, unsigned n);
/* A new request of one that does not fail: is it time? */
bool	goal_may_begin(const struct goal *);
/* Requests, of targets that fail or all. */
struct goal *goal_of(const struct target *);
unsigned under_way(bool failing);
bool	nothing_asked(void);
/* Nothing is to be said. */
void	said_begin(void);

#endif
