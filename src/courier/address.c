/* SPDX-License-Identifier: MIT
 *
 * Public and private addresses, see address.h.
 *
 * Runs in: the courier.
 */
#include "courier/address.h"

#include <stdlib.h>

#include "common/log.h"
#include "common/util.h"

/* Of the registries of special-purpose addresses (RFC 6890 and those after it):
 * all that is not to be reached from everywhere. */
static const char *const not_public[] = {
	"0.0.0.0/8",		/* this network */
	"10.0.0.0/8",		/* private */
	"100.64.0.0/10",	/* shared by carriers' NAT */
	"127.0.0.0/8",		/* this machine */
	"169.254.0.0/16",	/* this link; metadata of clouds */
	"172.16.0.0/12",	/* private */
	"192.0.0.0/24",		/* of protocols */
	"192.0.2.0/24",		/* documentation */
	"192.88.99.0/24",	/* relays of 6to4, retired */
	"192.168.0.0/16",	/* private */
	"198.18.0.0/15",	/* benchmarks */
	"198.51.100.0/24",	/* documentation */
	"203.0.113.0/24",	/* documentation */
	"224.0.0.0/4",		/* multicast */
	"240.0.0.0/4",		/* reserved, broadcast */
	"::/128",		/* none */
	"::1/128",		/* this machine */
	"64:ff9b:1::/48",	/* NAT64 of a network's own */
	"100::/64",		/* discarded */
	"2001::/23",		/* of protocols, Teredo among them */
	"2001:db8::/32",	/* documentation */
	"3fff::/20",		/* documentation */
	"5f00::/16",		/* segment routing */
	"fc00::/7",		/* private */
	"fe80::/10",		/* this link */
	"fec0::/10",		/* this site, retired */
	"ff00::/8",		/* multicast */
};

/* IPv6 networks whose addresses lead to one of IPv4, and where that stands. */
static const struct embedded {
	const char	*net;
	unsigned	 at;
} embedded[] = {
	{ "64:ff9b::/96", 12 },		/* NAT64 */
	{ "2002::/16", 2 },		/* 6to4 */
	{ "::/96", 12 },		/* compatible, retired */
};

static bool
is_in(const char *net, const struct ip *ip)
{
	struct ip_net n;
	const char *why;

	return ip_net_parse(bytes_str(net), &n, &why) == 0 &&
	    ip_net_has(&n, ip);
}

bool
address_public(const struct ip *ip)
{
	struct ip inner;
	size_t i;

	for (i = 0; i < NELEM(not_public); i++)
		if (is_in(not_public[i], ip))
			return false;
	for (i = 0; i < NELEM(embedded); i++)
		if (is_in(embedded[i].net, ip)) {
			ip_of_v4(ip->b + embedded[i].at, &inner);
			return address_public(&inner);
		}
	return true;
}

bool
address_allowed(const struct address_rules *r, const struct ip *ip)
{
	if (r->all)
		return true;
	for (size_t i = 0; i < r->n_allow; i++)
		if (ip_net_has(&r->allow[i], ip))
			return true;
	return address_public(ip);
}

void
address_rules_done(struct address_rules *r)
{
	free(r->allow);
	*r = (struct address_rules){ .all = false };
}

void
address_rules_set(struct address_rules *r, const struct config_courier *c)
{
	const char *why;

	address_rules_done(r);
	r->all = c->allow_private;
	if (c->allow.n > 0)
		r->allow = xcalloc(c->allow.n, sizeof(*r->allow));
	for (size_t i = 0; i < c->allow.n; i++)
		if (ip_net_parse(bytes_str(c->allow.at[i]),
		    &r->allow[r->n_allow], &why) == 0)
			r->n_allow++;
		else
			log_warn("[courier] allow is no address text=%s why="
			    "\"%s\"", log_bytes(bytes_str(c->allow.at[i])), why);
}
