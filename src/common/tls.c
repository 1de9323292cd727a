/* SPDX-License-Identifier: MIT
 *
 * TLS streams, see tls.h.
 */
#include "common/tls.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "common/config.h"
#include "common/log.h"
#include "common/util.h"

/* TLS 1.2: forward secrecy and authenticated ciphers only.  All of TLS 1.3 is
 * such. */
#define CIPHERS		"ECDHE+AESGCM:ECDHE+CHACHA20"
#define TICKET_LIFE	7200	/* seconds */

struct tls_context {
	SSL_CTX	*ssl;
};

struct tls {
	SSL	*ssl;
	bool	 broken;	/* nothing more may be sent */
	char	*why;		/* of a client stream that failed */
};

void
tls_init(void)
{
	SSL_CTX *warm;

	if (!OPENSSL_init_ssl(OPENSSL_INIT_LOAD_CONFIG, NULL))
		fatal("OpenSSL does not start");
	/* The first context loads what later ones use. */
	warm = SSL_CTX_new(TLS_server_method());
	if (warm == NULL)
		fatal("OpenSSL has no TLS");
	SSL_CTX_free(warm);
}

/* ---- contexts ----------------------------------------------------------- */

static int
refuse(const char **why, const char *what)
{
	static char text[200];
	unsigned long error = ERR_peek_error();
	const char *reason = error != 0 ? ERR_reason_error_string(error) : NULL;

	snprintf(text, sizeof(text), "%s%s%s", what, reason != NULL ? ": " : "",
	    reason != NULL ? reason : "");
	ERR_clear_error();
	*why = text;
	return -1;
}

/* Instead of OpenSSL's, which asks at the terminal. */
static int
no_passphrase(char *to, int size, int writing, void *arg)
{
	(void)to, (void)size, (void)writing, (void)arg;
	return -1;
}

static BIO *
memory(struct bytes pem)
{
	BIO *bio = pem.n <= INT_MAX ? BIO_new_mem_buf(pem.n != 0 ? pem.p : "",
	    (int)pem.n) : NULL;

	if (bio == NULL)
		fatal("OpenSSL cannot read %zu octets", pem.n);
	return bio;
}

/* What follows the first certificate: those that signed it, in order. */
static int
use_intermediates(SSL_CTX *ssl, BIO *pem, const char **why)
{
	X509 *next;

	while ((next = PEM_read_bio_X509(pem, NULL, no_passphrase, NULL)) !=
	    NULL) {
		if (!SSL_CTX_add0_chain_cert(ssl, next)) {
			X509_free(next);
			return refuse(why, "certificate chain not accepted");
		}
	}
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return refuse(why, "certificate chain cannot be read");
	ERR_clear_error();
	return 0;
}

static int
use_chain(SSL_CTX *ssl, struct bytes chain, const char **why)
{
	BIO *pem = memory(chain);
	X509 *leaf = PEM_read_bio_X509_AUX(pem, NULL, no_passphrase, NULL);
	int result;

	if (leaf == NULL)
		result = refuse(why, "certificate cannot be read");
	else if (!SSL_CTX_use_certificate(ssl, leaf))
		result = refuse(why, "certificate not accepted");
	else
		result = use_intermediates(ssl, pem, why);
	X509_free(leaf);
	BIO_free(pem);
	return result;
}

static int
use_key(SSL_CTX *ssl, struct bytes key, const char **why)
{
	BIO *pem = memory(key);
	EVP_PKEY *pkey = PEM_read_bio_PrivateKey(pem, NULL, no_passphrase,
	    NULL);
	int result = 0;

	if (pkey == NULL)
		result = refuse(why, "private key cannot be read (PEM without "
		    "a passphrase is needed)");
	else if (!SSL_CTX_use_PrivateKey(ssl, pkey) ||
	    !SSL_CTX_check_private_key(ssl))
		result = refuse(why, "private key does not fit the certificate");
	EVP_PKEY_free(pkey);
	BIO_free(pem);
	return result;
}

static int
use_tickets(SSL_CTX *ssl, struct bytes keys, const char **why)
{
	char copy[TLS_TICKET_KEYS];

	if (keys.n == 0)
		return 0;
	if (keys.n != sizeof(copy))
		return refuse(why, "session ticket keys have a wrong length");
	memcpy(copy, keys.p, sizeof(copy));
	if (!SSL_CTX_set_tlsext_ticket_keys(ssl, copy, sizeof(copy)))
		return refuse(why, "session ticket keys not accepted");
	OPENSSL_cleanse(copy, sizeof(copy));
	return 0;
}

