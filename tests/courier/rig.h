/* SPDX-License-Identifier: MIT
 *
 * For tests of src/courier: a courier in the test's process.  The test plays the
 * master and the router, has HTTP servers that do as they are told, and a clock to
 * turn.
 *
 * The courier can be killed (rig_kill()): nothing is written any more, the journal
 * stays, and rig_start() makes the next one.
 */
#ifndef PEAL_TEST_COURIER_RIG_H
#define PEAL_TEST_COURIER_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/ipc.h"
#include "common/util.h"
#include "courier/courier.h"

#define RIG_PATIENCE_MS	120000

#define RIG_APP	"[app main]\nid = 1001\nkey = app-key\nsecret = app-secret\n"

struct event_base;

/* ---- a server --------------------------------------------------------------- */

/* How a request is answered; a status and, instead of an answer: */
enum {
	ANSWER_STALL = 1,	/* nothing is said */
	ANSWER_RESET,		/* the connection is reset */
	ANSWER_DRIP,		/* an octet now and then, for ever */
	ANSWER_GIANT,		/* 200 with an endless body */
	ANSWER_CUT,		/* 200, and a reset in the middle of the body */
	ANSWER_HEADS,		/* an endless head */
	ANSWER_REDIRECT,	/* 302 to /other of the same server */
	ANSWER_LATER,		/* 503 with Retry-After: 120 */
};

struct request {
	char		*head, *body;	/* NUL behind them */
	size_t		 n;		/* of the body */
};

struct visitor;

struct server {
	struct event_base *base;
	struct event	*accept;
	int		 fd;
	unsigned	 port;
	int		 answers[64];	/* for the next requests; then 200 */
	unsigned	 n_answers;
	int		 always;	/* instead of 200 */
	struct request	*requests;
	size_t		 n, cap;
	unsigned	 connections;	/* ever made */
	LIST_HEAD(, visitor) visitors;
};

struct server *server_new(struct event_base *);
void	server_free(struct server *);
/* How the next request is answered, behind those that were named before. */
void	server_answer(struct server *, int status_or_answer);
/* The i-th request; there must be one. */
const struct request *server_request(const struct server *, size_t i);
/* A line of its head: value, or NULL.  Good until the next call. */
const char *request_header(const struct request *, const char *name);
/* Events of all requests that were answered with 2xx..., in order, as one text:
 * bodies without their frame, a comma between. */
void	server_events(const struct server *, struct buf *);

/* ---- the rig ---------------------------------------------------------------- */

struct rig {
	struct event_base *base;
	struct courier	*courier;
	struct ipc	*master;	/* our ends */
	struct ipc	*router;
	bool		 ready, router_gone, master_gone;
	uint64_t	 serial, epoch, acked;
	int		 journal[2];	/* memfds */
	struct kept {
		uint64_t	 serial;
		struct buf	 frame;
	}		*kept;		/* not acknowledged */
	size_t		 n_kept, cap_kept;
	char		*settings;	/* text of all */
	char		*reports[16];	/* hook_report, newest of each target */
	char		*report_names[16];
	/* Names: answered at once, if there are addresses. */
	char		 asked[300];	/* the last */
	unsigned	 n_asked;
	uint64_t	 cookie;
	const struct bytes *addresses;
	uint32_t	 n_addresses;
	bool		 mute;		/* no answer */
	bool		 quick;		/* nothing is waited for */
};

/* With one more application or [webhook] sections: settings behind RIG_APP, and
 * allow_private unless they say something of [courier]. */
struct rig *rig_new(const char *settings);
struct rig *rig_make(const char *settings);	/* without a courier yet */
void	rig_free(struct rig *);
/* The clock goes on by so much, and the courier looks at it. */
void	rig_later(struct rig *, uint64_t ms);
void	rig_clock_stop(void);	/* time passes by rig_later() alone */
/* Runs until it is true. */
#define rig_until(g, what)	do {					\
		uint64_t end_ = rig_deadline();				\
		while (!(what)) {					\
			rig_turn(g);					\
			if (rig_real_ms() > end_)			\
				fail_msg("never happened: %s", #what);	\
		}							\
	} while (0)
uint64_t rig_deadline(void);
uint64_t rig_real_ms(void);
/* One turn of the loop and the courier, waiting 10 ms at most. */
void	rig_turn(struct rig *);
/* Some turns, without anything to wait for. */
void	rig_idle(struct rig *);

/* Starting and ending. */
void	rig_kill(struct rig *);
void	rig_start(struct rig *);	/* without a router's link */
void	rig_settings(struct rig *, const char *);	/* live */
void	rig_settings_next(struct rig *, const char *);	/* of the next courier */
void	rig_stop(struct rig *, uint64_t grace_ms);	/* until it is done */

/* The router: a link with hook_hosts, and a whole empty roll. */
void	rig_link(struct rig *);
void	rig_link_bare(struct rig *);	/* nothing is said */
void	rig_unlink(struct rig *);
void	rig_hosts(struct rig *, uint64_t own, uint64_t lost,
	    const uint64_t *nodes, uint32_t n);
void	rig_roll(struct rig *, bool on);
void	rig_state(struct rig *, const char *channel, const char *user,
	    bool present);
void	rig_state_of(struct rig *, const char *app, const char *channel,
	    const char *user, bool present);
void	rig_event(struct rig *, struct msg_hook_event);
void	rig_client(struct rig *, const char *channel, const char *data);
/* What is not acknowledged once more, on a new link. */
void	rig_resend(struct rig *);
void	rig_forget(struct rig *);	/* what is not acknowledged */
/* Until all that was said is acknowledged. */
void	rig_acked(struct rig *);

#endif
