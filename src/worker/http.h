/* SPDX-License-Identifier: MIT
 *
 * An HTTP/1.1 request head as spans, and the framing of a body (RFC 9112).
 * Pure parsing: knows no socket, allocates nothing.
 *
 * Strict where being lax has led to smuggled requests: no obs-fold, no space
 * before the colon, no bare CR, one Host, no Content-Length beside
 * Transfer-Encoding, only digits in a length, `chunked` the only coding.
 *
 * Runs in: workers.  Owns: nothing; spans point into the caller's octets.
 */
#ifndef PEAL_HTTP_H
#define PEAL_HTTP_H

#include "common/buf.h"

#define HTTP_HEADERS_MAX	1000	/* upper bound of http.max_headers */

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_OPTIONS, HTTP_OTHER };

struct http_header {
	struct bytes	 name, value;	/* value without white space around */
};

struct http_request {
	enum http_method	 method;
	struct bytes		 method_text;
	struct bytes		 target;	/* as sent */
	struct bytes		 path;		/* before '?', as sent */
	struct bytes		 query;		/* behind '?', or empty */
	unsigned		 minor;		/* HTTP/1.minor */
	struct bytes		 host, origin;	/* empty if not there */
	struct bytes		 authorization, accept;
	bool			 has_origin;
	/* body */
	bool			 chunked, expect_continue, has_length;
	uint64_t		 length;
	/* connection */
	bool			 keep_alive;
	bool			 connection_upgrade;	/* Connection: upgrade */
	struct bytes		 upgrade;		/* Upgrade: value */
	struct bytes		 ws_key, ws_version, ws_extensions,
				 ws_protocol;
	bool			 ws_key_twice;
	struct bytes		 request_id;	/* X-Request-Id: of a proxy */
	struct http_header	*headers;
	unsigned		 n_headers;
};

/*
 * Parses a head that starts at p.  Returns its length (the empty line
 * included), 0 if more octets are needed, -1 with an HTTP status and words:
 * 400 malformed, 414 target too long, 431 head too large or too many lines,
 * 505 version, 501 transfer coding.  limits: octets of the head, lines.
 * headers: room for max_headers.
 */
struct http_limits {
	size_t		 head;
	unsigned	 headers;
};
ssize_t	http_parse_head(struct bytes, const struct http_limits *,
	    struct http_header *room, struct http_request *,
	    unsigned *status, const char **why);

/* The value of a header, or empty bytes with p NULL.  Name in any case. */
struct bytes http_header(const struct http_request *, struct bytes name);
/* The first element of a comma list if that is a token (RFC 9110 5.6.2), else
 * nothing. */
struct bytes http_list_first(struct bytes list);
/* Is the token in a comma list (any case)? */
bool	http_list_has(struct bytes list, struct bytes token);

/*
 * A chunked body, decoded in place: call with all octets behind the head; done
 * is set when the last chunk and its trailers were there.  Returns octets used;
 * *body_n octets of body stand at the front of p.  state starts as zeros.
 * -1: malformed, or longer than max.
 */
struct http_chunks {
	uint64_t	 left;
	size_t		 in, out;	/* octets read, octets of body so far */
	int		 state;
	unsigned	 line;		/* octets of the line being read */
	bool		 done, too_long;	/* too_long: why it was -1 */
};
int	http_chunks(struct http_chunks *, char *p, size_t n, size_t max);

/* Could this be where a body of which n octets are there stands, before its
 * end?  For one that was not made by http_chunks() here. */
bool	http_chunks_ok(const struct http_chunks *, size_t n);

/* Percent-decodes (and '+' to space if plus) into out; -1 on bad escapes. */
int	http_decode(struct bytes, bool plus, struct buf *out);

/* Walks a query string: raw name and value spans; false at the end. */
bool	http_query_next(struct bytes query, size_t *pos, struct bytes *name,
	    struct bytes *value);

/* "Not Found" */
const char *http_reason(unsigned status);

#endif
