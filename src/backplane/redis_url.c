/* SPDX-License-Identifier: MIT
 *
 * The driver's settings, see redis_url.h.
 *
 * Runs in: the router.
 */
#include "backplane/redis_url.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/tls.h"
#include "common/util.h"

#define DATABASE_MAX	65535

/* ---- places -------------------------------------------------------------- */

static int
place_host(struct redis_place *place, struct bytes host)
{
	if (host.n == 0 || host.n >= sizeof(place->host) ||
	    memchr(host.p, '\0', host.n) != NULL)
		return -1;
	memcpy(place->host, host.p, host.n);
	place->host[host.n] = '\0';
	return 0;
}

static int
take_port(struct bytes text, uint16_t *port)
{
	uint64_t n;

	if (bytes_u64(text, &n) < 0 || n == 0 || n > 65535)
		return -1;
	*port = (uint16_t)n;
	return 0;
}

/* The last colon, if what is before it can be a host: several and no brackets
 * are an IPv6 address. */
static ptrdiff_t
port_colon(struct bytes text)
{
	ptrdiff_t first = bytes_find(text, ':');

	if (first >= 0 && bytes_find(bytes_skip(text, (size_t)first + 1),
	    ':') >= 0)
		return -1;
	return first;
}

int
redis_place_parse(struct redis_place *place, struct bytes text,
    uint16_t default_port)
{
	struct redis_place made = { .port = default_port };
	struct bytes host = text;
	ptrdiff_t at;

	if (text.n > 0 && text.p[0] == '[') {
		if ((at = bytes_find(text, ']')) < 0)
			return -1;
		host = bytes_of(text.p + 1, (size_t)at - 1);
		text = bytes_skip(text, (size_t)at + 1);
		if (text.n > 0 && (text.p[0] != ':' ||
		    take_port(bytes_skip(text, 1), &made.port) < 0))
			return -1;
	} else if (text.n > 0 && text.p[0] != '/' &&
	    (at = port_colon(text)) >= 0) {
		host.n = (size_t)at;
		if (take_port(bytes_skip(text, (size_t)at + 1),
		    &made.port) < 0)
			return -1;
	}
	if (place_host(&made, host) < 0)
		return -1;
	*place = made;
	return 0;
}

bool
redis_place_eq(const struct redis_place *a, const struct redis_place *b)
{
	return a->port == b->port && strcmp(a->host, b->host) == 0;
}

/* ---- the URL ------------------------------------------------------------- */

static const struct scheme {
	struct bytes	begin;
	bool		tls, path;
} schemes[] = {
	{ BYTES("redis://"), false, false },
	{ BYTES("rediss://"), true, false },
	{ BYTES("tcp://"), false, false },
	{ BYTES("tls://"), true, false },
	{ BYTES("unix://"), false, true },
};

static int
hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' :
	    c >= 'a' && c <= 'f' ? c - 'a' + 10 :
	    c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* NULL: a bad escape, or a NUL. */
