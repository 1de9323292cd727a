/* SPDX-License-Identifier: MIT
 *
 * Names that the master looks up, see name.h.
 *
 * Runs in: the courier.
 */
#include "courier/name.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/util.h"

struct name {
	LIST_ENTRY(name) link;
	char		*host;
	uint64_t	 cookie;	/* 0: not being asked for */
	uint64_t	 wanted;	/* who waits for longest has the lowest */
	uint64_t	 until;		/* of the answer, or for one */
	struct addresses addresses;
	TAILQ_HEAD(, name_wait) waits;
};

static struct name *
name_get(struct names *all, struct bytes host)
{
	struct name *n;

	LIST_FOREACH(n, &all->all, link)
		if (bytes_ieq(bytes_str(n->host), host))
			return n;
	n = xcalloc(1, sizeof(*n));
	n->host = bytes_dup(host);
	TAILQ_INIT(&n->waits);
	LIST_INSERT_HEAD(&all->all, n, link);
	return n;
}

static void
name_free(struct name *n)
{
	LIST_REMOVE(n, link);
	free(n->host);
	free(n);
}

/* Somebody waits for it, and nobody is asked. */
static bool
is_wanted(const struct name *n)
{
	return n->cookie == 0 && !TAILQ_EMPTY(&n->waits);
}

static void
ask_wanted(struct names *all, uint64_t now)
{
	struct name *n, *first;

	while (all->asked < NAMES_ASKED) {
		first = NULL;
		LIST_FOREACH(n, &all->all, link)
			if (is_wanted(n) && (first == NULL ||
			    n->wanted < first->wanted))
				first = n;
		if (first == NULL)
			return;
		all->asked++;
		first->cookie = ++all->last_cookie;
		first->until = now + NAME_LATE_MS;
		all->ask(all->ctx, first->cookie, bytes_str(first->host));
	}
}

void
names_find(struct names *all, struct bytes host, struct name_wait *w,
    uint64_t now)
{
	struct name *n = name_get(all, host);

	if (n->cookie == 0 && n->addresses.n > 0 && now < n->until) {
		w->name = NULL;
		w->found(w->ctx, &n->addresses, NULL);
		return;
	}
	if (TAILQ_EMPTY(&n->waits))
		n->wanted = ++all->last_wanted;
	w->name = n;
	TAILQ_INSERT_TAIL(&n->waits, w, link);
	ask_wanted(all, now);
}

void
names_leave(struct name_wait *w)
{
	if (w->name == NULL)
		return;
	TAILQ_REMOVE(&w->name->waits, w, link);
	w->name = NULL;
}

static void
answer(struct names *all, struct name *n, const char *why)
{
	struct name_wait *w;

	all->asked--;
	n->cookie = 0;
	while ((w = TAILQ_FIRST(&n->waits)) != NULL) {
		names_leave(w);
		w->found(w->ctx, why == NULL ? &n->addresses : NULL, why);
	}
}

static void
take_address(struct addresses *to, struct bytes b)
{
	if (to->n == NAME_ADDRESSES)
		return;
	if (b.n == 4)
		ip_of_v4(b.p, &to->at[to->n++]);
	else if (b.n == 16)
		memcpy(to->at[to->n++].b, b.p, 16);
}

void
names_found(struct names *all, const struct msg_found *m, uint64_t now)
{
	char why[300] = "the name has no address";
	struct name *n;

	LIST_FOREACH(n, &all->all, link)
		if (n->cookie != 0 && n->cookie == m->cookie)
			break;
	if (n == NULL)
		return;
	n->addresses.n = 0;
	for (uint32_t i = 0; i < m->addresses.n; i++)
		take_address(&n->addresses, msg_list_at(&m->addresses, i));
	n->until = now + NAME_GOOD_MS;
	if (m->why.n != 0)
		snprintf(why, sizeof(why), "the name was not found: %s",
		    log_bytes(m->why));
	answer(all, n, n->addresses.n == 0 ? why : NULL);
	ask_wanted(all, now);
}

void
names_prefer(struct names *all, struct bytes host, const struct ip *ip)
{
	struct name *n = name_get(all, host);
	struct addresses *a = &n->addresses;
	struct ip first;

	for (unsigned i = 1; i < a->n; i++)
		if (memcmp(&a->at[i], ip, sizeof(*ip)) == 0) {
			first = a->at[0];
			a->at[0] = a->at[i];
			a->at[i] = first;
		}
}

void
names_tick(struct names *all, uint64_t now)
{
	struct name *n, *next;

	for (n = LIST_FIRST(&all->all); n != NULL; n = next) {
		next = LIST_NEXT(n, link);
		if (now < n->until)
			continue;
		if (n->cookie != 0)
			answer(all, n, "the name was not looked up in time");
		else if (TAILQ_EMPTY(&n->waits))
			name_free(n);
	}
	ask_wanted(all, now);
}

void
names_init(struct names *all, void (*ask)(void *ctx, uint64_t cookie,
    struct bytes host), void *ctx)
{
	*all = (struct names){ .ask = ask, .ctx = ctx };
	LIST_INIT(&all->all);
}

void
names_done(struct names *all)
{
	struct name *n;

	while ((n = LIST_FIRST(&all->all)) != NULL)
		name_free(n);
}
