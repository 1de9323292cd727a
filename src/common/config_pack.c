/* SPDX-License-Identifier: MIT
 *
 * Settings on their way from the master to its children: a msgpack array of
 * all sections, each with its keys in the order of the table.  Both ends are
 * the same binary, so nothing is named; types and counts are checked all the
 * same.  (The octets come from the master only, which its children trust.)
 *
 *	[debug, section ...]	section: [instance ...]
 *	instance: [label, value ...]
 *
 * Runs in: master (packs), workers and router (unpack).  Owns: nothing.
 */
#include <msgpack.h>
#include <stdlib.h>

#include "common/config_parts.h"
#include "common/util.h"

#define INSTANCES_MAX	100000

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

static int
write_buf(void *buf, const char *p, size_t n)
{
	buf_add(buf, p, n);
	return 0;
}

static void
pack_text(msgpack_packer *pk, const char *text)
{
	if (text == NULL) {
		msgpack_pack_nil(pk);
		return;
	}
	msgpack_pack_str(pk, strlen(text));
	msgpack_pack_str_body(pk, text, strlen(text));
}

static void
pack_value(msgpack_packer *pk, const struct config_key *k, const char *at)
{
	const struct config_strings *list = (const void *)at;
	size_t i;

	switch (k->type) {
	case CONFIG_TEXT:
	case CONFIG_SECRET:
		pack_text(pk, *(char *const *)(const void *)at);
		break;
	case CONFIG_STRINGS:
		msgpack_pack_array(pk, list->n);
		for (i = 0; i < list->n; i++)
			pack_text(pk, list->at[i]);
		break;
	case CONFIG_FLAG:
		msgpack_pack_uint64(pk, *(const bool *)at);
		break;
	case CONFIG_CHOICE:
		msgpack_pack_uint64(pk,
		    (uint64_t)*(const int *)(const void *)at);
		break;
	default:
		msgpack_pack_uint64(pk, *(const uint64_t *)(const void *)at);
	}
}

static void
pack_section(msgpack_packer *pk, enum config_view view,
    const struct config_section *s, void *at)
{
	const struct config_key *k;

	msgpack_pack_array(pk, s->n_keys + 1);
	pack_text(pk, *config_label(at));
	for (k = s->keys; k->name != NULL; k++)
		if (is_hidden(view, s, k))
			msgpack_pack_nil(pk);
		else
			pack_value(pk, k, (const char *)at + k->at);
}

void
config_pack(const struct config *c, enum config_view view, struct buf *out)
{
	const struct config_section *s = config_sections();
	msgpack_packer pk;
	size_t i, n;

	for (n = 0; s[n].name != NULL; n++)
		;
	msgpack_packer_init(&pk, out, write_buf);
	msgpack_pack_array(&pk, n + 1);
	msgpack_pack_uint64(&pk, c->debug);
	for (; s->name != NULL; s++) {
		msgpack_pack_array(&pk, config_count(c, s));
		for (i = 0; i < config_count(c, s); i++)
			pack_section(&pk, view, s, config_at(c, s, i));
	}
}

/* ---- unpacking ----------------------------------------------------------- */

static int
take_text(const msgpack_object *o, char **to)
{
	free(*to);
	*to = NULL;
	if (o->type == MSGPACK_OBJECT_NIL)
		return 0;
	if (o->type != MSGPACK_OBJECT_STR)
		return -1;
	*to = bytes_dup(bytes_of(o->via.str.ptr, o->via.str.size));
	return 0;
}

static int
take_strings(const msgpack_object *o, const struct config_key *k,
    void *section_struct)
{
	struct config_strings *list;
	uint32_t i;

	if (o->type != MSGPACK_OBJECT_ARRAY)
		return -1;
	config_value_free(k, section_struct);
	list = (void *)((char *)section_struct + k->at);
	if (o->via.array.size > 0)
		list->at = xcalloc(o->via.array.size, sizeof *list->at);
	for (i = 0; i < o->via.array.size; i++) {
		if (o->via.array.ptr[i].type != MSGPACK_OBJECT_STR ||
		    take_text(&o->via.array.ptr[i], &list->at[i]) < 0)
			return -1;
		list->n++;
	}
	return 0;
}

