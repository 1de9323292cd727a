/* SPDX-License-Identifier: MIT
 *
 * The log: one line an event, `key=value` after a short text.
 *
 *	2026-11-21T10:11:12.345Z info worker/2: opened conn=2:1:77 app=chat
 *
 * or, as JSON,
 *
 *	{"time":"2026-11-21T10:11:12.345Z","level":"info","process":"worker/2",
 *	 "msg":"opened","conn":"2:1:77","app":"chat"}
 *
 * To syslog and to systemd's journal it goes without the time, with the level in
 * front as they have it ("<6>").
 *
 * An error is logged once, where the decision is taken.  Secrets are never
 * logged.  Bytes that came from outside go through log_value() behind key=, and
 * log_bytes() within words: so a client can neither forge a line or a field nor
 * move a terminal's cursor.  Of one kind of line (a place in the program)
 * LOG_REPEATS are written in LOG_WINDOW; others are counted, and the number is
 * told then.  Lines of debugging all are written.
 *
 * A pipe, a terminal or a journal that nobody reads holds nobody up for more than
 * half a second in LOG_WINDOW: lines are lost then, and counted ("lines lost").
 *
 * Runs in: every process.  Children write to the descriptor the master gave
 * them (they may not open files).
 */
#ifndef PEAL_LOG_H
#define PEAL_LOG_H

#include "common/buf.h"

enum log_level {
	LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG
};

enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

#define LOG_SYSLOG	"syslog"	/* what [peal] log says of it */
#define LOG_REPEATS	100
#define LOG_WINDOW	10000		/* ms */

/*
 * `who` stands in each line ("master", "worker/2").  Lines go to fd (2 until
 * log_to_fd says otherwise), coloured when that is a terminal.
 */
void	log_init(const char *who);
void	log_to_fd(int fd);
int	log_fd(void);
void	log_set_level(enum log_level);
/* All that settings say of it; to: stderr, LOG_SYSLOG or a file, which is or
 * will be the descriptor's. */
void	log_settings(enum log_level, enum log_format, const char *to);
bool	log_wants(enum log_level);

/* False: it was left out, as a repeat or for its level. */
bool	log_error(const char *, ...) __attribute__((format(printf, 1, 2)));
bool	log_warn(const char *, ...) __attribute__((format(printf, 1, 2)));
bool	log_info(const char *, ...) __attribute__((format(printf, 1, 2)));
bool	log_debug(const char *, ...) __attribute__((format(printf, 1, 2)));

/*
 * A line for who watches (peald --debug), whatever the level: what happened, in
 * colour on a terminal, and two texts from outside.
 */
void	log_watch(const char *what, struct bytes text, struct bytes more);

/* Once a second: tells of repeats that were left out, and of lines that could
 * not be written. */
void	log_due(void);

/*
 * Bytes from outside, made fit for a log line: control characters and
 * invalid UTF-8 as \xNN, cut after 200 octets with "...".  The text stays good
 * until the eighth next call of either.
 */
const char *log_bytes(struct bytes);
/* The same as a value behind key=, in quotes where it needs them (\" and \\ in
 * there). */
const char *log_value(struct bytes);

/* A broken invariant: one line, then abort(). */
_Noreturn void fatal(const char *, ...) __attribute__((format(printf, 1, 2)));
/* The user's mistake: one line to the log, and to stderr if that is not the log;
 * exit status 1. */
_Noreturn void die(const char *, ...) __attribute__((format(printf, 1, 2)));

#endif
