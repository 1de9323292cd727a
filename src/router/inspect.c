/* SPDX-License-Identifier: MIT
 *
 * Questions about single connections, asked of all workers.
 *
 * Runs in: the router.
 */
#include "router/inspect.h"

#include "router/router.h"

void
inspect_heard(struct peer *from, const struct msg_inspected *m)
{
	(void)from, (void)m;
}

void
control_ask(struct peer *from, const struct msg_ask *m)
{
	msg_pack_told(ipc_out(from->ipc), &(struct msg_told){
	    .cookie = m->cookie, .end = 1 });
}

void
control_ask_end(struct peer *from, uint64_t cookie)
{
	(void)from, (void)cookie;
}
