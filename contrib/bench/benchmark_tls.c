/* SPDX-License-Identifier: MIT
 *
 * peal-benchmark: TLS.  Certificates are not checked: it is a test server's.
 * With --resume each connection offers the last ticket of its process.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "benchmark.h"

static SSL_CTX *ctx;
static SSL_SESSION *last;
static const char *name;

static int
new_ticket(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	SSL_SESSION_free(last);
	last = session;
	return 1;
}

void
tls_setup(const char *host)
{
	name = host;
	if ((ctx = SSL_CTX_new(TLS_client_method())) == NULL)
		die("no TLS");
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	if (!opt.resume)
		return;
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT |
	    SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, new_ticket);
}

void *
tls_open(int fd)
{
	SSL *ssl = SSL_new(ctx);

	if (ssl == NULL || SSL_set_fd(ssl, fd) != 1)
		die("no TLS");
	SSL_set_tlsext_host_name(ssl, name);
	if (last != NULL)
		SSL_set_session(ssl, last);
	SSL_set_connect_state(ssl);
	return ssl;
}

void
tls_close(void *ssl)
{
	/* What was not closed well is not to be resumed, it says otherwise. */
	SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(ssl);
}

int
tls_handshake(void *ssl, bool *want_write)
{
	int done, error;

	ERR_clear_error();
	if ((done = SSL_do_handshake(ssl)) == 1)
		return 1;
	error = SSL_get_error(ssl, done);
	*want_write = error == SSL_ERROR_WANT_WRITE;
	return *want_write || error == SSL_ERROR_WANT_READ ? 0 : -1;
}

long
tls_recv(void *ssl, char *p, size_t n)
{
	size_t got = 0;
	int error;

	ERR_clear_error();
	if (SSL_read_ex(ssl, p, n, &got) == 1)
		return (long)got;
	error = SSL_get_error(ssl, 0);
	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ?
	    0 : -1;
}

long
tls_send(void *ssl, const char *p, size_t n)
{
	size_t done = 0;

	ERR_clear_error();
	return SSL_write_ex(ssl, p, n, &done) == 1 ? (long)done : 0;
}

bool
tls_resumed(void *ssl)
{
	return SSL_session_reused(ssl) == 1;
}
