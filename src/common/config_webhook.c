/* SPDX-License-Identifier: MIT
 *
 * [courier] and [webhook]: do their settings fit together?
 *
 * Runs in: master, pealctl.  Owns: nothing.
 */
#include <stdlib.h>

#include "common/config_parts.h"
#include "common/ip.h"
#include "common/log.h"
#include "common/util.h"

#define HEADER_MAX	4096	/* octets of a line */
#define HEADERS_MAX	50
#define PREFIX_MAX	1024

struct check {
	struct config_draft		*d;
	const struct config_mark	*m;
	struct config_webhook		*hook;
};

static int
refuse(const struct check *k, const char *key, const char *why)
{
	return config_draft_refuse_key(k->d, k->m, key, "%s", why);
}

/* ---- where it goes ------------------------------------------------------- */

static bool
allowed(const struct config_courier *set, const struct ip *ip)
{
	struct ip_net net;
	const char *why;

	if (set->allow_private || !ip_is_private(ip))
		return true;
	for (size_t i = 0; i < set->allow.n; i++)
		if (ip_net_parse(bytes_str(set->allow.at[i]), &net,
		    &why) == 0 && ip_net_has(&net, ip))
			return true;
	return false;
}

/* RFC 6761: such a name is this machine. */
static bool
is_localhost(struct bytes host)
{
	static const struct bytes name = BYTES("localhost");

	if (host.n > 0 && host.p[host.n - 1] == '.')
		host.n--;
	return host.n >= name.n &&
	    bytes_ieq(bytes_skip(host, host.n - name.n), name) &&
	    (host.n == name.n || host.p[host.n - name.n - 1] == '.');
}

/* What a name leads to is seen when it is looked up; an address at once. */
static int
check_reach(const struct check *k, const struct config_target *t)
{
	const struct config_courier *set = &k->d->config->courier;
	struct ip ip, loop[2];

	if (is_localhost(t->host)) {
		(void)ip_parse(B("127.0.0.1"), &loop[0]);
		(void)ip_parse(B("::1"), &loop[1]);
		if (allowed(set, &loop[0]) || allowed(set, &loop[1]))
			return 0;
	} else if (!t->literal || ip_parse(t->host, &ip) < 0 ||
	    allowed(set, &ip)) {
		return 0;
	}
	return config_draft_refuse_key(k->d, k->m, "url",
	    "%.*s is this machine or in a private network: name its address or "
	    "network in [courier] allow, or set [courier] allow_private",
	    (int)t->host.n, t->host.p);
}

/* A complaint shows no more than the host: what follows may hold a secret. */
static int
check_url(const struct check *k)
{
	struct config_target t;
	const char *why;

	if (k->hook->url == NULL)
		return refuse(k, "url", "is missing: where events are posted "
		    "to, such as https://example.com/events");
	if (config_target_parse(bytes_str(k->hook->url), &t, &why) < 0)
		return refuse(k, "url", why);
	return check_reach(k, &t);
}

/* ---- what goes there ----------------------------------------------------- */

static int
refuse_event(const struct check *k, const char *wrong,
    const char *const *names, size_t n)
{
	const char *near = config_nearest(bytes_str(wrong), names, n);
	struct buf known = { 0 };
	int rc;

	for (size_t i = 0; i < n; i++)
		buf_fmt(&known, "%s%s", i > 0 ? ", " : "", names[i]);
	rc = config_draft_refuse_key(k->d, k->m, "events",
	    "%s: no such event%s%s%s known are %s",
	    log_bytes(bytes_str(wrong)), near != NULL ? ", did you mean " : "",
	    near != NULL ? near : "", near != NULL ? "?" : ";",
	    buf_cstr(&known));
	buf_done(&known);
	return rc;
}

static int
check_events(const struct check *k)
{
	static const char *const names[] = {
		"channel_occupied", "channel_vacated", "member_added",
		"member_removed", "client_event", "cache_miss",
		"subscription_count", "connection_opened", "connection_closed",
	};
	const struct config_strings *list = &k->hook->events;
	size_t i, e;

	for (i = 0; i < list->n; i++) {
		for (e = 0; e < NELEM(names); e++)
			if (strcmp(list->at[i], names[e]) == 0)
				break;
		if (e == NELEM(names))
			return refuse_event(k, list->at[i], names,
			    NELEM(names));
	}
	return 0;
}

static int
check_prefix(const struct check *k)
{
	const struct config_strings *list = &k->hook->prefix;

	for (size_t i = 0; i < list->n; i++)
		if (strlen(list->at[i]) > PREFIX_MAX)
			return refuse(k, "prefix", "is longer than the name "
			    "of any channel");
	return 0;
}

/* RFC 9110, 5.6.2 */
static bool
is_token(struct bytes name)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];

		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') &&
		    !(c >= 'A' && c <= 'Z') &&
		    memchr(marks, c, sizeof(marks) - 1) == NULL)
			return false;
	}
	return name.n > 0;
}

