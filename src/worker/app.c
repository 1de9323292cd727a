/* SPDX-License-Identifier: MIT
 *
 * Applications; see app.h.  Two small tables lead to them: by key (an app may
 * have several) and by id.
 */
#include "worker/app.h"

#include <stdlib.h>

#include "common/hooked.h"
#include "common/util.h"
#include "worker/channel.h"

/* max_message_size = 0 stands for this (the upper bound in config.def). */
#define MESSAGE_MAX	67108864

/* One way to an app: a key, or its id. */
struct way {
	struct hash_link	 link;
	struct bytes		 name;
	struct app		*app;
};

static struct app **apps;	/* all there ever were; none is freed */
static size_t n_apps;
static struct hash all;		/* the same, by id */
static struct way *ways;
static struct hash by_key, by_id;
static bool ready;

static struct bytes
way_name(const struct hash_link *link)
{
	return container_of(link, const struct way, link)->name;
}

static struct bytes
app_id(const struct hash_link *link)
{
	return container_of(link, const struct app, link)->id;
}

static struct bytes
channel_key(const struct hash_link *link)
{
	return channel_name(container_of(link, const struct channel, link));
}

static struct app *
lookup(struct hash *table, struct bytes name)
{
	struct hash_link *link;

	if (!ready || (link = hash_find(table, name)) == NULL)
		return NULL;
	return container_of(link, struct way, link)->app;
}

/* NULL: there never was one. */
static struct app *
app_known(struct bytes id)
{
	struct hash_link *link = n_apps > 0 ? hash_find(&all, id) : NULL;

	return link != NULL ? container_of(link, struct app, link) : NULL;
}

/* The app of this id from earlier settings, with its channels and clients, or
 * a new one. */
static struct app *
app_take(struct bytes id)
{
	struct app *app = app_known(id);

	if (app != NULL)
		return app;
	if (n_apps == 0)
		hash_init(&all, app_id);
	app = xcalloc(1, sizeof(*app));
	app->id = bytes_of(bytes_dup(id), id.n);
	hash_init(&app->channels, channel_key);
	apps = xreallocarray(apps, n_apps + 1, sizeof(*apps));
	apps[n_apps++] = app;
	hash_insert(&all, &app->link);
	return app;
}

static void
add_way(struct hash *table, struct way *w, const char *name, struct app *app)
{
	w->name = bytes_str(name);
	w->app = app;
	if (hash_find(table, w->name) == NULL)
		hash_insert(table, &w->link);
}

static void
reset_ways(const struct config *config)
{
	size_t i, n = config->n_app;

	for (i = 0; i < config->n_app; i++)
		n += config->app[i].key.n;
	if (ready) {
		hash_done(&by_key);
		hash_done(&by_id);
	}
	hash_init(&by_key, way_name);
	hash_init(&by_id, way_name);
	free(ways);
	ways = xcalloc(n + 1, sizeof(*ways));
	ready = true;
}

/* ---- tails --------------------------------------------------------------- */

/* An application may come with settings that we do not have yet. */
static struct tailed {
	struct bytes	 id;
	unsigned	 bit;
} *tailed;
static size_t n_tailed;

static void
tailed_apply(void)
{
	struct app *app;

	for (size_t i = 0; i < n_apps; i++)
		apps[i]->tailed = 0;
	for (size_t k = 0; k < n_tailed; k++)
		if ((app = app_known(tailed[k].id)) != NULL)
			app->tailed |= tailed[k].bit;
}

static void
tailed_forget(void)
{
	for (size_t i = 0; i < n_tailed; i++)
		free((char *)(uintptr_t)tailed[i].id.p);
	free(tailed);
	tailed = NULL;
	n_tailed = 0;
}

static void
tailed_add(const struct msg_list *ids, unsigned bit)
{
	for (uint32_t i = 0; i < ids->n; i++) {
		struct bytes id = msg_list_at(ids, i);

		tailed[n_tailed++] = (struct tailed){
		    .id = bytes_of(bytes_dup(id), id.n), .bit = bit };
	}
}

void
apps_tailed(const struct msg_tailed *m)
{
	tailed_forget();
	if (m != NULL && m->opened.n + m->closed.n > 0) {
		tailed = xcalloc(m->opened.n + m->closed.n, sizeof(*tailed));
		tailed_add(&m->opened, HOOKED_OPENED);
		tailed_add(&m->closed, HOOKED_CLOSED);
	}
	tailed_apply();
}

/* ---- the table ------------------------------------------------------------ */

