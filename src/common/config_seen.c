/* SPDX-License-Identifier: MIT
 *
 * [metrics] and [page]: addresses of their own, and do their settings fit
 * together?
 *
 * Runs in: master, pealctl.  Owns: nothing.
 */
#include <stdlib.h>

#include "common/config_parts.h"
#include "common/util.h"

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

int
config_check_seen(struct config_draft *d)
{
	(void)d;
	return 0;
}
