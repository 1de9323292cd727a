/* SPDX-License-Identifier: MIT
 *
 * POST requests to targets, by libcurl on the courier's loop.
 *
 * HTTP/1.1 over TCP or TLS, connections kept open between requests, no proxy, no
 * redirect followed, no cookies.  libcurl looks nothing up and chooses no address:
 * each connection goes to one that the rules allow (address.h), and what it
 * really leads to is checked once more when it is made and when it is used again.
 *
 * The status is the answer: with the head of a response of 2xx a request has
 * succeeded, whatever becomes of the rest, which nobody reads.
 *
 * Runs in: the courier.  Owned by: the courier; a transfer by who began it.
 * Dies: http_free(), transfers before it; a transfer with its done() or
 * http_cancel().
 */
#ifndef PEAL_COURIER_HTTP_H
#define PEAL_COURIER_HTTP_H

#include "courier/address.h"
#include "courier/name.h"

#define HTTP_HEAD_MAX	(64u << 10)	/* octets of a response's head */
#define HTTP_ANSWER_MAX	(64u << 10)	/* of its body; then we hang up */
#define HTTP_RETRY_MAX	300000		/* of what Retry-After says is heeded */

struct event_base;
struct http;
struct transfer;

struct http_result {
	unsigned	 status;	/* 0: no whole head of a response */
	const char	*why;		/* NULL: 2xx */
	uint64_t	 retry_after_ms;	/* asked for; 0: not */
};

struct http_post {
	const char	*url;
	struct bytes	 body;		/* must stay until done() */
	char		*const *lines;	/* "Name: value" */
	size_t		 n_lines;
	uint64_t	 timeout_ms;	/* for all of it */
	bool		 verify;	/* the server's certificate */
	/* Called from http_turn() alone; the transfer is gone after it. */
	void		(*done)(void *ctx, const struct http_result *);
	void		*ctx;
};

/* Before the jail: libraries are set up, and open files. */
struct http *http_new(struct event_base *, const struct address_rules *,
	    struct names *);
void	http_free(struct http *);

/* PEM text of the authorities; must stay. */
void	http_authorities(struct http *, struct bytes pem);

struct transfer *http_post(struct http *, const struct http_post *);
/* done() is not called. */
void	http_cancel(struct transfer *);

/* Calls done() for what is over. */
void	http_turn(struct http *);
/* Is something over that http_turn() has not been called for? */
bool	http_waits(const struct http *);

/* The host of a URL and its port as they are connected to.  -1: no http(s) URL
 * with a host, or with a user in it.  host: of 256 octets. */
int	http_url_host(const char *url, char host[256], unsigned *port);

#endif