static void
hooks_apply(const struct config *config)
{
	struct app *app;
	size_t i;

	for (i = 0; i < n_apps; i++)
		apps[i]->hooks = 0;
	for (i = 0; i < config->n_webhook; i++) {
		app = app_by_id(hooked_app(config, &config->webhook[i]));
		if (app != NULL)
			app->hooks |= hooked_for(app->set,
			    hooked(&config->webhook[i]));
	}
}

void
apps_init(const struct config *config)
{
	const struct config_app *set;
	struct way *w;
	struct app *app;
	size_t i, k;

	reset_ways(config);
	w = ways;
	for (i = 0; i < config->n_app; i++) {
		set = &config->app[i];
		app = app_take(bytes_str(set->id));
		app->set = set;
		add_way(&by_id, w++, set->id, app);
		for (k = 0; k < set->key.n; k++)
			add_way(&by_key, w++, set->key.at[k], app);
	}
	hooks_apply(config);
	tailed_apply();
}

struct app *
app_by_key(struct bytes key)
{
	return lookup(&by_key, key);
}

struct app *
app_by_id(struct bytes id)
{
	return lookup(&by_id, id);
}

bool
app_has_key(const struct app *app, struct bytes key)
{
	size_t i;

	for (i = 0; i < app->set->key.n; i++)
		if (bytes_eq(bytes_str(app->set->key.at[i]), key))
			return true;
	return false;
}

bool
apps_use(const struct config *config)
{
	const struct config_app *end = config->app + config->n_app;
	size_t i;

	for (i = 0; i < n_apps; i++)
		if (apps[i]->set >= config->app && apps[i]->set < end)
			return true;
	return false;
}

struct app *
app_next(size_t *pos)
{
	return *pos < n_apps ? apps[(*pos)++] : NULL;
}

size_t
app_max_message(const struct app *app)
{
	uint64_t max = app->set->max_message_size;

	return max > 0 ? (size_t)max : MESSAGE_MAX;
}

/* ---- origins ----------------------------------------------------------- */

static bool
is_digits(struct bytes b)
{
	size_t i;

	for (i = 0; i < b.n; i++)
		if (b.p[i] < '0' || b.p[i] > '9')
			return false;
	return true;
}

/* The host of host[:port]; an IPv6 address keeps its brackets. */
static bool
cut_port(struct bytes *host)
{
	ptrdiff_t end;

	if (host->n > 0 && host->p[0] == '[') {
		if ((end = bytes_find(*host, ']')) < 0)
			return false;
		end++;
	} else {
		end = bytes_find(*host, ':');
		if (end < 0)
			end = (ptrdiff_t)host->n;
	}
	if ((size_t)end < host->n && (host->p[end] != ':' ||
	    !is_digits(bytes_skip(*host, (size_t)end + 1))))
		return false;
	host->n = (size_t)end;
	return host->n > 0 && bytes_find(*host, '/') < 0 &&
	    bytes_find(*host, '@') < 0;
}

/* That of scheme://host[:port], and nothing but that (RFC 6454 6.2). */
static bool
origin_host(struct bytes origin, struct bytes *host)
{
	ptrdiff_t at = bytes_find(origin, ':');

	if (at < 1 || !bytes_starts(bytes_skip(origin, (size_t)at), B("://")))
		return false;
	*host = bytes_skip(origin, (size_t)at + 3);
	return cut_port(host);
}

bool
origin_same_host(struct bytes origin, struct bytes host)
{
	struct bytes from;

	return origin_host(origin, &from) && cut_port(&host) &&
	    bytes_ieq(from, host);
}

static char
lower_of(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* '*' stands for any run of characters; letters match in either case.  On a
 * mismatch the last star takes one character more. */
static bool
glob(struct bytes pattern, struct bytes text)
{
	size_t p = 0, t = 0, star = SIZE_MAX, retry = 0;

	while (t < text.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = p++;
			retry = t;
		} else if (p < pattern.n &&
		    lower_of(pattern.p[p]) == lower_of(text.p[t])) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++retry;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}

bool
app_origin_allowed(const struct app *app, bool has_origin, struct bytes origin)
{
	return origin_allowed(&app->set->allowed_origins, has_origin, origin);
}

bool
origin_allowed(const struct config_strings *allowed, bool has_origin,
    struct bytes origin)
{
	struct bytes host;
	bool known = has_origin && origin_host(origin, &host);
	size_t i;

	for (i = 0; i < allowed->n; i++) {
		struct bytes pattern = bytes_str(allowed->at[i]);

		if (bytes_eq(pattern, B("*")))
			return true;
		if (known && glob(pattern, host))
			return true;
	}
	return false;
}
