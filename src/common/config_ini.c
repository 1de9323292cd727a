/* SPDX-License-Identifier: MIT
 *
 * peal.ini.  inih splits lines into sections, names and values; all that it
 * cannot do is done around it by our own line reader:
 *
 * - Distributions build inih with lines of 200 octets and sections of 50, and
 *   cut what is longer without a word.  The reader keeps the whole line; inih
 *   gets it cut, which is enough to find the name, and the value is taken from
 *   the whole line.
 * - inih counts no lines, tells nothing of an empty section, and takes an
 *   indented line for more of the value above.  The reader counts, looks at
 *   headings itself and takes white space away in front.
 *
 * Values: quoted "so", with \" and \\ inside, or bare up to white space and ;
 * or #.  Then ${NAME} is replaced.
 *
 * Runs in: master, pealctl.  Owns: nothing beyond the call.
 */
#include <ini.h>
#include <stdlib.h>

#include "common/config_parts.h"
#include "common/log.h"
#include "common/util.h"

#define LABEL_MAX	64	/* octets of the NAME in [app NAME] */

struct reader {
	struct config_draft *draft;
	struct config_place place;	/* file and number of the line */
	struct bytes	 rest;
	struct bytes	 line;		/* the whole one, trimmed */
	struct config_mark *mark;	/* the section we are in */
	const struct config_section *hidden; /* of a heading after it that is a */
	unsigned	 hidden_line;	/* comment; NULL: there is none */
	int		 rc;		/* -1: refused, read no more */
};

static bool
is_comment(struct bytes text)
{
	return text.n > 0 && (text.p[0] == ';' || text.p[0] == '#');
}

static bool
is_blank(char c)
{
	return c != '\0' && strchr(" \t\r\v\f", c) != NULL;
}

static struct bytes
trim(struct bytes text)
{
	while (text.n > 0 && is_blank(text.p[0]))
		text = bytes_skip(text, 1);
	while (text.n > 0 && is_blank(text.p[text.n - 1]))
		text.n--;
	return text;
}

/* A complaint about this line: "[app chat] key: ...". */
static int __attribute__((format(printf, 3, 4)))
refuse_here(struct reader *r, const char *key, const char *fmt, ...)
{
	struct buf subject = { 0 }, text = { 0 };
	va_list ap;
	int rc;

	config_draft_subject(r->draft, r->mark, key, &subject);
	va_start(ap, fmt);
	buf_vfmt(&text, fmt, ap);
	va_end(ap);
	rc = config_draft_refuse(r->draft, r->place, "%s: %s",
	    buf_cstr(&subject), buf_cstr(&text));
	buf_done(&subject);
	buf_done(&text);
	return rc;
}

/* ---- sections ------------------------------------------------------------ */

static void
list_sections(struct buf *out)
{
	const struct config_section *s;

	for (s = config_sections(); s->name != NULL; s++)
		buf_fmt(out, "%s[%s%s]", s == config_sections() ? "" : ", ",
		    s->name, strcmp(s->name, "app") == 0 ? " NAME" :
		    s->many ? " [NAME]" : "");
}

static int
refuse_section(struct reader *r, struct bytes name)
{
	const struct config_section *s = config_sections();
	const char *names[16], *near;
	struct buf known = { 0 };
	size_t n;
	int rc;

	for (n = 0; s[n].name != NULL && n < NELEM(names); n++)
		names[n] = s[n].name;
	near = config_nearest(name, names, n);
	list_sections(&known);
	rc = config_draft_refuse(r->draft, r->place,
	    "[%s]: unknown section%s%s%s known are %s", log_bytes(name),
	    near != NULL ? ", did you mean [" : "", near != NULL ? near : "",
	    near != NULL ? "]?" : ";", buf_cstr(&known));
	buf_done(&known);
	return rc;
}

static int
check_label(struct reader *r, const struct config_section *s,
    struct bytes label)
{
	size_t i;

