/* SPDX-License-Identifier: MIT
 *
 * Addresses to listen on: HOST:PORT, [IPv6]:PORT, :PORT, *:PORT, PORT alone,
 * unix:/path.
 *
 * Runs in: as config.h.  Owns: nothing.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <sys/un.h>

#include "common/config_parts.h"

#define UNIX_MAX	(sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

static int
parse_local(struct bytes path, struct config_address *a, const char **why)
{
	_Static_assert(UNIX_MAX == 107, "the text below says so");
	if (path.n == 0 || path.p[0] != '/') {
		*why = "a unix socket needs a whole path: unix:/run/x.sock";
		return -1;
	}
	if (path.n > UNIX_MAX) {
		*why = "the path of a unix socket has 107 octets at most";
		return -1;
	}
	a->local = true;
	a->host = path;
	return 0;
}

bool
config_name_octet(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '.';
}

/* Nobody's name is all numbers: getaddrinfo() would ask for 300.1.1.1. */
static bool
bad_v4(struct bytes host)
{
	char text[256];
	struct in_addr in;

	for (size_t i = 0; i < host.n; i++)
		if (host.p[i] != '.' && !isdigit((unsigned char)host.p[i]))
			return false;
	memcpy(text, host.p, host.n);
	text[host.n] = '\0';
	return inet_aton(text, &in) == 0;
}

/* Does it look like the name of a host or an IPv4 address? */
static bool
host_name(struct bytes host)
{
	size_t i;

	for (i = 0; i < host.n; i++)
		if (!config_name_octet(host.p[i]))
			return false;
	return host.n > 0 && host.n <= 253 && !bad_v4(host);
}

static bool
host_v6(struct bytes host)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr in6;

	if (host.n >= sizeof text || memchr(host.p, '\0', host.n) != NULL)
		return false;
	memcpy(text, host.p, host.n);
	text[host.n] = '\0';
	return inet_pton(AF_INET6, text, &in6) == 1;
}

int
config_host_parse(struct bytes text, struct config_address *a,
    const char **why)
{
	if (text.n > 1 && text.p[0] == '[' && text.p[text.n - 1] == ']')
		text = bytes_of(text.p + 1, text.n - 2);
	a->local = a->v6 = false;
	a->host = text;
	if (text.n == 0 || bytes_eq(text, B("*"))) {
		a->host.n = 0;
		return 0;
	}
	if (bytes_find(text, ':') >= 0) {
		a->v6 = host_v6(text);
		if (a->v6)
			return 0;
	} else if (host_name(text))
		return 0;
	*why = "not a host: a name, an IPv4 or an IPv6 address, or *";
	return -1;
}

static int
parse_port(struct bytes text, struct config_address *a, const char **why)
{
	uint64_t port;

	if (bytes_u64(text, &port) < 0 || port > 65535) {
		*why = "the port is no number from 0 to 65535";
		return -1;
	}
	a->port = (uint16_t)port;
	return 0;
}

/* Offset of the colon in front of the port; -1 if it is a port alone; -2 if
 * the text is an IPv6 address without brackets. */
static ptrdiff_t
port_colon(struct bytes text)
{
	ptrdiff_t first = bytes_find(text, ':'), i;

	for (i = (ptrdiff_t)text.n - 1; i >= 0 && text.p[i] != ':'; i--)
		;
	if (i != first && text.n > 0 && text.p[0] != '[')
		return -2;
	return i;
}

int
config_address_parse(struct bytes text, struct config_address *a,
    const char **why)
{
	ptrdiff_t colon;

	*a = (struct config_address){ 0 };
	if (bytes_starts(text, B("unix:")))
		return parse_local(bytes_skip(text, 5), a, why);
	colon = port_colon(text);
	if (colon == -2) {
		*why = "an IPv6 address stands in brackets: [::1]:8080";
		return -1;
	}
	if (colon < 0 && bytes_u64(text, &(uint64_t){ 0 }) < 0) {
		*why = "not an address; allowed are HOST:PORT, [IPv6]:PORT, "
		    ":PORT and unix:/path";
		return -1;
	}
	if (parse_port(bytes_skip(text, (size_t)(colon + 1)), a, why) < 0)
		return -1;
	return config_host_parse(bytes_of(text.p, colon > 0 ?
	    (size_t)colon : 0), a, why);
}

void
config_address_show(const struct config_address *a, struct buf *out)
{
	if (a->local) {
		buf_str(out, "unix:");
		buf_bytes(out, a->host);
		return;
	}
	if (a->v6)
		buf_char(out, '[');
	buf_bytes(out, a->host);
	if (a->v6)
		buf_char(out, ']');
	buf_char(out, ':');
	buf_u64(out, a->port);
}
