/* SPDX-License-Identifier: MIT
 *
 * The live page's WebSocket: PATH + "ws" of [page], texts of JSON.  Whoever has
 * logged in is a viewer and asks; it is a client of no application, counts for
 * no limit of one, and is not handed over: at a reload it is closed (1012) and
 * comes back.
 *
 * A viewer says
 *
 *	{"do":"login","token":"..."}	first, within ten seconds
 *	{"do":"watch"}			a report each second; "unwatch" ends it
 *	{"id":7,"do":"report"}		one
 *	{"id":8,"do":"ask","line":{"verb":"channels","app":"1001"}}
 *					a verb of the router (router/control.h)
 *	{"id":8,"do":"stop"}		no more of that answer
 *
 * and hears
 *
 *	{"ok":true,"version":"..","worker":2,"actions":true,
 *	 "charts":true,"apps":[{"id":"1001","label":"main"}]}
 *	{"ok":false,"error":"..","wait":SECONDS}	and is closed
 *	{"report":{..}}, {"id":7,"report":{..}}		see master/report.h
 *	{"id":8,"rows":[..]}		any number of these
 *	{"id":8,"end":true,"ok":true,..}	the rest is the router's last line
 *
 * Reports are made once for all viewers of a worker.  One that does not read
 * misses reports, and of a tail what {"dropped":N} says, as a row of its own.
 *
 * Runs in: workers.  Owned by: its client.  Dies: with it.
 * Fuzzed: tests/fuzz/fuzz_page.c.
 */
#ifndef PEAL_FRONT_PAGE_H
#define PEAL_FRONT_PAGE_H

#include "common/json.h"

/* ---- page_line.c: what the router is asked ---------------------------------- */

struct page_line {
	struct bytes	 verb;
	bool		 tail;		/* the answer has no end */
	bool		 action;	/* it changes something */
	/* For the log: texts, good until the next call; empty if not there. */
	struct bytes	 app, channel, user, socket, event;
};

/*
 * Makes the line for the router in out from what a viewer asks for: a verb of
 * the list that pages may use, its members with their types and lengths
 * checked, written anew; others are left out.  -1 with why.
 */
int	page_line(const struct json *asked, bool actions, struct buf *out,
	    struct page_line *, const char **why);

/* ---- page_knock.c: who tries to log in --------------------------------------- */

/*
 * A token is looked at only while knock_wait() is 0, right or wrong: whoever has to
 * wait learns nothing of it.  What wrong ones cost
 *
 *	an address	three are free, then it waits: a second at first, always
 *			twice as long, five minutes at most
 *	its network	of 24 bits: twelve, then one in ten seconds; of 16 bits:
 *			forty, then one in three seconds
 *	a worker	twenty in a second
 *
 * Of IPv6 an address is a network of 64 bits, and those around it have 48 and 32.
 * Right tokens cost nothing, and an address that had one in the last week answers
 * only for its own wrong ones: guesses from elsewhere do not keep it out.  Each
 * worker counts by itself, so with N workers an address and its networks wait N
 * times as long, half an hour at most.  Some 4,000 of them are remembered; of more,
 * those that were quiet longest are taken for new.
 *
 * from: as conn_from() has it; now: the worker's seconds.
 */
unsigned knock_wait(const char *from, uint32_t now);	/* seconds, 0: go on */
/* How long it must wait now; 0: it may go on. */
unsigned knock_wrong(const char *from, uint32_t now);
void	knock_right(const char *from, uint32_t now);
/* There is another token: who was right or wrong is so no more. */
void	knock_forget(void);

#endif
