/* SPDX-License-Identifier: MIT
 *
 * [backplane]: a url becomes the single settings that it stands for, so that
 * no driver reads one; and do its settings fit together?
 *
 * Runs in: master, pealctl.  Owns: nothing.
 */
#include <stdlib.h>

#include "common/config_parts.h"
#include "common/log.h"
#include "common/util.h"

#define KEY_MIN		32	/* octets of signing_key */
#define CHANNEL_MAX	100	/* octets of channel */

static struct config_mark *
mark(struct config_draft *d)
{
	return config_draft_nth(d, "backplane", 0);
}

static bool
given(const char *text)
{
	return text != NULL && text[0] != '\0';
}

/* ---- url ----------------------------------------------------------------- */

/* What was found good already, at the place of the url. */
static void
set(struct config_draft *d, const char *key, struct bytes value)
{
	struct config_mark *m = mark(d);

	if (value.n > 0)
		(void)config_draft_set(d, m, key, value, false,
		    config_draft_place(m, "url"), NULL);
}

static void
set_number(struct config_draft *d, const char *key, uint64_t n)
{
	struct buf text = { 0 };

	buf_u64(&text, n);
	set(d, key, buf_view(&text));
	buf_done(&text);
}

/* As in Reverb, what the url does not name stays as it is. */
static void
set_all(struct config_draft *d, const struct config_url *u)
{
	set(d, "host", buf_view(&u->host));
	if (u->port != 0)
		set_number(d, "port", u->port);
	set(d, "username", buf_view(&u->username));
	set(d, "password", buf_view(&u->password));
	if (u->has_database)
		set_number(d, "database", u->database);
	if (u->tls)
		set(d, "tls", B("yes"));
}

int
config_backplane_expand(struct config_draft *d)
{
	struct config_backplane *b = &d->config->backplane;
	struct config_url u;
	const char *why;
	int rc;

	if (!given(b->url))
		return 0;
	rc = config_url_parse(bytes_str(b->url), &u, &why);
	if (rc < 0)
		config_draft_refuse_key(d, mark(d), "url", "%s", why);
	else
		set_all(d, &u);
	config_url_done(&u);
	free(b->url);
	b->url = NULL;
	return rc;
}

/* ---- host ---------------------------------------------------------------- */

/* REDIS_HOST often holds a scheme: tls://redis.example. */
static struct bytes
without_scheme(struct bytes host, bool *tls)
{
	static const struct { struct bytes text; bool tls; } schemes[] = {
		{ BYTES("tls://"), true }, { BYTES("rediss://"), true },
		{ BYTES("ssl://"), true }, { BYTES("tcp://"), false },
		{ BYTES("redis://"), false }, { BYTES("unix://"), false },
		{ BYTES("unix:"), false },
	};
	size_t i;

	for (i = 0; i < NELEM(schemes); i++)
		if (bytes_starts(host, schemes[i].text)) {
			*tls = *tls || schemes[i].tls;
			return bytes_skip(host, schemes[i].text.n);
		}
	return host;
}

static int
host_parse(struct bytes host, struct config_address *a, const char **why)
{
	struct buf text = { 0 };
	const char *bad;
	int rc;

	*a = (struct config_address){ 0 };
	if (host.n == 0 || host.p[0] != '/') {
		*why = "not a host: a name, an IPv4 or an IPv6 address, or "
		    "the /path of a unix socket; its port stands in port";
		if (config_host_parse(host, a, &bad) < 0)
			return -1;
		return a->host.n > 0 ? 0 : -1;
	}
	buf_str(&text, "unix:");
	buf_bytes(&text, host);
	rc = config_address_parse(buf_view(&text), a, why);
	buf_done(&text);
	a->host = host;
	return rc;
}

/* A name, an address without brackets, or the path of a unix socket. */
static int
check_host(struct config_draft *d)
{
	struct config_backplane *b = &d->config->backplane;
	struct bytes host = without_scheme(bytes_str(b->host), &b->tls);
	struct config_address a;
	const char *why;
	char *text;

	if (host_parse(host, &a, &why) < 0)
		return config_draft_refuse_key(d, mark(d), "host", "%s%s%s",
		    log_bytes(host), host.n > 0 ? ": " : "", why);
	if (a.local && b->tls)
		return config_draft_refuse_key(d, mark(d), "tls",
		    "not over a unix socket");
	text = bytes_dup(a.host);
	free(b->host);
	b->host = text;
	return 0;
}

/* ---- lists --------------------------------------------------------------- */

static int
check_list(struct config_draft *d, const char *key,
    struct config_strings *list)
{
	struct buf text = { 0 };
	struct config_address a;
	const char *why;
	size_t i;

	for (i = 0; i < list->n; i++) {
		if (config_address_parse(bytes_str(list->at[i]), &a, &why) <
		    0 || a.local || a.host.n == 0 || a.port == 0)
			return config_draft_refuse_key(d, mark(d), key,
			    "%s: not HOST:PORT or [IPv6]:PORT",
			    log_bytes(bytes_str(list->at[i])));
		config_address_show(&a, &text);
		free(list->at[i]);
		list->at[i] = bytes_dup(buf_view(&text));
		buf_done(&text);
	}
	return 0;
}

