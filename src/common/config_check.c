/* SPDX-License-Identifier: MIT
 *
 * Do the settings fit together?  What one value alone can get wrong was
 * refused when it was read; here are the rules between them.
 *
 * Runs in: master, pealctl.  Owns: nothing.
 */
#include <stdlib.h>

#include "common/config_parts.h"
#include "common/log.h"
#include "common/util.h"

#define MESSAGE_MAX	(64u << 20)	/* what max_message_size = 0 means */

/* ---- [listen] ------------------------------------------------------------ */

/* An address in its one spelling, so that nobody after us parses guesses. */
static int
check_address(struct config_draft *d, const struct config_mark *m,
    char **address)
{
	struct config_address a;
	struct buf text = { 0 };
	const char *why;

	if (config_address_parse(bytes_str(*address), &a, &why) < 0)
		return config_draft_refuse_key(d, m, "address", "%s: %s",
		    log_bytes(bytes_str(*address)), why);
	config_address_show(&a, &text);
	free(*address);
	*address = bytes_dup(buf_view(&text));
	buf_done(&text);
	return 0;
}

static int
check_mode(struct config_draft *d, const struct config_mark *m,
    const struct config_listen *l)
{
	const char *mode = l->unix_mode != NULL ? l->unix_mode : "";
	size_t n = strspn(mode, "01234567");

	if (n < 3 || n > 4 || mode[n] != '\0' || (n == 4 && mode[0] != '0'))
		return config_draft_refuse_key(d, m, "unix_mode", "%s: not "
		    "the permissions of a file; allowed are 0000 to 0777",
		    log_bytes(bytes_str(mode)));
	return 0;
}

static int
check_listen(struct config_draft *d, const struct config_mark *m,
    struct config_listen *l)
{
	size_t i;

	for (i = 0; i < l->address.n; i++)
		if (check_address(d, m, &l->address.at[i]) < 0)
			return -1;
	if (check_mode(d, m, l) < 0)
		return -1;
	if (l->certificate != NULL && l->certificate_key == NULL)
		return config_draft_refuse_key(d, m, "certificate",
		    "needs a certificate_key beside it");
	if (l->certificate == NULL && l->certificate_key != NULL)
		return config_draft_refuse_key(d, m, "certificate_key",
		    "needs a certificate beside it");
	return 0;
}

/* An address may be given once only, over all sections. */
static int
check_double_address(struct config_draft *d, size_t li, size_t ai)
{
	const struct config *c = d->config;
	const char *address = c->listen[li].address.at[ai];
	size_t i, j;

	if (strlen(address) >= 2 &&
	    strcmp(address + strlen(address) - 2, ":0") == 0)
		return 0;	/* any port that is free */
	for (i = 0; i <= li; i++)
		for (j = 0; j < (i < li ? c->listen[i].address.n : ai); j++)
			if (strcmp(c->listen[i].address.at[j], address) == 0)
				return config_draft_refuse_key(d,
				    config_draft_nth(d, "listen", li),
				    "address", "%s: is given twice", address);
	return 0;
}

static int
check_listens(struct config_draft *d)
{
	struct config *c = d->config;
	size_t i, j;

	for (i = 0; i < c->n_listen; i++) {
		if (check_listen(d, config_draft_nth(d, "listen", i),
		    &c->listen[i]) < 0)
			return -1;
		for (j = 0; j < c->listen[i].address.n; j++)
			if (check_double_address(d, i, j) < 0)
				return -1;
	}
	return 0;
}

/* ---- [app] --------------------------------------------------------------- */

static int
check_credentials(struct config_draft *d, const struct config_mark *m,
    const struct config_app *app)
{
	if (app->id == NULL)
		return config_draft_refuse_key(d, m, "id",
		    "is missing: the app's id in API paths, such as 1001");
	if (strpbrk(app->id, "/?#% ") != NULL)
		return config_draft_refuse_key(d, m, "id",
		    "%s: stands in API paths and may not hold / ? # %% or "
		    "spaces", log_bytes(bytes_str(app->id)));
	if (!utf8_valid(bytes_str(app->id)))
		return config_draft_refuse_key(d, m, "id", "is not UTF-8");
	if (strlen(app->id) > 200)
		return config_draft_refuse_key(d, m, "id",
		    "has more than 200 octets");
	if (app->key.n == 0)
		return config_draft_refuse_key(d, m, "key",
		    "is missing: the public key that clients connect with");
	if (app->secret == NULL)
		return config_draft_refuse_key(d, m, "secret",
		    "is missing: it signs requests and authorisations");
	return 0;
}

static int
check_keys(struct config_draft *d, const struct config_mark *m,
    const struct config_app *app)
{
	size_t i;

	for (i = 0; i < app->key.n; i++)
		if (strpbrk(app->key.at[i], "/?#%: ") != NULL)
			return config_draft_refuse_key(d, m, "key",
			    "%s: stands in addresses and signatures and may "
			    "not hold / ? # %% : or spaces",
			    log_bytes(bytes_str(app->key.at[i])));
	return 0;
}

int
config_check_origins(struct config_draft *d, const struct config_mark *m,
    const struct config_strings *allowed)
{
	size_t i;

	for (i = 0; i < allowed->n; i++)
		if (strpbrk(allowed->at[i], "/ ") != NULL)
			return config_draft_refuse_key(d, m,
			    "allowed_origins", "%s: not a host; allowed are "
			    "example.com, *.example.com and * (without "
			    "https:// and path)",
			    log_bytes(bytes_str(allowed->at[i])));
	return 0;
}

