/* SPDX-License-Identifier: MIT
 *
 * What Laravel Reverb reads from the environment and from its command line, as
 * settings of ours: one row a variable.
 *
 * Values mean what Laravel's env() makes of them: true and (true), false and
 * (false), empty and (empty), null and (null) in any case of letters; null and
 * empty leave a setting as it is.  The REDIS_ variables count only where hosts
 * are joined: a Laravel site has them for its cache, too.
 *
 * Runs in: master, pealctl.  Owns: nothing.
 */
#include "common/config_parts.h"
#include "common/util.h"

static const struct config_place command_line = { "command line", 0 };

/* A variable that is set and not null. */
struct given {
	const char	*name;
	struct bytes	 value;
	struct config_place place;
};

/* Changes the value to one of ours; -1 with why. */
typedef int	translate(struct bytes *, const char **why);

static translate	accept_from, only_port, only_reverb, tls_is_yes,
			true_is_redis;

static const struct variable {
	const char	*name;
	const char	*key;		/* NULL: checked, else without effect */
	translate	*translate;
} http_variables[] = {
	{ "REVERB_SERVER", NULL, only_reverb },
	{ "REVERB_SERVER_PATH", "path", NULL },
	{ "REVERB_HOST", "hostname", NULL },
	{ "REVERB_MAX_REQUEST_SIZE", "max_request_size", NULL },
	{ "REVERB_PULSE_INGEST_INTERVAL", NULL, NULL },
	{ "REVERB_TELESCOPE_INGEST_INTERVAL", NULL, NULL },
	{ NULL, NULL, NULL }
}, scaling_variables[] = {
	{ "REVERB_SCALING_ENABLED", "driver", true_is_redis },
	{ "REVERB_SCALING_CHANNEL", "channel", NULL },
	{ NULL, NULL, NULL }
}, redis_variables[] = {
	{ "REDIS_URL", "url", NULL },
	{ "REDIS_HOST", "host", NULL },
	{ "REDIS_PORT", "port", only_port },
	{ "REDIS_USERNAME", "username", NULL },
	{ "REDIS_PASSWORD", "password", NULL },
	{ "REDIS_DB", "database", NULL },
	{ "REDIS_SCHEME", "tls", tls_is_yes },
	{ "REDIS_TIMEOUT", NULL, NULL },
	{ NULL, NULL, NULL }
}, app_variables[] = {
	{ "REVERB_APP_ID", "id", NULL },
	{ "REVERB_APP_KEY", "key", NULL },
	{ "REVERB_APP_SECRET", "secret", NULL },
	{ "REVERB_APP_PING_INTERVAL", "ping_interval", NULL },
	{ "REVERB_APP_ACTIVITY_TIMEOUT", "activity_timeout", NULL },
	{ "REVERB_APP_MAX_CONNECTIONS", "max_connections", NULL },
	{ "REVERB_APP_MAX_MESSAGE_SIZE", "max_message_size", NULL },
	{ "REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM", "client_events",
	    accept_from },
	{ "REVERB_APP_RATE_LIMITING_ENABLED", "rate_limiting", NULL },
	{ "REVERB_APP_RATE_LIMIT_MAX_ATTEMPTS", "rate_limit_attempts", NULL },
	{ "REVERB_APP_RATE_LIMIT_DECAY_SECONDS", "rate_limit_window", NULL },
	{ "REVERB_APP_RATE_LIMIT_TERMINATE", "rate_limit_terminate", NULL },
	{ NULL, NULL, NULL }
};

static const struct table {
	const struct variable *rows;
	const char	*section;
} tables[] = {
	{ http_variables, "http" },
	{ app_variables, "app" },
	{ scaling_variables, "backplane" },
	{ redis_variables, "backplane" },
};

bool
config_reverb_variable(size_t i, const char **name, const char **section,
    const char **key)
{
	const struct variable *v;
	size_t t;

	for (t = 0; t < NELEM(tables); t++)
		for (v = tables[t].rows; v->name != NULL; v++)
			if (i-- == 0) {
				*name = v->name;
				*key = v->key;
				*section = v->key != NULL ?
				    tables[t].section : NULL;
				return true;
			}
	return false;
}

/* ---- values -------------------------------------------------------------- */

static int
accept_from(struct bytes *value, const char **why)
{
	(void)why;
	if (!bytes_eq(*value, B("all")) && !bytes_eq(*value, B("members")))
		*value = B("none");
	return 0;
}

