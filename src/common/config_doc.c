/* SPDX-License-Identifier: MIT
 *
 * The settings as text: --dump-config and the commented etc/peal.ini, both
 * made of tables/config.def.  The manual page is config_manual.c.
 *
 * Runs in: master.  Owns: nothing.
 */
#include "common/config_parts.h"
#include "common/util.h"

#define COLUMNS	78

/* ---- --dump-config ------------------------------------------------------- */

static void
dump_heading(const struct config_section *s, const char *label,
    struct buf *out)
{
	buf_fmt(out, "%s[%s%s%s]\n", out->n > 0 ? "\n" : "", s->name,
	    label != NULL ? " " : "", label != NULL ? label : "");
}

static void
dump_key(const struct config_key *k, void *at, bool with_secrets,
    struct buf *out)
{
	struct buf value = { 0 };

	config_value_show(k, at, &value);
	if (value.n > 0 || k->def[0] != '\0') {
		if ((k->type == CONFIG_SECRET || k->type == CONFIG_SECRETS) &&
		    !with_secrets) {
			buf_clear(&value);
			buf_str(&value, "***");
		}
		buf_fmt(out, "%s = ", k->name);
		buf_bytes(out, buf_view(&value));
		buf_char(out, '\n');
	}
	buf_done(&value);
}

void
config_dump(const struct config *c, bool with_secrets, struct buf *out)
{
	const struct config_section *s;
	const struct config_key *k;
	void *at;
	size_t i;

	for (s = config_sections(); s->name != NULL; s++)
		for (i = 0; i < config_count(c, s); i++) {
			at = config_at(c, s, i);
			dump_heading(s, *config_label(at), out);
			for (k = s->keys; k->name != NULL; k++)
				dump_key(k, at, with_secrets, out);
		}
}

/* ---- words on lines ------------------------------------------------------ */

/* Does the text so far end a sentence? */
static bool
sentence_ends(const struct buf *out)
{
	return out->n > 0 && out->p[out->n - 1] == '.';
}

void
config_wrap(struct buf *out, const char *prefix, const char *text,
    bool sentences)
{
	size_t column = 0, n;

	for (; *text != '\0'; text += n + strspn(text + n, " ")) {
		n = strcspn(text, " ");
		if (column > 0 && (column + 1 + n > COLUMNS ||
		    (sentences && sentence_ends(out)))) {
			buf_char(out, '\n');
			column = 0;
		}
		if (column == 0) {
			buf_str(out, prefix);
			column = strlen(prefix);
		} else {
			buf_char(out, ' ');
			column++;
		}
		buf_add(out, text, n);
		column += n;
	}
	buf_char(out, '\n');
}

static void
words_kind(const char *words, struct buf *out)
{
	for (; *words != '\0'; words++)
		if (*words == '|')
			buf_str(out, " | ");
		else
			buf_char(out, *words);
}

void
config_kind(const struct config_key *k, struct buf *out)
{
	static const char *const texts[] = {
		[CONFIG_TEXT] = "text", [CONFIG_SECRET] = "text, secret",
		[CONFIG_STRINGS] = "list", [CONFIG_SECRETS] = "lines, secret",
		[CONFIG_SIZE] = "octets, ", [CONFIG_TIME] = "time, ",
		[CONFIG_CHOICE] = "", [CONFIG_FLAG] = "", [CONFIG_COUNT] = "",
	};

	buf_str(out, k->live ? "live; " : "reload; ");
	buf_str(out, texts[k->type]);
	if (k->words != NULL)
		words_kind(k->words, out);
	config_value_range(k, out);
}

/* ---- etc/peal.ini -------------------------------------------------------- */

static const char template_head[] =
"# peal.ini - settings of peald.  Made by `peald --template`.\n"
"#\n"
"# Every key is here with its default; take the # away to change it.  Mistakes\n"
"# and unknown keys are refused with their line: peald --check -c FILE.\n"
"#\n"
"# Comments begin with # or ;.  Lists are written with commas or by repeating\n"
"# the key.  Sizes: 10000, 64k, 16m, 1g.  Times: 60, 500ms, 10s, 5m, 1h.\n"
"# \"In quotes\" a value may hold # and ;.  ${NAME} and ${NAME:-default} are\n"
"# taken from the environment.\n"
"#\n"
"# `pealctl reload` or SIGHUP put changes in force, and no client is disconnected:\n"
"# what is (live) is given to the running processes; for what is (reload) they are\n"
"# replaced, and connections handed over.  More: man 5 peal.ini.\n";

/* What a key without a default may look like. */
static const struct example {
	const char	*section, *key, *value;
} examples[] = {
	{ "app", "id", "1001" },
	{ "app", "key", "app-key" },
	{ "app", "secret", "${PEAL_CHAT_SECRET}" },
	{ "webhook", "url", "https://example.com/events" },
};

static const char *
example(const struct config_section *s, const struct config_key *k)
{
	size_t i;

	for (i = 0; i < NELEM(examples); i++)
		if (strcmp(examples[i].section, s->name) == 0 &&
		    strcmp(examples[i].key, k->name) == 0)
			return examples[i].value;
	return k->def;
}

static void
template_key(const struct config_section *s, const struct config_key *k,
    struct buf *out)
{
	const char *value = example(s, k);
	struct buf text = { 0 };

	buf_fmt(&text, "%s (", k->help);
	config_kind(k, &text);
	buf_char(&text, ')');
	buf_char(out, '\n');
	config_wrap(out, "# ", buf_cstr(&text), false);
	buf_fmt(out, "#%s =%s%s\n", k->name, value[0] != '\0' ? " " : "",
	    value);
	buf_done(&text);
}

void
config_template(struct buf *out)
{
	const struct config_section *s;
	const struct config_key *k;

	buf_str(out, template_head);
	for (s = config_sections(); s->name != NULL; s++) {
		buf_str(out, "\n\n");
		config_wrap(out, "# ", s->help, false);
		buf_fmt(out, s->many && strcmp(s->name, "listen") != 0 ?
		    "#[%s chat]\n" : "[%s]\n", s->name);
		for (k = s->keys; k->name != NULL; k++)
			template_key(s, k, out);
	}
}
