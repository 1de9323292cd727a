/* SPDX-License-Identifier: MIT
 *
 * JSON as spans: a strict reader (RFC 8259, UTF-8 checked, depth limited) that
 * allocates nothing and builds no tree.  It checks a whole text once and then
 * hands out the places where values stand; an event's `data` is copied to the
 * subscribers as it was written.
 *
 * Stricter than the RFC needs: a \u escape of a lone surrogate is refused, as
 * no text could be made of it.
 *
 * Runs in: every process.  Owns: nothing; spans point into the caller's text.
 */
#ifndef PEAL_JSON_H
#define PEAL_JSON_H

#include "common/buf.h"

enum json_type {
	JSON_MISSING,		/* no such member */
	JSON_NULL, JSON_TRUE, JSON_FALSE, JSON_NUMBER, JSON_STRING,
	JSON_ARRAY, JSON_OBJECT
};

#define JSON_DEPTH	64	/* arrays and objects inside each other */

struct json {
	enum json_type	 type;
	bool		 plain;	/* a string without escapes */
	struct bytes	 raw;	/* the token, quotes and brackets included */
};

/* Not there, or null: clients send both for what they leave out. */
static inline bool
json_absent(const struct json *v)
{
	return v->type == JSON_MISSING || v->type == JSON_NULL;
}

/*
 * Checks the whole text: one value with white space around it and nothing
 * behind.  0, or -1 with why.  All functions below need a value from here.
 */
int	json_parse(struct bytes text, struct json *, const char **why);

/*
 * Picks members of an object in one walk: wants[i].name -> *wants[i].out.
 * What is not there becomes JSON_MISSING; of repeated names the last wins, as
 * in PHP and JavaScript.  Names written with escapes are compared decoded.
 * -1 if v is no object.
 */
struct json_want {
	struct bytes	 name;
	struct json	*out;
};
/* Both in one: checks the whole text, and picks from it if it is an object.  All
 * are missing if it is none, or with -1. */
int	json_read(struct bytes text, struct json *, const struct json_want *,
	    size_t n, const char **why);
int	json_pick(const struct json *v, const struct json_want *, size_t n);

/* Walks an array or an object; start with pos = 0; false at the end. */
bool	json_next(const struct json *v, size_t *pos, struct json *key,
	    struct json *value);

/*
 * The text of a JSON_STRING.  A plain one is borrowed from the token, another
 * is decoded behind what stands in scratch (which may move: views from earlier
 * calls with the same scratch are then stale).
 */
struct bytes json_text(const struct json *v, struct buf *scratch);

/* A whole number without sign, fraction or exponent; -1 otherwise. */
int	json_u64(const struct json *v, uint64_t *);

/* Adds text as a JSON string with quotes.  The text must be UTF-8. */
void	json_quote(struct buf *, struct bytes text);
/* The same without the quotes: to build a string that holds JSON in pieces. */
void	json_escape(struct buf *, struct bytes text);

#endif
