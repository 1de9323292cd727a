/* SPDX-License-Identifier: MIT
 *
 * The environment, and a Laravel site's .env file behind it.
 *
 * A line of the file is NAME=value, with `export` in front if one likes.
 * Unquoted values end at white space or #; in 'single quotes' everything
 * stands for itself; in "double quotes" \" \\ \$ \n \r \t \f \v are known and
 * the text may go over several lines.  ${NAME} stands for what the environment
 * or an earlier line gave it, and for itself if nobody did.  A name that comes
 * twice has its last value; the environment goes before the file.
 *
 * Runs in: master, pealctl.  Owns: the variables of the file.
 * Dies: config_env_done().
 */
#include <ctype.h>
#include <stdlib.h>

#include "common/config_parts.h"
#include "common/util.h"

/* Where we are in the file. */
struct reader {
	struct config_env *env;
	const char	*file;
	struct bytes	 rest;
	unsigned	 line;
	struct buf	*why;
};

static const char white[] = " \t\r\v\f";

static bool
is_white(char c)
{
	return c != '\0' && strchr(white, c) != NULL;
}

static bool
is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '.';
}

/* The next octet, '\n' at the end of the file, without taking it. */
static char
peek(const struct reader *r)
{
	return r->rest.n > 0 ? r->rest.p[0] : '\n';
}

static void
step(struct reader *r)
{
	if (r->rest.n == 0)
		return;
	if (r->rest.p[0] == '\n')
		r->line++;
	r->rest = bytes_skip(r->rest, 1);
}

static void
skip_white(struct reader *r)
{
	while (is_white(peek(r)))
		step(r);
}

static void
skip_line(struct reader *r)
{
	while (peek(r) != '\n')
		step(r);
	step(r);
}

static int
wrong(struct reader *r, unsigned line, const char *what)
{
	buf_fmt(r->why, "%s:%u: %s", r->file, line, what);
	return -1;
}

/* ---- variables ----------------------------------------------------------- */

static const char *
find_environ(char *const *e, struct bytes name)
{
	for (; e != NULL && *e != NULL; e++)
		if (strncmp(*e, name.p, name.n) == 0 && (*e)[name.n] == '=')
			return *e + name.n + 1;
	return NULL;
}

static struct config_variable *
find_variable(const struct config_env *env, struct bytes name)
{
	size_t i;

	for (i = 0; i < env->n; i++)
		if (bytes_eq(bytes_str(env->at[i].name), name))
			return &env->at[i];
	return NULL;
}

const char *
config_env_get(const struct config_env *env, struct bytes name,
    struct config_place *place)
{
	const struct config_variable *v;
	const char *value = find_environ(env->environ_, name);
	struct config_place from = { "environment", 0 };

	if (value == NULL && (v = find_variable(env, name)) != NULL) {
		value = v->value;
		from = v->place;
	}
	if (place != NULL)
		*place = from;
	return value;
}

static void
put_variable(struct reader *r, struct bytes name, struct bytes value,
    unsigned line)
{
	struct config_env *env = r->env;
	struct config_variable *v = find_variable(env, name);

	if (v == NULL) {
		env->at = xreallocarray(env->at, env->n + 1, sizeof *env->at);
		v = &env->at[env->n++];
		v->name = bytes_dup(name);
	} else
		free(v->value);
	v->value = bytes_dup(value);
	v->place = (struct config_place){ r->file, line };
}

void
config_env_done(struct config_env *env)
{
	size_t i;

	for (i = 0; i < env->n; i++) {
		free(env->at[i].name);
		free(env->at[i].value);
	}
	free(env->at);
	env->at = NULL;
	env->n = 0;
}

/* ---- values -------------------------------------------------------------- */

/* At a $: the value of ${NAME}, or the $ itself. */
static void
take_dollar(struct reader *r, struct buf *out)
{
	struct bytes name = bytes_skip(r->rest, 1);
	const char *value = NULL;
	size_t n = 1;

	if (name.n > 0 && name.p[0] == '{') {
		while (n < name.n && is_name(name.p[n]))
			n++;
		if (n > 1 && n < name.n && name.p[n] == '}')
			value = config_env_get(r->env,
			    bytes_of(name.p + 1, n - 1), NULL);
	}
	if (value == NULL) {
		buf_char(out, '$');
		step(r);
		return;
	}
	buf_str(out, value);
	r->rest = bytes_skip(name, n + 1);
}

static void
take_unquoted(struct reader *r, struct buf *out)
{
	char c;

	while ((c = peek(r)) != '\n' && c != '#' && !is_white(c)) {
		if (c == '$')
			take_dollar(r, out);
		else {
			buf_char(out, c);
			step(r);
		}
	}
}

static int
take_single(struct reader *r, struct buf *out)
{
	unsigned line = r->line;

	for (step(r); peek(r) != '\''; step(r)) {
		if (peek(r) == '\n')
			return wrong(r, line, "closing quote is missing");
		buf_char(out, peek(r));
	}
	step(r);
	return 0;
}

static int
take_escape(struct reader *r, struct buf *out)
{
	static const char names[] = "\"\\$nrtfv", octets[] = "\"\\$\n\r\t\f\v";
	const char *p;

	step(r);
	p = r->rest.n > 0 && peek(r) != '\0' ? strchr(names, peek(r)) : NULL;
	if (p == NULL)
		return wrong(r, r->line, "unknown escape in double quotes; "
		    "allowed are \\\" \\\\ \\$ \\n \\r \\t \\f and \\v");
	buf_char(out, octets[p - names]);
	step(r);
	return 0;
}