static char *
unescape(struct bytes text)
{
	char *out = xmalloc(text.n + 1);
	size_t n = 0;
	int c;

	for (size_t i = 0; i < text.n; i++) {
		c = (unsigned char)text.p[i];
		if (c == '%') {
			if (i + 2 >= text.n || hex(text.p[i + 1]) < 0 ||
			    hex(text.p[i + 2]) < 0)
				c = 0;
			else
				c = hex(text.p[i + 1]) * 16 +
				    hex(text.p[i + 2]);
			i += 2;
		}
		if (c == 0) {
			free(out);
			return NULL;
		}
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return out;
}

/* Text up to the character, which is dropped; false if it is not there. */
static bool
cut(struct bytes *rest, char c, struct bytes *before)
{
	ptrdiff_t at = bytes_find(*rest, c);

	if (at < 0)
		return false;
	*before = bytes_of(rest->p, (size_t)at);
	*rest = bytes_skip(*rest, (size_t)at + 1);
	return true;
}

static void
replace(char **text, char *with)
{
	free(*text);
	*text = with;
}

static int
take_user(struct redis_settings *s, struct bytes who)
{
	struct bytes user;
	char *text;

	if (!cut(&who, ':', &user)) {
		user = who;
		who = B("");
	} else {
		if ((text = unescape(who)) == NULL)
			return -1;
		replace(&s->password, text);
	}
	if ((text = unescape(user)) == NULL)
		return -1;
	replace(&s->user, text);
	return 0;
}

static int
take_database(struct redis_settings *s, struct bytes text)
{
	if (text.n == 0)
		return 0;
	return bytes_u64(text, &s->database) < 0 ||
	    s->database > DATABASE_MAX ? -1 : 0;
}

static const char *
take_path(struct redis_settings *s, struct bytes path, struct bytes query)
{
	if (path.n == 0 || path.p[0] != '/' || place_host(&s->place, path) < 0)
		return "the path of its socket is wrong";
	if (bytes_starts(query, B("db=")) &&
	    take_database(s, bytes_skip(query, 3)) < 0)
		return "its database is no number";
	return NULL;
}

static const char *
take_host(struct redis_settings *s, struct bytes text)
{
	struct bytes host = text, database = B("");

	if (cut(&text, '/', &host))
		database = text;
	if (host.n > 0 && redis_place_parse(&s->place, host, s->place.port) < 0)
		return "its host or port is wrong";
	if (take_database(s, database) < 0)
		return "its database is no number";
	return NULL;
}

/* The last @ ends the user: a password may have one that is not escaped. */
static ptrdiff_t
user_end(struct bytes text)
{
	const char *at = text.n > 0 ? memrchr(text.p, '@', text.n) : NULL;

	return at != NULL ? at - text.p : -1;
}

static const char *
take_url(struct redis_settings *s, struct bytes url)
{
	const struct scheme *scheme = NULL;
	struct bytes query = B(""), before;
	ptrdiff_t at;

	for (size_t i = 0; i < NELEM(schemes); i++)
		if (bytes_starts(url, schemes[i].begin))
			scheme = &schemes[i];
	if (scheme == NULL)
		return "it begins with none of redis://, rediss://, unix://, "
		    "tcp://, tls://";
	url = bytes_skip(url, scheme->begin.n);
	s->tls |= scheme->tls;
	if ((at = user_end(url)) >= 0) {
		if (take_user(s, bytes_of(url.p, (size_t)at)) < 0)
			return "its user or password has a wrong escape";
		url = bytes_skip(url, (size_t)at + 1);
	}
	if (cut(&url, '?', &before)) {
		query = url;
		url = before;
	}
	return scheme->path ? take_path(s, url, query) : take_host(s, url);
}

/* ---- the whole ----------------------------------------------------------- */

static const char *
take_all(struct redis_settings *s, const struct config_backplane *set)
{
	static char text[200];
	const char *wrong;

	s->place.port = (uint16_t)set->port;
	if (set->host != NULL && place_host(&s->place,
	    bytes_str(set->host)) < 0)
		return "host is no name of a host";
	if (set->url == NULL || set->url[0] == '\0')
		return NULL;
	if ((wrong = take_url(s, bytes_str(set->url))) == NULL)
		return NULL;
	snprintf(text, sizeof(text), "url: %s", wrong);
	return text;
}

static struct redis_sign
sign_as(const struct redis_settings *s, const char *name)
{
	return (struct redis_sign){ .user = s->user, .password = s->password,
	    .database = s->database, .name = name };
}

int
redis_settings_open(struct redis_settings *s,
    const struct config_backplane *set, const char **why)
{
	const char *wrong;

	*s = (struct redis_settings){ .set = set, .database = set->database,
	    .tls = set->tls };
	s->user = xstrdup(set->username != NULL ? set->username : "");
	s->password = xstrdup(set->password != NULL ? set->password : "");
	if ((wrong = take_all(s, set)) != NULL) {
		*why = wrong;
		redis_settings_done(s);
		return -1;
	}
	s->publish = sign_as(s, "peal-publish");
	s->subscribe = sign_as(s, "peal-subscribe");
	if (!s->tls)
		return 0;
	tls_init();
	s->tls_context = tls_client_context_new(set->tls_ca,
	    set->tls_certificate, set->tls_certificate_key, set->tls_verify,
	    why);
	if (s->tls_context == NULL) {
		redis_settings_done(s);
		return -1;
	}
	return 0;
}

void
redis_settings_done(struct redis_settings *s)
{
	tls_context_free(s->tls_context);
	s->tls_context = NULL;
	free(s->user);
	if (s->password != NULL)
		explicit_bzero(s->password, strlen(s->password));
	free(s->password);
	s->user = s->password = NULL;
}
