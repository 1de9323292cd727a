/* SPDX-License-Identifier: MIT
 *
 * A connection as a record: see freeze.h.
 */
#include "worker/freeze.h"

enum freeze_when
freeze_may(const struct conn *c, const char **why)
{
	(void)c;
	*why = "not yet";
	return FREEZE_NEVER;
}

void
freeze_begin(struct conn *c)
{
	(void)c;
}

int
freeze_pack(struct conn *c, uint64_t epoch, uint64_t applied, struct buf *out,
    const char **why)
{
	(void)c, (void)epoch, (void)applied, (void)out;
	*why = "not yet";
	return -1;
}

void
freeze_done(struct conn *c)
{
	(void)c;
}

void
freeze_undo(struct conn *c)
{
	(void)c;
}
