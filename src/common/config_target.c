/* SPDX-License-Identifier: MIT
 *
 * The address that events are posted to, as [webhook] url has it:
 *
 *	http[s]://HOST[:PORT][/PATH][?QUERY]
 *
 * Strict where readers of addresses differ: no user in it, no fragment, nothing but
 * printing ASCII, and a host that is a name or an address in its usual form, so
 * that nobody after us finds another host in it.
 *
 * Runs in: master, pealctl, courier.  Owns: nothing; parts are borrowed.
 */
#include "common/config_parts.h"
#include "common/ip.h"

#define URL_MAX	2000

static int
take_scheme(struct bytes *text, struct config_target *t)
{
	static const struct bytes plain = BYTES("http://");
	static const struct bytes tls = BYTES("https://");
	size_t n;

	t->tls = text->n >= tls.n && bytes_ieq(bytes_of(text->p, tls.n), tls);
	n = t->tls ? tls.n : plain.n;
	if (!t->tls && (text->n < plain.n ||
	    !bytes_ieq(bytes_of(text->p, plain.n), plain)))
		return -1;
	*text = bytes_skip(*text, n);
	return 0;
}

/* "127.1" and "0x7f000001" are addresses to some: what ends in a number. */
static bool
is_half_address(struct bytes host)
{
	size_t end = host.n, at, i;
	bool hex;

	if (end > 0 && host.p[end - 1] == '.')
		end--;
	for (at = end; at > 0 && host.p[at - 1] != '.'; at--)
		;
	hex = end - at >= 2 && host.p[at] == '0' &&
	    (host.p[at + 1] | 0x20) == 'x';
	for (i = hex ? at + 2 : at; i < end; i++)
		if (strchr(hex ? "0123456789abcdefABCDEF" : "0123456789",
		    host.p[i]) == NULL)
			return false;
	return at < end;
}

static int
check_host(struct config_target *t, const char **why)
{
	struct config_address a;
	struct ip ip;

	t->literal = ip_parse(t->host, &ip) == 0;
	*why = "its last part is a number, but it is no address";
	if (!t->literal && is_half_address(t->host))
		return -1;
	*why = "the host is missing, or is neither a name nor an address";
	if (config_host_parse(t->host, &a, why) < 0 || a.local ||
	    a.host.n == 0 || a.host.n != t->host.n)
		return -1;
	return 0;
}

static int
take_port(struct bytes text, struct config_target *t, const char **why)
{
	uint64_t port;

	t->port = t->tls ? 443 : 80;
	if (text.n == 0)
		return 0;
	if (text.p[0] == ':' && text.n <= 6 &&
	    bytes_u64(bytes_skip(text, 1), &port) == 0 && port > 0 &&
	    port <= 65535) {
		t->port = (uint16_t)port;
		return 0;
	}
	*why = "behind the host stands nothing but a port from 1 to 65535";
	return -1;
}

static int
take_authority(struct bytes text, struct config_target *t, const char **why)
{
	bool v6 = text.n > 0 && text.p[0] == '[';
	ptrdiff_t end = bytes_find(text, v6 ? ']' : ':');

	if (bytes_find(text, '@') >= 0) {
		*why = "a user or password in it is not supported: send it as "
		    "header";
		return -1;
	}
	if (v6 && end < 0) {
		*why = "] is missing behind the IPv6 address";
		return -1;
	}
	t->host = text;
	if (end >= 0)
		t->host.n = (size_t)end;
	text = bytes_skip(text, t->host.n + v6);
	if (v6)
		t->host = bytes_skip(t->host, 1);
	if (check_host(t, why) < 0)
		return -1;
	if (v6 && bytes_find(t->host, ':') < 0) {
		*why = "[ and ] are for IPv6 addresses";
		return -1;
	}
	return take_port(text, t, why);
}

static const char *
trouble(struct bytes url)
{
	if (url.n > URL_MAX)
		return "is longer than 2000 octets";
	for (size_t i = 0; i < url.n; i++) {
		if ((unsigned char)url.p[i] <= ' ' ||
		    (unsigned char)url.p[i] >= 0x7f || url.p[i] == '\\')
			return "holds an octet that must be written %XX";
		if (url.p[i] == '#')
			return "a # in it is written %23";
	}
	return NULL;
}

int
config_target_parse(struct bytes url, struct config_target *t,
    const char **why)
{
	struct bytes authority;

	*t = (struct config_target){ .tls = false };
	if ((*why = trouble(url)) != NULL)
		return -1;
	if (take_scheme(&url, t) < 0) {
		*why = "must begin with http:// or https://";
		return -1;
	}
	authority = url;
	for (authority.n = 0; authority.n < url.n &&
	    url.p[authority.n] != '/' && url.p[authority.n] != '?'; )
		authority.n++;
	t->path = bytes_skip(url, authority.n);
	return take_authority(authority, t, why);
}
