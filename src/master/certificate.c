/* SPDX-License-Identifier: MIT
 *
 * Certificates and keys of the [listen] sections.
 *
 * Runs in: master.  Owns: see certificate.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/tls.h"
#include "common/util.h"
#include "master/certificate.h"

#define FILE_MAX	(1u << 20)	/* as tables/messages.def allows */

static int
file_read(const char *path, struct buf *text)
{
	ssize_t n = -1;
	int fd;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)) < 0)
		return -1;
	while ((n = read(fd, buf_room(text, 4096), 4096)) > 0) {
		text->n += (size_t)n;
		if (text->n > FILE_MAX) {
			errno = EFBIG;
			n = -1;
			break;
		}
	}
	close(fd);
	return n < 0 ? -1 : 0;
}

static int
part_read(const char *path, struct buf *text, char **why)
{
	if (file_read(path, text) == 0)
		return 0;
	*why = xasprintf("%s: %s", path, strerror(errno));
	return -1;
}

static int
certificate_read(const struct config_listen *settings, struct certificate *c,
    char **why)
{
	struct tls_context *tried;
	const char *words = NULL;

	if (settings->certificate == NULL)
		return 0;
	if (settings->certificate_key == NULL) {
		*why = xasprintf("%s: certificate_key is not set",
		    settings->certificate);
		return -1;
	}
	if (part_read(settings->certificate, &c->chain, why) < 0 ||
	    part_read(settings->certificate_key, &c->key, why) < 0)
		return -1;
	tried = tls_context_new(buf_view(&c->chain), buf_view(&c->key),
	    settings->tls_min_version, bytes_of(NULL, 0), &words);
	if (tried == NULL) {
		*why = xasprintf("%s and %s: %s", settings->certificate,
		    settings->certificate_key, words);
		return -1;
	}
	tls_context_free(tried);
	return 0;
}

struct certificate *
certificates_read(const struct config *config, char **why)
{
	struct certificate *all = xcalloc(config->n_listen, sizeof(*all));

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
	for (size_t i = 0; i < n; i++) {
		if (all[i].key.n != 0)
			explicit_bzero(all[i].key.p, all[i].key.n);
		buf_done(&all[i].chain);
		buf_done(&all[i].key);
	}
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
