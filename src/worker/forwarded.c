/* SPDX-License-Identifier: MIT
 *
 * Trusted proxies and X-Forwarded-For: see forwarded.h.
 */
#include <stdlib.h>

#include "common/log.h"
#include "common/util.h"
#include "worker/forwarded.h"

static struct {
	struct ip_net	*nets;
	size_t		 n;
	bool		 local;
} trusted;

void
forwarded_init(const struct config *config)
{
	const struct config_strings *list = &config->http.trusted_proxies;
	const char *why;
	size_t i;

	free(trusted.nets);
	trusted.nets = xcalloc(list->n + 1, sizeof(*trusted.nets));
	trusted.n = 0;
	trusted.local = false;
	for (i = 0; i < list->n; i++)
		if (strcmp(list->at[i], "unix") == 0)
			trusted.local = true;
		else if (ip_net_parse(bytes_str(list->at[i]),
		    &trusted.nets[trusted.n], &why) == 0)
			trusted.n++;
		else
			fatal("trusted proxy: %s", why);
}

bool
forwarded_trusts(const struct ip *ip)
{
	size_t i;

	for (i = 0; i < trusted.n; i++)
		if (ip_net_has(&trusted.nets[i], ip))
			return true;
	return false;
}

bool
forwarded_trusts_local(void)
{
	return trusted.local;
}

/* Takes the last element off a comma list; false if there is none. */
static bool
last_element(struct bytes *list, struct bytes *element)
{
	size_t n = list->n;

	if (list->p == NULL)
		return false;
	while (n > 0 && list->p[n - 1] != ',')
		n--;
	*element = bytes_trim(bytes_skip(*list, n));
	if (n > 0)
		list->n = n - 1;
	else
		*list = bytes_of(NULL, 0);
	return true;
}

/* One line of the header, from its end.  True if the walk ends here. */
static bool
walk_line(struct bytes list, struct ip *ip, bool *found, unsigned *left)
{
	struct bytes element;
	struct ip one;

	while (last_element(&list, &element)) {
		if (element.n == 0)	/* lists may have empty elements */
			continue;
		if ((*left)-- == 0 || ip_parse_port(element, &one) < 0)
			return true;
		*ip = one;
		*found = true;
		if (!forwarded_trusts(&one))
			return true;
	}
	return false;
}

bool
forwarded_for(const struct http_request *req, struct ip *ip)
{
	unsigned left = FORWARDED_MAX, i;
	bool found = false;

	for (i = req->n_headers; i-- > 0;)
		if (bytes_ieq(req->headers[i].name, B("x-forwarded-for")) &&
		    walk_line(req->headers[i].value, ip, &found, &left))
			break;
	return found;
}
