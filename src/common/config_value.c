/* SPDX-License-Identifier: MIT
 *
 * One value: from text to its member of a section's struct and back, checked
 * against type, range and words.  One row of `types` for each type.
 *
 * Runs in: as config.h.  Owns: nothing; the strings belong to the config.
 */
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/config_parts.h"
#include "common/util.h"

struct unit {
	const char	*name;
	uint64_t	 factor;
};

/* Largest first: the first that divides a number is the one it is shown in. */
static const struct unit size_units[] = {
	{ "g", 1u << 30 }, { "m", 1u << 20 }, { "k", 1u << 10 }, { "", 1 },
	{ NULL, 0 }
};
static const struct unit time_units[] = {
	{ "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 },
	{ NULL, 0 }
};
static const struct unit count_units[] = { { "", 1 }, { NULL, 0 } };

/* ---- numbers ------------------------------------------------------------- */

static const struct unit *
units_of(const struct config_key *k)
{
	return k->type == CONFIG_SIZE ? size_units :
	    k->type == CONFIG_TIME ? time_units : count_units;
}

static void
show_number(const struct config_key *k, uint64_t v, struct buf *out)
{
	const struct unit *u = units_of(k);

	if (v == 0) {
		buf_char(out, '0');
		return;
	}
	while (v % u->factor != 0)
		u++;
	buf_u64(out, v / u->factor);
	buf_str(out, u->name);
}

/* The factor of the unit behind a number, 0 if there is no such unit.  Without
 * one, times are seconds. */
static uint64_t
unit_factor(const struct config_key *k, struct bytes unit)
{
	const struct unit *u;

	if (unit.n == 0)
		return k->type == CONFIG_TIME ? 1000 : 1;
	for (u = units_of(k); u->name != NULL; u++)
		if (u->name[0] != '\0' && bytes_ieq(bytes_str(u->name), unit))
			return u->factor;
	return 0;
}

static uint64_t
cores(const struct config_key *k)
{
	cpu_set_t set;
	uint64_t n = 1;

	if (sched_getaffinity(0, sizeof set, &set) == 0)
		n = (uint64_t)CPU_COUNT(&set);
	return n < k->min ? k->min : n > k->max ? k->max : n;
}

static int
complain(const struct config_key *k, struct buf *why, const char *what)
{
	buf_fmt(why, "%s; allowed are ", what);
	config_value_allowed(k, why);
	return -1;
}

static int
set_number(const struct config_key *k, void *at, struct bytes text, bool add,
    struct buf *why)
{
	uint64_t *to = at, v, factor;
	size_t digits = 0;

	(void)add;
	if (strcmp(k->def, "auto") == 0 && bytes_eq(text, B("auto"))) {
		*to = cores(k);
		return 0;
	}
	while (digits < text.n && text.p[digits] >= '0' &&
	    text.p[digits] <= '9')
		digits++;
	if (digits == 0)
		return complain(k, why, "not a number");
	factor = unit_factor(k, bytes_skip(text, digits));
	if (factor == 0)
		return complain(k, why, "not a number with a known unit");
	if (bytes_u64(bytes_of(text.p, digits), &v) < 0 ||
	    v > UINT64_MAX / factor || v * factor > k->max)
		return complain(k, why, "too large");
	if (v * factor < k->min)
		return complain(k, why, "too small");
	*to = v * factor;
	return 0;
}

static void
show_number_at(const struct config_key *k, const void *at, struct buf *out)
{
	uint64_t v;

	memcpy(&v, at, sizeof v);
	show_number(k, v, out);
}

static bool
equal_number(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(uint64_t)) == 0;
}

/* ---- words --------------------------------------------------------------- */

/* Calls for each word of "a|b|c": the index of the one that is equal, or -1. */
static int
word_index(const char *words, struct bytes text)
{
	const char *p = words;
	size_t n;
	int i;

	for (i = 0; *p != '\0'; i++, p += n + (p[n] == '|')) {
		n = strcspn(p, "|");
		if (bytes_ieq(bytes_of(p, n), text))
			return i;
	}
	return -1;
}

static struct bytes
word_at(const char *words, int i)
{
	while (i-- > 0)
		words = strchr(words, '|') + 1;
	return bytes_of(words, strcspn(words, "|"));
}

static int
set_choice(const struct config_key *k, void *at, struct bytes text, bool add,
    struct buf *why)
{
	int i = word_index(k->words, text), *to = at;

