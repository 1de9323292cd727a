/* SPDX-License-Identifier: MIT
 *
 * Which addresses webhooks may be sent to, see address.h.
 *
 * Runs in: the courier.
 */
#include "courier/address.h"

#include <stdlib.h>

#include "common/log.h"
#include "common/util.h"

bool
address_allowed(const struct address_rules *r, const struct ip *ip)
{
	if (r->all)
		return true;
	for (size_t i = 0; i < r->n_allow; i++)
		if (ip_net_has(&r->allow[i], ip))
			return true;
	return !ip_is_private(ip);
}

void
address_rules_done(struct address_rules *r)
{
	free(r->allow);
	*r = (struct address_rules){ .all = false };
}

void
address_rules_set(struct address_rules *r, const struct config_courier *c)
{
	const char *why;

	address_rules_done(r);
	r->all = c->allow_private;
	if (c->allow.n > 0)
		r->allow = xcalloc(c->allow.n, sizeof(*r->allow));
	for (size_t i = 0; i < c->allow.n; i++)
		if (ip_net_parse(bytes_str(c->allow.at[i]),
		    &r->allow[r->n_allow], &why) == 0)
			r->n_allow++;
		else
			log_warn("[courier] allow is no address text=%s why="
			    "\"%s\"", log_bytes(bytes_str(c->allow.at[i])), why);
}
