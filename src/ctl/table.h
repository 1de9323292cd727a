/* SPDX-License-Identifier: MIT
 *
 * Columns that stand under each other on a terminal.
 *
 * Runs in: pealctl.  Owns: copies of its cells.  Dies: table_free().
 */
#ifndef PEAL_CTL_TABLE_H
#define PEAL_CTL_TABLE_H

#include "common/buf.h"

struct table;

/* Heads of the columns; one that starts with '>' is set to the right. */
struct table *table_new(const char *const *heads, size_t n);
void	table_free(struct table *);
/* The next cell, row by row.  Control characters are shown as \xNN. */
void	table_cell(struct table *, struct bytes);
void	table_number(struct table *, uint64_t);
/* Prints to standard output; `none` stands for a table without rows. */
void	table_print(const struct table *, const char *none);

#endif
