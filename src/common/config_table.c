/* SPDX-License-Identifier: MIT
 *
 * The settings of tables/config.def as data: walked by the reader, the dump,
 * the packer and the documents.
 *
 * Runs in: every process.  Owns: nothing.  Never dies.
 */
#include <stdlib.h>

#include "common/config_parts.h"
#include "common/util.h"

/* The keys of each section.  A function each, so that `self` can stand for
 * the section's struct in offsetof(). */
#define KEY(name, type, def, min, max, words, when, help) \
	{ #name, type, offsetof(self, name), def, min, max, words, when, help },
#define LIVE	true
#define RELOAD	false
#define SECTION(name, how, help)					\
	static const struct config_key *				\
	keys_##name(size_t *n)						\
	{								\
		typedef struct config_##name self;			\
		static const struct config_key keys[] = {
#define TEXT(name, def, when, help) \
	KEY(name, CONFIG_TEXT, def, 0, 0, NULL, when, help)
#define SECRET(name, def, when, help) \
	KEY(name, CONFIG_SECRET, def, 0, 0, NULL, when, help)
#define STRINGS(name, def, when, help) \
	KEY(name, CONFIG_STRINGS, def, 0, 0, NULL, when, help)
#define SECRETS(name, when, help) \
	KEY(name, CONFIG_SECRETS, "", 0, 0, NULL, when, help)
#define FLAG(name, def, when, help) \
	KEY(name, CONFIG_FLAG, def, 0, 0, "yes|no", when, help)
#define COUNT(name, def, min, max, when, help) \
	KEY(name, CONFIG_COUNT, def, min, max, NULL, when, help)
#define SIZE(name, def, min, max, when, help) \
	KEY(name, CONFIG_SIZE, def, min, max, NULL, when, help)
#define TIME(name, def, min, max, when, help) \
	KEY(name, CONFIG_TIME, def, min, max, NULL, when, help)
#define CHOICE(name, def, words, when, help) \
	KEY(name, CONFIG_CHOICE, def, 0, 0, words, when, help)
#define END								\
			{ .name = NULL }				\
		};							\
		*n = NELEM(keys) - 1;					\
		return keys;						\
	}
#include "tables/config.def"

#define COUNT_ONE(name)		0
#define COUNT_MANY(name)	offsetof(struct config, n_##name)
#define IS_ONE			false
#define IS_MANY			true

static struct config_section sections[] = {
#define TEXT(name, def, when, help)
#define SECRET(name, def, when, help)
#define STRINGS(name, def, when, help)
#define SECRETS(name, when, help)
#define FLAG(name, def, when, help)
#define COUNT(name, def, min, max, when, help)
#define SIZE(name, def, min, max, when, help)
#define TIME(name, def, min, max, when, help)
#define CHOICE(name, def, words, when, help)
#define END
#define SECTION(name, how, help)					\
	{ #name, IS_##how, sizeof(struct config_##name),		\
	    offsetof(struct config, name), COUNT_##how(name), NULL, 0, help },
#include "tables/config.def"
	{ .name = NULL }
};

static const struct config_key *(*const keys_of[])(size_t *) = {
#define TEXT(name, def, when, help)
#define SECRET(name, def, when, help)
#define STRINGS(name, def, when, help)
#define SECRETS(name, when, help)
#define FLAG(name, def, when, help)
#define COUNT(name, def, min, max, when, help)
#define SIZE(name, def, min, max, when, help)
#define TIME(name, def, min, max, when, help)
#define CHOICE(name, def, words, when, help)
#define END
#define SECTION(name, how, help)	keys_##name,
#include "tables/config.def"
};

const struct config_section *
config_sections(void)
{
	size_t i;

	if (sections[0].keys == NULL)
		for (i = 0; i < NELEM(keys_of); i++)
			sections[i].keys = keys_of[i](&sections[i].n_keys);
	return sections;
}

const struct config_section *
config_section_find(struct bytes name)
{
	const struct config_section *s;

	for (s = config_sections(); s->name != NULL; s++)
		if (bytes_eq(bytes_str(s->name), name))
			return s;
	return NULL;
}

const struct config_key *
config_key_find(const struct config_section *s, struct bytes name)
{
	const struct config_key *k;

	for (k = s->keys; k->name != NULL; k++)
		if (bytes_eq(bytes_str(k->name), name))
			return k;
	return NULL;
}

size_t
config_count(const struct config *c, const struct config_section *s)
{
	size_t n = 1;

	if (s->many)
		memcpy(&n, (const char *)c + s->at_n, sizeof n);
	return n;
}

void *
config_at(const struct config *c, const struct config_section *s, size_t i)
{
	char *at = (char *)(uintptr_t)c + s->at, *array;

	if (!s->many)
		return at;
	memcpy(&array, at, sizeof array);
	return array != NULL ? array + i * s->size : NULL;
}

/* The label is the first member of every section's struct (config.h). */
char **
config_label(void *section_struct)
{
	return section_struct;
}

static void
set_defaults(const struct config_section *s, void *at)
{
	const struct config_key *k;
	struct buf why = { 0 };

	for (k = s->keys; k->name != NULL; k++)
		config_value_set(k, at, bytes_str(k->def), false, &why);
	buf_done(&why);
}

void *
config_append(struct config *c, const struct config_section *s,
    struct bytes label)
{
	size_t n = config_count(c, s);
	char *base, *at;

	memcpy(&base, (char *)c + s->at, sizeof base);
	base = xreallocarray(base, n + 1, s->size);
	memcpy((char *)c + s->at, &base, sizeof base);
	at = memset(base + n * s->size, 0, s->size);
	n++;
	memcpy((char *)c + s->at_n, &n, sizeof n);
	if (label.n > 0)
		*config_label(at) = bytes_dup(label);
	set_defaults(s, at);
	return at;
}

struct config *
config_new(void)
{
	const struct config_section *s;
	struct config *c = xcalloc(1, sizeof *c);

	for (s = config_sections(); s->name != NULL; s++)
		if (!s->many)
			set_defaults(s, config_at(c, s, 0));
	return c;
}

static void
free_section(const struct config_section *s, void *at)
{
	const struct config_key *k;

	free(*config_label(at));
	for (k = s->keys; k->name != NULL; k++)
		config_value_free(k, at);
}

void
config_free(struct config *c)
{
	const struct config_section *s;
	size_t i;

	if (c == NULL)
		return;
	for (s = config_sections(); s->name != NULL; s++) {
		for (i = 0; i < config_count(c, s); i++)
			free_section(s, config_at(c, s, i));
		if (s->many)
			free(config_at(c, s, 0));
	}
	free(c);
}
