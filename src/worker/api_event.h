/* SPDX-License-Identifier: MIT
 *
 * An event as a request of the API describes it, and what may be wrong with
 * it.  Complaints are collected in the words of Laravel's validator, keyed by
 * field: {"name":["The name field is required."],...}; the caller closes the
 * object.  `at` is what stands before the field: empty, or "batch.0.".
 *
 * Runs in: workers.  Owns: nothing; tokens point into the request.
 */
#ifndef PEAL_API_EVENT_H
#define PEAL_API_EVENT_H

#include "common/json.h"
#include "worker/app.h"

struct event {
	struct json	 name, data, channels, channel, socket_id, info;
};

/* Picks the members of an object; all are missing if it is none. */
void	event_read(struct event *, const struct json *object);
/* The same from a text that was not looked at yet.  -1: it is no object. */
int	event_parse(struct event *, struct bytes text);
/* The text of a string, good until the next call; empty for other types. */
struct bytes event_text(const struct json *);
/* The two numbers of 123.456; 0 0 for numbers that no connection has.  False
 * if it is no socket id at all. */
bool	event_socket(struct bytes text, uint64_t *a, uint64_t *b);

/* Everything but the channels. */
void	event_check(const struct event *, const struct app *, const char *at,
	    struct buf *errors);
/* `channel` alone; or `channels`, or else `channel`. */
void	event_check_channel(const struct event *, const struct app *,
	    const char *at, struct buf *errors);
void	event_check_channels(const struct event *, const struct app *,
	    struct buf *errors);
/* Is there anything but strings in `channels`? */
bool	event_channels_mixed(const struct event *);
bool	event_too_large(const struct event *, const struct app *);

/* "The AT.FIELD field WORDS", for what is no event's field. */
void	event_error(struct buf *errors, const char *at, const char *field,
	    const char *words);
/* The same with a number between the words. */
void	event_error_limit(struct buf *errors, const char *at, const char *field,
	    const char *words, uint64_t limit, const char *more);

#endif