/* ---- what needs what ----------------------------------------------------- */

static int
refuse(struct config_draft *d, const char *key, const char *why)
{
	return config_draft_refuse_key(d, mark(d), key, "%s", why);
}

static int
check_tls(struct config_draft *d, const struct config_backplane *b)
{
	if (given(b->tls_certificate) && !given(b->tls_certificate_key))
		return refuse(d, "tls_certificate",
		    "needs a tls_certificate_key beside it");
	if (!given(b->tls_certificate) && given(b->tls_certificate_key))
		return refuse(d, "tls_certificate_key",
		    "needs a tls_certificate beside it");
	if (b->tls)
		return 0;
	if (given(b->tls_certificate))
		return refuse(d, "tls_certificate", "needs tls = yes");
	if (given(b->tls_ca))
		return refuse(d, "tls_ca", "needs tls = yes");
	return given(b->tls_name) ? refuse(d, "tls_name", "needs tls = yes") :
	    0;
}

static int
check_kind(struct config_draft *d, const struct config_backplane *b)
{
	if (b->sentinels.n > 0 && b->cluster)
		return refuse(d, "sentinels", "a cluster finds its masters "
		    "itself: allowed are sentinels or cluster = yes");
	if (b->sentinels.n > 0 && !given(b->sentinel_master))
		return refuse(d, "sentinel_master", "is missing: what the "
		    "Sentinels call the master");
	if (b->sentinels.n == 0 && given(b->sentinel_username))
		return refuse(d, "sentinel_username", "needs sentinels");
	if (b->sentinels.n == 0 && given(b->sentinel_password))
		return refuse(d, "sentinel_password", "needs sentinels");
	if (b->nodes.n > 0 && !b->cluster)
		return refuse(d, "nodes", "needs cluster = yes");
	if (b->cluster && b->database != 0)
		return refuse(d, "database", "a cluster has only database 0");
	return 0;
}

/* A client could not tell the end of the prefix, or a cluster not the slot. */
static int
check_channel(struct config_draft *d, const struct config_backplane *b)
{
	struct bytes name = bytes_str(b->channel);

	if (name.n == 0)
		return refuse(d, "channel", "is missing: what all names on "
		    "the broker begin with");
	if (name.n > CHANNEL_MAX)
		return refuse(d, "channel", "has more than 100 octets");
	if (strpbrk(b->channel, "{} ") != NULL)
		return config_draft_refuse_key(d, mark(d), "channel",
		    "%s: may not hold { } or spaces", log_bytes(name));
	return 0;
}

static int
check_times(struct config_draft *d, const struct config_backplane *b)
{
	if (b->host_timeout <= 2 * b->heartbeat)
		return refuse(d, "host_timeout", "must be longer than two "
		    "heartbeats, or a host that lives is taken for dead");
	if (b->partition_timeout < b->host_timeout)
		return refuse(d, "partition_timeout",
		    "must not be shorter than host_timeout");
	if (b->echo_timeout >= b->backlog_age)
		return refuse(d, "echo_timeout",
		    "must be shorter than backlog_age");
	return 0;
}

static int
check_signing(struct config_draft *d, const struct config_backplane *b)
{
	if (!b->signing)
		return given(b->signing_key) ? refuse(d, "signing_key",
		    "needs signing = yes") : 0;
	if (!given(b->signing_key))
		return refuse(d, "signing", "needs a signing_key beside it");
	if (strlen(b->signing_key) < KEY_MIN)
		return refuse(d, "signing_key", "is too short; allowed are "
		    "32 characters and more (openssl rand -hex 32)");
	return 0;
}

static bool
in_file(const struct config_mark *m, const char *key)
{
	const struct config_key *k = config_key_find(m->section,
	    bytes_str(key));

	return k != NULL && m->keys[k - m->section->keys].name != NULL;
}

/* Who names a broker and leaves out the driver has forgotten it. */
static int
check_driver(struct config_draft *d)
{
	static const char *const keys[] = { "url", "host", "sentinels",
		"cluster" };
	size_t i;

	if (in_file(mark(d), "driver"))
		return 0;
	for (i = 0; i < NELEM(keys); i++)
		if (in_file(mark(d), keys[i]))
			return refuse(d, keys[i], "needs driver = redis "
			    "beside it; or driver = none, to leave it unused");
	return 0;
}

int
config_backplane_check(struct config_draft *d)
{
	struct config_backplane *b = &d->config->backplane;

	if (config_backplane_expand(d) < 0 || check_host(d) < 0 ||
	    check_list(d, "sentinels", &b->sentinels) < 0 ||
	    check_list(d, "nodes", &b->nodes) < 0 ||
	    check_channel(d, b) < 0 || check_kind(d, b) < 0 ||
	    check_tls(d, b) < 0 || check_times(d, b) < 0)
		return -1;
	return check_signing(d, b) < 0 ? -1 : check_driver(d);
}
