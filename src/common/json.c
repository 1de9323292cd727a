/* SPDX-License-Identifier: MIT
 *
 * JSON as spans, see json.h.
 *
 * json_read() checks everything once, with a loop and one bit per level
 * instead of recursion, and notes members of the outermost object on its way.
 * What walks a checked value afterwards only looks for quotes and brackets.
 */
#include "common/json.h"

#include <endian.h>

#include "common/util.h"

struct scan {
	const char	*p, *end;
	const char	*why;
	uint64_t	 objects;	/* bit per level: object or array */
	unsigned	 depth;
	bool		 plain;		/* the last string had no escapes */
	/* Members of the outermost object that are wanted, and the one at hand. */
	const struct json_want	*wants;
	size_t		 n_wants;
	struct json	 key;
	const char	*value;		/* NULL: at none */
};

_Static_assert(JSON_DEPTH <= 64, "one bit per level");

static int
refuse(struct scan *s, const char *why)
{
	s->why = s->p == s->end ? "JSON ends too early" : why;
	return -1;
}

static void
skip_space(struct scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' ||
	    *s->p == '\n' || *s->p == '\r'))
		s->p++;
}

static bool
is_digit(const char *p, const char *end)
{
	return p < end && *p >= '0' && *p <= '9';
}

/* ---- strings ------------------------------------------------------------ */

#define EACH(c)		(UINT64_C(0x0101010101010101) * (unsigned char)(c))
#define HIGHS		EACH(0x80)
/* Not 0 if an octet of w is zero (may also mark octets above such a one). */
#define ZERO_IN(w)	(((w) - EACH(1)) & ~(w) & HIGHS)

/* Eight octets, the first one lowest. */
static inline uint64_t
eight(const char *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	return le64toh(w);
}

/* The first octet that is marked in one of the eight at p. */
static inline const char *
first_of(const char *p, uint64_t marks)
{
	return p + (__builtin_ctzll(marks) >> 3);
}

/* The first octet that is a quote, a backslash, a control or not ASCII. */
static const char *
skip_plain(const char *p, const char *end)
{
	for (; end - p >= 8; p += 8) {
		uint64_t w = eight(p);
		uint64_t marks = (w & HIGHS) | ZERO_IN(w ^ EACH('"')) |
		    ZERO_IN(w ^ EACH('\\')) |
		    ((w - EACH(0x20)) & ~w & HIGHS);

		if (marks != 0)
			return first_of(p, marks);
	}
	while (p < end && (unsigned char)*p >= 0x20 && *p != '"' &&
	    *p != '\\' && (*p & 0x80) == 0)
		p++;
	return p;
}

/* The value of four hexadecimal digits, or -1. */
static int
hex4(const char *p, const char *end)
{
	int value = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = p[i];

		value <<= 4;
		if (c >= '0' && c <= '9')
			value |= c - '0';
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			value |= (c | 0x20) - 'a' + 10;
		else
			return -1;
	}
	return value;
}

static bool
is_high(int unit)
{
	return unit >= 0xd800 && unit <= 0xdbff;
}

static bool
is_low(int unit)
{
	return unit >= 0xdc00 && unit <= 0xdfff;
}

/* p stands behind the backslash. */
static int
check_escape(struct scan *s)
{
	int unit;

	if (s->p == s->end)
		return refuse(s, "");
	switch (*s->p) {
	case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r':
	case 't':
		s->p++;
		return 0;
	case 'u':
		break;
	default:
		return refuse(s, "unknown escape in a JSON string");
	}
	unit = hex4(s->p + 1, s->end);
	if (unit < 0)
		return refuse(s, "bad \\u escape in a JSON string");
	s->p += 5;
	if (is_low(unit))
		return refuse(s, "lone surrogate in a JSON string");
	if (!is_high(unit))
		return 0;
	if (s->end - s->p < 6 || s->p[0] != '\\' || s->p[1] != 'u' ||
	    !is_low(hex4(s->p + 2, s->end)))
		return refuse(s, "lone surrogate in a JSON string");
	s->p += 6;
	return 0;
}

/* p stands at the opening quote, then behind the closing one. */
static int
check_string(struct scan *s)
{
	size_t n;

	s->plain = true;
	s->p++;
	for (;;) {
		s->p = skip_plain(s->p, s->end);
		if (s->p == s->end)
			return refuse(s, "");
		if (*s->p == '"') {
			s->p++;
			return 0;
		}
		if (*s->p == '\\') {
			s->plain = false;
			s->p++;
			if (check_escape(s) < 0)
				return -1;
			continue;
		}
		if ((unsigned char)*s->p < 0x20)
			return refuse(s, "control character in a JSON string");
		n = utf8_length(bytes_of(s->p, (size_t)(s->end - s->p)));
		if (n == 0)
			return refuse(s, "JSON is not valid UTF-8");
		s->p += n;
	}
}

