/* SPDX-License-Identifier: MIT
 *
 * Tests src/common/tls.c against OpenSSL's client over a socketpair, with
 * certificates made here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "common/config.h"
#include "common/tls.h"
#include "common/util.h"

/* ---- certificates ------------------------------------------------------- */

struct identity {
	EVP_PKEY	*key;
	X509		*cert;
};

/* PEM texts: of a server signed by an intermediate signed by a root, of another
 * server, and of keys. */
static struct identity root, middle, server, other;
static struct buf chain, key, other_chain, other_key, locked_key;
static unsigned char tickets[TLS_TICKET_KEYS];

static void
extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(e);
	assert_int_equal(X509_add_ext(cert, e, -1), 1);
	X509_EXTENSION_free(e);
}

static void
certify(struct identity *who, const char *name, const struct identity *issuer,
    bool authority)
{
	static long serial = 1;
	X509_NAME *subject;

	who->key = EVP_EC_gen("P-256");
	who->cert = X509_new();
	assert_non_null(who->key);
	X509_set_version(who->cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(who->cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(who->cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(who->cert), 3600);
	X509_set_pubkey(who->cert, who->key);
	subject = X509_get_subject_name(who->cert);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
	    (const unsigned char *)name, -1, -1, 0);
	if (issuer == NULL)
		issuer = who;
	X509_set_issuer_name(who->cert, X509_get_subject_name(issuer->cert));
	extend(who->cert, issuer->cert, NID_basic_constraints,
	    authority ? "critical,CA:TRUE" : "CA:FALSE");
	assert_true(X509_sign(who->cert, issuer->key, EVP_sha256()) > 0);
}

static void
drain(BIO *bio, struct buf *to)
{
	char *p;
	long n = BIO_get_mem_data(bio, &p);

	buf_add(to, p, (size_t)n);
	BIO_free(bio);
}

static void
add_cert(struct buf *to, X509 *cert)
{
	BIO *bio = BIO_new(BIO_s_mem());

	assert_int_equal(PEM_write_bio_X509(bio, cert), 1);
	drain(bio, to);
}

static void
add_key(struct buf *to, EVP_PKEY *pkey, const EVP_CIPHER *cipher)
{
	BIO *bio = BIO_new(BIO_s_mem());
	unsigned char phrase[] = "secret";

	assert_int_equal(PEM_write_bio_PrivateKey(bio, pkey, cipher,
	    cipher != NULL ? phrase : NULL, cipher != NULL ? 6 : 0, NULL,
	    NULL), 1);
	drain(bio, to);
}

static int
make_all(void **state)
{
	(void)state;
	certify(&root, "root", NULL, true);
	certify(&middle, "middle", &root, true);
	certify(&server, "server", &middle, false);
	certify(&other, "other", NULL, false);
	add_cert(&chain, server.cert);
	add_cert(&chain, middle.cert);
	add_key(&key, server.key, NULL);
	add_cert(&other_chain, other.cert);
	add_key(&other_key, other.key, NULL);
	add_key(&locked_key, server.key, EVP_aes_128_cbc());
	random_fill(tickets, sizeof(tickets));
	return 0;
}

static int
free_all(void **state)
{
	struct identity *all[] = { &root, &middle, &server, &other };
	struct buf *texts[] = { &chain, &key, &other_chain, &other_key,
		&locked_key };

	(void)state;
	for (size_t i = 0; i < NELEM(all); i++) {
		EVP_PKEY_free(all[i]->key);
		X509_free(all[i]->cert);
	}
	for (size_t i = 0; i < NELEM(texts); i++)
		buf_done(texts[i]);
	return 0;
}

static struct tls_context *
new_context(int min_version)
{
	const char *why = NULL;
	struct tls_context *c = tls_context_new(buf_view(&chain),
	    buf_view(&key), min_version, bytes_of(tickets, sizeof(tickets)),
	    &why);

	if (c == NULL)
		fail_msg("%s", why);
	return c;
}

/* ---- a connection ------------------------------------------------------- */

struct pair {
	int		 fds[2];
	struct tls	*server;
	SSL_CTX		*client_ctx;
	SSL		*client;
};

static void
connect_pair(struct pair *p, struct tls_context *c, SSL_SESSION *resume)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    p->fds), 0);
	p->server = tls_accept(c, p->fds[0]);
	assert_false(tls_established(p->server));
	p->client_ctx = SSL_CTX_new(TLS_client_method());
	X509_STORE_add_cert(SSL_CTX_get_cert_store(p->client_ctx), root.cert);
	SSL_CTX_set_verify(p->client_ctx, SSL_VERIFY_PEER, NULL);
	p->client = SSL_new(p->client_ctx);
	SSL_set_fd(p->client, p->fds[1]);
	SSL_set1_host(p->client, "server");
	if (resume != NULL)
		SSL_set_session(p->client, resume);
}

