/* SPDX-License-Identifier: MIT
 *
 * Tests src/worker/table.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/hash.h"
#include "common/poison.h"
#include "common/util.h"
#include "worker/table.h"

#define N	3000u		/* conns: a dozen chunks */

static struct conn *conns[N];

static void
open_all(void)
{
	uint32_t i;

	for (i = 0; i < N; i++) {
		conns[i] = table_new();
		/* All its pages are used. */
		memset(table_client(conns[i]), 0xff, sizeof(struct client));
	}
}

static void
close_all(void)
{
	uint32_t i;

	for (i = 0; i < N; i++)
		table_free(conns[i]);
}

/* Octets that this process has in memory and shares with nobody. */
static size_t
resident(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long all, in, shared;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lu %lu %lu", &all, &in, &shared), 3);
	fclose(f);
	return (in - shared) * 4096;
}

struct id {
	struct hash_link	link;
	uint64_t		id;
};

static struct bytes
id_key(const struct hash_link *l)
{
	const struct id *i = container_of(l, struct id, link);

	return bytes_of((const char *)&i->id, sizeof(i->id));
}

static void
forget(struct hash *seen)
{
	struct hash_cursor at = { 0 };
	struct hash_link *l;

	while ((l = hash_walk(seen, &at)) != NULL) {
		hash_remove(seen, l);
		free(container_of(l, struct id, link));
	}
	hash_done(seen);
}

/* No id comes twice, also when its chunk was given back in between. */
static void
ids_are_new(void **state)
{
	struct hash seen;
	struct id *i;
	unsigned round, n;

	(void)state;
	hash_init(&seen, id_key);
	for (round = 0; round < 5; round++) {
		open_all();
		for (n = 0; n < N; n++) {
			i = xcalloc(1, sizeof(*i));
			i->id = conns[n]->id;
			assert_null(hash_find(&seen, id_key(&i->link)));
			hash_insert(&seen, &i->link);
			assert_ptr_equal(table_at(i->id & TABLE_INDEX),
			    conns[n]);
		}
		assert_int_equal(table_count(), N);
		close_all();
		assert_int_equal(table_count(), 0);
	}
	forget(&seen);
}

/* A place is not used again before its neighbours were: ids last. */
static void
places_take_turns(void **state)
{
	uint32_t used[256] = { 0 }, i;

	(void)state;
	for (i = 0; i < 256 * 4; i++) {
		struct conn *c = table_new();

		used[c->id & 255]++;
		table_free(c);
	}
	for (i = 0; i < 256; i++)
		assert_int_equal(used[i], 4);
}

static void
a_walk_finds_all(void **state)
{
	uint32_t at, n = 0, i;

	(void)state;
	at = 0;
	assert_null(table_from(&at));
	open_all();
	for (i = 0; i < N; i++)
		if (i % 7 != 0 && i != N - 1)
			table_free(conns[i]);
	for (at = 0; table_from(&at) != NULL; at++, n++)
		assert_ptr_equal(table_from(&at), table_at(at));
	assert_int_equal(n, table_count());
	assert_null(table_at(table_size()));
	for (i = 0; i < N; i++)
		if (i % 7 == 0 || i == N - 1)
			table_free(conns[i]);
}

/* New ones come to the front, so the chunks behind become empty. */
static void
low_places_first(void **state)
{
	uint32_t i, lowest = TABLE_INDEX;
	struct conn *c;

	(void)state;
	open_all();
	for (i = 0; i < N; i++)
		if ((conns[i]->id & TABLE_INDEX) < 256)
			lowest = i;
	assert_int_not_equal(lowest, (uint32_t)TABLE_INDEX);
	i = conns[lowest]->id & TABLE_INDEX;
	table_free(conns[lowest]);
	c = table_new();
	assert_int_equal(c->id & TABLE_INDEX, i);
	conns[lowest] = c;
	close_all();
}

static void
memory_goes_back(void **state)
{
	size_t before, with, after;

	(void)state;
	open_all();
	with = resident();
	close_all();
	before = resident();
	assert_true(with - before > (N - 512) * 256);
	open_all();
	close_all();
	after = resident();
	assert_true(after < before + 65536);
}

#ifdef PEAL_POISON
/* Who keeps a pointer to a conn that is gone does not get away with it. */
static void
a_free_place_is_poison(void **state)
{
	struct conn *a = table_new(), *b = table_new();
	struct client *cl = table_client(b);

	(void)state;
	assert_false(__asan_address_is_poisoned(&b->id));
	table_free(b);
	assert_true(__asan_address_is_poisoned(&b->id));
	assert_true(__asan_address_is_poisoned(&cl->user));
	assert_false(__asan_address_is_poisoned(&a->id));
	table_free(a);
}
#endif

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(places_take_turns),
		cmocka_unit_test(ids_are_new),
		cmocka_unit_test(a_walk_finds_all),
		cmocka_unit_test(low_places_first),
		cmocka_unit_test(memory_goes_back),
#ifdef PEAL_POISON
		cmocka_unit_test(a_free_place_is_poison),
#endif
	};

	table_init(3ull << 56);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
