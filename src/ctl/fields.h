/* SPDX-License-Identifier: MIT
 *
 * Taking answers apart, and setting what is in them.
 *
 * Runs in: pealctl.
 */
#ifndef PEAL_FIELDS_H
#define PEAL_FIELDS_H

#include "common/buf.h"
#include "common/json.h"

/* A member of an object; what is not there, or of another type, is missing, 0,
 * false or empty. */
struct json field(const struct json *object, const char *name);
uint64_t field_number(const struct json *object, const char *name);
bool	field_flag(const struct json *object, const char *name);
/* Text of a string; good until the next call but one of either. */
struct bytes field_of(const struct json *value);
struct bytes field_text(const struct json *object, const char *name);
/* "a, b" of an array of strings; good until the next call. */
struct bytes field_texts(const struct json *object, const char *name);

/* The lines of an answer before the last: true with the next one. */
bool	field_row(struct bytes answer, size_t *pos, struct json *row);

/* "3 d 4 h", "12 min 3 s"; good until the next call. */
struct bytes field_span(uint64_t seconds);
/* To standard output, as it is. */
void	field_put(struct bytes);
/* 2,512 */
void	field_put_number(uint64_t);

#endif