/* ---- other scalars ------------------------------------------------------ */

static int
check_digits(struct scan *s)
{
	if (!is_digit(s->p, s->end))
		return refuse(s, "bad number in JSON");
	while (is_digit(s->p, s->end))
		s->p++;
	return 0;
}

static int
check_number(struct scan *s)
{
	if (*s->p == '-')
		s->p++;
	if (s->p < s->end && *s->p == '0') {
		s->p++;
		if (is_digit(s->p, s->end))
			return refuse(s, "JSON number with a leading zero");
	} else if (check_digits(s) < 0) {
		return -1;
	}
	if (s->p < s->end && *s->p == '.') {
		s->p++;
		if (check_digits(s) < 0)
			return -1;
	}
	if (s->p < s->end && (*s->p | 0x20) == 'e') {
		s->p++;
		if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
			s->p++;
		if (check_digits(s) < 0)
			return -1;
	}
	return 0;
}

static int
check_word(struct scan *s, struct bytes word)
{
	if (!bytes_starts(bytes_of(s->p, (size_t)(s->end - s->p)), word))
		return refuse(s, "unexpected character in JSON");
	s->p += word.n;
	return 0;
}

static enum json_type
type_of(char first)
{
	switch (first) {
	case '{':
		return JSON_OBJECT;
	case '[':
		return JSON_ARRAY;
	case '"':
		return JSON_STRING;
	case 't':
		return JSON_TRUE;
	case 'f':
		return JSON_FALSE;
	case 'n':
		return JSON_NULL;
	}
	return first == '-' || (first >= '0' && first <= '9') ? JSON_NUMBER :
	    JSON_MISSING;
}

static int
check_scalar(struct scan *s)
{
	switch (type_of(*s->p)) {
	case JSON_STRING:
		return check_string(s);
	case JSON_NUMBER:
		return check_number(s);
	case JSON_TRUE:
		return check_word(s, B("true"));
	case JSON_FALSE:
		return check_word(s, B("false"));
	case JSON_NULL:
		return check_word(s, B("null"));
	default:
		return refuse(s, "unexpected character in JSON");
	}
}

/* ---- members ------------------------------------------------------------ */

static bool	name_is(const struct json *key, struct bytes name);

static void
wants_clear(const struct json_want *wants, size_t n)
{
	for (size_t i = 0; i < n; i++)
		*wants[i].out = (struct json){ .type = JSON_MISSING };
}

/* The last one of several wins. */
static void
wants_take(const struct json_want *wants, size_t n, const struct json *key,
    const struct json *value)
{
	for (size_t i = 0; i < n; i++) {
		if (name_is(key, wants[i].name))
			*wants[i].out = *value;
	}
}

/* p stands behind the value of a member of the outermost object. */
static void
take_member(struct scan *s)
{
	struct json value = {
		.type = type_of(*s->value),
		.raw = bytes_of(s->value, (size_t)(s->p - s->value)),
	};

	value.plain = value.type == JSON_STRING && s->plain;
	s->value = NULL;
	wants_take(s->wants, s->n_wants, &s->key, &value);
}

/* ---- structure ---------------------------------------------------------- */

static bool
in_object(const struct scan *s)
{
	return (s->objects >> (s->depth - 1) & 1) != 0;
}

static int
open_level(struct scan *s)
{
	uint64_t bit;

	if (s->depth == JSON_DEPTH)
		return refuse(s, "JSON is nested too deeply");
	bit = UINT64_C(1) << s->depth++;
	if (*s->p == '{')
		s->objects |= bit;
	else
		s->objects &= ~bit;
	s->p++;
	return 0;
}

/* The name of a member and its colon. */
static int
check_name(struct scan *s)
{
	const char *start;

	skip_space(s);
	if (s->p == s->end || *s->p != '"')
		return refuse(s, "a name must stand here in a JSON object");
	start = s->p;
	if (check_string(s) < 0)
		return -1;
	if (s->depth == 1)
		s->key = (struct json){ .type = JSON_STRING, .plain = s->plain,
		    .raw = bytes_of(start, (size_t)(s->p - start)) };
	skip_space(s);
	return check_word(s, B(":"));
}

/* Opens arrays and objects up to the first scalar or empty level. */
static int
check_down(struct scan *s)
{
	for (;;) {
		skip_space(s);
		if (s->p == s->end)
			return refuse(s, "");
		if (s->depth == 1 && s->n_wants > 0 && in_object(s))
			s->value = s->p;
		if (*s->p != '{' && *s->p != '[')
			return check_scalar(s);
		if (open_level(s) < 0)
			return -1;
		skip_space(s);
		if (s->p < s->end && *s->p == (in_object(s) ? '}' : ']'))
			return 0;	/* check_up() closes it */
		if (in_object(s) && check_name(s) < 0)
			return -1;
	}
}

