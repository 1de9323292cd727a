/* SPDX-License-Identifier: MIT
 *
 * Names for the router, which is in jail and cannot look them up.
 *
 * Runs in: master.
 */
#include "master/child.h"
#include "master/tell.h"

void	master_on_resolve(struct child *, struct ipc *,
	    const struct msg_resolve *);

void
master_on_resolve(struct child *router, struct ipc *ipc,
    const struct msg_resolve *m)
{
	(void)ipc;
	TELL(router, resolved, .cookie = m->cookie,
	    .why = B("names cannot be looked up"));
}
