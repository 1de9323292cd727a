/* SPDX-License-Identifier: MIT
 *
 * Tests src/common/crypto.c with vectors of RFC 4231, RFC 1321, RFC 6455 and of
 * the Pusher protocol.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "common/crypto.h"
#include "common/util.h"

static const struct {
	struct bytes	key, text;
	const char	*sum;
} hmacs[] = {
	/* RFC 4231, cases 1 and 2 */
	{ BYTES("\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"
	    "\x0b\x0b\x0b\x0b\x0b\x0b"), BYTES("Hi There"),
	  "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
	{ BYTES("Jefe"), BYTES("what do ya want for nothing?"),
	  "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
	/* channels, sign-in and an API request as Pusher publishes them */
	{ BYTES("7ad3773142a6692b25b8"), BYTES("1234.1234:private-foobar"),
	  "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4" },
	{ BYTES("7ad3773142a6692b25b8"),
	  BYTES("1234.1234::user::{\"id\":\"12345\"}"),
	  "4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba" },
	{ BYTES("7ad3773142a6692b25b8"),
	  BYTES("1234.1234:presence-foobar:{\"user_id\":10,\"user_info\":"
	    "{\"name\":\"Mr. Pusher\"}}"),
	  "afaed3695da2ffd16931f457e338e6c9f2921fa133ce7dac49f529792be6304c" },
	{ BYTES("7ad3773142a6692b25b8"),
	  BYTES("POST\n/apps/3/events\nauth_key=278d425bdf160c739803&"
	    "auth_timestamp=1353088179&auth_version=1.0&"
	    "body_md5=ec365a775a4cd0599faeb73354201b6f"),
	  "da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c" },
	{ BYTES("app-secret"), BYTES("1234.5678:private-room"),
	  "eac53072418f048540e99a8514ba31f8f84de872c812c2511c014ab7da4cd25f" },
	{ BYTES("app-secret"), BYTES("1234.5678:presence-room:"
	    "{\"user_id\":\"7\",\"user_info\":{\"name\":\"Ann\"}}"),
	  "41bf4b33456ff2a84fb0b430b58c0b8fea926736689011a49c16c6aa94f32ecd" },
	{ BYTES("app-secret"), BYTES("1234.5678::user::{\"id\":\"7\"}"),
	  "8ec0344c9213077ebecad818feed86688e35be148b72432f675aec4fcdcff27e" },
};

static void
test_hmac(void **state)
{
	char sum[64];

	(void)state;
	for (size_t i = 0; i < NELEM(hmacs); i++) {
		hmac_sha256_hex(hmacs[i].key, &hmacs[i].text, 1, sum);
		assert_memory_equal(sum, hmacs[i].sum, 64);
	}
}

/* Cut into parts anywhere, the sum is that of the whole. */
static void
test_hmac_parts(void **state)
{
	struct bytes parts[3], text = hmacs[4].text;
	char sum[64];

	(void)state;
	for (size_t a = 0; a <= text.n; a++) {
		parts[0] = bytes_of(text.p, a);
		parts[1] = bytes_of(NULL, 0);
		parts[2] = bytes_skip(text, a);
		hmac_sha256_hex(hmacs[4].key, parts, 3, sum);
		assert_memory_equal(sum, hmacs[4].sum, 64);
	}
}

/* Against OpenSSL's own HMAC, with keys around the size of a block. */
static void
test_hmac_keys(void **state)
{
	unsigned char key[200], sum[32];
	char got[64];
	struct buf expect = { 0 };

	(void)state;
	for (size_t n = 0; n <= sizeof(key); n++) {
		struct bytes text = B("some text"), k = bytes_of(key, n);

		random_fill(key, sizeof(key));
		assert_non_null(HMAC(EVP_sha256(), key, (int)n,
		    (const unsigned char *)text.p, text.n, sum, NULL));
		buf_clear(&expect);
		buf_hex(&expect, bytes_of(sum, sizeof(sum)));
		hmac_sha256_hex(k, &text, 1, got);
		assert_memory_equal(got, expect.p, 64);
	}
	buf_done(&expect);
}

static void
test_md5(void **state)
{
	static const struct {
		struct bytes	 text;
		const char	*sum;
	} sums[] = {
		{ BYTES(""), "d41d8cd98f00b204e9800998ecf8427e" },
		{ BYTES("abc"), "900150983cd24fb0d6963f7d28e17f72" },
		{ BYTES("message digest"),
		  "f96b697d7cb7938d525a2f31aaf161d0" },
		{ BYTES("{\"name\":\"a\",\"channel\":\"b\",\"data\":\"c\"}"),
		  "9b3510d6b66aacd0d275a74ae0b24b51" },
		{ BYTES("{\"name\":\"foo\",\"channels\":[\"project-3\"],"
		    "\"data\":\"{\\\"some\\\":\\\"data\\\"}\"}"),
		  "ec365a775a4cd0599faeb73354201b6f" },
	};
	char sum[32];

	(void)state;
	for (size_t i = 0; i < NELEM(sums); i++) {
		md5_hex(sums[i].text, sum);
		assert_memory_equal(sum, sums[i].sum, 32);
	}
}

static void
test_accept(void **state)
{
	char out[29] = { 0 };

	(void)state;
	websocket_accept(B("dGhlIHNhbXBsZSBub25jZQ=="), out);
	assert_string_equal(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void
test_equal(void **state)
{
	(void)state;
	assert_true(equal_secret(B("abc"), B("abc")));
	assert_true(equal_secret(B(""), bytes_of(NULL, 0)));
	assert_false(equal_secret(B("abc"), B("abd")));
	assert_false(equal_secret(B("abc"), B("abcd")));
	assert_false(equal_secret(B("abc"), B("")));
	assert_false(equal_secret(B("a\0b"), B("a\0c")));
}

/* Once the algorithms are there a digest costs one small block at most (OpenSSL
 * 3.0 makes its state anew), and keeps none. */
static size_t allocated, freed;

static void *
count_malloc(size_t n, const char *file, int line)
{
	(void)file, (void)line;
	allocated++;
	return malloc(n);
}

static void *
count_realloc(void *p, size_t n, const char *file, int line)
{
	(void)file, (void)line;
	allocated += p == NULL;
	return realloc(p, n);
}

static void
count_free(void *p, const char *file, int line)
{
	(void)file, (void)line;
	freed += p != NULL;
	free(p);
}

static void
test_allocation(void **state)
{
	char out[64];
	struct bytes text = B("text");
	size_t before = allocated, held = allocated - freed;

	(void)state;
	assert_true(before > 0);
	for (int i = 0; i < 100; i++) {
		hmac_sha256_hex(B("key"), &text, 1, out);
		md5_hex(text, out);
		websocket_accept(text, out);
	}
	assert_in_range(allocated - before, 0, 400);
	assert_int_equal(allocated - freed, held);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hmac),
		cmocka_unit_test(test_hmac_parts),
		cmocka_unit_test(test_hmac_keys),
		cmocka_unit_test(test_md5),
		cmocka_unit_test(test_accept),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_allocation),
	};

	if (!CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free))
		return 1;
	crypto_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