static int
set_up(SSL_CTX *ssl, int min_version, const char **why)
{
	SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION |
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF |
	    SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS |
	    SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* One call for a record, not one for its head and one for the rest. */
	SSL_CTX_set_read_ahead(ssl, 1);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_timeout(ssl, TICKET_LIFE);
	SSL_CTX_set_num_tickets(ssl, 1);
	if (!SSL_CTX_set_session_id_context(ssl,
	    (const unsigned char *)"peal", 4) ||
	    !SSL_CTX_set_cipher_list(ssl, CIPHERS) ||
	    !SSL_CTX_set_min_proto_version(ssl, min_version == TLS_1_2 ?
	    TLS1_2_VERSION : TLS1_3_VERSION))
		return refuse(why, "OpenSSL does not take TLS settings");
	return 0;
}

struct tls_context *
tls_context_new(struct bytes chain, struct bytes key, int min_version,
    struct bytes tickets, const char **why)
{
	SSL_CTX *ssl;
	struct tls_context *c;

	ERR_clear_error();
	ssl = SSL_CTX_new(TLS_server_method());
	if (ssl == NULL) {
		refuse(why, "no TLS context");
		return NULL;
	}
	if (set_up(ssl, min_version, why) < 0 ||
	    use_chain(ssl, chain, why) < 0 || use_key(ssl, key, why) < 0 ||
	    use_tickets(ssl, tickets, why) < 0) {
		SSL_CTX_free(ssl);
		return NULL;
	}
	c = xcalloc(1, sizeof(*c));
	c->ssl = ssl;
	return c;
}

/* ---- contexts of clients ------------------------------------------------- */

/* Whole files, as none can be opened later.  Where distributions keep the
 * system's authorities. */
static const char *const bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/ssl/cert.pem",
};

static int
use_system_authorities(SSL_CTX *ssl, const char **why)
{
	for (size_t i = 0; i < NELEM(bundles); i++)
		if (SSL_CTX_load_verify_file(ssl, bundles[i]))
			return 0;
	ERR_clear_error();
	return refuse(why, "the system's certificate authorities cannot be "
	    "read: name a file with them");
}

static bool
given(const char *text)
{
	return text != NULL && text[0] != '\0';
}

static int
use_authorities(SSL_CTX *ssl, const char *ca, const char **why)
{
	if (!given(ca))
		return use_system_authorities(ssl, why);
	if (!SSL_CTX_load_verify_file(ssl, ca))
		return refuse(why, "the file with certificate authorities "
		    "cannot be read");
	return 0;
}

static int
use_files(SSL_CTX *ssl, const char *certificate, const char *key,
    const char **why)
{
	if (!given(certificate) && !given(key))
		return 0;
	if (!given(certificate) || !given(key))
		return refuse(why, "a client certificate needs its key, and "
		    "the key its certificate");
	SSL_CTX_set_default_passwd_cb(ssl, no_passphrase);
	if (!SSL_CTX_use_certificate_chain_file(ssl, certificate))
		return refuse(why, "the client certificate cannot be read");
	if (!SSL_CTX_use_PrivateKey_file(ssl, key, SSL_FILETYPE_PEM))
		return refuse(why, "the client certificate's key cannot be "
		    "read (PEM without a passphrase is needed), or does not "
		    "fit");
	return 0;
}

static int
set_up_client(SSL_CTX *ssl, const char **why)
{
	SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION |
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	if (!SSL_CTX_set_cipher_list(ssl, CIPHERS) ||
	    !SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION))
		return refuse(why, "OpenSSL does not take TLS settings");
	return 0;
}

struct tls_context *
tls_client_context_new(const char *ca, const char *certificate,
    const char *key, bool verify, const char **why)
{
	struct tls_context *c;
	SSL_CTX *ssl;

	ERR_clear_error();
	ssl = SSL_CTX_new(TLS_client_method());
	if (ssl == NULL) {
		refuse(why, "no TLS context");
		return NULL;
	}
	if (set_up_client(ssl, why) < 0 ||
	    (verify && use_authorities(ssl, ca, why) < 0) ||
	    use_files(ssl, certificate, key, why) < 0) {
		SSL_CTX_free(ssl);
		return NULL;
	}
	SSL_CTX_set_verify(ssl, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
	    NULL);
	c = xcalloc(1, sizeof(*c));
	c->ssl = ssl;
	return c;
}

