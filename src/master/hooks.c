/* SPDX-License-Identifier: MIT
 *
 * The courier under the master: its link to the router, its files, names that it
 * looks up, what it says of its targets.
 *
 * Runs in: master.
 */
#include "master/master.h"

void	master_on_lookup(struct child *, struct ipc *,
	    const struct msg_lookup *);
void	master_on_hook_report(struct child *, struct ipc *,
	    const struct msg_hook_report *);

void
master_on_lookup(struct child *c, struct ipc *ipc, const struct msg_lookup *m)
{
	(void)c, (void)ipc, (void)m;
}

void
master_on_hook_report(struct child *c, struct ipc *ipc,
    const struct msg_hook_report *m)
{
	(void)c, (void)ipc, (void)m;
}