static void
close_pair(struct pair *p)
{
	tls_free(p->server);
	SSL_free(p->client);
	SSL_CTX_free(p->client_ctx);
	close(p->fds[0]);
	close(p->fds[1]);
}

/* Both sides in turn until both are through; false if it fails. */
static bool
handshake(struct pair *p)
{
	char none[1];
	int done = 0, n;

	for (int i = 0; i < 100; i++) {
		if (!done)
			done = SSL_connect(p->client) == 1;
		n = tls_read(p->server, none, sizeof(none));
		if (n == TLS_ERROR || n == TLS_CLOSED)
			return false;
		assert_true(n == TLS_WANT_READ || n == TLS_WANT_WRITE);
		if (done && tls_established(p->server))
			return true;
	}
	return false;
}

static void
test_talk(void **state)
{
	struct tls_context *c = new_context(TLS_1_2);
	struct pair p;
	char text[100];

	(void)state;
	connect_pair(&p, c, NULL);
	assert_true(handshake(&p));
	/* The chain is whole, or the client would not know the root. */
	assert_int_equal(SSL_get_verify_result(p.client), X509_V_OK);
	assert_int_equal(tls_read(p.server, text, sizeof(text)), TLS_WANT_READ);
	assert_int_equal(SSL_write(p.client, "hello", 5), 5);
	assert_int_equal(tls_read(p.server, text, 2), 2);
	assert_true(tls_pending(p.server));
	assert_int_equal(tls_read(p.server, text + 2, sizeof(text) - 2), 3);
	assert_false(tls_pending(p.server));
	assert_memory_equal(text, "hello", 5);
	assert_int_equal(tls_write(p.server, "world", 5), 5);
	assert_int_equal(SSL_read(p.client, text, sizeof(text)), 5);
	assert_memory_equal(text, "world", 5);
	close_pair(&p);
	tls_context_free(c);
}

/* Several records come with one read(2): what epoll does not tell of any more is
 * pending. */
static void
test_records_together(void **state)
{
	struct tls_context *c = new_context(TLS_1_2);
	struct pair p;
	char text[100];
	int i;

	(void)state;
	connect_pair(&p, c, NULL);
	assert_true(handshake(&p));
	for (i = 0; i < 3; i++)
		assert_int_equal(SSL_write(p.client, "hello", 5), 5);
	for (i = 0; i < 3; i++) {
		assert_int_equal(tls_read(p.server, text, sizeof(text)), 5);
		assert_int_equal(tls_pending(p.server), i < 2);
	}
	assert_int_equal(tls_read(p.server, text, sizeof(text)),
	    TLS_WANT_READ);
	close_pair(&p);
	tls_context_free(c);
}

/* More than the socket takes, begun again from other memory. */
static void
test_large(void **state)
{
	enum { SIZE = 1 << 20 };
	struct tls_context *c = new_context(TLS_1_2);
	char *one = xmalloc(SIZE), *two = xmalloc(SIZE), *got = xmalloc(SIZE);
	size_t sent = 0, received = 0;
	unsigned waits = 0;
	struct pair p;

	(void)state;
	random_fill(one, SIZE);
	memcpy(two, one, SIZE);
	connect_pair(&p, c, NULL);
	assert_true(handshake(&p));
	while (received < SIZE) {
		int n = sent == SIZE ? 0 : tls_write(p.server,
		    (waits % 2 ? two : one) + sent, SIZE - sent);

		if (n > 0) {
			sent += (size_t)n;
			continue;
		}
		if (sent < SIZE)
			assert_int_equal(n, TLS_WANT_WRITE);
		waits++;
		n = SSL_read(p.client, got + received, SIZE - (int)received);
		assert_true(n > 0);
		received += (size_t)n;
	}
	assert_true(waits > 1);
	assert_memory_equal(got, one, SIZE);
	free(one);
	free(two);
	free(got);
	close_pair(&p);
	tls_context_free(c);
}

