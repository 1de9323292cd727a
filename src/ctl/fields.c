/* SPDX-License-Identifier: MIT
 *
 * Taking answers apart, and setting what is in them.
 *
 * Runs in: pealctl.  Owns: what its results stand in.
 */
#include <inttypes.h>
#include <stdio.h>

#include "common/util.h"
#include "ctl/fields.h"
#include "ctl/talk.h"

/* ---- members of an answer ------------------------------------------------ */

struct json
field(const struct json *object, const char *name)
{
	struct json found = { .type = JSON_MISSING };
	struct json_want want = { bytes_str(name), &found };

	(void)json_pick(object, &want, 1);
	return found;
}

uint64_t
field_number(const struct json *object, const char *name)
{
	struct json found = field(object, name);
	uint64_t n;

	return found.type == JSON_NUMBER && json_u64(&found, &n) == 0 ? n : 0;
}

bool
field_flag(const struct json *object, const char *name)
{
	return field(object, name).type == JSON_TRUE;
}

struct bytes
field_of(const struct json *value)
{
	static struct buf room[2];
	static unsigned turn;
	struct buf *scratch = &room[turn++ % 2];

	buf_clear(scratch);
	if (value->type != JSON_STRING)
		return B("");
	return json_text(value, scratch);
}

struct bytes
field_text(const struct json *object, const char *name)
{
	struct json found = field(object, name);

	return field_of(&found);
}

struct bytes
field_texts(const struct json *object, const char *name)
{
	static struct buf out;
	struct json list = field(object, name), value;
	size_t pos = 0;

	buf_clear(&out);
	if (list.type != JSON_ARRAY)
		return B("");
	while (json_next(&list, &pos, NULL, &value)) {
		if (out.n != 0)
			buf_str(&out, ", ");
		buf_bytes(&out, field_of(&value));
	}
	return buf_view(&out);
}

struct bytes
field_span(uint64_t seconds)
{
	static char out[48];
	int n;

	if (seconds >= 86400)
		n = snprintf(out, sizeof(out), "%" PRIu64 " d %" PRIu64 " h",
		    seconds / 86400, seconds / 3600 % 24);
	else if (seconds >= 3600)
		n = snprintf(out, sizeof(out), "%" PRIu64 " h %" PRIu64 " min",
		    seconds / 3600, seconds / 60 % 60);
	else if (seconds >= 60)
		n = snprintf(out, sizeof(out), "%" PRIu64 " min %" PRIu64 " s",
		    seconds / 60, seconds % 60);
	else
		n = snprintf(out, sizeof(out), "%" PRIu64 " s", seconds);
	return bytes_of(out, (size_t)n);
}

void
field_put(struct bytes s)
{
	fwrite(s.p, 1, s.n, stdout);
}

void
field_put_number(uint64_t n)
{
	if (n >= 1000) {
		field_put_number(n / 1000);
		printf(",%03" PRIu64, n % 1000);
	} else {
		printf("%" PRIu64, n);
	}
}

bool
field_row(struct bytes answer, size_t *pos, struct json *row)
{
	return talk_line(answer, pos, row) &&
	    field(row, "ok").type == JSON_MISSING;
}
