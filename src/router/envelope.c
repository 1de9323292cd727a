/* SPDX-License-Identifier: MIT
 *
 * Envelopes.
 *
 * Runs in: the router.
 */
#include "router/envelope.h"

#include "common/crypto.h"
#include "common/packed.h"

#define FIELDS		8
#define FIELDS_MAX	64	/* of another version */
#define APP_MAX		200
#define CHANNEL_MAX	1024
#define PAYLOAD_MAX	UINT32_MAX

static void
sign(struct bytes octets, struct bytes key, char sum[HMAC_SIZE])
{
	hmac_sha256(key, &octets, 1, sum);
}

void
envelope_seal(struct buf *out, const struct envelope *e, struct bytes key)
{
	size_t from = out->n;
	char sum[HMAC_SIZE];

	pack_array(out, FIELDS);
	pack_u64(out, ENVELOPE_VERSION);
	pack_u64(out, e->node);
	pack_u64(out, e->incarnation);
	pack_u64(out, e->number);
	pack_u64(out, e->kind);
	pack_bytes(out, e->app);
	pack_bytes(out, e->channel);
	pack_bytes(out, e->payload);
	if (key.n == 0)
		return;
	sign(bytes_of(out->p + from, out->n - from), key, sum);
	buf_add(out, sum, sizeof(sum));
}

/* The octets without their signature; empty if it is wrong or missing. */
static struct bytes
unsign(struct bytes octets, struct bytes key)
{
	struct bytes body, signature;
	char sum[HMAC_SIZE];

	if (octets.n <= sizeof(sum))
		return bytes_of(NULL, 0);
	body = bytes_of(octets.p, octets.n - sizeof(sum));
	signature = bytes_skip(octets, body.n);
	sign(body, key, sum);
	if (!equal_secret(signature, bytes_of(sum, sizeof(sum))))
		return bytes_of(NULL, 0);
	return body;
}

static enum envelope_fault
open_unsigned(struct bytes octets, struct envelope *out)
{
	struct packed in = packed_open(octets);
	struct envelope e;
	uint64_t kind;

	if (packed_count(&in, FIELDS_MAX) < FIELDS) {
		if (!in.bad && packed_u64(&in) > ENVELOPE_VERSION && !in.bad)
			return ENVELOPE_BAD_VERSION;
		return ENVELOPE_BAD;
	}
	if (packed_u64(&in) != ENVELOPE_VERSION)
		return in.bad ? ENVELOPE_BAD : ENVELOPE_BAD_VERSION;
	e.node = packed_u64(&in);
	e.incarnation = packed_u64(&in);
	e.number = packed_u64(&in);
	kind = packed_u64(&in);
	e.app = packed_bytes(&in, APP_MAX);
	e.channel = packed_bytes(&in, CHANNEL_MAX);
	e.payload = packed_bytes(&in, PAYLOAD_MAX);
	if (!packed_end(&in)) {
		/* Signed, where nobody is to sign. */
		if (!in.bad && packed_rest(&in).n == HMAC_SIZE)
			return ENVELOPE_BAD_SIGNATURE;
		return ENVELOPE_BAD;
	}
	if (kind == 0 || kind >= ENVELOPE_KINDS)
		return ENVELOPE_BAD_KIND;
	e.kind = (enum envelope_kind)kind;
	*out = e;
	return ENVELOPE_GOOD;
}

enum envelope_fault
envelope_open(struct bytes octets, struct bytes key, struct envelope *out)
{
	enum envelope_fault fault;

	if (key.n == 0)
		return open_unsigned(octets, out);
	octets = unsign(octets, key);
	if (octets.n == 0)
		return ENVELOPE_BAD_SIGNATURE;
	fault = open_unsigned(octets, out);
	return fault == ENVELOPE_BAD_SIGNATURE ? ENVELOPE_BAD : fault;
}

enum envelope_fault
envelope_open_own(struct bytes octets, struct bytes key, struct envelope *out)
{
	if (key.n > 0)
		octets.n -= HMAC_SIZE;
	return open_unsigned(octets, out);
}
