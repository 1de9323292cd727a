/* SPDX-License-Identifier: MIT
 *
 * Questions of this worker to the router and to the master whose answer is text
 * for somebody outside: what pealctl can ask, too (router/control.h), and what
 * the master knows of all processes (REPORT_* of msg.h).
 *
 * An asking is embedded, and must be taken back with ask_cancel() if its owner
 * dies before the end.
 *
 * Runs in: workers.
 */
#ifndef PEAL_ASK_H
#define PEAL_ASK_H

#include <sys/queue.h>

#include "common/msg.h"

struct asking {
	TAILQ_ENTRY(asking)	 link;
	uint64_t		 cookie;
	bool			 armed;
	bool			 of_router;
	/* Some of the answer, whole lines; end: that was all, and the asking may
	 * be used again.  If the router was lost meanwhile, or is not there: one
	 * line {"ok":false,"error":...,"again":true}, as a router says it, and
	 * the end.  May cancel and free. */
	void			(*told)(struct asking *, struct bytes, bool end);
};

/* line: {"verb":...}, without a newline. */
void	ask_router(struct asking *, struct bytes line);
void	ask_master(struct asking *, unsigned what);
/* Also when it is not armed. */
void	ask_cancel(struct asking *);

/* ---- for worker.c and uplink.c ---------------------------------------------- */
void	ask_on_told(const struct msg_told *);
void	ask_on_report(const struct msg_report *);
/* The router is gone. */
void	ask_lost(void);

#endif
