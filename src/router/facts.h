/* SPDX-License-Identifier: MIT
 *
 * What an elder told its heir (heir.h) and nobody can say where to put yet: rows
 * that other hosts were told, users who are online, watchers that have heard so,
 * raw texts that came; and how far it has heard each host.
 *
 * Runs in: the router.  Part of: struct heir.
 */
#ifndef PEAL_FACTS_H
#define PEAL_FACTS_H

#include "backplane/backplane.h"
#include "common/hash.h"
#include "router/item.h"

struct router;

enum fact_kind { FACT_ROW = 1, FACT_USER, FACT_WATCHER, FACT_TEXT };

/* Something that the elder told, by its name. */
struct fact {
	struct hash_link	 link;
	uint64_t		 n;
	uint64_t		 until;		/* raw texts: clock_ms() */
	uint32_t		 key_n;
	char			 key[];
};

/* How far the elder has heard a host. */
struct heard {
	struct hash_link	 link;
	uint64_t		 key[2];	/* node, incarnation */
	uint64_t		 numbers[LANES];
};

void	facts_init(struct router *);
void	facts_done(struct router *);

/* What a fact is called; good until the next call. */
struct bytes fact_key(enum fact_kind, const struct item_name *);
struct bytes fact_of_watcher(uint64_t slot, uint64_t generation,
	    uint64_t conn);
struct bytes fact_of_user(struct bytes app, struct bytes user);
struct bytes fact_of_text(struct bytes channel, uint64_t hash);
enum fact_kind fact_kind_of(const struct fact *);
struct item_name fact_name(const struct fact *);

struct fact *fact_find(struct router *, struct bytes key);
/* Finds or makes. */
struct fact *fact_get(struct router *, struct bytes key);
/* n is 0: there is no such thing any more. */
void	fact_set(struct router *, struct bytes key, uint64_t n);

struct heard *heard_find(struct router *, uint64_t node, uint64_t incarnation,
	    bool make);

#endif
