/* SPDX-License-Identifier: MIT
 *
 * Tests src/common/hash.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "common/hash.h"
#include "common/util.h"

struct item {
	struct hash_link	link;
	uint32_t		number;
	bool			in, seen;
};

static struct bytes
key_of(const struct hash_link *l)
{
	const struct item *it = container_of(l, const struct item, link);

	return bytes_of(&it->number, sizeof(it->number));
}

static struct item *
find(struct hash *h, uint32_t number)
{
	struct hash_link *l = hash_find(h, bytes_of(&number, sizeof(number)));

	return l != NULL ? container_of(l, struct item, link) : NULL;
}

static struct item *
make_items(uint32_t n)
{
	struct item *items = xcalloc(n, sizeof(*items));

	for (uint32_t i = 0; i < n; i++)
		items[i].number = i;
	return items;
}

/* OpenSSL's SipHash with the same numbers of rounds. */
static uint64_t
reference(const uint64_t key[2], struct bytes text)
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
	unsigned c = 1, d = 3;
	size_t size = 8, n;
	uint64_t sum = 0;
	OSSL_PARAM params[] = {
		OSSL_PARAM_size_t("size", &size),
		OSSL_PARAM_uint("c-rounds", &c),
		OSSL_PARAM_uint("d-rounds", &d),
		OSSL_PARAM_END,
	};

	assert_int_equal(EVP_MAC_init(ctx, (const unsigned char *)key, 16,
	    params), 1);
	assert_int_equal(EVP_MAC_update(ctx, (const unsigned char *)text.p,
	    text.n), 1);
	assert_int_equal(EVP_MAC_final(ctx, (unsigned char *)&sum, &n, 8), 1);
	assert_int_equal(n, 8);
	EVP_MAC_CTX_free(ctx);
	EVP_MAC_free(mac);
	return sum;
}

static void
test_siphash(void **state)
{
	uint64_t zero[2] = { 0, 0 }, key[2];
	char text[100];

	(void)state;
	/* hash(b"abcdefghij") of CPython 3.11 with PYTHONHASHSEED=0 */
	assert_true(hash_siphash13(zero, B("abcdefghij")) ==
	    UINT64_C(0xf47c264806c40ff1));
	for (size_t n = 0; n <= sizeof(text); n++) {
		random_fill(key, sizeof(key));
		random_fill(text, sizeof(text));
		assert_true(hash_siphash13(key, bytes_of(text, n)) ==
		    reference(key, bytes_of(text, n)));
	}
}

static void
test_empty(void **state)
{
	struct hash_cursor c = { 0 };
	struct hash h;

	(void)state;
	hash_init(&h, key_of);
	assert_null(find(&h, 1));
	assert_null(hash_walk(&h, &c));
	assert_null(hash_walk(&h, &c));
	hash_done(&h);
	hash_done(&h);
}

static void
test_basic(void **state)
{
	struct item *items = make_items(100);
	struct hash h;

	(void)state;
	hash_init(&h, key_of);
	for (uint32_t i = 0; i < 100; i++) {
		assert_null(find(&h, i));
		hash_insert(&h, &items[i].link);
		assert_ptr_equal(find(&h, i), &items[i]);
		assert_int_equal(h.count, i + 1);
	}
	for (uint32_t i = 0; i < 100; i++)
		assert_ptr_equal(find(&h, i), &items[i]);
	assert_null(find(&h, 100));
	for (uint32_t i = 0; i < 100; i += 2)
		hash_remove(&h, &items[i].link);
	for (uint32_t i = 0; i < 100; i++)
		assert_ptr_equal(find(&h, i), i % 2 ? &items[i] : NULL);
	hash_done(&h);
	assert_null(find(&h, 1));
	free(items);
}

/* What was found last is not looked for again; but it may have gone. */
static void
test_found_again(void **state)
{
	struct item *items = make_items(3);
	struct hash h;

	(void)state;
	hash_init(&h, key_of);
	for (uint32_t i = 0; i < 3; i++)
		hash_insert(&h, &items[i].link);
	assert_ptr_equal(find(&h, 1), &items[1]);
	assert_ptr_equal(find(&h, 1), &items[1]);
	assert_ptr_equal(find(&h, 2), &items[2]);
	hash_remove(&h, &items[1].link);
	assert_null(find(&h, 1));
	assert_ptr_equal(find(&h, 2), &items[2]);
	hash_remove(&h, &items[2].link);
	assert_null(find(&h, 2));
	assert_ptr_equal(find(&h, 0), &items[0]);
	hash_done(&h);
	assert_null(find(&h, 0));
	free(items);
}

