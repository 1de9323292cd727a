/* SPDX-License-Identifier: MIT
 *
 * permessage-deflate with zlib.
 *
 * Runs in: workers.
 */
#define ZLIB_CONST
#include <zlib.h>

#include "common/log.h"
#include "common/util.h"
#include "worker/deflate.h"

#define WINDOW_MIN	9	/* zlib has no raw stream with a window of 8 */
#define WINDOW_MAX	15
#define MEMORY_LEVEL	8

/* ---- negotiation -------------------------------------------------------- */

/* What stands in one offer; each parameter at most once. */
struct offer {
	bool		 deflate;
	unsigned	 seen;		/* bits: parameters */
	unsigned	 server_bits;	/* 0: not asked for */
};

enum param {
	SERVER_FRESH = 1, CLIENT_FRESH = 2, SERVER_WINDOW = 4,
	CLIENT_WINDOW = 8
};

static bool
is_token(char c)
{
	return c > ' ' && c < 127 && strchr("\"(),/:;<=>?@[\\]{}", c) == NULL;
}

static void
skip_blank(struct bytes *in)
{
	while (in->n > 0 && (in->p[0] == ' ' || in->p[0] == '\t'))
		*in = bytes_skip(*in, 1);
}

/* Skips blanks, then c if it is the next character. */
static bool
take(struct bytes *in, char c)
{
	skip_blank(in);
	if (in->n == 0 || in->p[0] != c)
		return false;
	*in = bytes_skip(*in, 1);
	return true;
}

static struct bytes
take_token(struct bytes *in)
{
	struct bytes token;

	skip_blank(in);
	token = bytes_of(in->p, 0);
	while (token.n < in->n && is_token(in->p[token.n]))
		token.n++;
	*in = bytes_skip(*in, token.n);
	return token;
}

/* A token, or one in quotes.  Empty: there is none. */
static struct bytes
take_value(struct bytes *in)
{
	struct bytes value;

	if (!take(in, '"'))
		return take_token(in);
	value = take_token(in);
	return take(in, '"') ? value : bytes_of(NULL, 0);
}

/* 8..15 in decimal without zeros in front; 0 if it is not. */
static unsigned
window_of(struct bytes value)
{
	uint64_t bits;

	if (value.n == 0 || value.p[0] == '0' ||
	    bytes_u64(value, &bits) != 0 || bits < 8 || bits > WINDOW_MAX)
		return 0;
	return bits;
}

/* One parameter of permessage-deflate: can it be served? */
static bool
take_param(struct bytes *in, struct offer *offer)
{
	static const struct {
		struct bytes	 name;
		enum param	 param;
	} params[] = {
		{ BYTES("server_no_context_takeover"), SERVER_FRESH },
		{ BYTES("client_no_context_takeover"), CLIENT_FRESH },
		{ BYTES("server_max_window_bits"), SERVER_WINDOW },
		{ BYTES("client_max_window_bits"), CLIENT_WINDOW },
	};
	struct bytes name = take_token(in), value = { NULL, 0 };
	bool valued = take(in, '=');
	size_t i = 0;

	if (valued)
		value = take_value(in);
	while (i < NELEM(params) && !bytes_ieq(name, params[i].name))
		i++;
	if (i == NELEM(params) || (offer->seen & params[i].param) != 0)
		return false;
	offer->seen |= params[i].param;
	switch (params[i].param) {
	case SERVER_WINDOW:
		offer->server_bits = window_of(value);
		return offer->server_bits >= WINDOW_MIN;
	case CLIENT_WINDOW:
		return !valued || window_of(value) != 0;
	default:
		return !valued;
	}
}

/* Goes behind the comma that ends this offer; one in quotes does not. */
static void
skip_offer(struct bytes *in)
{
	bool quoted = false;

	while (in->n > 0) {
		char c = in->p[0];

		*in = bytes_skip(*in, 1);
		if (c == '"')
			quoted = !quoted;
		else if (c == ',' && !quoted)
			return;
	}
}

/* Reads one offer and leaves the rest of the list in *in. */
static bool
take_offer(struct bytes *in, struct offer *offer)
{
	bool good;

	*offer = (struct offer){ 0 };
	good = bytes_ieq(take_token(in), B("permessage-deflate"));
	while (good && take(in, ';'))
		good = take_param(in, offer);
	skip_blank(in);
	if (in->n > 0 && in->p[0] != ',')
		good = false;
	skip_offer(in);
	return good;
}

