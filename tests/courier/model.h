/* SPDX-License-Identifier: MIT
 *
 * What a courier must do, written down a second time and simply: a model that goes
 * along with the courier of a rig and fails the test where the two part.
 *
 * It hears what the courier hears (handlers, settings and the answers of targets are
 * wrapped by the linker), says what must come of it, and sees what does: each event
 * that goes into queues, each request that is made, each request that is sent.  What
 * the journal holds is a copy of the model, taken when the courier has written its
 * own; a courier that is killed leaves that copy behind.
 *
 * Targets are played in here, too: a request waits until the test answers it.
 * The test's dice are all the chance there is, and time stands still but for
 * rig_later(): a seed does the same each time.
 */
#ifndef PEAL_TEST_COURIER_MODEL_H
#define PEAL_TEST_COURIER_MODEL_H

#include "rig.h"

#define TARGETS		4
#define APPS		2
#define CHANNELS	4	/* of each application */
#define USERS		4	/* the first is nobody: the channel itself */
#define FACTS		(APPS * CHANNELS * USERS)
#define FACT(app, channel, user) \
	(((app) * CHANNELS + (channel)) * USERS + (user))
#define SIGNS		64	/* octets of a secret, a key */

/* A [webhook], and what it says. */
struct wish {
	bool		 there;
	unsigned	 app, events;	/* 1 << EVENT_* */
	bool		 prefix;	/* only "presence-" */
	unsigned	 url;		/* a number */
	uint64_t	 most, wait, retry_for, max_queue, timeout;
	char		 secret[SIGNS], key[SIGNS];
};

struct wishes {
	struct wish	 at[TARGETS];
	uint64_t	 hold_back, max_queue, max_requests;
};

extern const char *const model_apps[APPS], *const model_channels[CHANNELS],
    *const model_users[USERS];

/* How the journal's files are written. */
extern bool model_disk_full;

unsigned dice(unsigned n);
bool	one_in(unsigned n);

void	model_begin(struct rig *, uint64_t seed);
void	model_done(void);
/* The settings that come next. */
void	model_wishes(const struct wishes *);
/* The router that spoke is gone, and what it had not been answered for. */
void	model_router_lost(void);
/* The numbers of client events that were said of an application. */
void	model_said(unsigned app, unsigned number);
/* The courier was killed. */
void	model_killed(void);
/* Nothing moves any more: everything is compared. */
void	model_compare(void);

/* Requests that wait for an answer, and one of them. */
unsigned model_asked(void);
enum { SAYS_YES, SAYS_NO, SAYS_LATER, SAYS_NOTHING, SAYS };
void	model_answer(unsigned which, unsigned how);

/* At the end of all: every client event came to the courier, nothing waits, and
 * this is what is announced. */
void	model_all_done(void);
/* The service has ended: nothing waits but for targets that count as dead. */
void	model_hopeless(void);
bool	model_announced(unsigned fact);
unsigned model_delivered(void);

#endif
