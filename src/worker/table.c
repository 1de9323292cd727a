/* SPDX-License-Identifier: MIT
 *
 * All conns of a worker: see table.h.
 */
#include <sys/mman.h>
#include <errno.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/poison.h"
#include "common/util.h"
#include "worker/table.h"

#define CHUNK	256u
#define WORD	64u

/* A WebSocket's conn and client in one allocation.  Two cache lines of its four
 * are used by a delivery: the first of each. */
struct place {
	_Alignas(64) struct conn	conn;
	_Alignas(64) struct client	client;
};
_Static_assert(sizeof(void *) != 8 || sizeof(struct place) == 256,
    "a place is four cache lines");

struct chunk {
	struct place	*places;	/* NULL: not there now */
	uint64_t	 taken[CHUNK / WORD];
	uint32_t	 count;
	uint32_t	 next;		/* places are taken in turn: so they are
					   used equally often, and ids last */
	uint16_t	 use[CHUNK];
};

static struct {
	struct chunk	*chunks;
	uint32_t	 n_chunks, count;
	uint32_t	 lowest;	/* no chunk before it has room */
	uint32_t	 spare;		/* chunks with memory and nothing in it */
	uint64_t	 id_base;
} table;

void
table_init(uint64_t id_base)
{
	table.id_base = id_base;
}

/* ---- chunks ------------------------------------------------------------------ */

static void
chunk_add(void)
{
	struct chunk *c;

	if ((table.n_chunks + 1) * CHUNK > TABLE_INDEX)
		fatal("more connections than ids");
	table.chunks = xreallocarray(table.chunks, table.n_chunks + 1,
	    sizeof(*table.chunks));
	c = &table.chunks[table.n_chunks++];
	memset(c, 0, sizeof(*c));
}

/* Pages of their own: only those that were used take memory, and all of them go
 * back when the chunk is empty, whatever else the heap holds. */
static void
chunk_fill(struct chunk *c)
{
	void *p = mmap(NULL, CHUNK * sizeof(struct place),
	    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		fatal("out of memory for connections: %s", strerror(errno));
	poison(p, CHUNK * sizeof(struct place));
	/* A worker may end with connections whose time was over. */
	pages_hold(p, CHUNK * sizeof(struct place));
	c->places = p;
	table.spare++;
}

static void
chunk_empty(struct chunk *c)
{
	unpoison(c->places, CHUNK * sizeof(struct place));
	pages_drop(c->places, CHUNK * sizeof(struct place));
	if (munmap(c->places, CHUNK * sizeof(struct place)) < 0)
		fatal("munmap: %s", strerror(errno));
	c->places = NULL;
	table.spare--;
}

/* One that has room. */
static struct chunk *
chunk_open(void)
{
	struct chunk *c;

	while (table.lowest < table.n_chunks &&
	    table.chunks[table.lowest].count == CHUNK)
		table.lowest++;
	if (table.lowest == table.n_chunks)
		chunk_add();
	c = &table.chunks[table.lowest];
	if (c->places == NULL)
		chunk_fill(c);
	return c;
}

static bool
is_taken(const struct chunk *c, uint32_t i)
{
	return c->taken[i / WORD] >> i % WORD & 1;
}

/* ---- conns ------------------------------------------------------------------- */

struct conn *
table_new(void)
{
	struct chunk *c = chunk_open();
	struct place *p;
	uint32_t i = c->next;

	while (is_taken(c, i))
		i = (i + 1) % CHUNK;
	c->next = (i + 1) % CHUNK;
	c->taken[i / WORD] |= 1ull << i % WORD;
	if (c->count++ == 0)
		table.spare--;
	table.count++;
	p = &c->places[i];
	unpoison(p, sizeof(*p));
	memset(p, 0, sizeof(*p));
	p->conn.id = table.id_base | (uint64_t)++c->use[i] << 24 |
	    (table.lowest * CHUNK + i);
	p->conn.fd = -1;
	return &p->conn;
}

void
table_free(struct conn *conn)
{
	uint32_t index = conn->id & TABLE_INDEX;
	struct chunk *c = &table.chunks[index / CHUNK];
	uint32_t i = index % CHUNK;

	c->taken[i / WORD] &= ~(1ull << i % WORD);
	poison(&c->places[i], sizeof(c->places[i]));
	table.count--;
	if (index / CHUNK < table.lowest)
		table.lowest = index / CHUNK;
	if (--c->count > 0)
		return;
	table.spare++;
	if (table.spare > 1)
		chunk_empty(c);
}

struct conn *
table_at(uint32_t index)
{
	const struct chunk *c;

	if (index >= table_size())
		return NULL;
	c = &table.chunks[index / CHUNK];
	return is_taken(c, index % CHUNK) ? &c->places[index % CHUNK].conn :
	    NULL;
}

struct conn *
table_from(uint32_t *index)
{
	while (*index < table_size()) {
		const struct chunk *c = &table.chunks[*index / CHUNK];
		uint32_t i = *index % CHUNK;
		uint64_t rest = c->taken[i / WORD] >> i % WORD;

		if (rest != 0) {
			*index += (uint32_t)__builtin_ctzll(rest);
			return table_at(*index);
		}
		*index += WORD - i % WORD;
	}
	return NULL;
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