	(void)add;
	if (i < 0)
		return complain(k, why, "unknown word");
	*to = i;
	return 0;
}

static void
show_choice(const struct config_key *k, const void *at, struct buf *out)
{
	int i;

	memcpy(&i, at, sizeof i);
	buf_bytes(out, word_at(k->words, i));
}

static bool
equal_choice(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(int)) == 0;
}

static int
set_flag(const struct config_key *k, void *at, struct bytes text, bool add,
    struct buf *why)
{
	static const char names[] = "no|yes|off|on|false|true|0|1";
	int i = word_index(names, text);
	bool *to = at;

	(void)add;
	if (i < 0)
		return complain(k, why, "neither yes nor no");
	*to = i % 2 == 1;
	return 0;
}

static void
show_flag(const struct config_key *k, const void *at, struct buf *out)
{
	(void)k;
	buf_str(out, *(const bool *)at ? "yes" : "no");
}

static bool
equal_flag(const void *a, const void *b)
{
	return *(const bool *)a == *(const bool *)b;
}

/* ---- texts --------------------------------------------------------------- */

/* A text may hold anything but control characters: it goes into logs, into
 * the dump and, as a path, to the system. */
static int
check_text(struct bytes text, struct buf *why)
{
	size_t i;

	for (i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < 32 || text.p[i] == 127) {
			buf_str(why, "holds a control character");
			return -1;
		}
	return 0;
}

static int
set_text(const struct config_key *k, void *at, struct bytes text, bool add,
    struct buf *why)
{
	char **to = at;

	(void)k, (void)add;
	if (check_text(text, why) < 0)
		return -1;
	free(*to);
	*to = text.n > 0 ? bytes_dup(text) : NULL;
	return 0;
}

/* Must the text stand in quotes to come back as it is? */
static bool
needs_quotes(struct bytes text)
{
	return text.n > 0 && (text.p[0] == '"' ||
	    bytes_trim(text).n != text.n || bytes_find(text, ';') >= 0 ||
	    bytes_find(text, '#') >= 0);
}

/* So that the file's reader gives it back. */
static void
show_quoted(struct bytes text, struct buf *out)
{
	bool quotes = needs_quotes(text);
	size_t i;

	if (quotes)
		buf_char(out, '"');
	for (i = 0; i < text.n; i++) {
		if (quotes && (text.p[i] == '"' || text.p[i] == '\\'))
			buf_char(out, '\\');
		if (bytes_starts(bytes_skip(text, i), B("${")))
			buf_char(out, '$');
		buf_char(out, text.p[i]);
	}
	if (quotes)
		buf_char(out, '"');
}

static void
show_text(const struct config_key *k, const void *at, struct buf *out)
{
	char *const *from = at;

	(void)k;
	if (*from != NULL)
		show_quoted(bytes_str(*from), out);
}

static bool
equal_text(const void *a, const void *b)
{
	char *const *x = a, *const *y = b;

	return (*x == NULL) == (*y == NULL) &&
	    (*x == NULL || strcmp(*x, *y) == 0);
}

static void
free_text(void *at)
{
	char **text = at;

	free(*text);
	*text = NULL;
}

static void
free_strings(void *at)
{
	struct config_strings *list = at;
	size_t i;

	for (i = 0; i < list->n; i++)
		free(list->at[i]);
	free(list->at);
	*list = (struct config_strings){ NULL, 0 };
}

static void
add_string(struct config_strings *list, struct bytes item)
{
	if (item.n == 0)
		return;
	list->at = xreallocarray(list->at, list->n + 1, sizeof *list->at);
	list->at[list->n++] = bytes_dup(item);
}

static int
set_strings(const struct config_key *k, void *at, struct bytes text, bool add,
    struct buf *why)
{
	struct config_strings *list = at;
	ptrdiff_t comma;
	size_t before;

	if (check_text(text, why) < 0)
		return -1;
	if (!add)
		free_strings(list);
	before = list->n;
	while ((comma = bytes_find(text, ',')) >= 0) {
		add_string(list, bytes_trim(bytes_of(text.p, (size_t)comma)));
		text = bytes_skip(text, (size_t)comma + 1);
	}
	add_string(list, bytes_trim(text));
	if (list->n > before || k->def[0] == '\0')
		return 0;
	buf_str(why, "is empty");
	return -1;
}

