/* SPDX-License-Identifier: MIT
 *
 * What is answered where: see serve.h.
 */
#include "worker/serve.h"

#include "worker/conn.h"
#include "worker/worker.h"

/* SERVE_* of the conn's section. */
static int
kind_of(const struct conn *c)
{
	const struct config *set = worker.config;

	return c->section < set->n_listen ? set->listen[c->section].serve :
	    SERVE_CLIENTS;
}

static bool
has_own(int kind)
{
	const struct config *set = worker.config;
	size_t i;

	for (i = 0; i < set->n_listen; i++)
		if (set->listen[i].serve == kind)
			return true;
	return false;
}

bool
serve_here(const struct conn *c, enum served what)
{
	int kind = kind_of(c);

	switch (what) {
	case SERVED_HEALTH:
		return true;
	case SERVED_CLIENTS:
		return kind == SERVE_CLIENTS;
	case SERVED_METRICS:
		return kind == SERVE_METRICS ||
		    (kind == SERVE_CLIENTS && worker.config->metrics.shared);
	case SERVED_PAGE:
		return kind == SERVE_PAGE ||
		    (kind == SERVE_CLIENTS && !has_own(SERVE_PAGE));
	}
	return false;
}

bool
serve_path(const struct conn *c, struct bytes *path)
{
	struct bytes prefix = bytes_str(worker.config->http.path);

	if (prefix.n == 0 || kind_of(c) != SERVE_CLIENTS)
		return true;
	if (!bytes_starts(*path, prefix) ||
	    (path->n > prefix.n && path->p[prefix.n] != '/'))
		return false;
	*path = bytes_skip(*path, prefix.n);
	return true;
}