static bool
is_ours(struct bytes name)
{
	static const struct bytes names[] = {
		BYTES("Content-Type"), BYTES("Content-Length"), BYTES("Host"),
		BYTES("Transfer-Encoding"), BYTES("Connection"),
		BYTES("Expect"), BYTES("TE"), BYTES("Trailer"),
		BYTES("Upgrade"), BYTES("Content-Encoding"),
		BYTES("User-Agent"),
	};
	static const struct bytes prefixes[] = {
		BYTES("X-Pusher-"), BYTES("X-Peal-"),
	};

	for (size_t i = 0; i < NELEM(names); i++)
		if (bytes_ieq(name, names[i]))
			return true;
	for (size_t i = 0; i < NELEM(prefixes); i++)
		if (name.n >= prefixes[i].n && bytes_ieq(bytes_of(name.p,
		    prefixes[i].n), prefixes[i]))
			return true;
	return false;
}

static const char *
header_trouble(struct bytes line, struct bytes *name)
{
	ptrdiff_t colon = bytes_find(line, ':');

	*name = B("");
	if (line.n > HEADER_MAX)
		return "is longer than 4096 octets";
	for (size_t i = 0; i < line.n; i++)
		if ((unsigned char)line.p[i] < ' ' || line.p[i] == 0x7f)
			return "holds a control character";
	if (colon < 0)
		return "is no line \"Name: value\"";
	if (!is_token(bytes_of(line.p, (size_t)colon)))
		return "begins with no name of a header (letters, digits and "
		    "- before the colon, no spaces)";
	*name = bytes_of(line.p, (size_t)colon);
	if (bytes_trim(bytes_skip(line, (size_t)colon + 1)).n == 0)
		return "has no value";
	return is_ours(*name) ? "is set by Peal itself" : NULL;
}

/* Of a line that may be a secret only the name is told. */
static int
check_headers(const struct check *k)
{
	const struct config_strings *list = &k->hook->header;
	struct bytes name;
	const char *why;

	if (list->n > HEADERS_MAX)
		return refuse(k, "header", "there are more than 50");
	for (size_t i = 0; i < list->n; i++) {
		why = header_trouble(bytes_str(list->at[i]), &name);
		if (why == NULL)
			continue;
		if (name.n == 0)
			return config_draft_refuse_key(k->d, k->m, "header",
			    "line %zu of them %s", i + 1, why);
		return config_draft_refuse_key(k->d, k->m, "header",
		    "%.*s %s", (int)name.n, name.p, why);
	}
	return 0;
}

/* ---- who signs it -------------------------------------------------------- */

static int
check_key(const struct check *k)
{
	const char *key = k->hook->key;
	const struct config_app *app;

	if (key == NULL)
		return 0;
	app = config_app_of(k->d, k->hook->app);
	for (size_t i = 0; i < app->key.n; i++)
		if (strcmp(app->key.at[i], key) == 0)
			return 0;
	return config_draft_refuse_key(k->d, k->m, "key",
	    "%s: [app %s] has no such key", log_bytes(bytes_str(key)),
	    app->label != NULL ? app->label : app->id);
}

static int
check_hook(struct config_draft *d, size_t i)
{
	const struct check k = {
		d, config_draft_nth(d, "webhook", i), &d->config->webhook[i],
	};

	if (k.hook->label == NULL || k.hook->label[0] == '\0')
		return config_draft_refuse(d, k.m->place,
		    "[webhook]: a webhook needs a name: [webhook NAME]");
	if (config_check_app(d, k.m, &k.hook->app) < 0 || check_url(&k) < 0 ||
	    check_events(&k) < 0 || check_prefix(&k) < 0 ||
	    check_headers(&k) < 0)
		return -1;
	return check_key(&k);
}

/* ---- [courier] ----------------------------------------------------------- */

static int
check_courier(struct config_draft *d)
{
	const struct config_courier *set = &d->config->courier;
	const struct config_mark *m = config_draft_nth(d, "courier", 0);
	struct ip_net net;
	const char *why;

	if (set->spool != NULL && set->spool[0] != '/')
		return config_draft_refuse_key(d, m, "spool",
		    "%s: must begin with a slash",
		    log_bytes(bytes_str(set->spool)));
	for (size_t i = 0; i < set->allow.n; i++)
		if (ip_net_parse(bytes_str(set->allow.at[i]), &net, &why) < 0)
			return config_draft_refuse_key(d, m, "allow",
			    "%s: %s; allowed are addresses (10.0.0.1, fd00::1) "
			    "and networks (10.0.0.0/8, fd00::/8)",
			    log_bytes(bytes_str(set->allow.at[i])), why);
	return 0;
}

int
config_check_webhooks(struct config_draft *d)
{
	if (check_courier(d) < 0)
		return -1;
	for (size_t i = 0; i < d->config->n_webhook; i++)
		if (check_hook(d, i) < 0)
			return -1;
	return 0;
}
