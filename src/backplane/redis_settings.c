/* SPDX-License-Identifier: MIT
 *
 * The driver's settings, see redis_settings.h.
 *
 * Runs in: the router.
 */
#include "backplane/redis_settings.h"

#include <stdlib.h>

#include "common/tls.h"
#include "common/util.h"

/* ---- a copy -------------------------------------------------------------- */

static char *
copy_text(const char *text)
{
	return text != NULL ? xstrdup(text) : NULL;
}

static struct config_strings
copy_strings(const struct config_strings *from)
{
	struct config_strings to = { .n = from->n };

	to.at = xcalloc(from->n + 1, sizeof(*to.at));
	for (size_t i = 0; i < from->n; i++)
		to.at[i] = xstrdup(from->at[i]);
	return to;
}

static void
free_text(char *text)
{
	if (text != NULL)
		explicit_bzero(text, strlen(text));	/* some are secrets */
	free(text);
}

static void
free_strings(struct config_strings *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->at[i]);
	free(s->at);
}

/* For every section; that of the backplane is used. */
#define SECTION(name, how, help)					\
	__attribute__((unused)) static void				\
	copy_##name(struct config_##name *to,				\
	    const struct config_##name *from)				\
	{								\
		*to = *from;						\
		to->label = copy_text(from->label);
#define TEXT(name, def, when, help)	to->name = copy_text(from->name);
#define SECRET(name, def, when, help)	to->name = copy_text(from->name);
#define STRINGS(name, def, when, help)	to->name = copy_strings(&from->name);
#define SECRETS(name, when, help)	to->name = copy_strings(&from->name);
#define FLAG(name, def, when, help)
#define COUNT(name, def, min, max, when, help)
#define SIZE(name, def, min, max, when, help)
#define TIME(name, def, min, max, when, help)
#define CHOICE(name, def, words, when, help)
#define END	}
#include "tables/config.def"

#define SECTION(name, how, help)					\
	__attribute__((unused)) static void				\
	free_##name(struct config_##name *s)				\
	{								\
		free_text(s->label);
#define TEXT(name, def, when, help)	free_text(s->name);
#define SECRET(name, def, when, help)	free_text(s->name);
#define STRINGS(name, def, when, help)	free_strings(&s->name);
#define SECRETS(name, when, help)	free_strings(&s->name);
#define FLAG(name, def, when, help)
#define COUNT(name, def, min, max, when, help)
#define SIZE(name, def, min, max, when, help)
#define TIME(name, def, min, max, when, help)
#define CHOICE(name, def, words, when, help)
#define END	}
#include "tables/config.def"

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

/* ---- the whole ----------------------------------------------------------- */

static struct redis_sign
sign_as(const struct config_backplane *set, const char *name)
{
	return (struct redis_sign){ .user = set->username,
	    .password = set->password, .database = set->database,
	    .name = name };
}

static int
open_tls(struct redis_settings *s, const char **why)
{
	const struct config_backplane *set = s->set;

	tls_init();
	s->tls_context = tls_client_context_new(set->tls_ca,
	    set->tls_certificate, set->tls_certificate_key, set->tls_verify,
	    why);
	return s->tls_context != NULL ? 0 : -1;
}

int
redis_settings_open(struct redis_settings *s,
    const struct config_backplane *from, const char **why)
{
	*s = (struct redis_settings){ .set = xcalloc(1, sizeof(*s->set)),
	    .tls = from->tls };
	copy_backplane(s->set, from);
	s->publish = sign_as(s->set, "peal-publish");
	s->subscribe = sign_as(s->set, "peal-subscribe");
	s->place.port = (uint16_t)from->port;
	if (from->host == NULL ||
	    place_host(&s->place, bytes_str(from->host)) < 0) {
		*why = "host is no name of a host";
		return -1;
	}
	return s->tls ? open_tls(s, why) : 0;
}

void
redis_settings_done(struct redis_settings *s)
{
	tls_context_free(s->tls_context);
	s->tls_context = NULL;
	if (s->set != NULL) {
		free_backplane(s->set);
		free(s->set);
	}
	s->set = NULL;
}
