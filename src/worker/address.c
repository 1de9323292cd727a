/* SPDX-License-Identifier: MIT
 *
 * Who is at the other end: see address.h.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "common/counters.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/util.h"
#include "worker/address.h"
#include "worker/conn.h"
#include "worker/forwarded.h"
#include "worker/proxy.h"
#include "worker/worker.h"

#define LINES_A_SECOND	5

struct address {
	struct hash_link	 link;
	struct ip		 ip;
	uint32_t		 refs;		/* conns that have it */
	uint32_t		 count;		/* those that are counted */
};

static struct hash addresses;

static struct bytes
address_key(const struct hash_link *l)
{
	const struct address *a = container_of(l, struct address, link);

	return bytes_of(a->ip.b, sizeof(a->ip.b));
}

static struct address *
address_get(const struct ip *ip)
{
	struct hash_link *l;
	struct address *a;

	if (addresses.key == NULL)
		hash_init(&addresses, address_key);
	l = hash_find(&addresses, bytes_of(ip->b, sizeof(ip->b)));
	if (l != NULL)
		return container_of(l, struct address, link);
	a = xcalloc(1, sizeof(*a));
	a->ip = *ip;
	hash_insert(&addresses, &a->link);
	return a;
}

void
address_give(struct conn *c)
{
	struct address *a = c->address;

	if (a == NULL)
		return;
	if (c->counted)
		a->count--;
	c->counted = 0;
	c->address = NULL;
	if (--a->refs > 0)
		return;
	hash_remove(&addresses, &a->link);
	free(a);
}

void
address_name(struct conn *c, const struct ip *ip)
{
	struct address *a = address_get(ip);

	a->refs++;		/* first: it may be the one given back */
	address_give(c);
	c->address = a;
}

int
address_count(struct conn *c)
{
	uint64_t max = worker.config->http.max_connections_per_address;
	static struct notice notice;

	if (max == 0 || c->counted)
		return 0;
	if (c->address->count >= max) {
		counter.refused_address++;
		address_log(&notice, c, "too many connections of one address",
		    NULL);
		return -1;
	}
	c->address->count++;
	c->counted = 1;
	return 0;
}

int
address_meet(struct conn *c, const struct listener *l,
    const struct sockaddr *from)
{
	struct ip ip;
	bool known = from != NULL && ip_of_sockaddr(from, &ip) == 0;

	c->trusted = known ? forwarded_trusts(&ip) :
	    l->local && forwarded_trusts_local();
	if (l->proxy) {
		if (c->trusted)
			return 0;
		proxy_refuse(c, "not one of http.trusted_proxies");
		return -1;
	}
	if (!known || c->trusted ||
	    worker.config->http.max_connections_per_address == 0)
		return 0;
	address_name(c, &ip);
	return address_count(c);
}

void
address_request(struct conn *c, const struct http_request *req)
{
	struct ip ip;

	if (!c->trusted)
		return;
	if (forwarded_for(req, &ip))
		address_name(c, &ip);
	else if (c->address != NULL && !forwarded_trusts(&c->address->ip))
		address_give(c);	/* that was the last request's */
}

/* A trusted one is no client: it would be cut off for all behind it. */
int
address_claim(struct conn *c)
{
	if (c->address == NULL || !c->trusted ||
	    forwarded_trusts(&c->address->ip))
		return 0;
	return address_count(c);
}

const struct ip *
address_ip(const struct conn *c)
{
	return c->address != NULL ? &c->address->ip : NULL;
}

void
address_restore(struct conn *c, const struct ip *ip, bool counted)
{
	address_name(c, ip);
	if (!counted || worker.config->http.max_connections_per_address == 0)
		return;
	c->address->count++;
	c->counted = 1;
}

const char *
address_text(const struct address *a, int fd)
{
	static char texts[4][IP_TEXT];
	static unsigned next;
	struct sockaddr_storage from = { .ss_family = AF_UNSPEC };
	socklen_t n = sizeof(from);
	struct ip ip;

	if (a != NULL)
		return ip_show(&a->ip, texts[next++ % 4]);
	if (getpeername(fd, (struct sockaddr *)&from, &n) == 0) {
		if (from.ss_family == AF_UNIX)
			return "unix";
		if (ip_of_sockaddr((struct sockaddr *)&from, &ip) == 0)
			return ip_show(&ip, texts[next++ % 4]);
	}
	return "-";
}

void
address_log(struct notice *n, const struct conn *c, const char *what,
    const char *why)
{
	if (notice_due(n, LINES_A_SECOND))
		notice_said(n, log_info("%s from=%s conn=%s%s%s%s left_out=%"
		    PRIu64, what, conn_from(c), conn_name(c),
		    why != NULL ? " why=\"" : "", why != NULL ? why : "",
		    why != NULL ? "\"" : "", n->left_out));
}
