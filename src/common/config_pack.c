/* SPDX-License-Identifier: MIT
 *
 * Settings on their way from the master to its children, and over an exec of the
 * master: everything by its name, as both ends may be neighbouring releases.  A
 * reader skips the sections and keys that it does not know; those that are not
 * there keep their default.  Types and ranges are checked all the same.
 *
 *	{ section: [instance ...], ..., "--debug": 0 | 1 }
 *	instance: { key: value, ..., "": label }
 *
 * A choice travels as its word, and what a role may not see as nil.
 *
 * Runs in: master (packs), workers and router (unpack).  Owns: nothing.
 */
#include <stdlib.h>

#include "common/config_parts.h"
#include "common/packed.h"
#include "common/util.h"

#define INSTANCES_MAX	100000
#define NAMES_MAX	10000	/* sections, keys, strings of a list */
#define TEXT_MAX	(4u << 20)

/* What is no section or key. */
#define NAME_DEBUG	"--debug"
#define NAME_LABEL	""

/* ---- what a role may see ------------------------------------------------- */

static const struct hidden {
	enum config_view view;
	const char	*section, *key;
} hidden[] = {
	{ CONFIG_ROUTER, "app", "secret" },
	{ CONFIG_ROUTER, "listen", "certificate_key" },
	{ CONFIG_WORKER, "backplane", "password" },
	{ CONFIG_WORKER, "backplane", "url" },
	{ CONFIG_WORKER, "backplane", "sentinel_password" },
	{ CONFIG_WORKER, "backplane", "signing_key" },
	{ CONFIG_ROUTER, "rooms", "token_secret" },
	{ CONFIG_ROUTER, "metrics", "token" },
	{ CONFIG_ROUTER, "page", "token" },
	{ CONFIG_ROUTER, "webhook", "secret" },
	{ CONFIG_ROUTER, "webhook", "header" },
	{ CONFIG_ROUTER, "webhook", "url" },
	{ CONFIG_WORKER, "webhook", "secret" },
	{ CONFIG_WORKER, "webhook", "header" },
	{ CONFIG_WORKER, "webhook", "url" },
	{ CONFIG_COURIER, "listen", "certificate_key" },
	{ CONFIG_COURIER, "backplane", "password" },
	{ CONFIG_COURIER, "backplane", "url" },
	{ CONFIG_COURIER, "backplane", "sentinel_password" },
	{ CONFIG_COURIER, "backplane", "signing_key" },
	{ CONFIG_COURIER, "rooms", "token_secret" },
	{ CONFIG_COURIER, "metrics", "token" },
	{ CONFIG_COURIER, "page", "token" },
};

static bool
is_hidden(enum config_view view, const struct config_section *s,
    const struct config_key *k)
{
	size_t i;

	for (i = 0; i < NELEM(hidden); i++)
		if (hidden[i].view == view &&
		    strcmp(hidden[i].section, s->name) == 0 &&
		    strcmp(hidden[i].key, k->name) == 0)
			return true;
	return false;
}

/* ---- packing ------------------------------------------------------------- */

static void
pack_text(struct buf *out, const char *text)
{
	if (text == NULL)
		pack_nil(out);
	else
		pack_bytes(out, bytes_str(text));
}

static void
pack_strings(struct buf *out, const struct config_strings *list)
{
	pack_array(out, (uint32_t)list->n);
	for (size_t i = 0; i < list->n; i++)
		pack_text(out, list->at[i]);
}

static void
pack_choice(struct buf *out, const struct config_key *k, const void *instance)
{
	struct buf word = { 0 };

	config_value_show(k, instance, &word);
	pack_bytes(out, buf_view(&word));
	buf_done(&word);
}

static void
pack_value(struct buf *out, const struct config_key *k, const void *instance)
{
	const void *at = (const char *)instance + k->at;

	switch (k->type) {
	case CONFIG_TEXT:
	case CONFIG_SECRET:
		pack_text(out, *(char *const *)at);
		break;
	case CONFIG_STRINGS:
	case CONFIG_SECRETS:
		pack_strings(out, at);
		break;
	case CONFIG_CHOICE:
		pack_choice(out, k, instance);
		break;
	case CONFIG_FLAG:
		pack_u64(out, *(const bool *)at);
		break;
	default:
		pack_u64(out, *(const uint64_t *)at);
	}
}

static void
pack_instance(struct buf *out, enum config_view view,
    const struct config_section *s, void *at)
{
	const struct config_key *k;

	pack_map(out, (uint32_t)s->n_keys + 1);
	for (k = s->keys; k->name != NULL; k++) {
		pack_bytes(out, bytes_str(k->name));
		if (is_hidden(view, s, k))
			pack_nil(out);
		else
			pack_value(out, k, at);
	}
	pack_bytes(out, B(NAME_LABEL));
	pack_text(out, *config_label(at));
}

void
config_pack(const struct config *c, enum config_view view, struct buf *out)
{
	const struct config_section *s = config_sections();
	size_t i, n;

	for (n = 0; s[n].name != NULL; n++)
		;
	pack_map(out, (uint32_t)n + 1);
	for (; s->name != NULL; s++) {
		pack_bytes(out, bytes_str(s->name));
		pack_array(out, (uint32_t)config_count(c, s));
		for (i = 0; i < config_count(c, s); i++)
			pack_instance(out, view, s, config_at(c, s, i));
	}
	pack_bytes(out, B(NAME_DEBUG));
	pack_u64(out, c->debug);
}

