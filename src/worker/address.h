/* SPDX-License-Identifier: MIT
 *
 * Who is at the other end of a conn: the socket's peer, or whom a trusted proxy
 * named.  Kept only where somebody asks for it: for a name that a proxy told,
 * and for http.max_connections_per_address, which limits how many each address
 * has on this worker.
 *
 * Connections of trusted proxies carry many clients and are not counted; a
 * WebSocket or a stream that comes through one is counted for its client.
 *
 * Runs in: workers.  Owned by: its conns; dies with the last.
 */
#ifndef PEAL_ADDRESS_H
#define PEAL_ADDRESS_H

#include <sys/socket.h>

#include "common/ip.h"
#include "worker/notice.h"

struct address;
struct conn;
struct http_request;
struct listener;

/* A conn that was accepted just now.  -1: it is refused (and counted). */
int	address_meet(struct conn *, const struct listener *,
	    const struct sockaddr *);
/* The conn is this one's from now on. */
void	address_name(struct conn *, const struct ip *);
/* A request's head is there: if a trusted proxy passes it on, whose is it? */
void	address_request(struct conn *, const struct http_request *);
/* One more of its address; -1 over the limit (which is counted and logged). */
int	address_count(struct conn *);
/* The conn becomes a client's own (WebSocket, stream): counts it, unless that
 * is done.  -1 over the limit. */
int	address_claim(struct conn *);
/* For a hand-over: whose it is, if that is kept; and on the other side, over the
 * limit too: it was let in once. */
const struct ip *address_ip(const struct conn *);
void	address_restore(struct conn *, const struct ip *, bool counted);
/* The conn dies. */
void	address_give(struct conn *);

/* For conn_from(): its address or, without one, that of its socket. */
const char *address_text(const struct address *, int fd);

/* A line in the log with the conn's number and address, a few a second at
 * most; each kind of line has a notice of its own.  why may be NULL. */
void	address_log(struct notice *, const struct conn *, const char *what,
	    const char *why);

#endif
