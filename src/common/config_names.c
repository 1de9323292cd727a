/* SPDX-License-Identifier: MIT
 *
 * From names to numbers, see config_names.h.
 *
 * Runs in: every process.
 */
#include "common/config_names.h"

#include <stdlib.h>

#include "common/util.h"

struct named {
	struct hash_link link;
	struct bytes	 name;
	size_t		 at;
};

static struct bytes
named_key(const struct hash_link *l)
{
	return container_of(l, const struct named, link)->name;
}

void
config_names_add(struct config_names *names, struct bytes name, size_t at)
{
	struct named *n;

	if (!names->begun)
		hash_init(&names->table, named_key);
	names->begun = true;
	if (hash_find(&names->table, name) != NULL)
		return;
	n = xcalloc(1, sizeof(*n));
	n->name = name;
	n->at = at;
	hash_insert(&names->table, &n->link);
}

size_t
config_names_find(struct config_names *names, struct bytes name)
{
	struct hash_link *l;

	l = names->begun ? hash_find(&names->table, name) : NULL;
	return l != NULL ? container_of(l, struct named, link)->at :
	    CONFIG_NO_NAME;
}

void
config_names_done(struct config_names *names)
{
	struct hash_cursor cursor = { 0 };
	struct hash_link *l;

	if (!names->begun)
		return;
	while ((l = hash_walk(&names->table, &cursor)) != NULL)
		free(container_of(l, struct named, link));
	hash_done(&names->table);
	names->begun = false;
}
