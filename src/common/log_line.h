/* SPDX-License-Identifier: MIT
 *
 * A line of the log as text or JSON; see log.h for what goes into one.
 *
 * Runs in: every process.  Owns: nothing; nothing is allocated.
 */
#ifndef PEAL_LOG_LINE_H
#define PEAL_LOG_LINE_H

#include "common/log.h"

/* Octets of an event's words: as text all of it is 4096, which a pipe takes in one
 * piece. */
#define LOG_BODY_MAX	4010
/* And of the line that is made of it. */
#define LOG_LINE_MAX	(3 * 4096)

struct log_event {
	enum log_level	 level;
	uint64_t	 wall_ms;
	const char	*who;		/* "worker/2" */
	/* A few words, then key=value, with quotes round a value that has
	 * spaces.  No control characters. */
	struct bytes	 body;
};

/* "error", "warn" ...; and back: -1 if it is none. */
const char *log_level_name(enum log_level);
int	log_level_named(struct bytes, int *level);

/*
 * Write the line without its end to `to`, which has room for LOG_LINE_MAX
 * octets; return how many.
 *
 * text: stamp leaves out the time if false, colours paints the level.
 * json: {"time":...,"level":...,"process":...,"msg":...,"key":"value",...}.
 * Values are strings, but for those that are nothing but digits and count
 * something; names, ids and addresses stay strings, whatever they are made of.
 */
size_t	log_line_text(const struct log_event *, bool stamp, bool colours,
	    char *to);
size_t	log_line_json(const struct log_event *, char *to);

#endif
