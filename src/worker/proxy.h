/* SPDX-License-Identifier: MIT
 *
 * The PROXY protocol, versions 1 and 2: what a proxy writes in front of
 * everything else (TLS too) to say whose connection it passes on.
 *
 * Of version 2 the TLVs are skipped.  LOCAL is the proxy's own connection (it
 * asks how we are); UNKNOWN and datagrams are a client that is not named.
 *
 * Runs in: workers.  Owns: nothing.
 */
#ifndef PEAL_PROXY_H
#define PEAL_PROXY_H

#include <sys/types.h>

#include "common/buf.h"
#include "common/ip.h"

struct conn;
struct conn_stage;

#define PROXY_V1_MAX	107	/* octets, with CR LF */
#define PROXY_V2_MAX	2048	/* of which 16 are the head */

enum proxy_who {
	PROXY_SELF,		/* LOCAL: the proxy itself */
	PROXY_NOBODY,		/* a client it does not name */
	PROXY_ADDRESS,
	PROXY_UNIX		/* a client of a unix socket of the proxy */
};

struct proxy_header {
	enum proxy_who	 who;
	struct ip	 ip;	/* the client's, if PROXY_ADDRESS */
};

/*
 * Reads the header that stands at the front.  Returns its length; 0: all of
 * this belongs to a header, more of it is needed; -1 with *why.
 */
ssize_t	proxy_parse(struct bytes, struct proxy_header *, const char **why);

/* ---- for conn.c and conn_input.c ---------------------------------------- */

/* The first stage of conns that begin with a header; goes on with
 * conn_begin(). */
extern const struct conn_stage proxy_stage;
/* Reads what belongs to the header and nothing behind it, as recv(2): TLS reads
 * the socket itself.  have octets of it stand at p already, PROXY_V2_MAX have
 * room. */
ssize_t	proxy_recv(int fd, char *p, size_t have);
/* Counts and logs a conn that may not begin so. */
void	proxy_refuse(const struct conn *, const char *why);

#endif
