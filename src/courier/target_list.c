/* SPDX-License-Identifier: MIT
 *
 * Which targets there are: by name, by application.  See target.h.
 *
 * Runs in: the courier.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "common/counters.h"
#include "common/ipc.h"
#include "common/json.h"
#include "common/log.h"
#include "common/util.h"
#include "courier/courier.h"
#include "courier/body.h"
#include "courier/ledger.h"

/* An application that has targets. */
struct target_app {
	struct hash_link hash;
	struct bytes	 id;		/* of the settings */
	unsigned	 wants;		/* all of its targets together */
	LIST_HEAD(, target) targets;
};

static struct bytes
app_key(const struct hash_link *l)
{
	return container_of(l, const struct target_app, hash)->id;
}

static struct bytes
name_key(const struct hash_link *l)
{
	return container_of(l, const struct target, hash)->name;
}

/* ---- by name ----------------------------------------------------------------- */

static struct target *
by_name(struct courier *c, struct bytes name)
{
	struct hash_link *l = hash_find(&c->targets.by_name, name);

	return l != NULL ? container_of(l, struct target, hash) : NULL;
}

struct target *
target_get(struct courier *c, struct bytes name)
{
	struct target *t = by_name(c, name);

	if (t != NULL)
		return t;
	t = target_new(c, name);
	TAILQ_INSERT_TAIL(&c->targets.all, t, link);
	hash_insert(&c->targets.by_name, &t->hash);
	return t;
}

static void
remove_target(struct courier *c, struct target *t)
{
	hash_remove(&c->targets.by_name, &t->hash);
	TAILQ_REMOVE(&c->targets.all, t, link);
	target_free(t);
}

/* It may be in the settings again. */
void
target_kept_gone(struct courier *c, struct bytes name)
{
	struct target *t = by_name(c, name);

	if (t != NULL)
		target_kept_done(t, t->n);
}

/* ---- by application ------------------------------------------------------------- */

static struct target_app *
app_find(struct courier *c, struct bytes id)
{
	struct hash_link *l = hash_find(&c->targets.by_app, id);

	return l != NULL ? container_of(l, struct target_app, hash) : NULL;
}

static void
app_add(struct courier *c, struct target *t)
{
	struct target_app *a = app_find(c, t->app);

	if (a == NULL) {
		a = xcalloc(1, sizeof(*a));
		a->id = t->app;
		LIST_INIT(&a->targets);
		hash_insert(&c->targets.by_app, &a->hash);
	}
	LIST_INSERT_HEAD(&a->targets, t, of_app);
	a->wants |= t->wants;
}

static void
apps_clear(struct targets *all)
{
	struct hash_cursor at = { 0 };
	struct hash_link *l;

	while ((l = hash_walk(&all->by_app, &at)) != NULL) {
		hash_remove(&all->by_app, l);
		free(container_of(l, struct target_app, hash));
	}
}

unsigned
targets_want(struct courier *c, struct bytes app)
{
	const struct target_app *a = app_find(c, app);

	return a != NULL ? a->wants : 0;
}

void
targets_each_app(struct courier *c, void (*app)(void *ctx, struct bytes id),
    void *ctx)
{
	struct hash_cursor at = { 0 };
	struct hash_link *l;

	while ((l = hash_walk(&c->targets.by_app, &at)) != NULL)
		app(ctx, app_key(l));
}

static bool
has_prefix(const struct config_strings *list, struct bytes channel)
{
	for (size_t i = 0; i < list->n; i++)
		if (bytes_starts(channel, bytes_str(list->at[i])))
			return true;
	return list->n == 0;
}

/* What happens to connections is of no channel. */
static bool
wants(const struct target *t, unsigned kind, struct bytes channel)
{
	return (t->wants & 1u << kind) != 0 && (kind == EVENT_OPENED ||
	    kind == EVENT_CLOSED || has_prefix(&t->set->prefix, channel));
}

