/* SPDX-License-Identifier: MIT
 *
 * [backplane] as the driver needs it: the URL's parts put in place of the single
 * settings, TLS made ready (its files are read here, before the jail).
 *
 * A URL is redis://, rediss:// (TLS), tcp:// or tls:// (as Laravel writes them)
 * with [USER[:PASSWORD]@]HOST[:PORT][/DATABASE], or unix:///PATH; parts it does
 * not have come from the single settings.  USER and PASSWORD may be
 * percent-encoded.  What follows a "?" is not looked at but for unix:
 * ?db=NUMBER.
 *
 * Runs in: the router.  Part of: struct redis.
 */
#ifndef PEAL_REDIS_URL_H
#define PEAL_REDIS_URL_H

#include "backplane/redis_link.h"
#include "common/config.h"

struct tls_context;

/* What the settings say. */
struct redis_settings {
	const struct config_backplane *set;
	struct redis_place	 place;
	struct redis_sign	 publish, subscribe;	/* of data nodes */
	char			*user, *password;
	uint64_t		 database;
	bool			 tls;
	struct tls_context	*tls_context;
};

/* -1 with why (good until the next call). */
int	redis_settings_open(struct redis_settings *,
	    const struct config_backplane *, const char **why);
void	redis_settings_done(struct redis_settings *);

#endif
