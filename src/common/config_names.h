/* SPDX-License-Identifier: MIT
 *
 * A table from names to numbers: the label of a section to its place, so that
 * with thousands of sections nothing is looked for from the first to the last.
 *
 * Runs in: every process.  Owned by: who makes it, until config_names_done();
 * names are borrowed and must stay as they are until then.
 */
#ifndef PEAL_CONFIG_NAMES_H
#define PEAL_CONFIG_NAMES_H

#include "common/hash.h"

#define CONFIG_NO_NAME	SIZE_MAX	/* nothing has it */

struct config_names {
	struct hash	 table;
	bool		 begun;
};

/* A zeroed one is an empty one.  Of a name that is given twice the first number
 * stays. */
void	config_names_add(struct config_names *, struct bytes name, size_t at);
/* The number, or CONFIG_NO_NAME. */
size_t	config_names_find(struct config_names *, struct bytes name);
void	config_names_done(struct config_names *);

#endif
