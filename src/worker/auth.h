/* SPDX-License-Identifier: MIT
 *
 * Pusher's signatures (reference: protocol 7, "Authentication signatures"): of
 * channels, of sign-in, of API requests.  All comparisons take constant time;
 * the key before the colon is checked too.
 *
 * Runs in: workers.
 */
#ifndef PEAL_AUTH_H
#define PEAL_AUTH_H

#include "worker/app.h"
#include "worker/http.h"
#include "worker/params.h"

struct conn;

/* "KEY:hex" over SOCKET:CHANNEL, or SOCKET:CHANNEL:DATA if there is data. */
bool	auth_channel(const struct app *, struct bytes auth, struct bytes socket,
	    struct bytes channel, struct bytes data);
/* "KEY:hex" over SOCKET::user::DATA. */
bool	auth_user(const struct app *, struct bytes auth, struct bytes socket,
	    struct bytes data);

/*
 * An API request: auth_key, auth_version 1.0, auth_timestamp within window_ms
 * of now_ms (0: not checked), body_md5 if the body is not empty, auth_signature
 * over METHOD\nPATH\nSORTED QUERY.  path_prefix (http.path) may or may not be
 * part of the signed path; params are those of the query.  0, or -1 with why
 * (for the answer's body).
 */
int	auth_request(const struct app *, const struct http_request *,
	    const struct params *, struct bytes body, struct bytes path_prefix,
	    uint64_t window_ms, uint64_t now_ms, const char **why);

/* Counts a refused signature and leaves a line in the log, a few a second at
 * most.  what: "channel", "sign-in", "request", "room"; more: " key=value" to
 * stand in it, or "". */
void	auth_refused(const struct app *, const struct conn *, const char *what,
	    struct bytes name, const char *more);

#endif
