/* SPDX-License-Identifier: MIT
 *
 * Are http.trusted_proxies addresses, and can listeners that want a PROXY
 * header have one from anybody?
 *
 * Runs in: master, pealctl.  Owns: nothing.
 */
#include "common/config_parts.h"
#include "common/ip.h"
#include "common/log.h"

struct trusted {
	bool	 net, local;	/* is there one? */
};

static int
check_trusted(struct config_draft *d, struct trusted *t)
{
	const struct config_strings *list = &d->config->http.trusted_proxies;
	struct ip_net net;
	const char *why;
	size_t i;

	for (i = 0; i < list->n; i++)
		if (strcmp(list->at[i], "unix") == 0)
			t->local = true;
		else if (ip_net_parse(bytes_str(list->at[i]), &net, &why) == 0)
			t->net = true;
		else
			return config_draft_refuse_key(d,
			    config_draft_nth(d, "http", 0), "trusted_proxies",
			    "%s: %s; allowed are addresses (10.0.0.1, fd00::1), "
			    "networks (10.0.0.0/8, fd00::/8; 0.0.0.0/0 and ::/0 "
			    "for all) and the word unix",
			    log_bytes(bytes_str(list->at[i])), why);
	return 0;
}

/* Somebody must be allowed to connect. */
static int
check_listener(struct config_draft *d, size_t n, const struct trusted *t)
{
	const struct config_listen *l = &d->config->listen[n];
	size_t i;

	for (i = 0; l->proxy_protocol && i < l->address.n; i++) {
		bool local = strncmp(l->address.at[i], "unix:", 5) == 0;

		if (!(local ? t->local : t->net))
			return config_draft_refuse_key(d,
			    config_draft_nth(d, "listen", n), "proxy_protocol",
			    "nobody may connect to %s: name the proxy in [http] "
			    "trusted_proxies, as %s", l->address.at[i], local ?
			    "unix" : "its address or network");
	}
	return 0;
}

int
config_check_proxies(struct config_draft *d)
{
	struct trusted t = { false, false };
	size_t i;

	if (check_trusted(d, &t) < 0)
		return -1;
	for (i = 0; i < d->config->n_listen; i++)
		if (check_listener(d, i, &t) < 0)
			return -1;
	return 0;
}