static int
only_reverb(struct bytes *value, const char **why)
{
	if (bytes_eq(*value, B("reverb")))
		return 0;
	*why = "unknown server; allowed is reverb";
	return -1;
}

static int
true_is_redis(struct bytes *value, const char **why)
{
	if (bytes_ieq(*value, B("true")) || bytes_eq(*value, B("1")))
		*value = B("redis");
	else if (bytes_ieq(*value, B("false")) || bytes_eq(*value, B("0")))
		*value = B("none");
	else {
		*why = "neither true nor false";
		return -1;
	}
	return 0;
}

/* Beside a service called redis, Kubernetes sets tcp://10.0.0.1:6379. */
static int
only_port(struct bytes *value, const char **why)
{
	ptrdiff_t colon;

	(void)why;
	if (!bytes_starts(*value, B("tcp://")))
		return 0;
	while ((colon = bytes_find(*value, ':')) >= 0)
		*value = bytes_skip(*value, (size_t)colon + 1);
	return 0;
}

static int
tls_is_yes(struct bytes *value, const char **why)
{
	if (bytes_ieq(*value, B("tls")) || bytes_ieq(*value, B("rediss")))
		*value = B("yes");
	else if (bytes_ieq(*value, B("tcp")) || bytes_ieq(*value, B("redis")))
		*value = B("no");
	else {
		*why = "unknown scheme; allowed are tcp and tls";
		return -1;
	}
	return 0;
}

/* A real environment may hold the quotes of a .env line. */
static struct bytes
without_quotes(struct bytes text)
{
	if (text.n >= 2 && text.p[0] == text.p[text.n - 1] &&
	    (text.p[0] == '"' || text.p[0] == '\''))
		return bytes_of(text.p + 1, text.n - 2);
	return text;
}

/* As env() of Laravel: false if the variable says nothing. */
static bool
get(const struct config_draft *d, const char *name, struct given *g)
{
	static const char *const nothing[] = { "", "null", "(null)", "empty",
	    "(empty)" };
	const char *text = config_env_get(&d->env, bytes_str(name), &g->place);
	size_t i;

	if (text == NULL)
		return false;
	g->name = name;
	g->value = without_quotes(bytes_str(text));
	if (bytes_ieq(g->value, B("(true)")) ||
	    bytes_ieq(g->value, B("(false)")))
		g->value = bytes_of(g->value.p + 1, g->value.n - 2);
	for (i = 0; i < NELEM(nothing); i++)
		if (bytes_ieq(g->value, bytes_str(nothing[i])))
			return false;
	return true;
}

/* All variables of a table that are given, into one section. */
static int
apply(struct config_draft *d, const struct variable *v, struct config_mark *m)
{
	struct given g;
	const char *why;

	for (; v->name != NULL; v++) {
		if (!get(d, v->name, &g))
			continue;
		if (v->translate != NULL && v->translate(&g.value, &why) < 0)
			return config_draft_refuse(d, g.place, "%s = %.*s: %s",
			    g.name, (int)g.value.n, g.value.p, why);
		if (v->key != NULL && config_draft_set(d, m, v->key, g.value,
		    false, g.place, g.name) < 0)
			return -1;
	}
	return 0;
}

/* ---- the application ----------------------------------------------------- */

static bool
any_given(const struct config_draft *d, const struct variable *v)
{
	struct given g;

	for (; v->name != NULL; v++)
		if (get(d, v->name, &g))
			return true;
	return false;
}

static struct config_mark *
app_with_id(struct config_draft *d, struct bytes id)
{
	size_t i;

	for (i = 0; i < d->config->n_app; i++)
		if (bytes_eq(bytes_str(d->config->app[i].id), id))
			return config_draft_nth(d, "app", i);
	return NULL;
}

/*
 * Which app do the variables speak of?  The one with their id; else the one
 * called reverb; without an id the only one there is; else a new one.
 */
static int
apply_app(struct config_draft *d)
{
	struct config_mark *m = NULL;
	struct config_place place = { "environment", 0 };
	struct given id;
	bool has_id;

	if (!any_given(d, app_variables))
		return 0;
	has_id = get(d, "REVERB_APP_ID", &id);
	if (has_id)
		m = app_with_id(d, id.value);
	if (m == NULL)
		m = config_draft_find(d, "app", B("reverb"));
	if (m == NULL && !has_id && d->config->n_app == 1)
		m = config_draft_nth(d, "app", 0);
	if (m == NULL && !has_id && d->config->n_app > 1)
		return config_draft_refuse(d, place, "REVERB_APP_ID is not "
		    "set: which app of the file do the other REVERB_APP_ "
		    "variables belong to?");
	if (m == NULL)
		m = config_draft_add(d, config_section_find(B("app")),
		    B("reverb"), has_id ? id.place : place);
	return apply(d, app_variables, m);
}

