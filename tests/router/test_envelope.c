/* SPDX-License-Identifier: MIT
 *
 * Tests src/router/envelope.c and packed.c: there and back, and what is told
 * apart of all that is wrong.
 */
#include "driver.h"

#include "common/crypto.h"
#include "common/packed.h"

#define KEY	"0123456789abcdef0123456789abcdef"

static const struct envelope good = {
	.node = UINT64_MAX, .incarnation = 1, .number = ENVELOPE_NUMBER(3) + 7,
	.kind = ENVELOPE_BEAT, .app = BYTES("1"), .channel = BYTES("news"),
	.payload = BYTES("\x93\x01\x02\x03 with a \0 in it"),
};

static void
same(const struct envelope *a, const struct envelope *b)
{
	assert_int_equal(a->node, b->node);
	assert_int_equal(a->incarnation, b->incarnation);
	assert_int_equal(a->number, b->number);
	assert_int_equal(a->kind, b->kind);
	assert_true(bytes_eq(a->app, b->app));
	assert_true(bytes_eq(a->channel, b->channel));
	assert_true(bytes_eq(a->payload, b->payload));
}

static void
test_there_and_back(void **state)
{
	struct buf out = { 0 };
	struct envelope e;

	(void)state;
	buf_str(&out, "before");
	envelope_seal(&out, &good, B(""));
	assert_int_equal(envelope_open(bytes_skip(buf_view(&out), 6), B(""),
	    &e), ENVELOPE_GOOD);
	same(&e, &good);
	buf_clear(&out);
	envelope_seal(&out, &good, B(KEY));
	assert_int_equal(envelope_open(buf_view(&out), B(KEY), &e),
	    ENVELOPE_GOOD);
	same(&e, &good);
	memset(&e, 0, sizeof(e));
	assert_int_equal(envelope_open_own(buf_view(&out), B(KEY), &e),
	    ENVELOPE_GOOD);
	same(&e, &good);
	buf_done(&out);
}

/* HMAC-SHA256, RFC 4231, test case 2. */
static void
test_hmac(void **state)
{
	struct bytes text = B("what do ya want for nothing?");
	char sum[HMAC_SIZE];

	(void)state;
	hmac_sha256(B("Jefe"), &text, 1, sum);
	assert_memory_equal(sum, "\x5b\xdc\xc1\x46\xbf\x60\x75\x4e\x6a\x04\x24"
	    "\x26\x08\x95\x75\xc7\x5a\x00\x3f\x08\x9d\x27\x39\x83\x9d\xec\x58"
	    "\xb9\x64\xec\x38\x43", HMAC_SIZE);
}

/* Each octet that is changed, and each length that is cut. */
static void
test_signature_covers_all(void **state)
{
	struct buf out = { 0 };
	struct envelope e;

	(void)state;
	envelope_seal(&out, &good, B(KEY));
	for (size_t i = 0; i < out.n; i++) {
		out.p[i] ^= 1;
		assert_int_equal(envelope_open(buf_view(&out), B(KEY), &e),
		    ENVELOPE_BAD_SIGNATURE);
		out.p[i] ^= 1;
		assert_int_equal(envelope_open(bytes_of(out.p, i), B(KEY), &e),
		    ENVELOPE_BAD_SIGNATURE);
	}
	assert_int_equal(envelope_open(buf_view(&out),
	    B("another key, as long as that one"), &e),
	    ENVELOPE_BAD_SIGNATURE);
	/* One side signs, the other does not. */
	assert_int_equal(envelope_open(buf_view(&out), B(""), &e),
	    ENVELOPE_BAD_SIGNATURE);
	buf_clear(&out);
	envelope_seal(&out, &good, B(""));
	assert_int_equal(envelope_open(buf_view(&out), B(KEY), &e),
	    ENVELOPE_BAD_SIGNATURE);
	buf_done(&out);
}

static void
test_cut_or_longer(void **state)
{
	struct buf out = { 0 };
	struct envelope e;

	(void)state;
	envelope_seal(&out, &good, B(""));
	for (size_t i = 0; i < out.n; i++)
		assert_int_equal(envelope_open(bytes_of(out.p, i), B(""), &e),
		    ENVELOPE_BAD);
	buf_char(&out, 'x');
	assert_int_equal(envelope_open(buf_view(&out), B(""), &e),
	    ENVELOPE_BAD);
	buf_done(&out);
}