/* Which of those in front has a key of this one: the first, and which key. */
static size_t
shares_key(struct config_draft *d, const struct config_app *me,
    const char **key)
{
	size_t i, with, first = CONFIG_NO_NAME;

	for (i = 0; i < me->key.n; i++) {
		with = config_names_find(&d->apps.by_key,
		    bytes_str(me->key.at[i]));
		if (with < first) {
			first = with;
			*key = me->key.at[i];
		}
	}
	return first;
}

/* Against all apps in front of it. */
static int
check_distinct(struct config_draft *d, const struct config_mark *m, size_t n)
{
	const struct config_app *app = d->config->app, *me = &app[n];
	const char *key = NULL;
	size_t by_id, by_key;

	by_id = config_names_find(&d->apps.by_id, bytes_str(me->id));
	by_key = shares_key(d, me, &key);
	if (by_id != CONFIG_NO_NAME && by_id <= by_key)
		return config_draft_refuse_key(d, m, "id",
		    "%s: [app %s] has this id", me->id, app[by_id].label);
	if (by_key != CONFIG_NO_NAME)
		return config_draft_refuse_key(d, m, "key",
		    "%s: [app %s] has this key", key, app[by_key].label);
	return 0;
}

static void
take_names(struct config_apps *names, const struct config_app *app, size_t n)
{
	config_names_add(&names->by_id, bytes_str(app->id), n);
	if (app->label != NULL)
		config_names_add(&names->by_label, bytes_str(app->label), n);
	for (size_t i = 0; i < app->key.n; i++)
		config_names_add(&names->by_key, bytes_str(app->key.at[i]), n);
}

static int
check_apps(struct config_draft *d)
{
	struct config_app *app = d->config->app;
	const struct config_mark *m;
	size_t i;

	for (i = 0; i < d->config->n_app; i++) {
		m = config_draft_nth(d, "app", i);
		if (check_credentials(d, m, &app[i]) < 0 ||
		    check_keys(d, m, &app[i]) < 0 ||
		    config_check_origins(d, m, &app[i].allowed_origins) < 0 ||
		    check_distinct(d, m, i) < 0)
			return -1;
		take_names(&d->apps, &app[i], i);
		if (app[i].max_message_size == 0)
			app[i].max_message_size = MESSAGE_MAX;
	}
	return 0;
}

/* Some of them, and where each was given: one may come from an .env. */
static int
refuse_several(struct config_draft *d, const struct config_mark *m)
{
	const struct config_mark *a;
	struct buf apps = { 0 };
	size_t i, n = d->config->n_app;
	int rc;

	for (i = 0; i < n && i < 4; i++) {
		a = config_draft_nth(d, "app", i);
		buf_fmt(&apps, "%s%s", i > 0 ? ", " : "",
		    d->config->app[i].label);
		if (a->place.name == NULL)
			continue;
		buf_fmt(&apps, " (%s", a->place.name);
		if (a->place.line > 0)
			buf_fmt(&apps, ":%u", a->place.line);
		buf_char(&apps, ')');
	}
	rc = config_draft_refuse_key(d, m, "app", "is missing: there are "
	    "several applications: %s%s", buf_cstr(&apps), i < n ? ", ..." : "");
	buf_done(&apps);
	return rc;
}

int
config_check_app(struct config_draft *d, const struct config_mark *m,
    char **app)
{
	const struct config *c = d->config;
	size_t i = 0, by_label;

	if (*app == NULL && c->n_app > 1)
		return refuse_several(d, m);
	if (*app != NULL) {
		/* One's label may be another's id: the first is meant. */
		i = config_names_find(&d->apps.by_id, bytes_str(*app));
		by_label = config_names_find(&d->apps.by_label,
		    bytes_str(*app));
		i = by_label < i ? by_label : i;
	}
	if (i == CONFIG_NO_NAME)
		return config_draft_refuse_key(d, m, "app",
		    "%s: no [app] has this label or id",
		    log_bytes(bytes_str(*app)));
	free(*app);
	*app = xstrdup(c->app[i].id);
	return 0;
}

const struct config_app *
config_app_of(struct config_draft *d, const char *id)
{
	return &d->config->app[config_names_find(&d->apps.by_id,
	    bytes_str(id))];
}

/* ---- the rest ------------------------------------------------------------ */

/* "/ws": a slash in front, none behind; "" and "/" are no prefix. */
static int
check_path(struct config_draft *d)
{
	struct config_http *http = &d->config->http;
	struct bytes path = bytes_str(http->path);
	char *text;

	while (path.n > 0 && path.p[path.n - 1] == '/')
		path.n--;
	while (path.n > 0 && path.p[0] == '/')
		path = bytes_skip(path, 1);
	if (path.n > 0 && strpbrk(http->path, "?#% ") != NULL)
		return config_draft_refuse_key(d,
		    config_draft_nth(d, "http", 0), "path",
		    "%s: may not hold ? # %% or spaces",
		    log_bytes(bytes_str(http->path)));
	text = path.n > 0 ? xasprintf("/%.*s", (int)path.n, path.p) : NULL;
	free(http->path);
	http->path = text;
	return 0;
}

int
config_check(struct config_draft *d)
{
	if (check_listens(d) < 0 || config_check_proxies(d) < 0 ||
	    check_path(d) < 0 ||
	    config_backplane_check(d) < 0)
		return -1;
	if (d->config->n_app == 0)
		return config_draft_refuse(d, (struct config_place){ NULL, 0 },
		    "no app: give one as [app NAME] with id, key and secret "
		    "in %s, or as REVERB_APP_ID, REVERB_APP_KEY and "
		    "REVERB_APP_SECRET in the environment or --env-file",
		    d->file != NULL ? d->file : "a file (-c FILE)");
	if (check_apps(d) < 0 || config_check_rooms(d) < 0 ||
	    config_check_seen(d) < 0)
		return -1;
	return config_check_webhooks(d);
}