/* ---- host and port ------------------------------------------------------- */

static bool
flag_or_variable(const struct config_draft *d, const char *flag,
    const char *flag_name, const char *variable, struct given *g)
{
	if (flag == NULL)
		return get(d, variable, g);
	*g = (struct given){ flag_name, bytes_str(flag), command_line };
	return true;
}

static int
refuse_given(struct config_draft *d, const struct given *g, const char *why)
{
	return config_draft_refuse(d, g->place, "%s = %.*s: %s", g->name,
	    (int)g->value.n, g->value.p, why);
}

/* The first TCP address of a section, for what is not given. */
static void
first_address(const struct config_listen *l, struct config_address *a)
{
	const char *why;
	size_t i;

	for (i = 0; i < l->address.n; i++)
		if (config_address_parse(bytes_str(l->address.at[i]), a,
		    &why) == 0 && !a->local)
			return;
	*a = (struct config_address){ .host = B("0.0.0.0"), .port = 8080 };
}

static int
replace_address(struct config_draft *d, const struct given *host,
    const struct given *port)
{
	struct config_mark *m = config_draft_nth(d, "listen", 0);
	struct config_address a, wanted = { 0 };
	struct buf text = { 0 };
	const char *why;
	uint64_t n;
	int rc;

	first_address(&d->config->listen[0], &a);
	if (host != NULL) {
		if (config_host_parse(host->value, &wanted, &why) < 0)
			return refuse_given(d, host, why);
		wanted.port = a.port;
		a = wanted;
	}
	if (port != NULL) {
		if (bytes_u64(port->value, &n) < 0 || n > 65535)
			return refuse_given(d, port,
			    "not a port; allowed are 0 to 65535");
		a.port = (uint16_t)n;
	}
	config_address_show(&a, &text);
	rc = config_draft_set(d, m, "address", buf_view(&text), false,
	    port != NULL ? port->place : host->place, NULL);
	buf_done(&text);
	return rc;
}

/* --host and --port, or their variables, stand for all addresses of the first
 * [listen]. */
static int
apply_address(struct config_draft *d, const struct config_source *src)
{
	struct given host, port;
	bool has_host, has_port;

	has_host = flag_or_variable(d, src->host, "--host",
	    "REVERB_SERVER_HOST", &host);
	has_port = flag_or_variable(d, src->port, "--port",
	    "REVERB_SERVER_PORT", &port);
	if (!has_host && !has_port)
		return 0;
	return replace_address(d, has_host ? &host : NULL,
	    has_port ? &port : NULL);
}

/* ---- all of it ----------------------------------------------------------- */

static int
apply_flag(struct config_draft *d, const char *section, const char *key,
    const char *value, const char *flag)
{
	if (value == NULL)
		return 0;
	return config_draft_set(d, config_draft_nth(d, section, 0), key,
	    bytes_str(value), false, command_line, flag);
}

/* A url of the file is opened first, as variables go before what it names. */
static int
apply_backplane(struct config_draft *d)
{
	struct config_mark *m = config_draft_nth(d, "backplane", 0);

	if (apply(d, scaling_variables, m) < 0)
		return -1;
	if (d->config->backplane.driver != BACKPLANE_REDIS)
		return 0;
	return config_backplane_expand(d) < 0 ||
	    apply(d, redis_variables, m) < 0 ? -1 : 0;
}

int
config_reverb_apply(struct config_draft *d, const struct config_source *src)
{
	if (apply(d, http_variables, config_draft_nth(d, "http", 0)) < 0 ||
	    apply_backplane(d) < 0)
		return -1;
	if (apply_app(d) < 0 || apply_address(d, src) < 0)
		return -1;
	if (apply_flag(d, "http", "path", src->path, "--path") < 0 ||
	    apply_flag(d, "http", "hostname", src->hostname, "--hostname") <
	    0 ||
	    apply_flag(d, "peal", "workers", src->workers, "--workers") < 0)
		return -1;
	d->config->debug = src->debug;
	return 0;
}
