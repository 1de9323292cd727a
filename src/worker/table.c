/* SPDX-License-Identifier: MIT
 *
 * All conns of a worker: see table.h.
 */
#include <stdlib.h>

#include "common/log.h"
#include "common/util.h"
#include "worker/table.h"

#define CHUNK	256

/* A WebSocket's conn and client in one allocation. */
struct place {
	struct conn	 conn;
	struct client	 client;
	uint32_t	 index;
	uint16_t	 use;
	bool		 taken;
};

static struct {
	struct place	**chunks;
	uint32_t	 n_chunks, count;
	uint32_t	*free;		/* places that are free, last first */
	uint32_t	 n_free;
	uint64_t	 id_base;
} table;

void
table_init(uint64_t id_base)
{
	table.id_base = id_base;
}

static struct place *
place_at(uint32_t index)
{
	return &table.chunks[index / CHUNK][index % CHUNK];
}

static void
table_grow(void)
{
	uint32_t i, first = table.n_chunks * CHUNK;

	if (first + CHUNK > TABLE_INDEX)
		fatal("more connections than ids");
	table.chunks = xreallocarray(table.chunks, table.n_chunks + 1,
	    sizeof(*table.chunks));
	table.free = xreallocarray(table.free, first + CHUNK,
	    sizeof(*table.free));
	table.chunks[table.n_chunks++] = xcalloc(CHUNK, sizeof(struct place));
	for (i = CHUNK; i-- > 0;) {
		place_at(first + i)->index = first + i;
		table.free[table.n_free++] = first + i;
	}
}

struct conn *
table_new(void)
{
	struct place *p;

	if (table.n_free == 0)
		table_grow();
	p = place_at(table.free[--table.n_free]);
	memset(&p->conn, 0, sizeof(p->conn));
	memset(&p->client, 0, sizeof(p->client));
	p->taken = true;
	p->use++;
	p->conn.id = table.id_base | (uint64_t)p->use << 24 | p->index;
	p->conn.fd = -1;
	table.count++;
	return &p->conn;
}

void
table_free(struct conn *c)
{
	struct place *p = container_of(c, struct place, conn);

	p->taken = false;
	table.free[table.n_free++] = p->index;
	table.count--;
}

struct conn *
table_at(uint32_t index)
{
	struct place *p;

	if (index >= table_size())
		return NULL;
	p = place_at(index);
	return p->taken ? &p->conn : NULL;
}

uint32_t
table_size(void)
{
	return table.n_chunks * CHUNK;
}

uint32_t
table_count(void)
{
	return table.count;
}

struct client *
table_client(struct conn *c)
{
	return &container_of(c, struct place, conn)->client;
}