void
tls_context_free(struct tls_context *c)
{
	if (c == NULL)
		return;
	SSL_CTX_free(c->ssl);
	free(c);
}

/* ---- streams ------------------------------------------------------------ */

struct tls *
tls_accept(struct tls_context *c, int fd)
{
	struct tls *t = xcalloc(1, sizeof(*t));

	ERR_clear_error();
	t->ssl = SSL_new(c->ssl);
	if (t->ssl == NULL || !SSL_set_fd(t->ssl, fd))
		fatal("out of memory for a TLS stream");
	SSL_set_accept_state(t->ssl);
	return t;
}

/* An address is compared with the certificate's addresses and is not sent:
 * servers choose their certificate by names only. */
static bool
expect_name(SSL *ssl, const char *name)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

	if (X509_VERIFY_PARAM_set1_ip_asc(param, name))
		return true;
	ERR_clear_error();
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set_tlsext_host_name(ssl, name) &&
	    SSL_set1_host(ssl, name);
}

struct tls *
tls_connect(struct tls_context *c, int fd, const char *name)
{
	struct tls *t = tls_accept(c, fd);

	SSL_set_connect_state(t->ssl);
	if (!expect_name(t->ssl, name)) {
		t->broken = true;
		t->why = xstrdup("the server's name cannot be one");
	}
	ERR_clear_error();
	return t;
}

void
tls_free(struct tls *t)
{
	if (t == NULL)
		return;
	if (!t->broken && SSL_is_init_finished(t->ssl)) {
		ERR_clear_error();
		SSL_shutdown(t->ssl);
	}
	SSL_free(t->ssl);
	ERR_clear_error();
	free(t->why);
	free(t);
}

/* A server does not want to know, and clients can make it happen often. */
static void
why_note(struct tls *t)
{
	long verified = SSL_get_verify_mode(t->ssl) != SSL_VERIFY_NONE ?
	    SSL_get_verify_result(t->ssl) : X509_V_OK;
	unsigned long error = ERR_peek_error();
	const char *reason = NULL;

	if (SSL_is_server(t->ssl) || t->why != NULL)
		return;
	if (verified != X509_V_OK)
		reason = X509_verify_cert_error_string(verified);
	else if (error != 0)
		reason = ERR_reason_error_string(error);
	t->why = xasprintf("%s%s", verified != X509_V_OK ?
	    "the server's certificate is refused: " : "TLS: ",
	    reason != NULL ? reason : "connection lost");
}

static int
outcome(struct tls *t, int n)
{
	int error;

	if (n > 0)
		return n;
	error = SSL_get_error(t->ssl, n);
	if (error == SSL_ERROR_SSL || error == SSL_ERROR_SYSCALL)
		why_note(t);
	ERR_clear_error();
	switch (error) {
	case SSL_ERROR_WANT_READ:
		return TLS_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return TLS_WANT_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return TLS_CLOSED;
	default:
		t->broken = true;
		return TLS_ERROR;
	}
}

int
tls_read(struct tls *t, char *to, size_t n)
{
	if (t->broken)
		return TLS_ERROR;
	ERR_clear_error();
	return outcome(t, SSL_read(t->ssl, to, n < INT_MAX ? (int)n : INT_MAX));
}

int
tls_write(struct tls *t, const char *from, size_t n)
{
	if (t->broken)
		return TLS_ERROR;
	ERR_clear_error();
	return outcome(t,
	    SSL_write(t->ssl, from, n < INT_MAX ? (int)n : INT_MAX));
}

int
tls_handshake(struct tls *t)
{
	if (t->broken)
		return TLS_ERROR;
	ERR_clear_error();
	return outcome(t, SSL_do_handshake(t->ssl));
}

const char *
tls_why(const struct tls *t)
{
	return t->why != NULL ? t->why : "TLS: connection lost";
}

bool
tls_established(const struct tls *t)
{
	return SSL_is_init_finished(t->ssl) != 0;
}

bool
tls_pending(const struct tls *t)
{
	return SSL_get_read_ahead(t->ssl) != 0 ? SSL_has_pending(t->ssl) != 0 :
	    SSL_pending(t->ssl) > 0;
}
