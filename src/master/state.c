/* SPDX-License-Identifier: MIT
 *
 * The records of tables/state.def: packed, unpacked and freed by walking the
 * table.
 *
 * Runs in: master, preflight.  Owns: see state.h.
 */
#include "master/state.h"

#include <stdlib.h>

#include "common/packed.h"
#include "common/util.h"
#include "master/master.h"

#define LIST_MAX	10000	/* records of a list */
#define KEYS_MAX	1000	/* of a record, unknown ones included */
#define TEXT_MAX	65536

/* ---- the table ----------------------------------------------------------- */

enum kind { KIND_END, KIND_NUM, KIND_DESCRIPTOR, KIND_TEXT, KIND_OCTETS,
	KIND_MANY };

struct record;

struct field {
	uint64_t	 key;
	enum kind	 kind;
	size_t		 at, at_n;	/* offsets in the record's struct */
	const struct record *of;	/* of a list */
};

struct record {
	size_t			 size;
	const struct field	*(*fields)(void);
};

#define RECORD(name)							\
	static const struct field *fields_##name(void);			\
	static const struct record record_##name = {			\
		sizeof(struct name), fields_##name };
#define NUM(key, field)
#define DESCRIPTOR(key, field)
#define TEXT(key, field)
#define OCTETS(key, field)
#define MANY(key, field, of)
#define END
#include "tables/state.def"

/* A function each, so that `self` can stand for the record in offsetof(). */
#define FIELD(key, kind, field) \
	{ key, kind, offsetof(self, field), 0, NULL },
