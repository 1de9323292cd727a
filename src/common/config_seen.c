/* SPDX-License-Identifier: MIT
 *
 * [metrics] and [page]: addresses of their own, and do their settings fit
 * together?
 *
 * Runs in: master, pealctl.  Owns: nothing.
 */
#include <stdlib.h>

#include "common/config_parts.h"
#include "common/ip.h"
#include "common/log.h"
#include "common/util.h"

#define TOKEN_MIN	16	/* characters */

/* ---- addresses of their own ------------------------------------------------ */

/* A section of its own, so that all that [listen] can do is there. */
static int
own_listen(struct config_draft *d, const char *section,
    struct config_strings *address, int serve)
{
	const struct config_section *listen = config_section_find(B("listen"));
	struct config_mark *from = config_draft_find(d, section, B(""));
	struct config_place place;
	struct config_listen *l;

	if (address->n == 0)
		return 0;
	place = config_draft_place(from, "address");
	if (config_draft_find(d, "listen", bytes_str(section)) != NULL)
		return config_draft_refuse_key(d, from, "address",
		    "there is a section [listen %s] already", section);
	config_draft_add(d, listen, bytes_str(section), place);
	l = config_at(d->config, listen, d->config->n_listen - 1);
	for (size_t i = 0; i < l->address.n; i++)
		free(l->address.at[i]);
	free(l->address.at);
	l->address = *address;
	l->serve = serve;
	*address = (struct config_strings){ NULL, 0 };
	return 0;
}

int
config_own_listens(struct config_draft *d)
{
	struct config *c = d->config;

	if (own_listen(d, "metrics", &c->metrics.address, SERVE_METRICS) < 0)
		return -1;
	return own_listen(d, "page", &c->page.address, SERVE_PAGE);
}

/* ---- do they fit? -------------------------------------------------------- */

struct check {
	struct config_draft		*d;
	const struct config_mark	*m;
};

static int
refuse(const struct check *k, const char *key, const char *why)
{
	return config_draft_refuse_key(k->d, k->m, key, "%s", why);
}

static int
check_allow(const struct check *k, const struct config_strings *allow)
{
	struct ip_net net;
	const char *why;
	size_t i;

	for (i = 0; i < allow->n; i++)
		if (strcmp(allow->at[i], "unix") != 0 &&
		    ip_net_parse(bytes_str(allow->at[i]), &net, &why) < 0)
			return config_draft_refuse_key(k->d, k->m, "allow",
			    "%s: %s; allowed are addresses (10.0.0.1, fd00::1), "
			    "networks (10.0.0.0/8, fd00::/8) and the word unix",
			    log_bytes(bytes_str(allow->at[i])), why);
	return 0;
}

static int
check_token(const struct check *k, const char *token)
{
	if (token != NULL && strlen(token) < TOKEN_MIN)
		return refuse(k, "token", "needs 16 characters or more: "
		    "openssl rand -hex 32");
	return 0;
}

static bool
is_under(const char *path, const char *folder)
{
	return bytes_starts(bytes_str(path), bytes_str(folder));
}

static int
check_path(const struct check *k, const char *path)
{
	if (path == NULL || path[0] != '/' || path[1] == '\0')
		return refuse(k, "path", "must begin with a slash, and be more "
		    "than that");
	if (strpbrk(path, "?#% ") != NULL)
		return refuse(k, "path", "may not hold ? # % or spaces");
	if (strcmp(path, "/app") == 0 || is_under(path, "/app/") ||
	    strcmp(path, "/apps") == 0 || is_under(path, "/apps/") ||
	    strcmp(path, "/up") == 0 || strcmp(path, "/ready") == 0)
		return refuse(k, "path", "/app, /apps, /up and /ready are "
		    "taken");
	return 0;
}

/* Is one of these where rooms are?  folder: all that begins with the path is
 * meant. */
static int
check_rooms(const struct check *k, const char *path, bool folder)
{
	const struct config *c = k->d->config;
	size_t i;

	for (i = 0; i < c->n_rooms; i++) {
		const char *room = c->rooms[i].path, *sse = c->rooms[i].sse_path;

		if (strcmp(room, path) == 0 ||
		    (folder && is_under(room, path)) ||
		    (sse != NULL && (is_under(path, sse) ||
		    (folder && is_under(sse, path)))))
			return refuse(k, "path", "is where [rooms] are");
	}
	return 0;
}

static int
check_metrics(struct config_draft *d)
{
	const struct config_metrics *set = &d->config->metrics;
	const struct check k = { d, config_draft_nth(d, "metrics", 0) };

	if (check_path(&k, set->path) < 0 ||
	    check_allow(&k, &set->allow) < 0 ||
	    check_token(&k, set->token) < 0)
		return -1;
	if (!set->shared)
		return 0;
	if (set->allow.n == 0 && set->token == NULL)
		return refuse(&k, "shared", "needs allow or token beside it: "
		    "else all clients could read the numbers");
	return check_rooms(&k, set->path, false);
}

static bool
has_listen(const struct config *c, int serve)
{
	size_t i;

	for (i = 0; i < c->n_listen; i++)
		if (c->listen[i].serve == serve)
			return true;
	return false;
}

static int
check_page(struct config_draft *d)
{
	const struct config *c = d->config;
	const struct config_page *set = &c->page;
	const struct check k = { d, config_draft_nth(d, "page", 0) };

	if (check_path(&k, set->path) < 0 ||
	    check_allow(&k, &set->allow) < 0 ||
	    check_token(&k, set->token) < 0 ||
	    config_check_origins(d, k.m, &set->allowed_origins) < 0)
		return -1;
	if (set->path[strlen(set->path) - 1] != '/')
		return refuse(&k, "path", "must end with a slash");
	if (!set->enabled)
		return 0;
	if (set->token == NULL)
		return refuse(&k, "token", "is missing: one logs in with it, "
		    "of 16 characters or more: openssl rand -hex 32");
	if (has_listen(c, SERVE_PAGE))
		return 0;
	if (c->metrics.shared && is_under(c->metrics.path, set->path))
		return refuse(&k, "path", "is where [metrics] are");
	return check_rooms(&k, set->path, true);
}

int
config_check_seen(struct config_draft *d)
{
	if (!has_listen(d->config, SERVE_CLIENTS))
		return config_draft_refuse_key(d, config_draft_nth(d, "listen",
		    0), "serve", "clients could connect nowhere: another "
		    "[listen] section must serve them");
	if (check_metrics(d) < 0)
		return -1;
	return check_page(d);
}