unsigned
deflate_negotiate(struct bytes offers, struct buf *answer)
{
	struct offer offer;

	while (offers.n > 0) {
		if (!take_offer(&offers, &offer))
			continue;
		buf_str(answer, "permessage-deflate; server_no_context_takeover; "
		    "client_no_context_takeover");
		if (offer.server_bits == 0)
			return WINDOW_MAX;
		buf_str(answer, "; server_max_window_bits=");
		buf_u64(answer, offer.server_bits);
		return offer.server_bits;
	}
	return 0;
}

/* ---- out ---------------------------------------------------------------- */

static z_stream *
deflater(unsigned bits)
{
	static z_stream *streams[WINDOW_MAX + 1];
	z_stream **z = &streams[bits];

	if (bits < WINDOW_MIN || bits > WINDOW_MAX)
		fatal("deflate with a window of %u", bits);
	if (*z == NULL) {
		*z = xcalloc(1, sizeof(**z));
		if (deflateInit2(*z, Z_DEFAULT_COMPRESSION, Z_DEFLATED,
		    -(int)bits, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
			fatal("no memory for deflate");
	} else {
		deflateReset(*z);
	}
	return *z;
}

void
deflate_message(struct bytes in, unsigned window_bits, struct buf *out)
{
	z_stream *z = deflater(window_bits);
	size_t room;

	if (in.n > UINT32_MAX / 2)
		fatal("deflate of %zu octets", in.n);
	z->next_in = (const unsigned char *)in.p;
	z->avail_in = in.n;
	do {
		/* The bound is for Z_FINISH; with the flush's marker it is
		 * hardly ever too small. */
		room = deflateBound(z, z->avail_in) + 16;
		z->next_out = (unsigned char *)buf_room(out, room);
		z->avail_out = room;
		deflate(z, Z_SYNC_FLUSH);
		out->n += room - z->avail_out;
	} while (z->avail_out == 0);
	out->n -= 4;			/* 00 00 FF FF */
}

/* ---- in ----------------------------------------------------------------- */

static z_stream *
inflater(void)
{
	static z_stream *z;

	if (z == NULL) {
		z = xcalloc(1, sizeof(*z));
		if (inflateInit2(z, -WINDOW_MAX) != Z_OK)
			fatal("no memory for inflate");
	} else {
		inflateReset(z);
	}
	return z;
}

/* Room for the next octets: some times what is still to be read, and one more
 * than allowed, which tells that there are too many. */
static size_t
inflate_room(const z_stream *z, size_t left)
{
	size_t room = (size_t)z->avail_in * 4 + 1024;

	return room > left + 1 ? left + 1 : room;
}

/* Feeds octets; 1 if the last block ended behind all of them. */
static int
inflate_octets(z_stream *z, struct bytes in, size_t end, struct buf *out)
{
	int result;

	z->next_in = (const unsigned char *)in.p;
	z->avail_in = in.n;
	do {
		size_t room = inflate_room(z, end - out->n);

		z->next_out = (unsigned char *)buf_room(out, room);
		z->avail_out = room;
		result = inflate(z, Z_SYNC_FLUSH);
		out->n += room - z->avail_out;
		if (out->n > end)
			return -2;
		/* A final block (BFINAL) may be followed by others (7.2.3.4). */
		if (result == Z_STREAM_END && z->avail_in > 0)
			inflateReset(z);
		else if (result == Z_STREAM_END)
			return 1;
		else if (result != Z_OK && result != Z_BUF_ERROR)
			return -1;
	} while (z->avail_in > 0 || z->avail_out == 0);
	return 0;
}

int
inflate_message(struct bytes in, size_t max, struct buf *out)
{
	static const struct bytes tail = { "\0\0\xff\xff", 4 };
	z_stream *z = inflater();
	size_t before = out->n, end = before + max;
	int result;

	if (in.n == 0)
		return 0;
	if (in.n > UINT32_MAX / 8 || end < before)
		return -2;
	result = inflate_octets(z, in, end, out);
	if (result == 0) {
		result = inflate_octets(z, tail, end, out);
		/* 128: zlib stands behind a block, not inside one. */
		if (result == 0 && (z->data_type & 128) == 0)
			result = -1;
	}
	if (result < 0)
		out->n = before;
	return result < 0 ? result : 0;
}