static int
take_double(struct reader *r, struct buf *out)
{
	unsigned line = r->line;

	step(r);
	while (r->rest.n > 0 && peek(r) != '"') {
		if (peek(r) == '$')
			take_dollar(r, out);
		else if (peek(r) != '\\') {
			buf_char(out, peek(r));
			step(r);
		} else if (take_escape(r, out) < 0)
			return -1;
	}
	if (r->rest.n == 0)
		return wrong(r, line, "closing quote is missing");
	step(r);
	return 0;
}

static int
take_value(struct reader *r, struct buf *out)
{
	int (*take)(struct reader *, struct buf *);

	skip_white(r);
	take = peek(r) == '"' ? take_double :
	    peek(r) == '\'' ? take_single : NULL;
	if (take == NULL)
		take_unquoted(r, out);
	else if (take(r, out) < 0)
		return -1;
	skip_white(r);
	if (peek(r) != '\n' && peek(r) != '#')
		return wrong(r, r->line, "more text behind the value; "
		    "a value with spaces stands in double quotes");
	if (out->n > 0 && memchr(out->p, '\0', out->n) != NULL)
		return wrong(r, r->line, "a NUL octet");
	skip_line(r);
	return 0;
}

/* ---- lines --------------------------------------------------------------- */

/* NAME, 'NAME' or "NAME", `export` in front or not; the text up to =. */
static struct bytes
clean_name(struct bytes name)
{
	name = bytes_trim(name);
	if (name.n > 7 && bytes_starts(name, B("export")) &&
	    is_white(name.p[6]))
		name = bytes_trim(bytes_skip(name, 7));
	if (name.n > 2 && name.p[0] == name.p[name.n - 1] &&
	    (name.p[0] == '"' || name.p[0] == '\''))
		name = bytes_of(name.p + 1, name.n - 2);
	return name;
}

static bool
name_valid(struct bytes name)
{
	size_t i;

	for (i = 0; i < name.n; i++)
		if (!is_name(name.p[i]))
			return false;
	return name.n > 0;
}

/* At the first octet of a name. */
static int
take_line(struct reader *r)
{
	unsigned line = r->line;
	struct buf value = { 0 };
	struct bytes name;
	size_t n = 0;
	int rc;

	while (n < r->rest.n && r->rest.p[n] != '=' && r->rest.p[n] != '\n')
		n++;
	name = clean_name(bytes_of(r->rest.p, n));
	if (!name_valid(name))
		return wrong(r, line, "not NAME=value; a name has letters, "
		    "digits, _ and .");
	r->rest = bytes_skip(r->rest, n);
	if (peek(r) != '=') {		/* a name alone says nothing */
		skip_line(r);
		return 0;
	}
	step(r);
	if ((rc = take_value(r, &value)) == 0)
		put_variable(r, name, buf_view(&value), line);
	buf_done(&value);
	return rc;
}

int
config_env_parse(struct config_env *env, const char *file, struct bytes text,
    struct buf *why)
{
	struct reader r = { env, file, text, 1, why };

	if (bytes_starts(text, B("\xef\xbb\xbf")))
		r.rest = bytes_skip(text, 3);
	while (r.rest.n > 0) {
		skip_white(&r);
		if (peek(&r) == '#' || peek(&r) == '\n')
			skip_line(&r);
		else if (take_line(&r) < 0)
			return -1;
	}
	return 0;
}

/* ---- ${NAME} in peal.ini ------------------------------------------------- */

static bool
valid_reference(struct bytes name)
{
	return name_valid(name) && bytes_find(name, '.') < 0;
}

/* What stands between ${ and }: NAME or NAME:-default. */
static int
expand_one(const struct config_env *env, struct bytes inner, struct buf *out,
    struct buf *why)
{
	ptrdiff_t colon = bytes_find(inner, ':');
	struct bytes name = inner, def = { NULL, 0 };
	const char *value;

	if (colon >= 0 && bytes_starts(bytes_skip(inner, (size_t)colon),
	    B(":-"))) {
		name.n = (size_t)colon;
		def = bytes_skip(inner, (size_t)colon + 2);
	}
	if (!valid_reference(name)) {
		buf_str(why, "${...} holds no name of a variable; allowed are "
		    "${NAME} and ${NAME:-default}; $${ stands for ${");
		return -1;
	}
	value = config_env_get(env, name, NULL);
	if (value != NULL && (value[0] != '\0' || def.p == NULL))
		buf_str(out, value);
	else if (def.p != NULL)
		buf_bytes(out, def);
	else {
		buf_fmt(why, "${%.*s} is not set in the environment; "
		    "${%.*s:-default} would give a default",
		    (int)name.n, name.p, (int)name.n, name.p);
		return -1;
	}
	return 0;
}

int
config_env_expand(const struct config_env *env, struct bytes text,
    struct buf *out, struct buf *why)
{
	ptrdiff_t end;

	while (text.n > 0) {
		if (bytes_starts(text, B("$${"))) {
			buf_str(out, "${");
			text = bytes_skip(text, 3);
		} else if (bytes_starts(text, B("${"))) {
			text = bytes_skip(text, 2);
			if ((end = bytes_find(text, '}')) < 0) {
				buf_str(why, "${ without }; $${ stands for "
				    "${");
				return -1;
			}
			if (expand_one(env, bytes_of(text.p, (size_t)end),
			    out, why) < 0)
				return -1;
			text = bytes_skip(text, (size_t)end + 1);
		} else {
			buf_char(out, text.p[0]);
			text = bytes_skip(text, 1);
		}
	}
	return 0;
}
