/* SPDX-License-Identifier: MIT
 *
 * Connections per address: see address.h.
 */
#include <netinet/in.h>
#include <stdlib.h>

#include "common/hash.h"
#include "common/util.h"
#include "worker/address.h"
#include "worker/worker.h"

struct address {
	struct hash_link	 link;
	uint32_t		 count;
	uint8_t			 n;
	char			 ip[16];
};

static struct hash addresses;

static struct bytes
address_key(const struct hash_link *l)
{
	const struct address *a = container_of(l, struct address, link);

	return bytes_of(a->ip, a->n);
}

static struct bytes
address_ip(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET)
		return bytes_of(&((const struct sockaddr_in *)
		    (const void *)sa)->sin_addr, 4);
	if (sa->sa_family == AF_INET6)
		return bytes_of(&((const struct sockaddr_in6 *)
		    (const void *)sa)->sin6_addr, 16);
	return bytes_of(NULL, 0);
}

int
address_take(const struct sockaddr *sa, struct address **out)
{
	uint64_t max = worker.config->http.max_connections_per_address;
	struct bytes ip = address_ip(sa);
	struct hash_link *l;
	struct address *a;

	*out = NULL;
	if (max == 0 || ip.n == 0)
		return 0;
	if (addresses.key == NULL)
		hash_init(&addresses, address_key);
	if ((l = hash_find(&addresses, ip)) == NULL) {
		a = xcalloc(1, sizeof(*a));
		memcpy(a->ip, ip.p, ip.n);
		a->n = ip.n;
		hash_insert(&addresses, &a->link);
	} else
		a = container_of(l, struct address, link);
	if (a->count >= max)
		return -1;
	a->count++;
	*out = a;
	return 0;
}

void
address_give(struct address *a)
{
	if (a == NULL || --a->count > 0)
		return;
	hash_remove(&addresses, &a->link);
	free(a);
}
