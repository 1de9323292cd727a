/* SPDX-License-Identifier: MIT
 *
 * Envelopes from the broker: whatever is taken lies within the octets, and
 * sealed again reads as the same.  The first octet of the input chooses whether
 * a signature is wanted, the second whether a right one is added.
 */
#include "fuzz.h"

#include "common/crypto.h"
#include "common/util.h"
#include "router/envelope.h"
#include "common/packed.h"

#define KEY	"a key of thirty-two characters.."

static struct bytes input;

static void
check_bytes(struct bytes b, size_t max)
{
	MUST(b.n <= max);
	MUST(b.n == 0 || (b.p >= input.p && b.p + b.n <= input.p + input.n));
}

static void
check_payload(struct bytes payload)
{
	struct packed in = packed_open(payload);
	uint32_t n = packed_count(&in, 100);

	for (uint32_t i = 0; i < n; i++) {
		packed_u64(&in);
		check_bytes(packed_bytes(&in, 1000), 1000);
	}
}

static void
check(const struct envelope *e, struct bytes key)
{
	struct buf out = { 0 };
	struct envelope again;

	check_bytes(e->app, 200);
	check_bytes(e->channel, 1024);
	check_bytes(e->payload, input.n);
	MUST(e->kind > 0 && e->kind < ENVELOPE_KINDS);
	check_payload(e->payload);
	envelope_seal(&out, e, key);
	MUST(envelope_open(buf_view(&out), key, &again) == ENVELOPE_GOOD);
	MUST(again.node == e->node && again.incarnation == e->incarnation &&
	    again.number == e->number && again.kind == e->kind);
	MUST(bytes_eq(again.app, e->app) &&
	    bytes_eq(again.channel, e->channel) &&
	    bytes_eq(again.payload, e->payload));
	buf_done(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes key = B(""), octets = bytes_of(data, n);
	struct buf copy = { 0 };
	struct envelope e;
	char sum[HMAC_SIZE];

	if (n < 2)
		return 0;
	if (data[0] & 1)
		key = B(KEY);
	octets = bytes_skip(octets, 2);
	buf_bytes(&copy, octets);
	if (data[1] & 1) {
		hmac_sha256(B(KEY), &octets, 1, sum);
		buf_add(&copy, sum, sizeof(sum));
	}
	input = buf_view(&copy);
	if (envelope_open(input, key, &e) == ENVELOPE_GOOD)
		check(&e, key);
	else
		/* Signed right: only the content is wrong. */
		MUST(key.n == 0 || (data[1] & 1) == 0 || octets.n == 0 ||
		    envelope_open(input, key, &e) != ENVELOPE_BAD_SIGNATURE);
	buf_done(&copy);
	return 0;
}
