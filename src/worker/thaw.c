/* SPDX-License-Identifier: MIT
 *
 * A connection from a record: see freeze.h.
 */
#include "worker/freeze.h"

int
thaw(int fd, struct bytes record, struct thawed *t, const char **why)
{
	(void)fd, (void)record, (void)t;
	*why = "not yet";
	return -1;
}

void
thaw_wake(struct conn *c)
{
	(void)c;
}