/* ---- unpacking ----------------------------------------------------------- */

/* What is being read; the first fault ends it. */
struct taking {
	struct packed	 in;
	struct config	*config;
	struct buf	 why;
};

/* A value that does not fit, although its octets are in order. */
static void
refuse(struct taking *t, const struct config_section *s,
    const struct config_key *k, void *instance, const char *what)
{
	const char *label = *config_label(instance);

	t->in.bad = true;
	if (t->why.n != 0)
		return;
	buf_fmt(&t->why, "[%s%s%s] %s: %s", s->name, label != NULL ? " " : "",
	    label != NULL ? label : "", k->name, what);
	config_value_range(k, &t->why);
}

/* Texts end at a NUL here, so there is none in them. */
static void
take_text(struct taking *t, char **to)
{
	struct bytes b;

	free(*to);
	*to = NULL;
	if (packed_nil(&t->in))
		return;
	b = packed_bytes(&t->in, TEXT_MAX);
	if (b.n != 0 && memchr(b.p, '\0', b.n) != NULL)
		t->in.bad = true;
	else if (!t->in.bad)
		*to = bytes_dup(b);
}

static void
take_strings(struct taking *t, const struct config_key *k, void *instance)
{
	struct config_strings *list = (void *)((char *)instance + k->at);
	uint32_t n;

	config_value_free(k, instance);
	n = packed_nil(&t->in) ? 0 : packed_count(&t->in, NAMES_MAX);
	if (n > 0)
		list->at = xcalloc(n, sizeof(*list->at));
	while (n-- > 0 && !t->in.bad) {
		take_text(t, &list->at[list->n]);
		if (list->at[list->n] == NULL)
			t->in.bad = true;
		else
			list->n++;
	}
}

static void
take_choice(struct taking *t, const struct config_section *s,
    const struct config_key *k, void *instance)
{
	struct bytes word = packed_bytes(&t->in, TEXT_MAX);
	struct buf why = { 0 };

	if (!t->in.bad && config_value_set(k, instance, word, false, &why) < 0)
		refuse(t, s, k, instance, buf_cstr(&why));
	buf_done(&why);
}

static void
take_number(struct taking *t, const struct config_section *s,
    const struct config_key *k, void *instance)
{
	void *at = (char *)instance + k->at;
	uint64_t v = packed_u64(&t->in);

	if (t->in.bad)
		return;
	if (k->type == CONFIG_FLAG && v <= 1)
		*(bool *)at = v != 0;
	else if (k->type == CONFIG_FLAG)
		refuse(t, s, k, instance, "neither yes nor no");
	else if (v < k->min || v > k->max)
		refuse(t, s, k, instance, "out of range: ");
	else
		*(uint64_t *)at = v;
}

static void
take_value(struct taking *t, const struct config_section *s,
    const struct config_key *k, void *instance)
{
	if (k->type == CONFIG_TEXT || k->type == CONFIG_SECRET)
		take_text(t, (char **)(void *)((char *)instance + k->at));
	else if (k->type == CONFIG_STRINGS ||
	    k->type == CONFIG_SECRETS)
		take_strings(t, k, instance);
	else if (k->type == CONFIG_CHOICE)
		take_choice(t, s, k, instance);
	else
		take_number(t, s, k, instance);
}

static void
take_instance(struct taking *t, const struct config_section *s, void *at)
{
	uint32_t n = packed_map(&t->in, NAMES_MAX);
	const struct config_key *k;
	struct bytes name;

	while (n-- > 0 && !t->in.bad) {
		name = packed_bytes(&t->in, TEXT_MAX);
		if (bytes_eq(name, B(NAME_LABEL)))
			take_text(t, config_label(at));
		else if ((k = config_key_find(s, name)) != NULL)
			take_value(t, s, k, at);
		else
			packed_skip(&t->in);
	}
}

static void
take_section(struct taking *t, const struct config_section *s)
{
	uint32_t n = packed_count(&t->in, s->many ? INSTANCES_MAX : 1);

	while (n-- > 0 && !t->in.bad)
		take_instance(t, s, s->many ?
		    config_append(t->config, s, B("")) :
		    config_at(t->config, s, 0));
}

static void
take_all(struct taking *t)
{
	uint32_t n = packed_map(&t->in, NAMES_MAX);
	const struct config_section *s;
	struct bytes name;

	while (n-- > 0 && !t->in.bad) {
		name = packed_bytes(&t->in, TEXT_MAX);
		if (bytes_eq(name, B(NAME_DEBUG)))
			t->config->debug = packed_u64(&t->in) != 0;
		else if ((s = config_section_find(name)) != NULL)
			take_section(t, s);
		else
			packed_skip(&t->in);
	}
}

struct config *
config_unpack(struct bytes packed, char **why)
{
	struct taking t = { .in = packed_open(packed),
		.config = config_new() };

	take_all(&t);
	if (packed_end(&t.in) && t.config->n_listen > 0 &&
	    t.config->n_app > 0)
		return t.config;
	*why = xasprintf("settings from the master do not fit this binary%s%s",
	    t.why.n != 0 ? ": " : "", t.why.n != 0 ? buf_cstr(&t.why) : "");
	buf_done(&t.why);
	config_free(t.config);
	return NULL;
}
