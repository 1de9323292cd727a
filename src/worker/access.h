/* SPDX-License-Identifier: MIT
 *
 * Who may look: lists of addresses (allow) and tokens, of what is not for
 * everybody.
 *
 * Runs in: workers.  Owns: nothing.
 */
#ifndef PEAL_ACCESS_H
#define PEAL_ACCESS_H

#include "common/config.h"

struct conn;

/* Is the other end in the list?  Entries: addresses, networks, the word unix
 * for all that come by a unix socket; an empty list has everybody in it.  Whom a
 * trusted proxy names counts in its place; one that names nobody counts
 * itself. */
bool	access_allows(const struct config_strings *allow, const struct conn *);
/* Is this the value of an Authorization header with that token, as Bearer
 * (RFC 6750)? */
bool	access_bearer(struct bytes authorization, const char *token);

#endif
