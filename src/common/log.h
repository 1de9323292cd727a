/* SPDX-License-Identifier: MIT
 *
 * The log: one line an event, `key=value` after a short text.
 *
 *	2026-11-21T10:11:12.345Z info worker/2: opened conn=2:1:77 app=chat
 *
 * An error is logged once, where the decision is taken.  Secrets are never
 * logged.  Bytes that came from outside go through log_bytes(), which escapes
 * control characters and cuts at a sane length, so that a client can neither
 * forge a line nor move a terminal's cursor.
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

/*
 * `who` stands in each line ("master", "worker/2").  Lines go to fd (2 until
 * log_to_fd says otherwise), coloured when that is a terminal.
 */
void	log_init(const char *who);
void	log_to_fd(int fd);
int	log_fd(void);
void	log_set_level(enum log_level);
bool	log_wants(enum log_level);

void	log_error(const char *, ...) __attribute__((format(printf, 1, 2)));
void	log_warn(const char *, ...) __attribute__((format(printf, 1, 2)));
void	log_info(const char *, ...) __attribute__((format(printf, 1, 2)));
void	log_debug(const char *, ...) __attribute__((format(printf, 1, 2)));

/*
 * Bytes from outside, made fit for a log line: control characters and
 * invalid UTF-8 as \xNN, cut after 200 octets with "...".  The text stays good
 * until the eighth next call.
 */
const char *log_bytes(struct bytes);

/* A broken invariant: one line, then abort(). */
_Noreturn void fatal(const char *, ...) __attribute__((format(printf, 1, 2)));
/* The user's mistake: one line to the log, exit status 1. */
_Noreturn void die(const char *, ...) __attribute__((format(printf, 1, 2)));

#endif
