/* SPDX-License-Identifier: MIT
 *
 * An address as it is written in the settings: see listen.h.
 *
 * Runs in: master.
 */
#include <sys/un.h>

#include <stdio.h>

#include "common/util.h"
#include "master/listen.h"

static int
port_parse(struct bytes text, char port[6], const char **why)
{
	uint64_t n;

	if (bytes_u64(text, &n) < 0 || n > 65535) {
		*why = "the port must be a number from 0 to 65535";
		return -1;
	}
	snprintf(port, 6, "%u", (unsigned)n);
	return 0;
}

int
listen_path(const char *path, const char **why)
{
	if (path[0] != '/') {
		*why = "unix: needs a path that starts with /";
		return -1;
	}
	if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
		*why = "the path of a unix socket has at most 107 octets";
		return -1;
	}
	return 0;
}

/* The host before the last colon, without the brackets of IPv6. */
static int
host_parse(struct bytes text, char host[256], const char **why)
{
	if (text.n >= 2 && text.p[0] == '[' && text.p[text.n - 1] == ']') {
		text.p++;
		text.n -= 2;
	} else if (bytes_find(text, ':') >= 0) {
		*why = "an IPv6 address is written in brackets: [::1]:8080";
		return -1;
	}
	if (text.n > 255) {
		*why = "the host name is too long";
		return -1;
	}
	memcpy(host, text.p, text.n);
	host[text.n] = '\0';
	return 0;
}

int
listen_parse(const char *text, struct listen_name *name, const char **why)
{
	const char *colon;

	memset(name, 0, sizeof(*name));
	if (strncmp(text, "unix:", 5) == 0) {
		name->local = true;
		name->path = text + 5;
		return listen_path(name->path, why);
	}
	if ((colon = strrchr(text, ':')) == NULL) {
		*why = "must be HOST:PORT, [IPv6]:PORT, :PORT or unix:/path";
		return -1;
	}
	if (host_parse(bytes_of(text, (size_t)(colon - text)), name->host,
	    why) < 0)
		return -1;
	return port_parse(bytes_str(colon + 1), name->port, why);
}
