/* SPDX-License-Identifier: MIT
 *
 * JSON: what we accept, jansson must accept and read alike, and the other way
 * round.  Known differences: we have no limits for numbers but one for depth;
 * jansson takes no NUL in names, and takes one behind the text for its end.
 */
#include "fuzz.h"

#ifdef HAVE_JANSSON
/* Both name their types alike. */
#define JSON_NULL	THEIR_NULL
#define JSON_TRUE	THEIR_TRUE
#define JSON_FALSE	THEIR_FALSE
#define JSON_STRING	THEIR_STRING
#define JSON_ARRAY	THEIR_ARRAY
#define JSON_OBJECT	THEIR_OBJECT
#include <jansson.h>
#undef JSON_NULL
#undef JSON_TRUE
#undef JSON_FALSE
#undef JSON_STRING
#undef JSON_ARRAY
#undef JSON_OBJECT
#endif

#include "common/json.h"

/* The text of a string: UTF-8, and the same again when it is quoted and read. */
static struct bytes
check_string(const struct json *v, struct buf *text)
{
	struct buf quoted = { 0 }, again = { 0 };
	struct json copy;
	const char *why;
	struct bytes t;

	buf_clear(text);
	t = json_text(v, text);
	MUST(utf8_valid(t));
	json_quote(&quoted, t);
	MUST(json_parse(buf_view(&quoted), &copy, &why) == 0);
	MUST(copy.type == JSON_STRING);
	MUST(bytes_eq(json_text(&copy, &again), t));
	buf_done(&quoted);
	buf_done(&again);
	return t;
}

/* A part stands in the whole, and is a good text by itself. */
static void
check_part(const struct json *whole, const struct json *part)
{
	struct json copy;
	const char *why;

	MUST(part->raw.p >= whole->raw.p &&
	    part->raw.p + part->raw.n <= whole->raw.p + whole->raw.n);
	MUST(json_parse(part->raw, &copy, &why) == 0);
	MUST(copy.type == part->type && copy.plain == part->plain &&
	    bytes_eq(copy.raw, part->raw));
}

/* The member that json_pick() finds: the last one of this name. */
static struct json
picked(const struct json *object, struct bytes name)
{
	struct json out;
	const struct json_want want = { name, &out };

	MUST(json_pick(object, &want, 1) == 0);
	MUST(out.type != JSON_MISSING);
	return out;
}

/* Looked for while the text is checked, a member is the same as picked after. */
static void
check_read(struct bytes text, const struct json *v)
{
	struct buf name = { 0 };
	struct json key, value, root, out, want;
	size_t pos = 0;
	const char *why;

	for (int i = 0; i < 20 && json_next(v, &pos, &key, &value); i++) {
		const struct json_want wants[] = {
			{ v->type == JSON_OBJECT ? check_string(&key, &name) :
			    B("a"), &out },
		};

		MUST(json_read(text, &root, wants, 1, &why) == 0);
		MUST(root.type == v->type && bytes_eq(root.raw, v->raw) &&
		    root.raw.p == v->raw.p && root.plain == v->plain);
		MUST(v->type == JSON_OBJECT || out.type == JSON_MISSING);
		if (v->type != JSON_OBJECT)
			continue;
		want = picked(v, wants[0].name);
		MUST(out.type == want.type && out.plain == want.plain &&
		    out.raw.p == want.raw.p && out.raw.n == want.raw.n);
	}
	buf_done(&name);
}

static void
walk(const struct json *v)
{
	struct buf name = { 0 };
	struct json key, value;
	size_t pos = 0;

	while (json_next(v, &pos, &key, &value)) {
		check_part(v, &value);
		if (v->type == JSON_OBJECT) {
			check_part(v, &key);
			MUST(key.type == JSON_STRING);
			picked(v, check_string(&key, &name));
		}
		walk(&value);
	}
	if (v->type == JSON_STRING)
		check_string(v, &name);
	buf_done(&name);
}

#ifdef HAVE_JANSSON
static void compare(const struct json *, const json_t *);

static void
compare_object(const struct json *v, const json_t *theirs)
{
	struct buf scratch = { 0 };
	struct json key, value;
	size_t pos = 0;

	while (json_next(v, &pos, &key, &value)) {
		struct bytes name = json_text(&key, &scratch);
		char *copy = bytes_dup(name);

		value = picked(v, name);
		compare(&value, json_object_get(theirs, copy));
		free(copy);
		buf_clear(&scratch);
	}
	buf_done(&scratch);
}

static void
compare_array(const struct json *v, const json_t *theirs)
{
	struct json value;
	size_t pos = 0, n = 0;

	while (json_next(v, &pos, NULL, &value))
		compare(&value, json_array_get(theirs, n++));
	MUST(n == json_array_size(theirs));
}

static void
compare_string(const struct json *v, const json_t *theirs)
{
	struct buf scratch = { 0 };

	MUST(bytes_eq(json_text(v, &scratch),
	    bytes_of(json_string_value(theirs), json_string_length(theirs))));
	buf_done(&scratch);
}

static void
compare_number(const struct json *v, const json_t *theirs)
{
	uint64_t ours;

	if (json_u64(v, &ours) < 0)
		return;
	MUST(json_typeof(theirs) == JSON_INTEGER);
	MUST(ours == (uint64_t)json_integer_value(theirs));
}

static void
compare(const struct json *v, const json_t *theirs)
{
	MUST(theirs != NULL);
	switch (json_typeof(theirs)) {
	case THEIR_OBJECT:
		MUST(v->type == JSON_OBJECT);
		compare_object(v, theirs);
		break;
	case THEIR_ARRAY:
		MUST(v->type == JSON_ARRAY);
		compare_array(v, theirs);
		break;
	case THEIR_STRING:
		MUST(v->type == JSON_STRING);
		compare_string(v, theirs);
		break;
	case JSON_INTEGER:
	case JSON_REAL:
		MUST(v->type == JSON_NUMBER);
		compare_number(v, theirs);
		break;
	case THEIR_TRUE:
		MUST(v->type == JSON_TRUE);
		break;
	case THEIR_FALSE:
		MUST(v->type == JSON_FALSE);
		break;
	case THEIR_NULL:
		MUST(v->type == JSON_NULL);
		break;
	}
}

/* Our answer against theirs; why is set if we refused. */
static void
ask_jansson(struct bytes in, const struct json *v, const char *why)
{
	json_error_t error = { .line = 0 };
	json_t *theirs = json_loadb(in.p, in.n,
	    JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);

	if (theirs == NULL) {
		enum json_error_code code = json_error_code(&error);

		MUST(why != NULL || code == json_error_numeric_overflow ||
		    code == json_error_null_byte_in_key);
	} else if (why != NULL) {
		MUST(strcmp(why, "JSON is nested too deeply") == 0 ||
		    memchr(in.p, '\0', in.n) != NULL);
	} else {
		compare(v, theirs);
	}
	json_decref(theirs);
}
#endif

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes in = bytes_of(n != 0 ? (const void *)data : "", n);
	const char *why = NULL;
	struct json v;

	if (json_parse(in, &v, &why) < 0) {
		MUST(why != NULL && v.type == JSON_MISSING);
	} else {
		MUST(why == NULL && utf8_valid(in));
		walk(&v);
		check_read(in, &v);
	}
#ifdef HAVE_JANSSON
	ask_jansson(in, &v, why);
#endif
	return 0;
}