	if (!s->many && label.n > 0)
		return config_draft_refuse(r->draft, r->place,
		    "[%s %s]: there is only one [%s]", s->name,
		    log_bytes(label), s->name);
	if (label.n == 0 && strcmp(s->name, "app") == 0)
		return config_draft_refuse(r->draft, r->place,
		    "[app]: an app needs a name: [app NAME]");
	for (i = 0; i < label.n && config_name_octet(label.p[i]); i++)
		;
	if (i < label.n || label.n > LABEL_MAX)
		return config_draft_refuse(r->draft, r->place,
		    "[%s %s]: a name has letters, digits, - _ and . only, "
		    "%d at most", s->name, log_bytes(label), LABEL_MAX);
	return 0;
}

static bool
has_keys(const struct config_mark *m)
{
	size_t i;

	for (i = 0; i < m->section->n_keys; i++)
		if (m->keys[i].name != NULL)
			return true;
	return false;
}

/* A heading with nothing below it, as etc/peal.ini has them, is no beginning. */
static int
enter_section(struct reader *r, const struct config_section *s,
    struct bytes label)
{
	if (check_label(r, s, label) < 0)
		return -1;
	r->mark = config_draft_find(r->draft, s->name, label);
	if (r->mark == NULL)
		r->mark = config_draft_add(r->draft, s, label, r->place);
	else if (r->mark->place.name != NULL && has_keys(r->mark))
		return refuse_here(r, NULL, "begins in line %u already: its "
		    "keys belong there", r->mark->place.line);
	r->mark->place = r->place;
	r->hidden = NULL;
	return 0;
}

/* "[app chat]": the section, NULL if it is unknown, and the label. */
static const struct config_section *
split_heading(struct bytes text, struct bytes *name, struct bytes *label)
{
	*name = *label = trim(text);
	for (name->n = 0; name->n < label->n && !is_blank(label->p[name->n]); )
		name->n++;
	*label = trim(bytes_skip(*label, name->n));
	return config_section_find(*name);
}

/* "#[app chat]": whoever takes the # from the keys below may forget this one. */
static void
take_hidden(struct reader *r)
{
	struct bytes text = trim(bytes_skip(r->line, 1)), name, label;
	const struct config_section *s;
	ptrdiff_t end = bytes_find(text, ']');

	if (text.n == 0 || text.p[0] != '[' || end < 0)
		return;
	s = split_heading(bytes_of(text.p + 1, (size_t)end - 1), &name, &label);
	if (s == NULL)
		return;
	r->hidden = s;
	r->hidden_line = r->place.line;
}

/* A line that begins with [. */
static int
take_heading(struct reader *r)
{
	struct bytes inner = bytes_skip(r->line, 1), name, label, rest;
	const struct config_section *s;
	ptrdiff_t end = bytes_find(inner, ']');

	if (end < 0)
		return config_draft_refuse(r->draft, r->place,
		    "%s: ] is missing", log_bytes(r->line));
	rest = trim(bytes_skip(inner, (size_t)end + 1));
	if (rest.n > 0 && !is_comment(rest))
		return config_draft_refuse(r->draft, r->place,
		    "%s: more text behind ]", log_bytes(r->line));
	s = split_heading(bytes_of(inner.p, (size_t)end), &name, &label);
	return s == NULL ? refuse_section(r, name) :
	    enter_section(r, s, label);
}

/* ---- values -------------------------------------------------------------- */

/* "text" with its quotes: what stands inside, and what follows. */
static int
take_quoted(struct bytes text, struct buf *out, struct buf *why)
{
	size_t i;

	for (i = 1; i < text.n && text.p[i] != '"'; i++) {
		if (text.p[i] == '\\' && i + 1 < text.n &&
		    (text.p[i + 1] == '"' || text.p[i + 1] == '\\'))
			i++;
		buf_char(out, text.p[i]);
	}
	if (i >= text.n) {
		buf_str(why, "closing quote is missing");
		return -1;
	}
	text = trim(bytes_skip(text, i + 1));
	if (text.n > 0 && !is_comment(text)) {
		buf_str(why, "more text behind the closing quote");
		return -1;
	}
	return 0;
}