#define RECORD(name)							\
	static const struct field *					\
	fields_##name(void)						\
	{								\
		typedef struct name self;				\
		static const struct field fields[] = {
#define NUM(key, field)		FIELD(key, KIND_NUM, field)
#define DESCRIPTOR(key, field)	FIELD(key, KIND_DESCRIPTOR, field)
#define TEXT(key, field)	FIELD(key, KIND_TEXT, field)
#define OCTETS(key, field)	FIELD(key, KIND_OCTETS, field)
#define MANY(key, field, of)						\
	{ key, KIND_MANY, offsetof(self, field),			\
	    offsetof(self, n_##field), &record_##of },
#define END								\
			{ 0, KIND_END, 0, 0, NULL }			\
		};							\
		return fields;						\
	}
#include "tables/state.def"

static uint64_t *
as_num(void *record, const struct field *f)
{
	return (uint64_t *)(void *)((char *)record + f->at);
}

static int *
as_fd(void *record, const struct field *f)
{
	return (int *)(void *)((char *)record + f->at);
}

static char **
as_text(void *record, const struct field *f)
{
	return (char **)(void *)((char *)record + f->at);
}

static struct buf *
as_octets(void *record, const struct field *f)
{
	return (struct buf *)(void *)((char *)record + f->at);
}

/* A list's records, and how many. */
static char **
as_list(void *record, const struct field *f)
{
	return (char **)(void *)((char *)record + f->at);
}

static size_t *
as_count(void *record, const struct field *f)
{
	return (size_t *)(void *)((char *)record + f->at_n);
}

/* ---- life ---------------------------------------------------------------- */

static void
record_init(void *record, const struct record *r)
{
	memset(record, 0, r->size);
	for (const struct field *f = r->fields(); f->kind != KIND_END; f++)
		if (f->kind == KIND_DESCRIPTOR)
			*as_fd(record, f) = -1;
}

static void
octets_done(struct buf *b)
{
	if (b->n != 0)
		explicit_bzero(b->p, b->n);
	buf_done(b);
}

static void
record_done(void *record, const struct record *r)
{
	for (const struct field *f = r->fields(); f->kind != KIND_END; f++) {
		if (f->kind == KIND_TEXT) {
			free(*as_text(record, f));
		} else if (f->kind == KIND_OCTETS) {
			octets_done(as_octets(record, f));
		} else if (f->kind == KIND_MANY) {
			for (size_t i = 0; i < *as_count(record, f); i++)
				record_done(*as_list(record, f) +
				    i * f->of->size, f->of);
			free(*as_list(record, f));
		}
	}
	record_init(record, r);
}

/* One more in a list; earlier ones may move. */
static void *
list_add(char **list, size_t *n, const struct record *of)
{
	char *at;

	*list = xreallocarray(*list, *n + 1, of->size);
	at = *list + *n * of->size;
	record_init(at, of);
	(*n)++;
	return at;
}

#define LIST_ADD(owner, field, of) \
	list_add((char **)(void *)&(owner)->field, &(owner)->n_##field, \
	    &record_##of)

/* ---- packing ------------------------------------------------------------- */

/* What is 0, NULL or empty is left out: it is the reader's default. */
static bool
field_is_empty(void *record, const struct field *f)
{
	switch (f->kind) {
	case KIND_NUM:
		return *as_num(record, f) == 0;
	case KIND_DESCRIPTOR:
		return *as_fd(record, f) < 0;
	case KIND_TEXT:
		return *as_text(record, f) == NULL;
	case KIND_OCTETS:
		return as_octets(record, f)->n == 0;
	default:
		return *as_count(record, f) == 0;
	}
}

static void	record_pack(void *record, const struct record *, struct buf *);

static void
field_pack(void *record, const struct field *f, struct buf *out)
{
	size_t n;

	pack_u64(out, f->key);
	switch (f->kind) {
	case KIND_NUM:
		pack_u64(out, *as_num(record, f));
		break;
	case KIND_DESCRIPTOR:
		pack_u64(out, (uint64_t)*as_fd(record, f));
		break;
	case KIND_TEXT:
		pack_bytes(out, bytes_str(*as_text(record, f)));
		break;
	case KIND_OCTETS:
		pack_bytes(out, buf_view(as_octets(record, f)));
		break;
	default:
		n = *as_count(record, f);
		pack_array(out, (uint32_t)n);
		for (size_t i = 0; i < n; i++)
			record_pack(*as_list(record, f) + i * f->of->size,
			    f->of, out);
	}
}

static void
record_pack(void *record, const struct record *r, struct buf *out)
{
	const struct field *f;
	uint32_t n = 0;

	for (f = r->fields(); f->kind != KIND_END; f++)
		n += !field_is_empty(record, f);
	pack_map(out, n);
	for (f = r->fields(); f->kind != KIND_END; f++)
		if (!field_is_empty(record, f))
			field_pack(record, f, out);
}

/* ---- unpacking ----------------------------------------------------------- */

static void	record_unpack(void *record, const struct record *,
		    struct packed *);

static void
list_unpack(void *record, const struct field *f, struct packed *in)
{
	uint32_t n = packed_count(in, LIST_MAX);

	while (n-- > 0 && !in->bad)
		record_unpack(list_add(as_list(record, f), as_count(record, f),
		    f->of), f->of, in);
}

static void
fd_unpack(int *fd, struct packed *in)
{
	uint64_t n = packed_u64(in);

	if (n > INT32_MAX)
		in->bad = true;
	else if (!in->bad)
		*fd = (int)n;
}

static void
text_unpack(char **text, struct packed *in)
{
	struct bytes b = packed_bytes(in, TEXT_MAX);

	if (memchr(b.p, '\0', b.n) != NULL)
		in->bad = true;
	else if (!in->bad)
		*text = bytes_dup(b);
}

static void
field_unpack(void *record, const struct field *f, struct packed *in)
{
	switch (f->kind) {
	case KIND_NUM:
		*as_num(record, f) = packed_u64(in);
		break;
	case KIND_DESCRIPTOR:
		fd_unpack(as_fd(record, f), in);
		break;
	case KIND_TEXT:
		text_unpack(as_text(record, f), in);
		break;
	case KIND_OCTETS:
		buf_bytes(as_octets(record, f), packed_bytes(in, STATE_MAX));
		break;
	default:
		list_unpack(record, f, in);
	}
}

static const struct field *
field_of(const struct record *r, uint64_t key)
{
	const struct field *f = r->fields();

	while (f->kind != KIND_END && f->key != key)
		f++;
	return f->kind != KIND_END ? f : NULL;
}

/* A key that comes twice would leak what it brought first. */
static void
record_unpack(void *record, const struct record *r, struct packed *in)
{
	uint32_t n = packed_map(in, KEYS_MAX);
	const struct field *f;

	while (n-- > 0 && !in->bad) {
		f = field_of(r, packed_u64(in));
		if (f == NULL)
			packed_skip(in);
		else if (!field_is_empty(record, f))
			in->bad = true;
		else
			field_unpack(record, f, in);
	}
}

static int
unpack(void *to, const struct record *r, struct bytes octets, const char **why)
{
	struct packed in = packed_open(octets);

	record_init(to, r);
	if (octets.n <= STATE_MAX) {
		record_unpack(to, r, &in);
		if (packed_end(&in))
			return 0;
	}
	record_done(to, r);
	*why = "what another release packed does not fit this binary";
	return -1;
}

/* ---- state and next ------------------------------------------------------ */

/* The walks change nothing when they read; they only have one form. */
static void *
writable(const void *record)
{
	return (void *)(uintptr_t)record;
}

void
state_init(struct state *s)
{
	record_init(s, &record_state);
}

void
state_pack(const struct state *s, struct buf *out)
{
	record_pack(writable(s), &record_state, out);
}

int
state_unpack(struct state *s, struct bytes octets, const char **why)
{
	return unpack(s, &record_state, octets, why);
}

void
state_done(struct state *s)
{
	record_done(s, &record_state);
}

void
next_init(struct next *n)
{
	record_init(n, &record_next);
}

void
next_pack(const struct next *n, struct buf *out)
{
	record_pack(writable(n), &record_next, out);
}

int
next_unpack(struct next *n, struct bytes octets, const char **why)
{
	return unpack(n, &record_next, octets, why);
}

void
next_done(struct next *n)
{
	record_done(n, &record_next);
}

static void
each_descriptor(void *record, const struct record *r,
    void (*call)(int fd, void *ctx), void *ctx)
{
	for (const struct field *f = r->fields(); f->kind != KIND_END; f++) {
		if (f->kind == KIND_DESCRIPTOR && *as_fd(record, f) >= 0)
			call(*as_fd(record, f), ctx);
		if (f->kind != KIND_MANY)
			continue;
		for (size_t i = 0; i < *as_count(record, f); i++)
			each_descriptor(*as_list(record, f) + i * f->of->size,
			    f->of, call, ctx);
	}
}

void
state_each_descriptor(const struct state *s, void (*call)(int fd, void *ctx),
    void *ctx)
{
	each_descriptor(writable(s), &record_state, call, ctx);
}

static int
address_check(const struct state_address *a, size_t n_listen)
{
	if (a->section >= n_listen || a->text == NULL || a->n_sockets == 0)
		return -1;
	for (size_t i = 0; i < a->n_sockets; i++)
		if (a->sockets[i].fd < 0)
			return -1;
	return 0;
}

static int
children_check(const struct state *s)
{
	bool taken[1 + WORKERS_MAX] = { false };
	const struct state_child *c;

	for (size_t i = 0; i < s->n_children; i++) {
		c = &s->children[i];
		if (c->slot > WORKERS_MAX || taken[c->slot] ||
		    c->pid > INT32_MAX)
			return -1;
		taken[c->slot] = true;
	}
	for (size_t i = 0; i < s->n_children; i++)
		if (!taken[i])
			return -1;
	return s->n_children >= 2 ? 0 : -1;
}

/* It may be without files while there are no webhooks. */
static int
courier_check(const struct state *s)
{
	const struct state_child *c = s->courier;

	if (s->n_courier > 1 || (s->spool_0 < 0) != (s->spool_1 < 0) ||
	    (s->spool != NULL && s->spool_0 < 0))
		return -1;
	for (size_t i = 0; i < s->n_hooks; i++)
		if (s->hooks[i].target == NULL)
			return -1;
	return s->n_courier == 0 || (c->slot == SLOT_COURIER &&
	    c->pid <= INT32_MAX) ? 0 : -1;
}

int
state_check(const struct state *s, size_t n_listen, const char **why)
{
	for (size_t i = 0; i < s->n_addresses; i++)
		if (address_check(&s->addresses[i], n_listen) < 0) {
			*why = "an address without section or socket";
			return -1;
		}
	if (children_check(s) < 0) {
		*why = "slots that are none, or are there twice";
		return -1;
	}
	if (courier_check(s) < 0) {
		*why = "a courier that is none, or half its files";
		return -1;
	}
	if (s->n_addresses == 0 || s->exe == NULL ||
	    (s->control >= 0 && s->control_path == NULL) ||
	    (s->pid_file >= 0 && s->pid_path == NULL)) {
		*why = "no address, or a file without its path";
		return -1;
	}
	return 0;
}

struct state_address *
state_add_address(struct state *s)
{
	return LIST_ADD(s, addresses, state_address);
}

struct state_socket *
state_add_socket(struct state_address *a)
{
	return LIST_ADD(a, sockets, state_socket);
}

struct state_slot *
state_add_slot(struct state *s)
{
	return LIST_ADD(s, slots, state_slot);
}

struct state_child *
state_add_child(struct state *s)
{
	return LIST_ADD(s, children, state_child);
}

struct state_usage *
state_add_usage(struct state_child *c)
{
	return LIST_ADD(c, usage, state_usage);
}

struct state_reason *
state_add_reason(struct state *s)
{
	return LIST_ADD(s, reasons, state_reason);
}

struct state_way *
state_add_way(struct state *s)
{
	return LIST_ADD(s, ways, state_way);
}

struct state_reload *
state_add_reload(struct state *s)
{
	return LIST_ADD(s, reloads, state_reload);
}

struct state_child *
state_add_courier(struct state *s)
{
	return LIST_ADD(s, courier, state_child);
}

struct state_hook *
state_add_hook(struct state *s)
{
	return LIST_ADD(s, hooks, state_hook);
}

struct state_caller *
state_add_caller(struct state *s)
{
	return LIST_ADD(s, callers, state_caller);
}

/* ---- settings and certificates ------------------------------------------- */

void
state_settings_pack(const struct config *config,
    const struct certificate *certificates, struct buf *settings,
    struct state_certificate **list, size_t *n)
{
	struct state_certificate *to;

	config_pack(config, CONFIG_ALL, settings);
	for (size_t i = 0; i < config->n_listen; i++) {
		to = list_add((char **)(void *)list, n,
		    &record_state_certificate);
		buf_bytes(&to->chain, buf_view(&certificates[i].chain));
		buf_bytes(&to->key, buf_view(&certificates[i].key));
	}
}

int
state_settings_unpack(struct bytes settings,
    const struct state_certificate *list, size_t n, struct config **config,
    struct certificate **certificates, char **why)
{
	struct certificate *all;

	if ((*config = config_unpack(settings, why)) == NULL)
		return -1;
	if (n != (*config)->n_listen) {
		*why = xasprintf("certificates for %zu of %zu [listen] "
		    "sections", n, (*config)->n_listen);
		config_free(*config);
		return -1;
	}
	*certificates = all = xcalloc(n, sizeof(*all));
	for (size_t i = 0; i < n; i++) {
		buf_bytes(&all[i].chain, buf_view(&list[i].chain));
		buf_bytes(&all[i].key, buf_view(&list[i].key));
	}
	return 0;
}
