/* SPDX-License-Identifier: MIT
 *
 * msgpack between hosts and releases, see packed.h.
 *
 * Runs in: every process.
 */
#include "common/packed.h"

#include <msgpack.h>

/* ---- reading ------------------------------------------------------------ */

static uint64_t
fail(struct packed *in)
{
	in->bad = true;
	in->p = in->end;
	return 0;
}

/* A big-endian number of n octets, n at most 8. */
static uint64_t
take_number(struct packed *in, size_t n)
{
	uint64_t value = 0;

	if ((size_t)(in->end - in->p) < n)
		return fail(in);
	while (n-- > 0)
		value = value << 8 | *in->p++;
	return value;
}

/* The octet that tells what follows; 0xc1, which msgpack never uses, if there
 * is none. */
static unsigned
take_tag(struct packed *in)
{
	if (in->p == in->end) {
		fail(in);
		return 0xc1;
	}
	return *in->p++;
}

uint64_t
packed_u64(struct packed *in)
{
	unsigned tag = take_tag(in);

	if (tag <= 0x7f)
		return tag;
	if (tag >= 0xcc && tag <= 0xcf)
		return take_number(in, 1u << (tag - 0xcc));
	return fail(in);
}

struct bytes
packed_bytes(struct packed *in, size_t max)
{
	unsigned tag = take_tag(in);
	struct bytes b = { "", 0 };
	uint64_t n;

	if (tag >= 0xc4 && tag <= 0xc6)
		n = take_number(in, 1u << (tag - 0xc4));
	else if (tag >= 0xd9 && tag <= 0xdb)
		n = take_number(in, 1u << (tag - 0xd9));
	else if (tag >= 0xa0 && tag <= 0xbf)
		n = tag & 0x1f;
	else
		n = fail(in);
	if (in->bad || n > max || n > (uint64_t)(in->end - in->p)) {
		fail(in);
		return b;
	}
	b = bytes_of(in->p, (size_t)n);
	in->p += n;
	return b;
}

uint32_t
packed_count(struct packed *in, uint32_t max)
{
	unsigned tag = take_tag(in);
	uint64_t n;

	if (tag >= 0x90 && tag <= 0x9f)
		n = tag & 0x0f;
	else if (tag == 0xdc || tag == 0xdd)
		n = take_number(in, tag == 0xdc ? 2 : 4);
	else
		n = fail(in);
	/* Each element is an octet at least. */
	if (in->bad || n > max || n > (uint64_t)(in->end - in->p))
		return (uint32_t)fail(in);
	return (uint32_t)n;
}

void
packed_array(struct packed *in, uint32_t n)
{
	if (packed_count(in, n) != n)
		fail(in);
}

uint32_t
packed_map(struct packed *in, uint32_t max)
{
	unsigned tag = take_tag(in);
	uint64_t n;

	if (tag >= 0x80 && tag <= 0x8f)
		n = tag & 0x0f;
	else if (tag == 0xde || tag == 0xdf)
		n = take_number(in, tag == 0xde ? 2 : 4);
	else
		n = fail(in);
	if (in->bad || n > max || n > (uint64_t)(in->end - in->p) / 2)
		return (uint32_t)fail(in);
	return (uint32_t)n;
}

bool
packed_nil(struct packed *in)
{
	if (in->p == in->end || *in->p != 0xc0)
		return false;
	in->p++;
	return true;
}

/* What follows a tag: octets of its length, octets without one, values. */
static const struct tail {
	unsigned	first, last;
	size_t		length, octets, values;
} tails[] = {
	{ 0x00, 0x7f, 0, 0, 0 },	/* fixint */
	{ 0xc0, 0xc0, 0, 0, 0 },	/* nil */
	{ 0xc2, 0xc3, 0, 0, 0 },	/* false, true */
	{ 0xc4, 0xc4, 1, 1, 0 }, { 0xc5, 0xc5, 2, 1, 0 },
	{ 0xc6, 0xc6, 4, 1, 0 },	/* bin */
	{ 0xca, 0xca, 0, 4, 0 }, { 0xcb, 0xcb, 0, 8, 0 },	/* float */
	{ 0xcc, 0xcc, 0, 1, 0 }, { 0xcd, 0xcd, 0, 2, 0 },
	{ 0xce, 0xce, 0, 4, 0 }, { 0xcf, 0xcf, 0, 8, 0 },	/* uint */
	{ 0xd0, 0xd0, 0, 1, 0 }, { 0xd1, 0xd1, 0, 2, 0 },
	{ 0xd2, 0xd2, 0, 4, 0 }, { 0xd3, 0xd3, 0, 8, 0 },	/* int */
	{ 0xd9, 0xd9, 1, 1, 0 }, { 0xda, 0xda, 2, 1, 0 },
	{ 0xdb, 0xdb, 4, 1, 0 },	/* str */
	{ 0xdc, 0xdc, 2, 0, 1 }, { 0xdd, 0xdd, 4, 0, 1 },	/* array */
	{ 0xde, 0xde, 2, 0, 2 }, { 0xdf, 0xdf, 4, 0, 2 },	/* map */
	{ 0xe0, 0xff, 0, 0, 0 },	/* negative fixint */
};

static void
pass_octets(struct packed *in, uint64_t n)
{
	if (n > (uint64_t)(in->end - in->p))
		fail(in);
	else
		in->p += n;
}

/* One head and the octets that belong to it; how many values follow. */
static uint64_t
skip_one(struct packed *in)
{
	unsigned tag = take_tag(in);
	uint64_t n;

	if (tag >= 0x80 && tag <= 0x9f)
		return (uint64_t)(tag & 0x0f) * (tag < 0x90 ? 2 : 1);
	if (tag >= 0xa0 && tag <= 0xbf) {
		pass_octets(in, tag & 0x1f);
		return 0;
	}
	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		const struct tail *t = &tails[i];

		if (tag < t->first || tag > t->last)
			continue;
		n = t->length != 0 ? take_number(in, t->length) : 1;
		pass_octets(in, n * t->octets);
		return t->values * n;
	}
	return fail(in);
}

void
packed_skip(struct packed *in)
{
	uint64_t left = 1;

	while (left > 0 && !in->bad) {
		left = left - 1 + skip_one(in);
		/* Each is an octet at least. */
		if (left > (uint64_t)(in->end - in->p))
			fail(in);
	}
}

/* ---- writing ------------------------------------------------------------ */

static int
to_buf(void *out, const char *p, size_t n)
{
	buf_add(out, p, n);
	return 0;
}

static msgpack_packer
packer(struct buf *out)
{
	msgpack_packer pk;

	msgpack_packer_init(&pk, out, to_buf);
	return pk;
}

void
pack_array(struct buf *out, uint32_t n)
{
	msgpack_packer pk = packer(out);

	msgpack_pack_array(&pk, n);
}

void
pack_map(struct buf *out, uint32_t n)
{
	msgpack_packer pk = packer(out);

	msgpack_pack_map(&pk, n);
}

void
pack_nil(struct buf *out)
{
	msgpack_packer pk = packer(out);

	msgpack_pack_nil(&pk);
}

void
pack_u64(struct buf *out, uint64_t n)
{
	msgpack_packer pk = packer(out);

	msgpack_pack_uint64(&pk, n);
}

void
pack_bytes(struct buf *out, struct bytes b)
{
	msgpack_packer pk = packer(out);

	msgpack_pack_bin(&pk, b.n);
	if (b.n > 0)
		buf_add(out, b.p, b.n);
}