static int
take_value(struct reader *r, struct bytes text, struct buf *out,
    struct buf *why)
{
	struct buf bare = { 0 };
	size_t i;
	int rc = 0;

	if (text.n > 0 && text.p[0] == '"')
		rc = take_quoted(text, &bare, why);
	else {
		for (i = 0; i < text.n; i++)
			if ((i == 0 || is_blank(text.p[i - 1])) &&
			    is_comment(bytes_skip(text, i)))
				break;
		buf_bytes(&bare, trim(bytes_of(text.p, i)));
	}
	if (rc == 0)
		rc = config_env_expand(&r->draft->env, buf_view(&bare), out,
		    why);
	buf_done(&bare);
	return rc;
}

/* ---- keys ---------------------------------------------------------------- */

static bool
is_hidden(const struct reader *r, const char *name)
{
	return r->hidden != NULL &&
	    config_key_find(r->hidden, bytes_str(name)) != NULL;
}

static int
refuse_key(struct reader *r, const char *name)
{
	const struct config_section *s = r->mark->section;
	const char **names = xcalloc(s->n_keys, sizeof *names), *near;
	struct buf known = { 0 };
	size_t i;
	int rc;

	if (is_hidden(r, name)) {
		free(names);
		return refuse_here(r, log_bytes(bytes_str(name)), "unknown key; "
		    "if it is one of [%s] in line %u: that line is a comment, "
		    "take its # away, too", r->hidden->name, r->hidden_line);
	}
	for (i = 0; i < s->n_keys; i++) {
		names[i] = s->keys[i].name;
		buf_fmt(&known, "%s%s", i > 0 ? ", " : "", names[i]);
	}
	near = config_nearest(bytes_str(name), names, s->n_keys);
	rc = refuse_here(r, log_bytes(bytes_str(name)),
	    "unknown key%s%s%s known are %s",
	    near != NULL ? ", did you mean " : "", near != NULL ? near : "",
	    near != NULL ? "?" : ";", buf_cstr(&known));
	buf_done(&known);
	free(names);
	return rc;
}

static int
set_key(struct reader *r, const struct config_key *k, struct bytes text)
{
	struct config_place *seen = &r->mark->keys[k - r->mark->section->keys];
	struct buf value = { 0 }, why = { 0 };
	int rc;

	if (seen->name != NULL && k->type != CONFIG_STRINGS &&
	    k->type != CONFIG_SECRETS)
		return refuse_here(r, k->name, "is given in line %u already",
		    seen->line);
	if (take_value(r, text, &value, &why) == 0)
		rc = config_draft_set(r->draft, r->mark, k->name,
		    buf_view(&value), seen->name != NULL, r->place, NULL);
	else
		rc = refuse_here(r, k->name, "%s", buf_cstr(&why));
	buf_done(&value);
	buf_done(&why);
	return rc;
}

/* What inih found: the value comes from the whole line instead. */
static int
on_pair(void *arg, const char *section, const char *name, const char *value)
{
	struct reader *r = arg;
	const struct config_key *k;
	size_t i = 0;

	(void)section, (void)value;
	if (r->rc < 0)
		return 0;
	if (r->mark == NULL) {
		r->rc = config_draft_refuse(r->draft, r->place,
		    "%s: stands in front of the first [section]",
		    log_bytes(bytes_str(name)));
		return 0;
	}
	k = config_key_find(r->mark->section, bytes_str(name));
	if (k == NULL) {
		r->rc = refuse_key(r, name);
		return 0;
	}
	while (i < r->line.n && r->line.p[i] != '=' && r->line.p[i] != ':')
		i++;
	r->rc = set_key(r, k, trim(bytes_skip(r->line, i + 1)));
	return r->rc == 0;
}

/* ---- lines --------------------------------------------------------------- */

