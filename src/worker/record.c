/* SPDX-License-Identifier: MIT
 *
 * The record of a connection: see record.h.
 */
#include "worker/record.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/packed.h"
#include "common/util.h"

#define PAIRS_MAX	1000	/* of a record of any release */

/* The kinds of fields, as record.def names them. */
struct kind;

struct field {
	const struct kind	*kind;
	const char		*name;
	size_t			 offset;	/* in struct record */
	uint64_t		 max;		/* a number; octets; strings */
	uint64_t		 other;		/* default; octets of a string */
	unsigned		 number;
};

struct kind {
	bool	(*is_default)(const struct field *, const void *at);
	bool	(*fits)(const struct field *, const void *at);
	void	(*pack)(const void *at, struct buf *);
	/* False if it does not fit; the reader is bad if it is malformed. */
	bool	(*unpack)(const struct field *, void *at, struct packed *);
};

/* ---- numbers ------------------------------------------------------------------- */

static bool
num_is_default(const struct field *f, const void *at)
{
	return *(const uint64_t *)at == f->other;
}

static bool
num_fits(const struct field *f, const void *at)
{
	return *(const uint64_t *)at <= f->max;
}

static void
num_pack(const void *at, struct buf *out)
{
	pack_u64(out, *(const uint64_t *)at);
}

static bool
num_unpack(const struct field *f, void *at, struct packed *in)
{
	*(uint64_t *)at = packed_u64(in);
	return num_fits(f, at);
}

static const struct kind kind_num = {
	num_is_default, num_fits, num_pack, num_unpack,
};

/* ---- flags: 0 and 1 --------------------------------------------------------------- */

static bool
flag_is_default(const struct field *f, const void *at)
{
	(void)f;
	return !*(const bool *)at;
}

static bool
flag_fits(const struct field *f, const void *at)
{
	(void)f, (void)at;
	return true;
}

static void
flag_pack(const void *at, struct buf *out)
{
	pack_u64(out, *(const bool *)at);
}

static bool
flag_unpack(const struct field *f, void *at, struct packed *in)
{
	uint64_t value = packed_u64(in);

	(void)f;
	*(bool *)at = value == 1;
	return value <= 1;
}

static const struct kind kind_flag = {
	flag_is_default, flag_fits, flag_pack, flag_unpack,
};

/* ---- octets ------------------------------------------------------------------------ */

static bool
octets_is_default(const struct field *f, const void *at)
{
	(void)f;
	return ((const struct bytes *)at)->n == 0;
}

static bool
octets_fits(const struct field *f, const void *at)
{
	return ((const struct bytes *)at)->n <= f->max;
}

static void
octets_pack(const void *at, struct buf *out)
{
	pack_bytes(out, *(const struct bytes *)at);
}

static bool
octets_unpack(const struct field *f, void *at, struct packed *in)
{
	*(struct bytes *)at = packed_bytes(in, SIZE_MAX);
	return octets_fits(f, at);
}

static const struct kind kind_octets = {
	octets_is_default, octets_fits, octets_pack, octets_unpack,
};

/* ---- lists of octets ----------------------------------------------------------------- */

static bool
list_is_default(const struct field *f, const void *at)
{
	(void)f;
	return ((const struct record_list *)at)->n == 0;
}

static bool
list_fits(const struct field *f, const void *at)
{
	const struct record_list *l = at;
	uint32_t i;

	for (i = 0; i < l->n; i++)
		if (l->at[i].n > f->other)
			return false;
	return l->n <= f->max;
}

static void
list_pack(const void *at, struct buf *out)
{
	const struct record_list *l = at;
	uint32_t i;

	pack_array(out, l->n);
	for (i = 0; i < l->n; i++)
		pack_bytes(out, l->at[i]);
}