static void
test_close(void **state)
{
	struct tls_context *c = new_context(TLS_1_2);
	struct pair p;
	char text[10];

	(void)state;
	/* The client says goodbye. */
	connect_pair(&p, c, NULL);
	assert_true(handshake(&p));
	SSL_shutdown(p.client);
	assert_int_equal(tls_read(p.server, text, sizeof(text)), TLS_CLOSED);
	close_pair(&p);
	/* The socket just ends. */
	connect_pair(&p, c, NULL);
	assert_true(handshake(&p));
	assert_int_equal(shutdown(p.fds[1], SHUT_WR), 0);
	assert_int_equal(tls_read(p.server, text, sizeof(text)), TLS_CLOSED);
	close_pair(&p);
	/* We say goodbye. */
	connect_pair(&p, c, NULL);
	assert_true(handshake(&p));
	tls_free(p.server);
	p.server = NULL;
	assert_int_equal(SSL_read(p.client, text, sizeof(text)), 0);
	assert_int_equal(SSL_get_error(p.client, 0), SSL_ERROR_ZERO_RETURN);
	close_pair(&p);
	tls_context_free(c);
}

static void
test_garbage(void **state)
{
	static const char http[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
	struct tls_context *c = new_context(TLS_1_2);
	struct pair p;
	char text[10];

	(void)state;
	connect_pair(&p, c, NULL);
	assert_true(write(p.fds[1], http, sizeof(http) - 1) > 0);
	assert_int_equal(tls_read(p.server, text, sizeof(text)), TLS_ERROR);
	assert_int_equal(tls_read(p.server, text, sizeof(text)), TLS_ERROR);
	assert_int_equal(tls_write(p.server, "x", 1), TLS_ERROR);
	assert_false(tls_established(p.server));
	/* No error is left for another connection to find. */
	assert_int_equal(ERR_peek_error(), 0);
	close_pair(&p);
	/* Gone in the middle of the handshake. */
	connect_pair(&p, c, NULL);
	SSL_connect(p.client);
	assert_int_equal(tls_read(p.server, text, sizeof(text)), TLS_WANT_READ);
	shutdown(p.fds[1], SHUT_RDWR);
	assert_in_range(tls_read(p.server, text, sizeof(text)) + 1, 0, 1);
	close_pair(&p);
	ERR_clear_error();
	tls_context_free(c);
}

static bool
can_connect(struct tls_context *c, int version, const char *ciphers)
{
	struct pair p;
	bool ok;

	connect_pair(&p, c, NULL);
	SSL_set_min_proto_version(p.client, version);
	SSL_set_max_proto_version(p.client, version);
	SSL_set_security_level(p.client, 0);
	if (ciphers != NULL)
		assert_int_equal(SSL_set_cipher_list(p.client, ciphers), 1);
	ok = handshake(&p);
	if (ok)
		assert_int_equal(SSL_version(p.client), version);
	close_pair(&p);
	ERR_clear_error();
	return ok;
}

static void
test_versions(void **state)
{
	struct tls_context *c = new_context(TLS_1_2);

	(void)state;
	assert_true(can_connect(c, TLS1_3_VERSION, NULL));
	assert_true(can_connect(c, TLS1_2_VERSION, NULL));
	assert_false(can_connect(c, TLS1_1_VERSION, NULL));
	/* No forward secrecy; no authenticated cipher. */
	assert_false(can_connect(c, TLS1_2_VERSION, "AES128-GCM-SHA256"));
	assert_false(can_connect(c, TLS1_2_VERSION,
	    "ECDHE-ECDSA-AES128-SHA"));
	tls_context_free(c);
	c = new_context(TLS_1_3);
	assert_true(can_connect(c, TLS1_3_VERSION, NULL));
	assert_false(can_connect(c, TLS1_2_VERSION, NULL));
	tls_context_free(c);
}

/* A session begun with one context is taken up by another that has the same
 * ticket keys, and by no other. */
static void
test_tickets(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	const char *why;

	(void)state;
	for (size_t i = 0; i < NELEM(versions); i++) {
		struct tls_context *c = new_context(TLS_1_2);
		SSL_SESSION *session;
		struct pair p;
		char text[10];

		connect_pair(&p, c, NULL);
		SSL_set_max_proto_version(p.client, versions[i]);
		assert_true(handshake(&p));
		assert_int_equal(tls_write(p.server, "x", 1), 1);
		assert_int_equal(SSL_read(p.client, text, 10), 1);
		assert_int_equal(SSL_session_reused(p.client), 0);
		session = SSL_get1_session(p.client);
		/* Or the session counts as broken off. */
		SSL_shutdown(p.client);
		close_pair(&p);
		tls_context_free(c);

		c = new_context(TLS_1_2);
		connect_pair(&p, c, session);
		SSL_set_max_proto_version(p.client, versions[i]);
		assert_true(handshake(&p));
		assert_int_equal(SSL_session_reused(p.client), 1);
		close_pair(&p);
		tls_context_free(c);

		c = tls_context_new(buf_view(&chain), buf_view(&key), TLS_1_2,
		    B(""), &why);
		connect_pair(&p, c, session);
		SSL_set_max_proto_version(p.client, versions[i]);
		assert_true(handshake(&p));
		assert_int_equal(SSL_session_reused(p.client), 0);
		close_pair(&p);
		tls_context_free(c);
		SSL_SESSION_free(session);
	}
}

static void
test_no_renegotiation(void **state)
{
	struct tls_context *c = new_context(TLS_1_2);
	struct pair p;
	char text[10];

	(void)state;
	connect_pair(&p, c, NULL);
	SSL_set_max_proto_version(p.client, TLS1_2_VERSION);
	assert_true(handshake(&p));
	assert_int_equal(SSL_renegotiate(p.client), 1);
	SSL_do_handshake(p.client);
	assert_int_equal(tls_read(p.server, text, sizeof(text)), TLS_WANT_READ);
	/* The client got a refusal, and the connection goes on or ends as it
	 * likes; ours has not begun anew. */
	assert_true(tls_established(p.server));
	assert_int_equal(SSL_do_handshake(p.client), -1);
	close_pair(&p);
	ERR_clear_error();
	tls_context_free(c);
}

static void
refused(struct bytes certificate, struct bytes private, struct bytes keys,
    const char *expect)
{
	const char *why = NULL;

	assert_null(tls_context_new(certificate, private, TLS_1_2, keys,
	    &why));
	assert_non_null(why);
	if (strstr(why, expect) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why, expect);
	assert_int_equal(ERR_peek_error(), 0);
}

static void
test_refused(void **state)
{
	struct buf text = { 0 };
	struct bytes good = buf_view(&chain), good_key = buf_view(&key);

	(void)state;
	refused(B(""), good_key, B(""), "certificate cannot be read");
	refused(B("junk"), good_key, B(""), "certificate cannot be read");
	refused(good_key, good_key, B(""), "certificate cannot be read");
	refused(good, B(""), B(""), "private key cannot be read");
	refused(good, good, B(""), "private key cannot be read");
	refused(good, buf_view(&locked_key), B(""),
	    "private key cannot be read");
	refused(good, buf_view(&other_key), B(""), "does not fit");
	refused(good, good_key, bytes_of(tickets, 48), "wrong length");
	/* The second certificate is damaged. */
	buf_bytes(&text, bytes_of(good.p, good.n - 60));
	refused(buf_view(&text), good_key, B(""), "chain cannot be read");
	buf_done(&text);
}

/* Private key and certificate may stand in one text. */
static void
test_one_file(void **state)
{
	struct buf text = { 0 };
	struct tls_context *c;
	const char *why = NULL;

	(void)state;
	buf_bytes(&text, buf_view(&other_key));
	buf_bytes(&text, buf_view(&other_chain));
	c = tls_context_new(buf_view(&text), buf_view(&text), TLS_1_2, B(""),
	    &why);
	assert_non_null(c);
	tls_context_free(c);
	buf_done(&text);
	tls_context_free(NULL);
	tls_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_talk),
		cmocka_unit_test(test_records_together),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_tickets),
		cmocka_unit_test(test_no_renegotiation),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_one_file),
	};

	signal(SIGPIPE, SIG_IGN);
	tls_init();
	return cmocka_run_group_tests(tests, make_all, free_all);
}