static void
next_line(struct reader *r)
{
	ptrdiff_t end = bytes_find(r->rest, '\n');
	size_t n = end < 0 ? r->rest.n : (size_t)end;

	r->line = trim(bytes_of(r->rest.p, n));
	r->rest = bytes_skip(r->rest, n + (end >= 0));
	r->place.line++;
}

static bool
has_blank(struct bytes text)
{
	size_t i;

	for (i = 0; i < text.n; i++)
		if (is_blank(text.p[i]))
			return true;
	return false;
}

static int
check_line(struct reader *r, size_t room)
{
	size_t i = 0;

	if (r->line.n > 0 && memchr(r->line.p, '\0', r->line.n) != NULL)
		return config_draft_refuse(r->draft, r->place, "a NUL octet");
	if (r->line.n == 0)
		return 0;
	if (is_comment(r->line)) {
		take_hidden(r);
		return 0;
	}
	if (r->line.p[0] == '[')
		return take_heading(r);
	while (i < r->line.n && r->line.p[i] != '=' && r->line.p[i] != ':')
		i++;
	if (i == r->line.n || i >= room ||
	    has_blank(trim(bytes_of(r->line.p, i))))
		return config_draft_refuse(r->draft, r->place,
		    "%s: neither [section] nor key = value",
		    log_bytes(r->line));
	return 0;
}

/* fgets() for inih: one line, never more than fits. */
static char *
read_line(char *to, int size, void *arg)
{
	struct reader *r = arg;
	size_t n, room = size > 2 ? (size_t)size - 2 : 0;

	if (r->rc < 0 || r->rest.n == 0)
		return NULL;
	next_line(r);
	r->rc = check_line(r, room);
	if (r->rc < 0)
		return NULL;
	/* A heading was taken already, and a comment says nothing. */
	n = r->line.n == 0 || is_comment(r->line) || r->line.p[0] == '[' ? 0 :
	    r->line.n < room ? r->line.n : room;
	memcpy(to, r->line.p != NULL ? r->line.p : "", n);
	to[n] = '\n';
	to[n + 1] = '\0';
	return to;
}

int
config_ini_parse(struct config_draft *d, const char *file, struct bytes text)
{
	struct reader r = { .draft = d, .place = { file, 0 }, .rest = text };
	int line;

	if (bytes_starts(text, B("\xef\xbb\xbf")))
		r.rest = bytes_skip(text, 3);
	line = ini_parse_stream(read_line, &r, on_pair, &r);
	if (r.rc == 0 && line != 0) {
		r.place.line = line > 0 ? (unsigned)line : 0;
		r.rc = config_draft_refuse(d, r.place,
		    "neither [section] nor key = value");
	}
	return r.rc;
}

/* ---- near misses --------------------------------------------------------- */

#define NEAR_MAX	40

static size_t
min3(size_t a, size_t b, size_t c)
{
	return a < b ? (a < c ? a : c) : (b < c ? b : c);
}

/* Insertions, deletions and changes from one to the other (Levenshtein). */
static size_t
distance(struct bytes a, struct bytes b)
{
	size_t row[NEAR_MAX + 1], i, j, above, left;

	if (a.n > NEAR_MAX || b.n > NEAR_MAX)
		return NEAR_MAX;
	for (j = 0; j <= b.n; j++)
		row[j] = j;
	for (i = 1; i <= a.n; i++) {
		above = row[0];
		row[0] = i;
		for (j = 1; j <= b.n; j++) {
			left = min3(row[j] + 1, row[j - 1] + 1,
			    above + (a.p[i - 1] != b.p[j - 1]));
			above = row[j];
			row[j] = left;
		}
	}
	return row[b.n];
}

const char *
config_nearest(struct bytes wrong, const char *const *names, size_t n)
{
	size_t i, d, best = wrong.n < 5 ? 2 : 3;
	const char *near = NULL;

	for (i = 0; i < n; i++) {
		d = distance(wrong, bytes_str(names[i]));
		if (d < best) {
			best = d;
			near = names[i];
		}
	}
	return near;
}