struct target *
targets_next(struct courier *c, struct bytes app, unsigned kind,
    struct bytes channel, struct target *t)
{
	const struct target_app *a;

	if (t != NULL)
		t = LIST_NEXT(t, of_app);
	else if ((a = app_find(c, app)) != NULL)
		t = LIST_FIRST(&a->targets);
	while (t != NULL && !wants(t, kind, channel))
		t = LIST_NEXT(t, of_app);
	return t;
}

/* ---- settings -------------------------------------------------------------------- */

/* Applications of new settings by id: there may be thousands of both. */
struct named {
	struct hash_link link;
	const struct config_app *app;
};

struct names_of {
	const struct config *config;
	struct hash	 by_id;
	struct named	*all;
};

static struct bytes
named_key(const struct hash_link *l)
{
	return bytes_str(container_of(l, const struct named, link)->app->id);
}

static void
named_begin(struct names_of *all, const struct config *config)
{
	all->config = config;
	all->all = xcalloc(config->n_app + 1, sizeof(*all->all));
	hash_init(&all->by_id, named_key);
	for (size_t i = 0; i < config->n_app; i++) {
		all->all[i].app = &config->app[i];
		hash_insert(&all->by_id, &all->all[i].link);
	}
}

static void
named_end(struct names_of *all)
{
	hash_done(&all->by_id);
	free(all->all);
}

/* By its id, which is what checked settings have. */
static const struct config_app *
app_named(struct names_of *all, const char *name)
{
	const struct config *config = all->config;
	struct hash_link *l;

	if (name == NULL || name[0] == '\0')
		return config->n_app == 1 ? &config->app[0] : NULL;
	l = hash_find(&all->by_id, bytes_str(name));
	return l != NULL ? container_of(l, struct named, link)->app : NULL;
}

static unsigned
wants_of(const struct config_webhook *w)
{
	unsigned mask = 0;

	for (size_t i = 0; i < w->events.n; i++)
		mask |= 1u << body_kind(bytes_str(w->events.at[i]));
	return mask & ~1u;
}

static struct target *
target_of(struct courier *c, const struct config_webhook *w,
    const struct config_app *app)
{
	struct buf name = { 0 };
	struct target *t;

	buf_str(&name, w->label);
	buf_char(&name, '\0');
	buf_str(&name, app->id);
	t = target_get(c, buf_view(&name));
	buf_done(&name);
	return t;
}

static void
target_set(struct courier *c, struct names_of *apps,
    const struct config_webhook *w)
{
	const struct config_app *app = app_named(apps, w->app);
	struct target *t;

	if (app == NULL || w->url == NULL) {
		log_warn("webhook: it has no application or no url target=%s",
		    w->label != NULL ? w->label : "");
		return;
	}
	t = target_of(c, w, app);
	t->set = w;
	/* What was wrong is mended, it may be. */
	if (t->before != NULL && strcmp(t->before->url, w->url) != 0)
		t->next_try = t->next_ms = 0;
	t->before = NULL;
	t->app = bytes_str(app->id);
	t->key = bytes_str(w->key);
	if (t->key.n == 0 && app->key.n > 0)
		t->key = bytes_str(app->key.at[0]);
	t->secret = bytes_str(w->secret != NULL ? w->secret : app->secret);
	t->wants = wants_of(w);
	t->changed = true;
	app_add(c, t);
}

void
targets_settings(struct courier *c, const struct config *config)
{
	struct names_of apps;
	struct target *t;

	apps_clear(&c->targets);
	TAILQ_FOREACH(t, &c->targets.all, link) {
		t->before = t->set;
		t->set = NULL;
	}
	named_begin(&apps, config);
	for (size_t i = 0; i < config->n_webhook; i++)
		target_set(c, &apps, &config->webhook[i]);
	named_end(&apps);
}

