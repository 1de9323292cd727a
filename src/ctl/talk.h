/* SPDX-License-Identifier: MIT
 *
 * Finding the socket of a running peald, and one question and its answer.
 *
 * Runs in: pealctl.
 */
#ifndef PEAL_TALK_H
#define PEAL_TALK_H

#include <signal.h>

#include "common/buf.h"
#include "common/json.h"

/*
 * The socket to speak to: `path` if given; else that of the settings in `file`;
 * else that of SYSCONFDIR/peal/peal.ini if somebody answers there; else the
 * only one that answers in the runtime directories.  NULL with *why; the caller
 * frees both.
 */
char	*talk_find(const char *file, const char *path, char **why);

/* Sends the line, reads until the other side closes.  -1 with *why (caller
 * frees). */
int	talk(const char *path, struct bytes line, struct buf *answer,
	    char **why);

/*
 * Sends the line, and gives each line of the answer as it comes, until `take`
 * says that it was the last it wants, the other side closes or breaks off, or
 * stop (may be NULL) becomes true: a signal's handler sets it.  -1 with *why if
 * nobody is there to speak to.  1 if nobody reads the descriptor `out` (-1: it
 * does not matter) any more.
 */
int	talk_stream(const char *path, struct bytes line,
	    bool (*take)(void *, struct bytes), void *arg, int out,
	    const volatile sig_atomic_t *stop, char **why);

/*
 * Takes an answer apart: each call gives the next line, checked as a JSON
 * object; false at the end.  The last line has "ok".
 */
bool	talk_line(struct bytes answer, size_t *pos, struct json *);

#endif
