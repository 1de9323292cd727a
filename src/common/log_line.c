/* SPDX-License-Identifier: MIT
 *
 * A line of the log as text or JSON.
 *
 * Runs in: every process.  Owns: nothing.
 */
#include "common/log_line.h"

#include <stdio.h>

#include "common/util.h"

#define KEY_MAX	40		/* octets of a key; what is longer is words */

static const struct {
	const char	*word, *on;
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", "\033[31m" },
	[LOG_LEVEL_WARN] = { "warn", "\033[33m" },
	[LOG_LEVEL_INFO] = { "info", "\033[32m" },
	[LOG_LEVEL_DEBUG] = { "debug", "\033[2m" },
};

const char *
log_level_name(enum log_level level)
{
	return levels[level].word;
}

int
log_level_named(struct bytes name, int *level)
{
	for (size_t i = 0; i < NELEM(levels); i++) {
		if (!bytes_eq(name, bytes_str(levels[i].word)))
			continue;
		*level = (int)i;
		return 0;
	}
	return -1;
}

/* ---- what is written ----------------------------------------------------- */

/* Grows to the end of its room and no further. */
struct out {
	char	*p;
	size_t	 n;
};

static void
put(struct out *o, struct bytes b)
{
	if (b.n > LOG_LINE_MAX - o->n)
		b.n = LOG_LINE_MAX - o->n;
	if (b.n > 0)
		memcpy(o->p + o->n, b.p, b.n);
	o->n += b.n;
}

static void
put_str(struct out *o, const char *text)
{
	put(o, bytes_str(text));
}

/* Days since 1970 as year, month, day; years start in March here, so that the
 * leap day comes last. */
static void
civil(uint64_t days, unsigned *year, unsigned *month, unsigned *day)
{
	uint64_t since_0 = days + 719468;	/* 1 March of year 0 */
	uint64_t era = since_0 / 146097, of_era = since_0 % 146097;
	uint64_t y = (of_era - of_era / 1460 + of_era / 36524 -
	    of_era / 146096) / 365;
	uint64_t of_year = of_era - (365 * y + y / 4 - y / 100);
	uint64_t m = (5 * of_year + 2) / 153;

	*day = (unsigned)(of_year - (153 * m + 2) / 5 + 1);
	*month = (unsigned)(m < 10 ? m + 3 : m - 9);
	*year = (unsigned)(y + era * 400 + (*month <= 2));
}

static void
put_time(struct out *o, uint64_t ms)
{
	uint64_t s = ms / 1000;
	unsigned year, month, day;
	char text[80];

	civil(s / 86400, &year, &month, &day);
	snprintf(text, sizeof(text), "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
	    year, month, day, (unsigned)(s / 3600 % 24),
	    (unsigned)(s / 60 % 60), (unsigned)(s % 60), (unsigned)(ms % 1000));
	put_str(o, text);
}

size_t
log_line_text(const struct log_event *e, bool stamp, bool colours, char *to)
{
	struct out o = { to, 0 };

	if (stamp) {
		put_time(&o, e->wall_ms);
		put_str(&o, " ");
	}
	put_str(&o, colours ? levels[e->level].on : "");
	put_str(&o, levels[e->level].word);
	put_str(&o, colours ? "\033[0m " : " ");
	put_str(&o, e->who);
	put_str(&o, ": ");
	put(&o, e->body);
	return o.n;
}

/* ---- what an event is made of -------------------------------------------- */

struct field {
	struct bytes	 key, value;
	bool		 quoted;	/* value has \" and \\ in it */
};

static bool
is_key_octet(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/* Octets of a key with its = at the start of the text, or 0. */
static size_t
key_length(struct bytes text)
{
	size_t n = 0;

	while (n < text.n && n <= KEY_MAX && is_key_octet(text.p[n]))
		n++;
	return n > 0 && n <= KEY_MAX && n < text.n && text.p[n] == '=' ?
	    n : 0;
}

static size_t
quoted_length(struct bytes text)
{
	size_t n = 1;

	while (n < text.n && text.p[n] != '"')
		n += text.p[n] == '\\' && n + 1 < text.n ? 2 : 1;
	return n < text.n ? n + 1 : text.n;
}

/* Takes a field from the start of the text, which has one. */
static void
field_take(struct bytes *text, size_t key, struct field *f)
{
	struct bytes left = bytes_skip(*text, key + 1);
	size_t n = 0;

	f->key = bytes_of(text->p, key);
	f->quoted = left.n > 0 && left.p[0] == '"';
	if (f->quoted) {
		n = quoted_length(left);
		f->value = bytes_of(left.p + 1,
		    n >= 2 && left.p[n - 1] == '"' ? n - 2 : n - 1);
	} else {
		while (n < left.n && left.p[n] != ' ')
			n++;
		f->value = bytes_of(left.p, n);
	}
	*text = bytes_skip(left, n);
}

/*
 * Goes through the text, spaces between its parts left out: true with a field,
 * or with words (key is empty) up to the next field.
 */
static bool
part_next(struct bytes *text, struct field *f)
{
	size_t n, key;

	while (text->n > 0 && text->p[0] == ' ')
		*text = bytes_skip(*text, 1);
	if (text->n == 0)
		return false;
	if ((key = key_length(*text)) > 0) {
		field_take(text, key, f);
		return true;
	}
	for (n = 1; n < text->n; n++)
		if (text->p[n - 1] == ' ' &&
		    key_length(bytes_skip(*text, n)) > 0)
			break;
	*f = (struct field){ .value = bytes_of(text->p, n) };
	while (f->value.n > 0 && f->value.p[f->value.n - 1] == ' ')
		f->value.n--;
	*text = bytes_skip(*text, n);
	return true;
}

/* ---- JSON ---------------------------------------------------------------- */

/* The text of a string; what is no UTF-8 was escaped by who logged it, or else
 * is shown as a question mark. */
static void
put_escaped(struct out *o, struct bytes text, bool quoted)
{
	size_t n;

	for (; text.n > 0; text = bytes_skip(text, n)) {
		n = utf8_length(text);
		if (quoted && text.p[0] == '\\' && text.n > 1 &&
		    (text.p[1] == '"' || text.p[1] == '\\'))
			n = 2;	/* is escaped as JSON has it, too */
		else if (text.p[0] == '"' || text.p[0] == '\\')
			put_str(o, "\\");
		if (n == 0 || (n == 1 && (unsigned char)text.p[0] < 0x20))
			put_str(o, "?");
		else
			put(o, bytes_of(text.p, n));
		n = n == 0 ? 1 : n;
	}
}

/* Digits that count something. */
static bool
is_number(const struct field *f)
{
	static const struct bytes names[] = {
		BYTES("app"), BYTES("user"), BYTES("channel"), BYTES("room"),
		BYTES("name"), BYTES("conn"), BYTES("req"), BYTES("from"),
		BYTES("node"), BYTES("key"), BYTES("version"), BYTES("before"),
	};

	if (f->quoted || f->value.n == 0 || f->value.n > 15 ||
	    (f->value.n > 1 && f->value.p[0] == '0'))
		return false;
	for (size_t i = 0; i < f->value.n; i++)
		if (f->value.p[i] < '0' || f->value.p[i] > '9')
			return false;
	for (size_t i = 0; i < NELEM(names); i++)
		if (bytes_eq(names[i], f->key))
			return false;
	return true;
}

/* Is this the first field of its name?  The line has some names of its own. */
static bool
is_first(const struct log_event *e, const struct field *f)
{
	static const struct bytes own[] = { BYTES("time"), BYTES("level"),
		BYTES("process"), BYTES("msg") };
	struct bytes text = e->body;
	struct field other;

	for (size_t i = 0; i < NELEM(own); i++)
		if (bytes_eq(own[i], f->key))
			return false;
	while (part_next(&text, &other) && other.key.p != f->key.p)
		if (other.key.n > 0 && bytes_eq(other.key, f->key))
			return false;
	return true;
}

static void
put_msg(struct out *o, const struct log_event *e)
{
	struct bytes text = e->body;
	struct field f;
	bool some = false;

	while (part_next(&text, &f)) {
		if (f.key.n > 0)
			continue;
		put_str(o, some ? " " : "");
		put_escaped(o, f.value, false);
		some = true;
	}
}

/* The last octet of a value may belong to the words that follow. */
static void
field_trim(struct field *f)
{
	if (!f->quoted && f->value.n > 1 &&
	    (f->value.p[f->value.n - 1] == ':' ||
	    f->value.p[f->value.n - 1] == ',' ||
	    f->value.p[f->value.n - 1] == ';'))
		f->value.n--;
}

static void
put_field(struct out *o, const struct field *f)
{
	bool number = is_number(f);

	put_str(o, ",\"");
	put(o, f->key);
	put_str(o, number ? "\":" : "\":\"");
	put_escaped(o, f->value, f->quoted);
	put_str(o, number ? "" : "\"");
}

size_t
log_line_json(const struct log_event *e, char *to)
{
	struct out o = { to, 0 };
	struct bytes text = e->body;
	size_t whole;
	struct field f;

	put_str(&o, "{\"time\":\"");
	put_time(&o, e->wall_ms);
	put_str(&o, "\",\"level\":\"");
	put_str(&o, levels[e->level].word);
	put_str(&o, "\",\"process\":\"");
	put_str(&o, e->who);
	put_str(&o, "\",\"msg\":\"");
	put_msg(&o, e);
	put_str(&o, "\"");
	while (part_next(&text, &f)) {
		if (f.key.n == 0 || !is_first(e, &f))
			continue;
		field_trim(&f);
		whole = o.n;
		put_field(&o, &f);
		if (o.n >= LOG_LINE_MAX - 1) {	/* it does not fit */
			o.n = whole;
			break;
		}
	}
	put_str(&o, "}");
	return o.n;
}
