/* SPDX-License-Identifier: MIT
 *
 * Digests, see crypto.h.
 *
 * HMAC is built here from two runs of the digest: OpenSSL's own copies contexts
 * about for every key, and each request comes with another.
 */
#include "common/crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "common/log.h"

#define SHA256_BLOCK	64
#define SHA256_SIZE	HMAC_SIZE

/* One context for each algorithm; it stays tied to it. */
static EVP_MD_CTX *sha256, *sha1, *md5;

static EVP_MD_CTX *
prepare(const char *name)
{
	EVP_MD *md = EVP_MD_fetch(NULL, name, NULL);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (md == NULL || ctx == NULL || !EVP_DigestInit_ex2(ctx, md, NULL))
		fatal("OpenSSL has no %s", name);
	EVP_MD_free(md);	/* the context holds it too */
	return ctx;
}

void
crypto_init(void)
{
	if (sha256 != NULL)
		return;
	sha256 = prepare("SHA256");
	sha1 = prepare("SHA1");
	md5 = prepare("MD5");
}

static void
digest(EVP_MD_CTX *ctx, const struct bytes *parts, size_t n,
    unsigned char *out)
{
	bool ok = EVP_DigestInit_ex2(ctx, NULL, NULL) != 0;

	for (size_t i = 0; ok && i < n; i++)
		ok = parts[i].n == 0 ||
		    EVP_DigestUpdate(ctx, parts[i].p, parts[i].n) != 0;
	if (!ok || !EVP_DigestFinal_ex(ctx, out, NULL))
		fatal("a digest failed in OpenSSL");
}

static void
hex(const unsigned char *p, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		*out++ = digits[p[i] >> 4];
		*out++ = digits[p[i] & 15];
	}
}

/* One of the two runs: digest of (key ^ pad) and the parts. */
static void
hmac_run(const unsigned char key[SHA256_BLOCK], unsigned char pad,
    const struct bytes *parts, size_t n, unsigned char out[SHA256_SIZE])
{
	unsigned char block[SHA256_BLOCK];
	bool ok;

	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = key[i] ^ pad;
	ok = EVP_DigestInit_ex2(sha256, NULL, NULL) &&
	    EVP_DigestUpdate(sha256, block, sizeof(block));
	for (size_t i = 0; ok && i < n; i++)
		ok = parts[i].n == 0 || EVP_DigestUpdate(sha256,
		    parts[i].p, parts[i].n);
	if (!ok || !EVP_DigestFinal_ex(sha256, out, NULL))
		fatal("HMAC-SHA256 failed in OpenSSL");
	OPENSSL_cleanse(block, sizeof(block));
}

static void
hmac(struct bytes key, const struct bytes *parts, size_t n,
    unsigned char sum[SHA256_SIZE])
{
	unsigned char block[SHA256_BLOCK] = { 0 };
	struct bytes first = bytes_of(sum, SHA256_SIZE);

	crypto_init();
	if (key.n > sizeof(block))
		digest(sha256, &key, 1, block);
	else if (key.n != 0)
		memcpy(block, key.p, key.n);
	hmac_run(block, 0x36, parts, n, sum);
	hmac_run(block, 0x5c, &first, 1, sum);
	OPENSSL_cleanse(block, sizeof(block));
}

void
hmac_sha256(struct bytes key, const struct bytes *parts, size_t n,
    char out[HMAC_SIZE])
{
	hmac(key, parts, n, (unsigned char *)out);
}

void
hmac_sha256_hex(struct bytes key, const struct bytes *parts, size_t n,
    char out[64])
{
	unsigned char sum[SHA256_SIZE];

	hmac(key, parts, n, sum);
	hex(sum, sizeof(sum), out);
}

void
md5_hex(struct bytes text, char out[32])
{
	unsigned char sum[16];

	crypto_init();
	digest(md5, &text, 1, sum);
	hex(sum, sizeof(sum), out);
}

void
websocket_accept(struct bytes key, char out[28])
{
	struct bytes parts[2] = {
		key, BYTES("258EAFA5-E914-47DA-95CA-C5AB0DC85B11"),
	};
	unsigned char sum[20], text[29];

	crypto_init();
	digest(sha1, parts, 2, sum);
	EVP_EncodeBlock(text, sum, sizeof(sum));
	memcpy(out, text, 28);
}

bool
equal_secret(struct bytes a, struct bytes b)
{
	return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}
