/* SPDX-License-Identifier: MIT
 *
 * What an elder told, until it is needed: see facts.h.
 *
 * Runs in: the router.
 */
#include "router/facts.h"

#include <stdlib.h>

#include "common/util.h"
#include "router/router.h"

struct fact_head {
	uint8_t		 kind, item;
	uint16_t	 app_n, channel_n, user_n;
};

static struct bytes
key_of_fact(const struct hash_link *l)
{
	const struct fact *f = container_of(l, const struct fact, link);

	return bytes_of(f->key, f->key_n);
}

static struct bytes
key_of_heard(const struct hash_link *l)
{
	const struct heard *d = container_of(l, const struct heard, link);

	return bytes_of(d->key, sizeof(d->key));
}

struct bytes
fact_key(enum fact_kind kind, const struct item_name *name)
{
	static struct buf key;
	struct fact_head head = {
		.kind = (uint8_t)kind, .item = (uint8_t)name->kind,
		.app_n = (uint16_t)name->app.n,
		.channel_n = (uint16_t)name->channel.n,
		.user_n = (uint16_t)name->user.n,
	};

	buf_clear(&key);
	buf_add(&key, &head, sizeof(head));
	buf_bytes(&key, name->app);
	buf_bytes(&key, name->channel);
	buf_bytes(&key, name->user);
	return buf_view(&key);
}

struct item_name
fact_name(const struct fact *f)
{
	const char *p = f->key + sizeof(struct fact_head);
	struct fact_head head;

	memcpy(&head, f->key, sizeof(head));
	return (struct item_name){
		.kind = (enum item_kind)head.item,
		.app = bytes_of(p, head.app_n),
		.channel = bytes_of(p + head.app_n, head.channel_n),
		.user = bytes_of(p + head.app_n + head.channel_n, head.user_n),
	};
}

enum fact_kind
fact_kind_of(const struct fact *f)
{
	struct fact_head head;

	memcpy(&head, f->key, sizeof(head));
	return (enum fact_kind)head.kind;
}

struct fact *
fact_find(struct router *r, struct bytes key)
{
	struct hash_link *l = hash_find(&r->heir.facts, key);

	return l != NULL ? container_of(l, struct fact, link) : NULL;
}

struct fact *
fact_get(struct router *r, struct bytes key)
{
	struct fact *f = fact_find(r, key);

	if (f != NULL)
		return f;
	f = xcalloc(1, sizeof(*f) + key.n);
	f->key_n = (uint32_t)key.n;
	memcpy(f->key, key.p, key.n);
	hash_insert(&r->heir.facts, &f->link);
	return f;
}

void
fact_set(struct router *r, struct bytes key, uint64_t n)
{
	struct fact *f = n > 0 ? fact_get(r, key) : fact_find(r, key);

	if (f == NULL)
		return;
	f->n = n;
	if (n > 0)
		return;
	hash_remove(&r->heir.facts, &f->link);
	free(f);
}

struct bytes
fact_of_watcher(uint64_t slot, uint64_t generation, uint64_t conn)
{
	uint64_t id[3] = { slot, generation, conn };
	struct item_name name = { .user = bytes_of(id, sizeof(id)) };

	return fact_key(FACT_WATCHER, &name);
}

struct bytes
fact_of_user(struct bytes app, struct bytes user)
{
	struct item_name name = { .kind = ITEM_USER, .app = app,
	    .user = user };

	return fact_key(FACT_USER, &name);
}

struct bytes
fact_of_text(struct bytes channel, uint64_t hash)
{
	struct item_name name = { .channel = channel,
	    .user = bytes_of(&hash, sizeof(hash)) };

	return fact_key(FACT_TEXT, &name);
}

struct heard *
heard_find(struct router *r, uint64_t node, uint64_t incarnation, bool make)
{
	uint64_t key[2] = { node, incarnation };
	struct hash_link *l = hash_find(&r->heir.heard,
	    bytes_of(key, sizeof(key)));
	struct heard *d;

	if (l != NULL || !make)
		return l != NULL ? container_of(l, struct heard, link) : NULL;
	d = xcalloc(1, sizeof(*d));
	d->key[0] = node;
	d->key[1] = incarnation;
	hash_insert(&r->heir.heard, &d->link);
	return d;
}

void
facts_init(struct router *r)
{
	hash_init(&r->heir.facts, key_of_fact);
	hash_init(&r->heir.heard, key_of_heard);
}

void
facts_done(struct router *r)
{
	struct hash_cursor at = { 0 };
	struct hash_link *l;

	while ((l = hash_walk(&r->heir.facts, &at)) != NULL) {
		hash_remove(&r->heir.facts, l);
		free(container_of(l, struct fact, link));
	}
	at = (struct hash_cursor){ 0 };
	while ((l = hash_walk(&r->heir.heard, &at)) != NULL) {
		hash_remove(&r->heir.heard, l);
		free(container_of(l, struct heard, link));
	}
	hash_done(&r->heir.facts);
	hash_done(&r->heir.heard);
}
