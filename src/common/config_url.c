/* SPDX-License-Identifier: MIT
 *
 * The address of a broker in one line, as [backplane] url and REDIS_URL have
 * it:
 *
 *	redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE][?PARAMETERS]
 *	unix://[[USER]:PASSWORD@]/PATH[?PARAMETERS]
 *
 * rediss and tls are redis over TLS, tcp is redis.  Everything may be written
 * with %XX.  Parameters are db (or database), username, password and scheme;
 * others are what other clients need and say nothing to us.
 *
 * No complaint repeats a part of the text, as any of it may be the password.
 *
 * Runs in: master, pealctl.  Owns: see struct config_url.
 */
#include "common/config_parts.h"
#include "common/util.h"

/* ---- pieces -------------------------------------------------------------- */

/* What stands in front of the first of these octets, or all; text starts with
 * the octet then. */
static struct bytes
cut(struct bytes *text, const char *octets)
{
	struct bytes head = *text;
	size_t i;

	for (i = 0; i < text->n && strchr(octets, text->p[i]) == NULL; i++)
		;
	head.n = i;
	*text = bytes_skip(*text, i);
	return head;
}

static bool
plain(struct bytes text)
{
	size_t i;

	for (i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f)
			return false;
	return true;
}

/* With %XX resolved, in place of what out held. */
static int
decode(struct bytes text, struct buf *out, const char **why)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *high, *low;
	size_t i;

	buf_clear(out);
	for (i = 0; i < text.n; i++) {
		if (text.p[i] != '%') {
			buf_char(out, text.p[i]);
			continue;
		}
		high = i + 2 < text.n && text.p[i + 1] != '\0' ?
		    strchr(digits, text.p[i + 1]) : NULL;
		low = high != NULL && text.p[i + 2] != '\0' ?
		    strchr(digits, text.p[i + 2]) : NULL;
		if (low == NULL) {
			*why = "a % in it is not followed by two digits of "
			    "base 16 (the octet % is written %25)";
			return -1;
		}
		buf_char(out, (char)((high - digits) % 16 * 16 +
		    (low - digits) % 16));
		i += 2;
	}
	if (plain(buf_view(out)))
		return 0;
	*why = "holds a control character";
	return -1;
}

static int
number(struct bytes text, uint64_t max, uint64_t *n)
{
	return bytes_u64(text, n) < 0 || *n > max ? -1 : 0;
}

/* ---- the parts ----------------------------------------------------------- */

static int
take_scheme(struct config_url *u, struct bytes scheme, const char **why)
{
	static const struct { struct bytes name; bool tls, local; } known[] = {
		{ BYTES("redis"), false, false },
		{ BYTES("tcp"), false, false },
		{ BYTES("rediss"), true, false },
		{ BYTES("tls"), true, false },
		{ BYTES("unix"), false, true },
	};
	size_t i;

	for (i = 0; i < NELEM(known); i++)
		if (bytes_ieq(scheme, known[i].name)) {
			u->tls = known[i].tls;
			u->local = known[i].local;
			return 0;
		}
	*why = "unknown scheme; allowed are redis://, rediss:// and "
	    "unix:///path";
	return -1;
}

/* USER:PASSWORD, :PASSWORD or USER. */
static int
take_user(struct config_url *u, struct bytes text, const char **why)
{
	struct bytes user = cut(&text, ":");

	if (decode(user, &u->username, why) < 0)
		return -1;
	return decode(bytes_skip(text, text.n > 0), &u->password, why);
}

static int
take_port(struct config_url *u, struct bytes text, const char **why)
{
	if (text.n == 0)
		return 0;
	if (number(bytes_skip(text, 1), 65535, &u->port) == 0 && u->port > 0)
		return 0;
	*why = "the port is no number from 1 to 65535";
	return -1;
}

