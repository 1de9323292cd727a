/* SPDX-License-Identifier: MIT
 *
 * Certificates and keys of the [listen] sections, and a look at those for the
 * broker.
 *
 * Runs in: master.  Owns: see certificate.h.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/tls.h"
#include "common/util.h"
#include "master/certificate.h"

#define FILE_MAX	(1u << 20)	/* as tables/messages.def allows */

static int
part_read(const char *key, const char *path, struct buf *text, char **why)
{
	if (file_read(path, FILE_MAX, text) == 0)
		return 0;
	*why = xasprintf("%s: %s: %s", key, path, strerror(errno));
	return -1;
}

static void
certificate_done(struct certificate *c)
{
	if (c->key.n != 0)
		explicit_bzero(c->key.p, c->key.n);
	buf_done(&c->chain);
	buf_done(&c->key);
}

/* Do they fit together? */
static int
pair_try(const struct certificate *c, const char *chain, const char *key,
    int tls_min_version, char **why)
{
	struct tls_context *tried;
	const char *words = NULL;

	tried = tls_context_new(buf_view(&c->chain), buf_view(&c->key),
	    tls_min_version, bytes_of(NULL, 0), &words);
	if (tried == NULL) {
		*why = xasprintf("%s and %s: %s", chain, key, words);
		return -1;
	}
	tls_context_free(tried);
	return 0;
}

static int
certificate_read(const struct config_listen *settings, struct certificate *c,
    char **why)
{
	if (settings->certificate == NULL)
		return 0;
	if (settings->certificate_key == NULL) {
		*why = xasprintf("%s: certificate_key is not set",
		    settings->certificate);
		return -1;
	}
	if (part_read("[listen] certificate", settings->certificate, &c->chain,
	    why) < 0 ||
	    part_read("[listen] certificate_key", settings->certificate_key,
	    &c->key, why) < 0)
		return -1;
	return pair_try(c, settings->certificate, settings->certificate_key,
	    settings->tls_min_version, why);
}

/* What the router will show to the broker, and check it by.  It reads the files
 * itself; a mistake is told before anything is started. */
static int
broker_try(const struct config_backplane *b, char **why)
{
	struct certificate c = { 0 };
	struct buf ca = { 0 };
	int rc = 0;

	if (b->tls_ca != NULL)
		rc = part_read("[backplane] tls_ca", b->tls_ca, &ca, why);
	if (rc == 0 && b->tls_certificate != NULL)
		rc = part_read("[backplane] tls_certificate", b->tls_certificate,
		    &c.chain, why);
	if (rc == 0 && b->tls_certificate != NULL)
		rc = part_read("[backplane] tls_certificate_key",
		    b->tls_certificate_key, &c.key, why);
	if (rc == 0 && b->tls_certificate != NULL)
		rc = pair_try(&c, b->tls_certificate, b->tls_certificate_key,
		    TLS_1_2, why);
	certificate_done(&c);
	buf_done(&ca);
	return rc;
}

struct certificate *
certificates_read(const struct config *config, char **why)
{
	struct certificate *all;

	if (broker_try(&config->backplane, why) < 0)
		return NULL;
	all = xcalloc(config->n_listen, sizeof(*all));
	for (size_t i = 0; i < config->n_listen; i++) {
		if (certificate_read(&config->listen[i], &all[i], why) == 0)
			continue;
		certificates_free(all, config->n_listen);
		return NULL;
	}
	return all;
}

void
certificates_free(struct certificate *all, size_t n)
{
	if (all == NULL)
		return;
	for (size_t i = 0; i < n; i++)
		certificate_done(&all[i]);
	free(all);
}

bool
certificates_equal(const struct certificate *a, const struct certificate *b,
    size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!bytes_eq(buf_view(&a[i].chain), buf_view(&b[i].chain)) ||
		    !bytes_eq(buf_view(&a[i].key), buf_view(&b[i].key)))
			return false;
	return true;
}
