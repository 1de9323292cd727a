/* SPDX-License-Identifier: MIT
 *
 * [backplane] as the driver needs it, with TLS made ready: its files are read
 * here, before the jail.  (A url was taken apart when the settings were read.)
 *
 * Runs in: the router.  Part of: struct redis.
 */
#ifndef PEAL_REDIS_SETTINGS_H
#define PEAL_REDIS_SETTINGS_H

#include "backplane/redis_link.h"
#include "common/config.h"

struct tls_context;

struct redis_settings {
	/* A copy: the router's may be replaced by a reload.  Settings of the
	 * backplane need a restart of the router. */
	struct config_backplane	*set;
	struct redis_place	 place;
	struct redis_sign	 publish, subscribe;	/* of data nodes */
	bool			 tls;
	struct tls_context	*tls_context;
};

/* -1 with why (good until the next call). */
int	redis_settings_open(struct redis_settings *,
	    const struct config_backplane *, const char **why);
void	redis_settings_done(struct redis_settings *);

#endif
