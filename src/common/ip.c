/* SPDX-License-Identifier: MIT
 *
 * IP addresses and networks: see ip.h.
 */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "common/ip.h"
#include "common/util.h"

static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
static const unsigned char nat64[12] = { 0x00, 0x64, 0xff, 0x9b };

static bool
ip_is_v4(const struct ip *ip)
{
	return memcmp(ip->b, mapped, sizeof(mapped)) == 0;
}

void
ip_of_v4(const void *four_octets, struct ip *out)
{
	memcpy(out->b, mapped, sizeof(mapped));
	memcpy(out->b + sizeof(mapped), four_octets, 4);
}

int
ip_parse(struct bytes text, struct ip *out)
{
	char room[IP_TEXT];
	struct in_addr in;

	if (text.n == 0 || text.n >= sizeof(room) ||
	    memchr(text.p, '\0', text.n) != NULL)
		return -1;
	memcpy(room, text.p, text.n);
	room[text.n] = '\0';
	if (inet_pton(AF_INET, room, &in) == 1) {
		ip_of_v4(&in, out);
		return 0;
	}
	return inet_pton(AF_INET6, room, out->b) == 1 ? 0 : -1;
}

/* Digits from here to the end, some and not too many. */
static bool
is_port(struct bytes text)
{
	uint64_t port;

	return text.n <= 5 && bytes_u64(text, &port) == 0 && port <= 65535;
}

int
ip_parse_port(struct bytes text, struct ip *out)
{
	ptrdiff_t end;

	if (text.n > 0 && text.p[0] == '[') {
		struct bytes rest;

		end = bytes_find(text, ']');
		if (end < 0)
			return -1;
		rest = bytes_skip(text, (size_t)end + 1);
		if (rest.n > 0 && (rest.p[0] != ':' ||
		    !is_port(bytes_skip(rest, 1))))
			return -1;
		text = bytes_of(text.p + 1, (size_t)end - 1);
		return bytes_find(text, ':') < 0 ? -1 : ip_parse(text, out);
	}
	end = bytes_find(text, ':');
	if (end >= 0 && bytes_find(text, '.') >= 0 &&
	    is_port(bytes_skip(text, (size_t)end + 1)))
		text.n = (size_t)end;
	return ip_parse(text, out);
}

int
ip_of_sockaddr(const struct sockaddr *sa, struct ip *out)
{
	if (sa->sa_family == AF_INET) {
		ip_of_v4(&((const struct sockaddr_in *)(const void *)sa)
		    ->sin_addr, out);
		return 0;
	}
	if (sa->sa_family == AF_INET6) {
		memcpy(out->b, &((const struct sockaddr_in6 *)(const void *)sa)
		    ->sin6_addr, 16);
		return 0;
	}
	return -1;
}

const char *
ip_show(const struct ip *ip, char room[IP_TEXT])
{
	if (ip_is_v4(ip))
		inet_ntop(AF_INET, ip->b + sizeof(mapped), room, IP_TEXT);
	else
		inet_ntop(AF_INET6, ip->b, room, IP_TEXT);
	return room;
}

int
ip_net_parse(struct bytes text, struct ip_net *net, const char **why)
{
	ptrdiff_t slash = bytes_find(text, '/');
	struct bytes address = text;
	uint64_t bits = 128;
	bool v4;

	if (slash >= 0)
		address.n = (size_t)slash;
	if (ip_parse(address, &net->ip) < 0) {
		*why = "not an address";
		return -1;
	}
	v4 = bytes_find(address, ':') < 0;
	if (slash >= 0 && (bytes_u64(bytes_skip(text, (size_t)slash + 1),
	    &bits) != 0 || bits > (v4 ? 32 : 128))) {
		*why = v4 ? "behind the slash of an IPv4 network stands a "
		    "number from 0 to 32" : "behind the slash of an IPv6 "
		    "network stands a number from 0 to 128";
		return -1;
	}
	net->bits = (unsigned)bits + (v4 && slash >= 0 ? 96 : 0);
	return 0;
}

/* IANA's registries of special-purpose addresses. */
bool
ip_is_private(const struct ip *ip)
{
	static const char *const nets[] = {
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8",
		"169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
		"192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
		"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
		"224.0.0.0/3",
	};
	/* Of IPv6 2000::/3 is in use; these parts of it are not for us. */
	static const char *const parts[] = {
		"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
	};
	const char *const *list = ip_is_v4(ip) ? nets : parts;
	size_t n = ip_is_v4(ip) ? NELEM(nets) : NELEM(parts);
	struct ip_net net;
	struct ip inner;
	const char *why;

	if (memcmp(ip->b, nat64, sizeof(nat64)) == 0) {
		ip_of_v4(ip->b + sizeof(nat64), &inner);
		return ip_is_private(&inner);
	}
	if (!ip_is_v4(ip) && (ip->b[0] & 0xe0) != 0x20)
		return true;
	for (size_t i = 0; i < n; i++)
		if (ip_net_parse(bytes_str(list[i]), &net, &why) < 0 ||
		    ip_net_has(&net, ip))
			return true;
	return false;
}

bool
ip_net_has(const struct ip_net *net, const struct ip *ip)
{
	unsigned whole = net->bits / 8, rest = net->bits % 8;

	if (net->bits < 96 && ip_is_v4(ip))
		return false;
	if (memcmp(net->ip.b, ip->b, whole) != 0)
		return false;
	return rest == 0 ||
	    ((net->ip.b[whole] ^ ip->b[whole]) & (0xff00u >> rest) & 0xff) == 0;
}
