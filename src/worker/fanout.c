/* SPDX-License-Identifier: MIT
 *
 * One message to every subscriber: see fanout.h.
 */
#include "common/counters.h"
#include "worker/conn.h"
#include "worker/fanout.h"

void
fanout(struct channel *ch, struct message *m)
{
	bool except = m->except_a != 0;
	uint32_t i;

	/* Nothing in here changes the list: a conn that dies is buried, and
	 * leaves its channels, at the end of the loop's turn. */
	for (i = 0; i < ch->n_subs; i++) {
		struct client *cl = ch->subs[i]->client;
		struct frame *f;

		if (except && cl->state.socket_a == m->except_a &&
		    cl->state.socket_b == m->except_b)
			continue;
		if ((f = message_frame(m, cl)) != NULL) {
			client_send(cl, f);
			counter.messages_out++;
		}
	}
}
