/* SPDX-License-Identifier: MIT
 *
 * All conns of a worker, by number: chunks that never move, and ids that are not
 * used twice (worker slot 8 bits, generation 16, use of this place 16, place 24).
 *
 * A new conn goes into the lowest chunk that has room, so that after a storm the
 * chunks behind become empty; their memory goes back to the system at once, all
 * but one's.  Only how often each place was used stays (two octets).
 *
 * Runs in: workers.  Owns: the memory of conns and of the clients beside them.
 */
#ifndef PEAL_TABLE_H
#define PEAL_TABLE_H

#include "worker/client.h"
#include "worker/conn.h"

#define TABLE_INDEX	0xffffffULL

void	table_init(uint64_t id_base);
/* Zeroed, with its id. */
struct conn *table_new(void);
void	table_free(struct conn *);
/* NULL for a free place or one beyond the table. */
struct conn *table_at(uint32_t index);
/* The first conn at *index or behind it, *index is then its place; NULL: there is
 * none. */
struct conn *table_from(uint32_t *index);
/* Places, free ones included; and conns. */
uint32_t table_size(void);
uint32_t table_count(void);
struct client *table_client(struct conn *);

#endif
