/* SPDX-License-Identifier: MIT
 *
 * Who may look: see access.h.
 */
#include "worker/access.h"

#include <sys/socket.h>

#include "common/crypto.h"
#include "common/ip.h"
#include "worker/address.h"
#include "worker/conn.h"

/* False: it has no address of IP. */
static bool
ip_of(const struct conn *c, struct ip *ip)
{
	const struct ip *known = address_ip(c);
	struct sockaddr_storage from = { .ss_family = AF_UNSPEC };
	socklen_t n = sizeof(from);

	if (known != NULL) {
		*ip = *known;
		return true;
	}
	return getpeername(c->fd, (struct sockaddr *)&from, &n) == 0 &&
	    ip_of_sockaddr((struct sockaddr *)&from, ip) == 0;
}

bool
access_allows(const struct config_strings *allow, const struct conn *c)
{
	bool named = false;
	struct ip_net net;
	const char *why;
	struct ip ip;
	size_t i;

	if (allow->n == 0)
		return true;
	named = ip_of(c, &ip);
	for (i = 0; i < allow->n; i++) {
		if (strcmp(allow->at[i], "unix") == 0) {
			if (!named && c->local)
				return true;
		} else if (named && ip_net_parse(bytes_str(allow->at[i]), &net,
		    &why) == 0 && ip_net_has(&net, &ip))
			return true;
	}
	return false;
}

bool
access_bearer(struct bytes authorization, const char *token)
{
	static const struct bytes scheme = BYTES("bearer ");

	if (authorization.n < scheme.n ||
	    !bytes_ieq(bytes_of(authorization.p, scheme.n), scheme))
		return false;
	return equal_secret(bytes_trim(bytes_skip(authorization, scheme.n)),
	    bytes_str(token));
}