/* An envelope by hand: version, kind, and the lengths of app and channel. */
static enum envelope_fault
opened(uint64_t version, uint64_t kind, size_t app, size_t channel)
{
	static char text[2000];
	struct buf out = { 0 };
	struct envelope e;
	enum envelope_fault fault;

	pack_array(&out, 8);
	pack_u64(&out, version);
	for (uint64_t i = 1; i < 4; i++)
		pack_u64(&out, i);
	pack_u64(&out, kind);
	pack_bytes(&out, bytes_of(text, app));
	pack_bytes(&out, bytes_of(text, channel));
	pack_bytes(&out, B("x"));
	fault = envelope_open(buf_view(&out), B(""), &e);
	buf_done(&out);
	return fault;
}

static void
test_faults(void **state)
{
	struct envelope e;

	(void)state;
	assert_int_equal(opened(1, 1, 200, 1024), ENVELOPE_GOOD);
	assert_int_equal(opened(1, 1, 201, 1024), ENVELOPE_BAD);
	assert_int_equal(opened(1, 1, 200, 1025), ENVELOPE_BAD);
	assert_int_equal(opened(1, 0, 1, 1), ENVELOPE_BAD_KIND);
	assert_int_equal(opened(1, ENVELOPE_KINDS, 1, 1), ENVELOPE_BAD_KIND);
	assert_int_equal(opened(1, UINT64_MAX, 1, 1), ENVELOPE_BAD_KIND);
	assert_int_equal(opened(2, 1, 1, 1), ENVELOPE_BAD_VERSION);
	assert_int_equal(opened(0, 1, 1, 1), ENVELOPE_BAD_VERSION);
	/* Shorter, from the future. */
	assert_int_equal(envelope_open(B("\x92\x02\x01"), B(""), &e),
	    ENVELOPE_BAD_VERSION);
	assert_int_equal(envelope_open(B("\x92\x01\x01"), B(""), &e),
	    ENVELOPE_BAD);
	assert_int_equal(envelope_open(B("hello"), B(""), &e), ENVELOPE_BAD);
	assert_int_equal(envelope_open(B(""), B(""), &e), ENVELOPE_BAD);
	/* Headers that promise more than there is. */
	assert_int_equal(envelope_open(B("\xdd\xff\xff\xff\xff\x01"), B(""),
	    &e), ENVELOPE_BAD);
	assert_int_equal(envelope_open(B("\x98\x01\x01\x01\x01\x01\xc4\x01" "a"
	    "\xc4\x01" "b\xc6\xff\xff\xff\xff"), B(""), &e), ENVELOPE_BAD);
	/* Numbers where strings are to be, and the other way round. */
	assert_int_equal(envelope_open(B("\x98\x01\x01\x01\x01\x01\x01\x01"
	    "\x01"), B(""), &e), ENVELOPE_BAD);
	assert_int_equal(envelope_open(B("\x98\xa1" "1\x01\x01\x01\x01\xa1" "a"
	    "\xa1" "b\xa1" "c"), B(""), &e), ENVELOPE_BAD);
	/* Negative, nil, float, map. */
	assert_int_equal(envelope_open(B("\x98\x01\xff\x01\x01\x01\xa1" "a\xa1"
	    "b\xa1" "c"), B(""), &e), ENVELOPE_BAD);
	assert_int_equal(envelope_open(B("\x81\x01\x01"), B(""), &e),
	    ENVELOPE_BAD);
}

/* After the first fault everything reads as nothing. */
static void
test_packed_goes_on(void **state)
{
	struct packed in = packed_open(B("\x01\xc4\x05" "ab"));

	(void)state;
	assert_int_equal(packed_u64(&in), 1);
	assert_int_equal(packed_bytes(&in, 100).n, 0);
	assert_true(in.bad);
	assert_int_equal(packed_u64(&in), 0);
	assert_int_equal(packed_count(&in, 9), 0);
	assert_false(packed_end(&in));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_hmac),
		cmocka_unit_test(test_signature_covers_all),
		cmocka_unit_test(test_cut_or_longer),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_packed_goes_on),
	};

	return cmocka_run_group_tests_name("envelope", tests, NULL, NULL);
}
