/* SPDX-License-Identifier: MIT
 *
 * A TLS stream over a non-blocking socket, by OpenSSL 3: as server to clients,
 * as client to a broker.
 *
 * Writes may raise SIGPIPE: a process that uses this ignores it.
 *
 * Memory is what counts: SSL_MODE_RELEASE_BUFFERS (14 KB an idle connection
 * instead of 48), no session cache, tickets with keys that the master made, so
 * that any worker resumes any session.
 *
 * Runs in: workers (server), router (client).  Owned by: the context by its
 * listener or backplane, a stream by its conn or link.
 */
#ifndef PEAL_TLS_H
#define PEAL_TLS_H

#include "common/buf.h"

struct tls_context;
struct tls;

#define TLS_TICKET_KEYS	80

/* Call before the jail. */
void	tls_init(void);
/* From PEM text.  min_version as TLS_1_2/TLS_1_3 of config.h.  tickets: 80
 * octets or empty.  NULL with *why (static or good until the next call). */
struct tls_context *tls_context_new(struct bytes chain, struct bytes key,
	    int min_version, struct bytes tickets, const char **why);
void	tls_context_free(struct tls_context *);

/*
 * For streams to servers, TLS 1.2 or newer.  Reads the files, so call it before
 * the jail.  ca: PEM file with the authorities, NULL or empty for the system's;
 * certificate and key: ours, or NULL.  verify false takes any certificate.
 * NULL with *why as above.
 */
struct tls_context *tls_client_context_new(const char *ca,
	    const char *certificate, const char *key, bool verify,
	    const char **why);

struct tls *tls_accept(struct tls_context *, int fd);
/* To a server, which must be called so: a name or a numeric address. */
struct tls *tls_connect(struct tls_context *, int fd, const char *name);
/* Sends close_notify if it can without waiting; does not close the socket. */
void	tls_free(struct tls *);

enum {
	TLS_WANT_READ = -2, TLS_WANT_WRITE = -3, TLS_CLOSED = 0, TLS_ERROR = -1
};
/* Octets (> 0), or one of the above.  The first calls do the handshake. */
int	tls_read(struct tls *, char *, size_t);
/* May be called again with other memory that holds the same octets. */
int	tls_write(struct tls *, const char *, size_t);
/* The same for the handshake alone: 1 when it is done, or one of the above. */
int	tls_handshake(struct tls *);
bool	tls_established(const struct tls *);
/* What went wrong, after TLS_ERROR; good until the stream's end. */
const char *tls_why(const struct tls *);
/* Octets were read already that epoll does not know of.  A server's may be a part
 * of a record only: who reads then is told to wait. */
bool	tls_pending(const struct tls *);

#endif