static uint64_t
count_words(const char *words)
{
	uint64_t n = 1;

	for (; *words != '\0'; words++)
		n += *words == '|';
	return n;
}

static int
take_number(const msgpack_object *o, const struct config_key *k, char *at)
{
	uint64_t v = o->via.u64;

	if (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
		return -1;
	if (k->words != NULL && v >= count_words(k->words))
		return -1;
	if (k->words == NULL && (v < k->min || v > k->max))
		return -1;
	if (k->type == CONFIG_FLAG)
		*(bool *)at = v != 0;
	else if (k->type == CONFIG_CHOICE)
		*(int *)(void *)at = (int)v;
	else
		*(uint64_t *)(void *)at = v;
	return 0;
}

static int
take_value(const msgpack_object *o, const struct config_key *k,
    void *section_struct)
{
	char *at = (char *)section_struct + k->at;

	if (k->type == CONFIG_TEXT || k->type == CONFIG_SECRET)
		return take_text(o, (char **)(void *)at);
	if (k->type == CONFIG_STRINGS)
		return take_strings(o, k, section_struct);
	return take_number(o, k, at);
}

static int
take_instance(const msgpack_object *o, const struct config_section *s,
    void *at)
{
	size_t i;

	if (take_text(&o->via.array.ptr[0], config_label(at)) < 0)
		return -1;
	for (i = 0; i < s->n_keys; i++)
		if (take_value(&o->via.array.ptr[i + 1], &s->keys[i], at) < 0)
			return -1;
	return 0;
}

static int
take_section(const msgpack_object *o, const struct config_section *s,
    struct config *c)
{
	const msgpack_object *in;
	uint32_t i;

	if (o->type != MSGPACK_OBJECT_ARRAY ||
	    o->via.array.size < (s->many ? 0 : 1) ||
	    o->via.array.size > (s->many ? INSTANCES_MAX : 1))
		return -1;
	for (i = 0; i < o->via.array.size; i++) {
		in = &o->via.array.ptr[i];
		if (in->type != MSGPACK_OBJECT_ARRAY ||
		    in->via.array.size != s->n_keys + 1)
			return -1;
		if (take_instance(in, s, s->many ?
		    config_append(c, s, (struct bytes){ NULL, 0 }) :
		    config_at(c, s, 0)) < 0)
			return -1;
	}
	return 0;
}

static int
take_all(const msgpack_object *o, struct config *c)
{
	const struct config_section *s = config_sections();
	size_t i, n;

	for (n = 0; s[n].name != NULL; n++)
		;
	if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size != n + 1 ||
	    o->via.array.ptr[0].type != MSGPACK_OBJECT_POSITIVE_INTEGER)
		return -1;
	c->debug = o->via.array.ptr[0].via.u64 != 0;
	for (i = 0; i < n; i++)
		if (take_section(&o->via.array.ptr[i + 1], &s[i], c) < 0)
			return -1;
	return c->n_listen > 0 && c->n_app > 0 ? 0 : -1;
}

struct config *
config_unpack(struct bytes packed, char **why)
{
	struct config *c = NULL;
	msgpack_unpacked u;
	size_t used = 0;

	msgpack_unpacked_init(&u);
	if (msgpack_unpack_next(&u, packed.p, packed.n, &used) ==
	    MSGPACK_UNPACK_SUCCESS && used == packed.n) {
		c = config_new();
		if (take_all(&u.data, c) < 0) {
			config_free(c);
			c = NULL;
		}
	}
	msgpack_unpacked_destroy(&u);
	if (c == NULL)
		*why = xstrdup("settings from the master do not fit this "
		    "binary");
	return c;
}
