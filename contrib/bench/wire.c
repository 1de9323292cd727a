/* SPDX-License-Identifier: MIT */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "wire.h"

/* Looked up once: that costs more than the digests of a short text. */
static EVP_MAC_CTX *mac;
static EVP_MD_CTX *digest;
static EVP_MD *md5;

static void
die(const char *what)
{
	fprintf(stderr, "libcrypto has no %s\n", what);
	exit(2);
}

void
wire_secret(const char *secret)
{
	char name[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);

	mac = EVP_MAC_CTX_new(hmac);
	EVP_MAC_free(hmac);
	if (mac == NULL || EVP_MAC_init(mac, (const unsigned char *)secret,
	    strlen(secret), params) != 1)
		die("HMAC-SHA256");
	md5 = EVP_MD_fetch(NULL, "MD5", NULL);
	digest = EVP_MD_CTX_new();
	if (md5 == NULL || digest == NULL)
		die("MD5");
}

static void
hex_of(char *to, const unsigned char *p, size_t n)
{
	static const char digit[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		to[2 * i] = digit[p[i] >> 4];
		to[2 * i + 1] = digit[p[i] & 15];
	}
	to[2 * n] = '\0';
}

void
wire_sign(char hex[65], const char *text, size_t n)
{
	unsigned char out[32];
	size_t len = 0;

	if (EVP_MAC_init(mac, NULL, 0, NULL) != 1 ||
	    EVP_MAC_update(mac, (const unsigned char *)text, n) != 1 ||
	    EVP_MAC_final(mac, out, &len, sizeof out) != 1)
		die("HMAC-SHA256");
	hex_of(hex, out, sizeof out);
}

size_t
wire_request(char *to, const struct wire_call *c, const char *body, size_t n)
{
	char query[384], word[896], hex[65], sum[64] = "";
	unsigned char out[EVP_MAX_MD_SIZE];
	int len;

	if (n > 0) {
		EVP_DigestInit_ex(digest, md5, NULL);
		EVP_DigestUpdate(digest, body, n);
		EVP_DigestFinal_ex(digest, out, NULL);
		memcpy(sum, "&body_md5=", 10);
		hex_of(sum + 10, out, 16);
	}
	snprintf(query, sizeof query, "auth_key=%s&auth_timestamp=%lld&"
	    "auth_version=1.0%s%s%s", c->key, (long long)time(NULL), sum,
	    c->info[0] != '\0' ? "&info=" : "", c->info);
	len = snprintf(word, sizeof word, "%s\n/apps/%s%s\n%s", c->method, c->id,
	    c->path, query);
	if (len < 0 || (size_t)len >= sizeof word) {
		fprintf(stderr, "id or key too long\n");
		exit(2);
	}
	wire_sign(hex, word, (size_t)len);
	len = snprintf(to, WIRE_HEAD, "%s /apps/%s%s?%s&auth_signature=%s "
	    "HTTP/1.1\r\nHost: %.255s\r\n%s%sContent-Length: %zu\r\n\r\n",
	    c->method, c->id, c->path, query, hex, c->host,
	    c->once ? "Connection: close\r\n" : "",
	    n > 0 ? "Content-Type: application/json\r\n" : "", n);
	memcpy(to + len, body, n);
	return (size_t)len + n;
}

size_t
wire_frame(char *to, unsigned opcode, const char *p, size_t n)
{
	static const unsigned char mask[4] = { 0x5a, 0x17, 0xc3, 0x8e };
	size_t head = 2;

	to[0] = (char)(0x80 | opcode);
	if (n < 126) {
		to[1] = (char)(0x80 | n);
	} else if (n < 65536) {
		to[1] = (char)(0x80 | 126);
		to[2] = (char)(n >> 8);
		to[3] = (char)n;
		head = 4;
	} else {
		to[1] = (char)(0x80 | 127);
		for (unsigned i = 0; i < 8; i++)
			to[2 + i] = (char)((uint64_t)n >> (56 - 8 * i));
		head = 10;
	}
	memcpy(to + head, mask, 4);
	head += 4;
	for (size_t i = 0; i < n; i++)
		to[head + i] = (char)(p[i] ^ mask[i & 3]);
	return head + n;
}

bool
wire_whole(const unsigned char *p, size_t n, size_t *head, size_t *size)
{
	*head = 0;
	if (n < 2)
		return false;
	*size = p[1] & 127;
	if (*size < 126) {
		*head = 2;
		return n - 2 >= *size;
	}
	if (n < (*size == 126 ? 4u : 10u))
		return false;
	*head = *size == 126 ? 4 : 10;
	*size = 0;
	for (size_t i = 2; i < *head; i++)
		*size = *size << 8 | p[i];
	return n - *head >= *size;
}
