/* SPDX-License-Identifier: MIT
 *
 * The big tables, see hash.h.
 *
 * While a table changes its size, a bucket of the old array is either whole
 * (its number is `moved` or above) or empty, so every item has exactly one
 * place to look at.  Only inserts move buckets: a walk may find and remove
 * without anything changing its place.
 */
#include "common/hash.h"

#include <endian.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/util.h"

#define SMALLEST	16u
/* Applications are few, and what is looked for is most often what was looked for
 * before. */
#define SMALL		16u
/* Old buckets moved per insert: two would do for growing, four also finish a
 * shrink before it can be wanted again. */
#define STEP		4u

/* ---- SipHash-1-3 -------------------------------------------------------- */

struct sip {
	uint64_t a, b, c, d;
};

static inline uint64_t
rotate(uint64_t x, unsigned by)
{
	return x << by | x >> (64 - by);
}

static inline void
sip_round(struct sip *s)
{
	s->a += s->b;
	s->c += s->d;
	s->b = rotate(s->b, 13) ^ s->a;
	s->d = rotate(s->d, 16) ^ s->c;
	s->a = rotate(s->a, 32);
	s->c += s->b;
	s->a += s->d;
	s->b = rotate(s->b, 17) ^ s->c;
	s->d = rotate(s->d, 21) ^ s->a;
	s->c = rotate(s->c, 32);
}

static inline void
sip_word(struct sip *s, uint64_t word)
{
	s->d ^= word;
	sip_round(s);
	s->a ^= word;
}

uint64_t
hash_siphash13(const uint64_t key[2], struct bytes text)
{
	/* "somepseudorandomlygeneratedbytes", as its authors chose. */
	struct sip s = {
		key[0] ^ UINT64_C(0x736f6d6570736575),
		key[1] ^ UINT64_C(0x646f72616e646f6d),
		key[0] ^ UINT64_C(0x6c7967656e657261),
		key[1] ^ UINT64_C(0x7465646279746573),
	};
	uint64_t word;
	size_t left;

	for (left = text.n; left >= 8; left -= 8) {
		memcpy(&word, text.p + (text.n - left), 8);
		sip_word(&s, le64toh(word));
	}
	word = 0;
	if (left != 0)
		memcpy(&word, text.p + (text.n - left), left);
	sip_word(&s, le64toh(word) | (uint64_t)text.n << 56);
	s.c ^= 0xff;
	sip_round(&s);
	sip_round(&s);
	sip_round(&s);
	return s.a ^ s.b ^ s.c ^ s.d;
}

uint64_t
hash_bytes(struct bytes text)
{
	static uint64_t key[2];
	static bool ready;

	if (__builtin_expect(!ready, 0)) {
		random_fill(key, sizeof(key));
		ready = true;
	}
	return hash_siphash13(key, text);
}

/* ---- the table ---------------------------------------------------------- */

void
hash_init(struct hash *h, hash_key_fn key)
{
	*h = (struct hash){ .key = key };
}

void
hash_done(struct hash *h)
{
	free(h->now);
	free(h->old);
	*h = (struct hash){ .key = h->key };
}

/* Where an item with this hash is, or would be put. */
static struct hash_link **
bucket_of(struct hash *h, uint64_t hash)
{
	if (h->old != NULL) {
		uint32_t i = (uint32_t)hash & (h->old_size - 1);

		if (i >= h->moved)
			return &h->old[i];
	}
	return &h->now[(uint32_t)hash & (h->now_size - 1)];
}

static void
move_bucket(struct hash *h, uint32_t i)
{
	struct hash_link *l, *next, **to;

	for (l = h->old[i]; l != NULL; l = next) {
		next = l->next;
		to = &h->now[(uint32_t)l->hash & (h->now_size - 1)];
		l->next = *to;
		*to = l;
	}
	h->old[i] = NULL;
}

static void
move_some(struct hash *h)
{
	for (unsigned n = 0; n < STEP && h->moved < h->old_size; n++)
		move_bucket(h, h->moved++);
	if (h->moved == h->old_size) {
		free(h->old);
		h->old = NULL;
		h->old_size = h->moved = 0;
	}
}

static void
resize(struct hash *h, uint32_t size)
{
	h->old = h->now;
	h->old_size = h->now_size;
	h->moved = 0;
	h->now = xcalloc(size, sizeof(*h->now));
	h->now_size = size;
}

static void
fit(struct hash *h)
{
	if (h->now == NULL) {
		h->now = xcalloc(SMALLEST, sizeof(*h->now));
		h->now_size = SMALLEST;
	} else if (h->old != NULL) {
		move_some(h);
	} else if (h->count >= h->now_size && h->now_size < 1u << 31) {
		resize(h, h->now_size * 2);
	} else if (h->now_size > SMALLEST && h->count < h->now_size / 16) {
		resize(h, h->now_size / 4 > SMALLEST ? h->now_size / 4 :
		    SMALLEST);
	}
}

struct hash_link *
hash_find(struct hash *h, struct bytes key)
{
	struct hash_link *l;
	uint64_t hash;

	if (h->count == 0)
		return NULL;
	if (h->last != NULL && bytes_eq(h->key(h->last), key))
		return h->last;
	hash = hash_bytes(key);
	for (l = *bucket_of(h, hash); l != NULL; l = l->next) {
		if (l->hash == hash && bytes_eq(h->key(l), key))
			break;
	}
	h->last = h->count <= SMALL ? l : NULL;
	return l;
}

void
hash_insert(struct hash *h, struct hash_link *l)
{
	struct hash_link **to;

	fit(h);
	l->hash = hash_bytes(h->key(l));
	to = bucket_of(h, l->hash);
	l->next = *to;
	*to = l;
	h->count++;
}

void
hash_remove(struct hash *h, struct hash_link *l)
{
	struct hash_link **at;

	if (h->count == 0)
		fatal("an item removed from an empty table");
	for (at = bucket_of(h, l->hash); *at != l; at = &(*at)->next) {
		if (*at == NULL)
			fatal("an item removed that is not in its table");
	}
	*at = l->next;
	l->next = NULL;
	if (h->last == l)
		h->last = NULL;
	if (--h->count == 0 && h->now_size > SMALLEST)
		hash_done(h);
}

/* The first item of the buckets from *bucket on; *bucket is then behind it. */
static struct hash_link *
first_from(struct hash_link **buckets, uint32_t size, uint32_t *bucket)
{
	while (*bucket < size) {
		struct hash_link *l = buckets[(*bucket)++];

		if (l != NULL)
			return l;
	}
	return NULL;
}

static struct hash_link *
walk_on(struct hash *h, struct hash_cursor *c)
{
	struct hash_link *l;

	if (c->in_old) {
		l = first_from(h->old, h->old_size, &c->bucket);
		if (l != NULL)
			return l;
		c->in_old = false;
		c->bucket = 0;
	}
	return first_from(h->now, h->now_size, &c->bucket);
}

struct hash_link *
hash_walk(struct hash *h, struct hash_cursor *c)
{
	struct hash_link *l;

	if (!c->started) {
		*c = (struct hash_cursor){
			.started = true,
			.in_old = h->old != NULL,
			.bucket = h->moved,
		};
		c->next = walk_on(h, c);
	}
	l = c->next;
	if (l != NULL)
		c->next = l->next != NULL ? l->next : walk_on(h, c);
	return l;
}
