/* SPDX-License-Identifier: MIT
 *
 * Whose word on a client's address is taken (http.trusted_proxies), and what
 * X-Forwarded-For says.
 *
 * Runs in: workers.  Owns: the list of trusted networks.
 */
#ifndef PEAL_FORWARDED_H
#define PEAL_FORWARDED_H

#include "common/config.h"
#include "common/ip.h"
#include "worker/http.h"

/* A longer chain of proxies is not walked to its end. */
#define FORWARDED_MAX	32

/* New settings; for connections that come from now on. */
void	forwarded_init(const struct config *);
bool	forwarded_trusts(const struct ip *);
/* Who comes over a unix socket. */
bool	forwarded_trusts_local(void);

/*
 * The client of a request that came from a trusted proxy: the last address of
 * X-Forwarded-For that is not trusted itself.  What stands in front of it may
 * be invented.  If all are trusted (or behind one that is no address) the
 * farthest counts.  False: nobody is named.
 */
bool	forwarded_for(const struct http_request *, struct ip *);

#endif