static void
show_strings(const struct config_key *k, const void *at, struct buf *out)
{
	const struct config_strings *list = at;
	struct buf joined = { 0 };
	size_t i;

	(void)k;
	for (i = 0; i < list->n; i++) {
		buf_str(&joined, i > 0 ? ", " : "");
		buf_str(&joined, list->at[i]);
	}
	show_quoted(buf_view(&joined), out);
	buf_done(&joined);
}

/* One a line: it may hold commas. */
static int
set_secrets(const struct config_key *k, void *at, struct bytes text, bool add,
    struct buf *why)
{
	struct config_strings *list = at;

	(void)k;
	if (check_text(text, why) < 0)
		return -1;
	if (!add)
		free_strings(list);
	add_string(list, bytes_trim(text));
	return 0;
}

/* Several: as lines of their own behind the first. */
static void
show_secrets(const struct config_key *k, const void *at, struct buf *out)
{
	const struct config_strings *list = at;
	size_t i;

	for (i = 0; i < list->n; i++) {
		if (i > 0)
			buf_fmt(out, "\n%s = ", k->name);
		show_quoted(bytes_str(list->at[i]), out);
	}
}

static bool
equal_strings(const void *a, const void *b)
{
	const struct config_strings *x = a, *y = b;
	size_t i;

	if (x->n != y->n)
		return false;
	for (i = 0; i < x->n; i++)
		if (strcmp(x->at[i], y->at[i]) != 0)
			return false;
	return true;
}

/* ---- all of them --------------------------------------------------------- */

static const struct type {
	int	(*set)(const struct config_key *, void *, struct bytes,
		    bool add, struct buf *why);
	void	(*show)(const struct config_key *, const void *, struct buf *);
	bool	(*equal)(const void *, const void *);
	void	(*free)(void *);
} types[] = {
	[CONFIG_TEXT] = { set_text, show_text, equal_text, free_text },
	[CONFIG_SECRET] = { set_text, show_text, equal_text, free_text },
	[CONFIG_STRINGS] = { set_strings, show_strings, equal_strings,
	    free_strings },
	[CONFIG_SECRETS] = { set_secrets, show_secrets, equal_strings,
	    free_strings },
	[CONFIG_FLAG] = { set_flag, show_flag, equal_flag, NULL },
	[CONFIG_COUNT] = { set_number, show_number_at, equal_number, NULL },
	[CONFIG_SIZE] = { set_number, show_number_at, equal_number, NULL },
	[CONFIG_TIME] = { set_number, show_number_at, equal_number, NULL },
	[CONFIG_CHOICE] = { set_choice, show_choice, equal_choice, NULL },
};

int
config_value_set(const struct config_key *k, void *section_struct,
    struct bytes text, bool add, struct buf *why)
{
	return types[k->type].set(k, (char *)section_struct + k->at, text,
	    add, why);
}

void
config_value_show(const struct config_key *k, const void *section_struct,
    struct buf *out)
{
	types[k->type].show(k, (const char *)section_struct + k->at, out);
}

bool
config_value_equal(const struct config_key *k, const void *a, const void *b)
{
	return types[k->type].equal((const char *)a + k->at,
	    (const char *)b + k->at);
}

void
config_value_free(const struct config_key *k, void *section_struct)
{
	if (types[k->type].free != NULL)
		types[k->type].free((char *)section_struct + k->at);
}

/* What the help says of 0, as in "...; 0 is no limit." */
static void
show_zero(const struct config_key *k, struct buf *out)
{
	const char *p;

	p = k->min == 0 && k->max > 0 ? strstr(k->help, "; 0") : NULL;

	if (p != NULL) {
		p += 2;
		buf_fmt(out, " (%.*s)", (int)strcspn(p, ".;"), p);
	}
}

static void
show_words(const char *words, struct buf *out)
{
	const char *p;

	for (p = words; *p != '\0'; p++)
		if (*p != '|')
			buf_char(out, *p);
		else
			buf_str(out, strchr(p + 1, '|') != NULL ? ", " :
			    " and ");
}

void
config_value_range(const struct config_key *k, struct buf *out)
{
	if (k->type != CONFIG_COUNT && k->type != CONFIG_SIZE &&
	    k->type != CONFIG_TIME)
		return;
	show_number(k, k->min, out);
	buf_str(out, " to ");
	show_number(k, k->max, out);
	if (strcmp(k->def, "auto") == 0)
		buf_str(out, " and auto");
}

void
config_value_allowed(const struct config_key *k, struct buf *out)
{
	if (k->words != NULL)
		show_words(k->words, out);
	config_value_range(k, out);
	show_zero(k, out);
}