static int
take_host(struct config_url *u, struct bytes text, const char **why)
{
	struct config_address a;
	struct bytes host;
	const char *words;

	host = cut(&text, text.n > 0 && text.p[0] == '[' ? "]" : ":");
	if (host.n > 0 && host.p[0] == '[') {
		if (text.n == 0) {
			*why = "] is missing behind the IPv6 address";
			return -1;
		}
		host = bytes_skip(host, 1);
		text = bytes_skip(text, 1);
	}
	if (text.n > 0 && text.p[0] != ':') {
		*why = "more text behind the IPv6 address";
		return -1;
	}
	if (take_port(u, text, why) < 0 || decode(host, &u->host, why) < 0)
		return -1;
	if (config_host_parse(buf_view(&u->host), &a, &words) == 0 &&
	    a.host.n > 0)
		return 0;
	*why = "the host is missing, or is neither a name nor an address";
	return -1;
}

static int
take_database(struct config_url *u, struct bytes text, const char **why)
{
	if (text.n == 0)
		return 0;
	u->has_database = number(text, 65535, &u->database) == 0;
	if (u->has_database)
		return 0;
	*why = "the database is no number from 0 to 65535";
	return -1;
}

static int
take_path(struct config_url *u, struct bytes path, const char **why)
{
	if (!u->local)
		return take_database(u, bytes_skip(path, path.n > 0), why);
	if (decode(path, &u->host, why) < 0)
		return -1;
	if (u->host.n > 1)
		return 0;
	*why = "a unix socket needs a whole path: unix:///run/redis.sock";
	return -1;
}

static int
take_parameter(struct config_url *u, struct bytes text, const char **why)
{
	struct bytes name = cut(&text, "="), value = bytes_skip(text,
	    text.n > 0);

	if (bytes_eq(name, B("db")) || bytes_eq(name, B("database")))
		return take_database(u, value, why);
	if (bytes_eq(name, B("username")))
		return decode(value, &u->username, why);
	if (bytes_eq(name, B("password")))
		return decode(value, &u->password, why);
	if (bytes_eq(name, B("scheme")) && !u->local)
		return take_scheme(u, value, why);
	return 0;
}

static int
take_parameters(struct config_url *u, struct bytes text, const char **why)
{
	while (text.n > 0) {
		text = bytes_skip(text, 1);	/* ? or & */
		if (take_parameter(u, cut(&text, "&"), why) < 0)
			return -1;
	}
	return 0;
}

/* ---- all of it ----------------------------------------------------------- */

/* A password may hold an @ that should have been %40: the last one counts. */
static int
take_authority(struct config_url *u, struct bytes text, const char **why)
{
	size_t at = text.n;

	while (at > 0 && text.p[at - 1] != '@')
		at--;
	if (at > 0 && take_user(u, bytes_of(text.p, at - 1), why) < 0)
		return -1;
	text = bytes_skip(text, at);
	if (!u->local)
		return take_host(u, text, why);
	if (text.n == 0)
		return 0;
	*why = "a unix socket has no host: unix:///path has three slashes";
	return -1;
}

int
config_url_parse(struct bytes text, struct config_url *u, const char **why)
{
	struct bytes scheme = cut(&text, ":"), authority;

	*u = (struct config_url){ 0 };
	if (!bytes_starts(text, B("://"))) {
		*why = "not an address; allowed are redis://HOST:PORT, "
		    "rediss://HOST:PORT and unix:///path";
		return -1;
	}
	text = bytes_skip(text, 3);
	if (take_scheme(u, scheme, why) < 0)
		return -1;
	if (bytes_find(text, '#') >= 0) {
		*why = "a # in it is written %23";
		return -1;
	}
	authority = cut(&text, "/?");
	if (take_authority(u, authority, why) < 0 ||
	    take_path(u, cut(&text, "?"), why) < 0)
		return -1;
	return take_parameters(u, text, why);
}

void
config_url_done(struct config_url *u)
{
	buf_done(&u->host);
	buf_done(&u->username);
	buf_done(&u->password);
}
