/* SPDX-License-Identifier: MIT
 *
 * The big tables: channels, members, connections, users.  Chained, intrusive,
 * keyed with SipHash (names come from clients), and growing a few buckets at a
 * time, so that no insert stalls: moving a million entries at once costs
 * 37 ms, and a loop that serves clients has none to spare.
 *
 * The item embeds a struct hash_link and stays where it is; the table owns
 * only its buckets.
 *
 * Runs in: every process.
 */
#ifndef PEAL_HASH_H
#define PEAL_HASH_H

#include "common/buf.h"

struct hash_link {
	struct hash_link	*next;
	uint64_t		 hash;
};

/* The key of an item: bytes in it that do not change while it is in. */
typedef struct bytes (*hash_key_fn)(const struct hash_link *);

struct hash {
	struct hash_link	**now, **old;	/* buckets; old while growing */
	struct hash_link	*last;		/* found last, in a small table */
	uint32_t		 now_size, old_size, moved;
	uint32_t		 count;
	hash_key_fn		 key;
};

/* Keyed SipHash-1-3 with this process's random key. */
uint64_t hash_bytes(struct bytes);
/* The same with a key of the caller's. */
uint64_t hash_siphash13(const uint64_t key[2], struct bytes);

void	hash_init(struct hash *, hash_key_fn);
/* Frees the buckets; the items are the caller's. */
void	hash_done(struct hash *);
struct hash_link *hash_find(struct hash *, struct bytes key);
/* The key must not be in the table yet. */
void	hash_insert(struct hash *, struct hash_link *);
/* The item must be in the table. */
void	hash_remove(struct hash *, struct hash_link *);

/*
 * Walks all items in no order: start with a zeroed cursor, NULL ends.  The item
 * given out may be removed and freed before the next call; no other may be, and
 * nothing may be inserted.
 */
struct hash_cursor {
	struct hash_link	*next;
	uint32_t		 bucket;
	bool			 in_old, started;
};
struct hash_link *hash_walk(struct hash *, struct hash_cursor *);

#endif
