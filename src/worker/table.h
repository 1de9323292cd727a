/* SPDX-License-Identifier: MIT
 *
 * All conns of a worker, by number: chunks that never move, a free list, and
 * ids that are not used twice (worker slot 8 bits, generation 16, use of this
 * place 16, place 24).
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
/* Places, free ones included; and conns. */
uint32_t table_size(void);
uint32_t table_count(void);
struct client *table_client(struct conn *);

#endif