/* Behind a value: closes what ends here.  1: another value follows. */
static int
check_up(struct scan *s)
{
	while (s->depth > 0) {
		if (s->depth == 1 && s->value != NULL)
			take_member(s);
		skip_space(s);
		if (s->p == s->end)
			return refuse(s, "");
		if (*s->p == ',') {
			s->p++;
			return in_object(s) && check_name(s) < 0 ? -1 : 1;
		}
		if (*s->p != (in_object(s) ? '}' : ']'))
			return refuse(s, "a comma or an end is missing in JSON");
		s->p++;
		s->depth--;
	}
	return 0;
}

int
json_read(struct bytes text, struct json *out, const struct json_want *wants,
    size_t n, const char **why)
{
	struct scan s = {
		.p = text.n != 0 ? text.p : "", .wants = wants, .n_wants = n,
	};
	const char *start;
	int more = 1;

	s.end = s.p + text.n;
	*out = (struct json){ .type = JSON_MISSING };
	wants_clear(wants, n);
	skip_space(&s);
	start = s.p;
	while (more > 0) {
		if (check_down(&s) < 0)
			more = -1;
		else
			more = check_up(&s);
	}
	if (more == 0) {
		out->type = type_of(*start);
		out->plain = out->type == JSON_STRING && s.plain;
		out->raw = bytes_of(start, (size_t)(s.p - start));
		skip_space(&s);
		if (s.p == s.end)
			return 0;
		s.why = "something stands behind the JSON value";
	}
	*out = (struct json){ .type = JSON_MISSING };
	wants_clear(wants, n);
	*why = s.why;
	return -1;
}

int
json_parse(struct bytes text, struct json *out, const char **why)
{
	return json_read(text, out, NULL, 0, why);
}

/* ---- walking checked text ----------------------------------------------- */

/* The first quote or backslash: enough inside of checked strings. */
static const char *
skip_checked(const char *p, const char *end)
{
	for (; end - p >= 8; p += 8) {
		uint64_t w = eight(p);
		uint64_t marks = ZERO_IN(w ^ EACH('"')) |
		    ZERO_IN(w ^ EACH('\\'));

		if (marks != 0)
			return first_of(p, marks);
	}
	while (p < end && *p != '"' && *p != '\\')
		p++;
	return p;
}

/* Behind the string that starts at p. */
static const char *
pass_string(const char *p, const char *end, bool *plain)
{
	*plain = true;
	p = skip_checked(p + 1, end);
	while (end - p >= 2 && *p == '\\') {
		*plain = false;
		p = skip_checked(p + 2, end);
	}
	return p < end ? p + 1 : end;
}

/* Behind the array or object that starts at p. */
static const char *
pass_nested(const char *p, const char *end)
{
	size_t depth = 0;
	bool plain;

	while (p < end) {
		char c = *p;

		if (c == '"') {
			p = pass_string(p, end, &plain);
			continue;
		}
		p++;
		if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && --depth == 0)
			break;
	}
	return p;
}

static bool
ends_scalar(char c)
{
	return c == ',' || c == ']' || c == '}' || c == ' ' || c == '\t' ||
	    c == '\n' || c == '\r';
}

/* Reads the value at s->p and steps behind it. */
static void
take_value(struct scan *s, struct json *out)
{
	const char *start = s->p;

	out->type = type_of(*start);
	out->plain = false;
	if (out->type == JSON_STRING) {
		s->p = pass_string(start, s->end, &out->plain);
	} else if (out->type == JSON_ARRAY || out->type == JSON_OBJECT) {
		s->p = pass_nested(start, s->end);
	} else {
		while (s->p < s->end && !ends_scalar(*s->p))
			s->p++;
	}
	out->raw = bytes_of(start, (size_t)(s->p - start));
}

bool
json_next(const struct json *v, size_t *pos, struct json *key,
    struct json *value)
{
	struct scan s = { .end = v->raw.p + v->raw.n };
	struct json name;

	if ((v->type != JSON_ARRAY && v->type != JSON_OBJECT) ||
	    *pos >= v->raw.n)
		return false;
	/* At the opening bracket or at the comma behind the last value. */
	s.p = v->raw.p + *pos + 1;
	skip_space(&s);
	if (s.p >= s.end || *s.p == ']' || *s.p == '}')
		return false;
	if (v->type == JSON_OBJECT) {
		take_value(&s, key != NULL ? key : &name);
		skip_space(&s);
		s.p++;			/* the colon */
		skip_space(&s);
	} else if (key != NULL) {
		*key = (struct json){ .type = JSON_MISSING };
	}
	take_value(&s, value);
	skip_space(&s);
	*pos = (size_t)(s.p - v->raw.p);
	return true;
}

