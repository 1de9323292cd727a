/* SPDX-License-Identifier: MIT
 *
 * Cache misses that were said of late, see miss.h.
 *
 * Runs in: the courier.
 */
#include "courier/miss.h"

#include <stdlib.h>

#include "common/util.h"

struct miss {
	struct hash_link	 hash;
	TAILQ_ENTRY(miss)	 link;
	uint64_t		 when;
	size_t			 n;
	char			 key[];
};

static struct bytes
key_of(const struct hash_link *l)
{
	const struct miss *m = (const void *)l;

	return bytes_of(m->key, m->n);
}

static void
forget(struct misses *all, struct miss *m)
{
	hash_remove(&all->all, &m->hash);
	TAILQ_REMOVE(&all->queue, m, link);
	free(m);
}

bool
misses_say(struct misses *all, struct bytes app, struct bytes channel,
    uint64_t now)
{
	struct miss *m;

	while ((m = TAILQ_FIRST(&all->queue)) != NULL &&
	    (now - m->when >= MISS_MS || all->all.count >= MISSES_MAX))
		forget(all, m);
	buf_clear(&all->key);
	buf_fmt(&all->key, "%zu:", app.n);
	buf_bytes(&all->key, app);
	buf_bytes(&all->key, channel);
	if (hash_find(&all->all, buf_view(&all->key)) != NULL)
		return false;
	m = xmalloc(sizeof(*m) + all->key.n);
	m->when = now;
	m->n = all->key.n;
	memcpy(m->key, all->key.p, m->n);
	hash_insert(&all->all, &m->hash);
	TAILQ_INSERT_TAIL(&all->queue, m, link);
	return true;
}

void
misses_init(struct misses *all)
{
	hash_init(&all->all, key_of);
	TAILQ_INIT(&all->queue);
	all->key = (struct buf){ 0 };
}

void
misses_done(struct misses *all)
{
	struct miss *m;

	while ((m = TAILQ_FIRST(&all->queue)) != NULL)
		forget(all, m);
	hash_done(&all->all);
	buf_done(&all->key);
}
