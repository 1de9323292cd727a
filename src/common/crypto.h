/* SPDX-License-Identifier: MIT
 *
 * The few digests Peal needs, by OpenSSL's EVP.  The only file, with tls.c,
 * that includes OpenSSL.
 *
 * Runs in: workers, router, pealctl.  Call crypto_init() before the jail:
 * OpenSSL opens files and fetches algorithms then, and not later.
 */
#ifndef PEAL_CRYPTO_H
#define PEAL_CRYPTO_H

#include "common/buf.h"

void	crypto_init(void);

/* Lower-case hex of HMAC-SHA256 over the parts as if they stood together. */
void	hmac_sha256_hex(struct bytes key, const struct bytes *parts, size_t n,
	    char out[64]);
/* The same as 32 octets. */
#define HMAC_SIZE	32
void	hmac_sha256(struct bytes key, const struct bytes *parts, size_t n,
	    char out[HMAC_SIZE]);
void	md5_hex(struct bytes, char out[32]);
/* RFC 6455 4.2.2: base64(SHA-1(key + GUID)), 28 octets, no NUL. */
void	websocket_accept(struct bytes key, char out[28]);
/* Compares in time that depends on the length alone. */
bool	equal_secret(struct bytes, struct bytes);

#endif