/* There is an octet at least for each that is made room for. */
static bool
list_unpack(const struct field *f, void *at, struct packed *in)
{
	struct record_list *l = at;
	uint32_t i;

	l->n = packed_count(in, UINT32_MAX);
	if (l->n > f->max) {
		l->n = 0;
		return false;
	}
	l->at = xreallocarray(NULL, l->n + 1, sizeof(*l->at));
	for (i = 0; i < l->n; i++)
		l->at[i] = packed_bytes(in, SIZE_MAX);
	return list_fits(f, at);
}

static const struct kind kind_list = {
	list_is_default, list_fits, list_pack, list_unpack,
};

/* ---- the table -------------------------------------------------------------------------- */

static const struct field fields[] = {
#define NUM(number, name, max, def) \
	{ &kind_num, #name, offsetof(struct record, name), max, def, number },
#define FLAG(number, name) \
	{ &kind_flag, #name, offsetof(struct record, name), 1, 0, number },
#define OCTETS(number, name, max) \
	{ &kind_octets, #name, offsetof(struct record, name), max, 0, number },
#define LIST(number, name, max, each) \
	{ &kind_list, #name, offsetof(struct record, name), max, each, number },
#include "tables/record.def"
};

static int
refuse(const struct field *f, const char *what, const char **why)
{
	static char text[80];

	snprintf(text, sizeof(text), "record: %s%s%s",
	    f != NULL ? f->name : "", f != NULL ? " " : "", what);
	*why = text;
	return -1;
}

int
record_pack(const struct record *r, struct buf *out, const char **why)
{
	uint32_t n = 0;
	size_t i;

	for (i = 0; i < NELEM(fields); i++) {
		const struct field *f = &fields[i];
		const void *at = (const char *)r + f->offset;

		if (!f->kind->fits(f, at))
			return refuse(f, "is too large", why);
		if (!f->kind->is_default(f, at))
			n++;
	}
	pack_map(out, n);
	for (i = 0; i < NELEM(fields); i++) {
		const struct field *f = &fields[i];
		const void *at = (const char *)r + f->offset;

		if (f->kind->is_default(f, at))
			continue;
		pack_u64(out, f->number);
		f->kind->pack(at, out);
	}
	return 0;
}

static const struct field *
field_of(uint64_t number)
{
	size_t i;

	for (i = 0; i < NELEM(fields); i++)
		if (fields[i].number == number)
			return &fields[i];
	return NULL;
}

static void
set_defaults(struct record *r)
{
	memset(r, 0, sizeof(*r));
#define NUM(number, name, max, def)	r->name = (def);
#define FLAG(number, name)
#define OCTETS(number, name, max)
#define LIST(number, name, max, each)
#include "tables/record.def"
}

static int
unpack_pair(struct packed *in, struct record *r, bool seen[NELEM(fields)],
    const char **why)
{
	const struct field *f = field_of(packed_u64(in));

	if (f == NULL) {
		packed_skip(in);
		return 0;
	}
	if (seen[f - fields])
		return refuse(f, "comes twice", why);
	seen[f - fields] = true;
	if (!f->kind->unpack(f, (char *)r + f->offset, in))
		return refuse(f, "is too large", why);
	return in->bad ? refuse(f, "is malformed", why) : 0;
}

int
record_unpack(struct bytes octets, struct record *r, const char **why)
{
	struct packed in = packed_open(octets);
	bool seen[NELEM(fields)] = { false };
	uint32_t n = packed_map(&in, PAIRS_MAX);
	int bad = 0;

	set_defaults(r);
	while (n-- > 0 && bad == 0)
		bad = unpack_pair(&in, r, seen, why);
	if (bad == 0 && !packed_end(&in))
		bad = refuse(NULL, "is malformed", why);
	if (bad != 0)
		record_done(r);
	return bad;
}

void
record_done(struct record *r)
{
#define NUM(number, name, max, def)
#define FLAG(number, name)
#define OCTETS(number, name, max)
#define LIST(number, name, max, each) \
	free(r->name.at); \
	r->name = (struct record_list){ NULL, 0 };
#include "tables/record.def"
}
