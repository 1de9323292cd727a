/* SPDX-License-Identifier: MIT
 *
 * A connection as a record, to go on in another process: everything that its
 * peer could notice.  The record is a msgpack map with small numbers as keys
 * (tables/record.def); unknown keys are skipped and missing ones have a default,
 * so neighbouring releases understand each other.  The descriptor travels beside
 * it.
 *
 *	old side				new side
 *	freeze_may() -> FREEZE_NOW
 *	freeze_begin()	nothing is read any more
 *	  (what the router sent before the mark arrives)
 *	freeze_pack()	-- record, fd ------->	thaw(): it is there, but asleep
 *	freeze_done()	<---- taken ----------	thaw_wake(): it is served
 *	  or freeze_undo(): it goes on here
 *
 * Times are worker.now and worker.now_ms, which all processes of a host share.
 *
 * Runs in: workers.  Owns: nothing.
 */
#ifndef PEAL_FREEZE_H
#define PEAL_FREEZE_H

#include "common/buf.h"

struct conn;

enum freeze_when {
	FREEZE_NOW,
	FREEZE_LATER,		/* it waits for an answer: ask again */
	FREEZE_NEVER		/* TLS; closing: it stays and is drained */
};

/* why: words for people, set unless FREEZE_NOW. */
enum freeze_when freeze_may(const struct conn *, const char **why);

/* Out of the epoll set; its input stops, output goes on.  It may still be closed,
 * or die (a write fails): then it is buried at the end of the turn, and
 * conns_find() does not know it any more. */
void	freeze_begin(struct conn *);
/*
 * The record.  applied: serial of the router's last message that this worker has
 * handled.  -1 with why: it cannot be moved after all; freeze_undo() it.  From
 * here on nothing is written, and it does not die: what is sent to it waits, and
 * who closes it closes it in freeze_undo().
 */
int	freeze_pack(struct conn *, uint64_t epoch, uint64_t applied,
	    struct buf *out, const char **why);
/* A successor has it: nothing is closed, nobody is told. */
void	freeze_done(struct conn *);
/* It stays: back into the epoll set.  It may die here, not before the turn's
 * end. */
void	freeze_undo(struct conn *);

/* What a record says of the conn, for who moves it. */
struct thawed {
	uint64_t	 was;		/* its number on the old side */
	struct conn	*conn;
};

/*
 * Makes it, asleep: as a packed one.  All its channels must be live here
 * (channel_expect()).  Takes the descriptor only if it returns 0; -1 with why,
 * which refuses it.  uplink_came() follows for its client, and freeze_done() if
 * it is not to be served here after all.
 */
int	thaw(int fd, struct bytes record, struct thawed *, const char **why);
/* Reads and writes begin; kept input is shown. */
void	thaw_wake(struct conn *);

#endif