void
targets_settled(struct courier *c)
{
	struct target *t, *next;

	for (t = TAILQ_FIRST(&c->targets.all); t != NULL; t = next) {
		next = TAILQ_NEXT(t, link);
		if (t->set != NULL) {
			target_look(t);
			continue;
		}
		log_info("webhook: its section is gone target=%s dropped=%"
		    PRIu64, t->label, t->n);
		counter.hooks_dropped += t->n;
		ledger_gone(c, t);
		remove_target(c, t);
	}
}

/* ---- each second -------------------------------------------------------------------- */

static void
text_member(struct buf *to, const char *name, struct bytes text)
{
	buf_fmt(to, "\"%s\":", name);
	json_quote(to, utf8_valid(text) ? text : B(""));
	buf_char(to, ',');
}

/* Queries may hold secrets. */
static struct bytes
url_shown(const char *url)
{
	return bytes_of(url, strcspn(url, "?#"));
}

/* Its object for hook_report, appended. */
static void
target_report(const struct target *t, struct buf *to)
{
	static const char *const states[] = { "ok", "failing", "open" };

	buf_char(to, '{');
	text_member(to, "target", bytes_str(t->label));
	text_member(to, "app", t->app);
	text_member(to, "url", url_shown(t->set->url));
	text_member(to, "state", bytes_str(states[t->failures == 0 ? 0 :
	    t->failures < TARGET_OPEN_AFTER ? 1 : 2]));
	text_member(to, "last_error", bytes_str(t->last_error));
	buf_fmt(to, "\"queued\":%" PRIu64 ",\"octets\":%" PRIu64
	    ",\"delivered\":%" PRIu64 ",\"requests\":%" PRIu64
	    ",\"refused\":%" PRIu64 ",\"dropped\":%" PRIu64
	    ",\"expired\":%" PRIu64 ",\"last_status\":%u"
	    ",\"last_ok\":%" PRIu64 ",\"next_try\":%" PRIu64 "}", t->n,
	    t->octets, t->delivered, t->requests, t->refused, t->dropped,
	    t->expired, t->last_status, t->last_ok, t->next_ms);
}

void
targets_tick(struct courier *c)
{
	struct msg_hook_report m;
	struct target *t;

	TAILQ_FOREACH(t, &c->targets.all, link) {
		if (t->state == TARGET_WAITING)
			target_look(t);
		if (!t->changed || t->set == NULL)
			continue;
		t->changed = false;
		buf_clear(&c->scratch);
		target_report(t, &c->scratch);
		m.target = bytes_str(t->label);
		m.json = buf_view(&c->scratch);
		msg_pack_hook_report(ipc_out(c->master->ipc), &m);
	}
	counter.hooks_waiting = c->targets.n;
	counter.hooks_octets = c->targets.octets;
}

/* ---- life ---------------------------------------------------------------------------- */

void
targets_stop(struct courier *c)
{
	c->targets.stopped = true;
}

void
targets_hurry(struct courier *c)
{
	struct target *t;

	c->targets.hasty = true;
	TAILQ_FOREACH(t, &c->targets.all, link)
		target_look(t);
}

bool
targets_hopeful(const struct targets *all)
{
	const struct target *t;

	TAILQ_FOREACH(t, &all->all, link)
		if (t->n > 0 && (t->failures < TARGET_OPEN_AFTER ||
		    t->state == TARGET_BUSY))
			return true;
	return false;
}

void
targets_init(struct targets *all)
{
	*all = (struct targets){ .n = 0 };
	TAILQ_INIT(&all->all);
	TAILQ_INIT(&all->ready);
	TAILQ_INIT(&all->ready_failing);
	TAILQ_INIT(&all->starting);
	hash_init(&all->by_name, name_key);
	hash_init(&all->by_app, app_key);
}

void
targets_done(struct courier *c)
{
	struct target *t;

	while ((t = TAILQ_FIRST(&c->targets.all)) != NULL)
		remove_target(c, t);
	apps_clear(&c->targets);
	hash_done(&c->targets.by_name);
	hash_done(&c->targets.by_app);
}
