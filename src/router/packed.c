/* SPDX-License-Identifier: MIT
 *
 * msgpack between hosts.
 *
 * Runs in: the router.
 */
#include "router/packed.h"

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
pack_u64(struct buf *out, uint64_t n)
{
	msgpack_packer pk = packer(out);

	msgpack_pack_uint64(&pk, n);
}

void
pack_bytes_head(struct buf *out, uint32_t n)
{
	msgpack_packer pk = packer(out);

	msgpack_pack_bin(&pk, n);
}

void
pack_bytes(struct buf *out, struct bytes b)
{
	pack_bytes_head(out, (uint32_t)b.n);
	if (b.n > 0)
		buf_add(out, b.p, b.n);
}
