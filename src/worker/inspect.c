/* SPDX-License-Identifier: MIT
 *
 * Single connections of this worker.
 *
 * Runs in: workers.
 */
#include "worker/inspect.h"

#include "worker/uplink.h"

void
inspect_answer(const struct msg_inspect *m)
{
	if (uplink() != NULL)
		msg_pack_inspected(ipc_out(uplink()), &(struct msg_inspected){
		    .cookie = m->cookie, .end = 1 });
}