/* A million inserts: none of them may move more than a few buckets, and the
 * chains must stay short. */
static void
test_million(void **state)
{
	enum { N = 1000000 };
	struct item *items = make_items(N);
	uint32_t moved, worst = 0, longest = 0, chain;
	struct hash h;

	(void)state;
	hash_init(&h, key_of);
	for (uint32_t i = 0; i < N; i++) {
		bool growing = h.old != NULL;
		uint32_t before = growing ? h.moved : 0;
		uint32_t all = h.old_size;

		hash_insert(&h, &items[i].link);
		if (growing)
			moved = h.old != NULL ? h.moved - before : all - before;
		else
			moved = h.old != NULL ? h.moved : 0;
		if (moved > worst)
			worst = moved;
	}
	assert_in_range(worst, 1, 8);
	assert_int_equal(h.count, N);
	for (uint32_t i = 0; i < N; i++) {
		if (find(&h, i) != &items[i])
			fail_msg("item %u is lost", i);
	}
	for (uint32_t i = 0; i < h.now_size; i++) {
		chain = 0;
		for (struct hash_link *l = h.now[i]; l != NULL; l = l->next)
			chain++;
		if (chain > longest)
			longest = chain;
	}
	assert_in_range(longest, 1, 20);
	for (uint32_t i = 0; i < N; i++)
		hash_remove(&h, &items[i].link);
	assert_int_equal(h.count, 0);
	/* An empty table gives its memory back. */
	assert_true(h.now_size <= 16 && h.old == NULL);
	hash_done(&h);
	free(items);
}

static void
check_walk(struct hash *h, struct item *items, uint32_t n)
{
	struct hash_cursor c = { 0 };
	struct hash_link *l;
	struct item *it;
	uint32_t count = 0;

	for (uint32_t i = 0; i < n; i++)
		items[i].seen = false;
	while ((l = hash_walk(h, &c)) != NULL) {
		it = container_of(l, struct item, link);
		assert_true(it->in);
		assert_false(it->seen);
		it->seen = true;
		count++;
	}
	assert_int_equal(count, h->count);
}

/* Random inserts and removals against a plain array, through growing and
 * shrinking. */
static void
test_random(void **state)
{
	enum { N = 5000, ROUNDS = 12 };
	struct item *items = make_items(N);
	uint32_t count = 0, resizes = 0, size = 0;
	struct hash h;

	(void)state;
	hash_init(&h, key_of);
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned step = 0; step < 40000; step++) {
			struct item *it = &items[random_1_to(N) - 1];
			/* Even rounds fill, odd ones empty it. */
			bool add = random_1_to(100) > (round % 2 ? 97 : 10);

			if (it->in && !add) {
				hash_remove(&h, &it->link);
				it->in = false;
				count--;
			} else if (!it->in && add) {
				hash_insert(&h, &it->link);
				it->in = true;
				count++;
			}
			assert_ptr_equal(find(&h, it->number),
			    it->in ? it : NULL);
			assert_int_equal(h.count, count);
			resizes += h.now_size != size;
			size = h.now_size;
			if (step % 2500 == 0)
				check_walk(&h, items, N);
		}
		for (uint32_t i = 0; i < N; i++)
			assert_ptr_equal(find(&h, i),
			    items[i].in ? &items[i] : NULL);
	}
	assert_true(resizes > 15);
	hash_done(&h);
	free(items);
}

/* Items are removed and freed while a walk gives them out, also halfway
 * through growing. */
static void
test_walk_and_free(void **state)
{
	(void)state;
	for (uint32_t n = 1; n < 200; n++) {
		struct hash_cursor c = { 0 };
		struct hash_link *l;
		struct hash h;
		uint32_t given = 0;

		hash_init(&h, key_of);
		for (uint32_t i = 0; i < n; i++) {
			struct item *it = xcalloc(1, sizeof(*it));

			it->number = i;
			hash_insert(&h, &it->link);
		}
		while ((l = hash_walk(&h, &c)) != NULL) {
			struct item *it = container_of(l, struct item, link);

			assert_non_null(find(&h, it->number));
			hash_remove(&h, l);
			assert_null(find(&h, it->number));
			free(it);
			given++;
		}
		assert_int_equal(given, n);
		assert_int_equal(h.count, 0);
		hash_done(&h);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_siphash),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_basic),
		cmocka_unit_test(test_found_again),
		cmocka_unit_test(test_million),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_walk_and_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
