/* SPDX-License-Identifier: MIT
 *
 * What was taken from another host.
 *
 * Runs in: the router.
 */
#include "router/seen.h"

#include <stdlib.h>

#include "common/util.h"

struct seen_row {
	struct hash_link	 link;
	TAILQ_ENTRY(seen_row)	 order;
	uint64_t		 key[2];	/* origin, lane */
	uint64_t		 serial;
};

static struct bytes
key_of_row(const struct hash_link *l)
{
	const struct seen_row *row = container_of(l, const struct seen_row,
	    link);

	return bytes_of(row->key, sizeof(row->key));
}

struct seen *
seen_new(uint64_t *all)
{
	struct seen *s = xcalloc(1, sizeof(*s));

	s->all = all;
	hash_init(&s->rows, key_of_row);
	TAILQ_INIT(&s->order);
	return s;
}

static void
row_drop(struct seen *s, struct seen_row *row)
{
	TAILQ_REMOVE(&s->order, row, order);
	hash_remove(&s->rows, &row->link);
	--*s->all;
	free(row);
}

void
seen_free(struct seen *s)
{
	if (s == NULL)
		return;
	while (!TAILQ_EMPTY(&s->order))
		row_drop(s, TAILQ_FIRST(&s->order));
	hash_done(&s->rows);
	free(s);
}

static struct seen_row *
row_get(struct seen *s, uint64_t origin, unsigned lane)
{
	uint64_t key[2] = { origin, lane };
	struct hash_link *l = hash_find(&s->rows, bytes_of(key, sizeof(key)));
	struct seen_row *row;

	if (l != NULL) {
		row = container_of(l, struct seen_row, link);
		TAILQ_REMOVE(&s->order, row, order);
		TAILQ_INSERT_TAIL(&s->order, row, order);
		return row;
	}
	while (s->rows.count >= (*s->all < SEEN_ALL ? SEEN_MAX : SEEN_LEAST))
		row_drop(s, TAILQ_FIRST(&s->order));
	++*s->all;
	row = xcalloc(1, sizeof(*row));
	row->key[0] = origin;
	row->key[1] = lane;
	hash_insert(&s->rows, &row->link);
	TAILQ_INSERT_TAIL(&s->order, row, order);
	return row;
}

bool
seen_before(struct seen *s, unsigned lane, uint64_t number, uint64_t origin,
    uint64_t serial)
{
	struct seen_row *row;

	if (number <= s->numbers[lane])
		return true;
	s->numbers[lane] = number;
	row = row_get(s, origin, lane);
	if (serial <= row->serial)
		return true;
	row->serial = serial;
	return false;
}

void
seen_note(struct seen *s, unsigned lane, uint64_t number, uint64_t origin,
    uint64_t serial)
{
	struct seen_row *row;

	if (number > s->numbers[lane])
		s->numbers[lane] = number;
	if (origin == 0)
		return;
	row = row_get(s, origin, lane);
	if (serial > row->serial)
		row->serial = serial;
}

void
seen_each(const struct seen *s, void *ctx, void (*each)(void *ctx,
    unsigned lane, uint64_t number, uint64_t origin, uint64_t serial))
{
	const struct seen_row *row;

	for (unsigned lane = 0; lane < LANES; lane++) {
		if (s->numbers[lane] != 0)
			each(ctx, lane, s->numbers[lane], 0, 0);
	}
	TAILQ_FOREACH(row, &s->order, order)
		each(ctx, (unsigned)row->key[1], 0, row->key[0], row->serial);
}