/* ---- text of strings ---------------------------------------------------- */

static size_t
put_utf8(char *to, uint32_t c)
{
	if (c < 0x80) {
		to[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		to[0] = (char)(0xc0 | c >> 6);
		to[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		to[0] = (char)(0xe0 | c >> 12);
		to[1] = (char)(0x80 | (c >> 6 & 0x3f));
		to[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	to[0] = (char)(0xf0 | c >> 18);
	to[1] = (char)(0x80 | (c >> 12 & 0x3f));
	to[2] = (char)(0x80 | (c >> 6 & 0x3f));
	to[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* *p stands at a backslash of checked text, then behind the escape. */
static size_t
decode_escape(const char **p, const char *end, char to[4])
{
	static const char names[] = "bfnrt", values[] = "\b\f\n\r\t";
	const char *name, *at = *p + 1;
	int unit, low;

	*p = at + 1;
	if (*at != 'u') {
		name = strchr(names, *at);
		to[0] = name != NULL ? values[name - names] : *at;
		return 1;
	}
	unit = hex4(at + 1, end);
	*p = at + 5;
	if (!is_high(unit))
		return put_utf8(to, (uint32_t)unit);
	low = hex4(at + 7, end);
	*p = at + 11;
	return put_utf8(to, 0x10000 + ((uint32_t)(unit - 0xd800) << 10) +
	    (uint32_t)(low - 0xdc00));
}

static struct bytes
inner(const struct json *v)
{
	return bytes_of(v->raw.p + 1, v->raw.n - 2);
}

struct bytes
json_text(const struct json *v, struct buf *scratch)
{
	struct bytes in;
	const char *p, *end, *run;
	char *start, *to;

	if (v->type != JSON_STRING)
		return bytes_of("", 0);
	in = inner(v);
	if (v->plain)
		return in;
	/* Decoded it is never longer. */
	start = to = buf_room(scratch, in.n);
	for (p = in.p, end = in.p + in.n; p < end;) {
		run = p;
		p = memchr(p, '\\', (size_t)(end - p));
		if (p == NULL)
			p = end;
		memcpy(to, run, (size_t)(p - run));
		to += p - run;
		if (p < end)
			to += decode_escape(&p, end, to);
	}
	scratch->n += (size_t)(to - start);
	return bytes_of(start, (size_t)(to - start));
}

static bool
name_is(const struct json *key, struct bytes name)
{
	struct bytes in = inner(key);
	const char *p = in.p, *end = in.p + in.n;
	char octets[4];
	size_t n;

	if (key->plain)
		return bytes_eq(in, name);
	while (p < end) {
		if (*p == '\\') {
			n = decode_escape(&p, end, octets);
		} else {
			octets[0] = *p++;
			n = 1;
		}
		if (!bytes_starts(name, bytes_of(octets, n)))
			return false;
		name = bytes_skip(name, n);
	}
	return name.n == 0;
}

int
json_pick(const struct json *v, const struct json_want *wants, size_t n)
{
	struct json all = *v, key, value;	/* v may be one of the outs */
	size_t pos = 0;

	wants_clear(wants, n);
	if (all.type != JSON_OBJECT)
		return -1;
	while (json_next(&all, &pos, &key, &value))
		wants_take(wants, n, &key, &value);
	return 0;
}

int
json_u64(const struct json *v, uint64_t *out)
{
	return v->type == JSON_NUMBER ? bytes_u64(v->raw, out) : -1;
}

/* ---- writing ------------------------------------------------------------ */

static void
escape_one(struct buf *b, unsigned char c)
{
	static const char names[0x20] = {
		['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r',
		['\t'] = 't',
	};

	if (c == '"' || c == '\\' || (c < 0x20 && names[c] != 0)) {
		buf_char(b, '\\');
		buf_char(b, c < 0x20 ? names[c] : (char)c);
	} else {
		buf_fmt(b, "\\u%04x", c);
	}
}

void
json_escape(struct buf *b, struct bytes text)
{
	const char *p = text.p, *end, *run = p;

	if (text.n == 0)
		return;
	end = p + text.n;
	while (p < end) {
		p = skip_plain(p, end);
		if (p == end)
			break;
		if ((*p & 0x80) != 0) {
			p++;
			continue;
		}
		buf_add(b, run, (size_t)(p - run));
		escape_one(b, (unsigned char)*p);
		run = ++p;
	}
	if (p != run)
		buf_add(b, run, (size_t)(p - run));
}

void
json_quote(struct buf *b, struct bytes text)
{
	buf_char(b, '"');
	json_escape(b, text);
	buf_char(b, '"');
}
