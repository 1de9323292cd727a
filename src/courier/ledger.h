/* SPDX-License-Identifier: MIT
 *
 * What the journal's records say, and what a courier that begins makes of them.
 * Each is an array of msgpack:
 *
 *	EVENT	 [1, kind, app, channel, user, text, change, [target, ...],
 *		  epoch, serial]
 *		 text is put into the queues of these targets.  change: the fact
 *		 (channel or member) is announced (1), announced as gone (2), or
 *		 nothing of the kind (0).  epoch and serial: as SERIAL
 *	FACT	 [2, app, channel, user]	announced
 *	REQUEST	 [3, target, id, time_ms, n]	the first n in its queue are one
 *	DONE	 [4, target, n]			the first n are delivered or dropped
 *	GONE	 [5, target]			its section is gone, all dropped
 *	SERIAL	 [6, epoch, serial]		taken from the router so far
 *	KNOWN	 [7, app, classes]		see said.h
 *	FORGET	 [8, app, classes]		facts that nobody wants
 *
 * An event, its fact and where it comes from are one record: there is no place to die
 * between, also if only a part of what was written has come into the file.  Others
 * are passed over, and so are those that are not whole: releases may differ.
 *
 * Runs in: the courier.  Owns: nothing.
 */
#ifndef PEAL_COURIER_LEDGER_H
#define PEAL_COURIER_LEDGER_H

#include "common/buf.h"

struct courier;
struct notice;
struct target;

#define LEDGER_TARGETS	100000	/* targets of one event */

enum { CHANGE_NONE, CHANGE_CAME, CHANGE_WENT };

void	ledger_event(struct courier *, const struct notice *, struct bytes text,
	    unsigned change, struct target *const *to, size_t n);
void	ledger_fact(struct courier *, struct bytes app, struct bytes channel,
	    struct bytes user);
void	ledger_request(struct courier *, const struct target *);
void	ledger_done(struct courier *, const struct target *, uint64_t n);
void	ledger_gone(struct courier *, const struct target *);
void	ledger_known(struct courier *, struct bytes app, unsigned classes);
void	ledger_forget(struct courier *, struct bytes app, unsigned classes);

/* Reads the journal; then all is as it was. */
void	ledger_open(struct courier *);
/* Writes what is new, and all that counts anew if the journal has grown long.
 * -1: it could not be written. */
int	ledger_write(struct courier *);
/* Writes all that counts anew; as journal_compact(). */
int	ledger_rewrite(struct courier *);
/* One record; for tests and journal_open(). */
void	ledger_take(void *courier, struct bytes record);

#endif
