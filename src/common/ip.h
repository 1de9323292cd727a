/* SPDX-License-Identifier: MIT
 *
 * IP addresses and networks (CIDR).  An IPv4 address is kept as IPv6 has it,
 * ::ffff:a.b.c.d: so it is the same address whichever socket it came through.
 *
 * Runs in: every process.  Owns: nothing.
 */
#ifndef PEAL_IP_H
#define PEAL_IP_H

#include <sys/socket.h>

#include "common/buf.h"

#define IP_TEXT	46	/* room for the longest, and its end */

struct ip {
	unsigned char	 b[16];
};

struct ip_net {
	struct ip	 ip;
	unsigned	 bits;		/* 96 more than those of IPv4 */
};

/* "192.0.2.1", "2001:db8::1"; -1 for anything else. */
int	ip_parse(struct bytes, struct ip *);
/* The same with a port that does not matter behind it: "192.0.2.1:4711",
 * "[2001:db8::1]:4711", "[2001:db8::1]". */
int	ip_parse_port(struct bytes, struct ip *);
/* -1 if it is not of IP. */
int	ip_of_sockaddr(const struct sockaddr *, struct ip *);
void	ip_of_v4(const void *four_octets, struct ip *);
/* Into room; returns it. */
const char *ip_show(const struct ip *, char room[IP_TEXT]);

/* "10.0.0.0/8", "fd00::/8", or one address.  -1 with *why. */
int	ip_net_parse(struct bytes, struct ip_net *, const char **why);
/* Not one that the whole internet reaches: this machine's, a private network's, a
 * link's, multicast, documentation, reserved, a tunnel's (6to4, Teredo).  Behind
 * NAT64 (64:ff9b::/96) it is the IPv4 address that counts. */
bool	ip_is_private(const struct ip *);
/* ::/0 is all of IPv6 and none of IPv4. */
bool	ip_net_has(const struct ip_net *, const struct ip *);

#endif
