/* SPDX-License-Identifier: MIT
 *
 * One message to every subscriber: see fanout.h.
 */
#include "common/counters.h"
#include "worker/conn.h"
#include "worker/fanout.h"

/*
 * client.applied and message.serial: the router's serial, and above it which
 * router, in the order in which this worker met clients of theirs.  So what a
 * client had from one router is below all that another one says.
 */
#define OF_ROUTER	(1ull << 48)

static struct {
	uint64_t	epoch, base;
	uint64_t	most;		/* any client has, of this epoch */
} applied;

void
fanout_applied(struct client *cl, uint64_t epoch, uint64_t serial)
{
	cl->applied = 0;
	/* Epochs rise, and of an earlier one nothing more comes. */
	if (epoch < applied.epoch || serial >= OF_ROUTER)
		return;
	if (epoch > applied.epoch) {
		applied.epoch = epoch;
		applied.base += OF_ROUTER;
		applied.most = 0;
	}
	if (serial > applied.most)
		applied.most = serial;
	cl->applied = applied.base + serial;
}

uint64_t
fanout_serial(uint64_t epoch, uint64_t serial)
{
	return epoch == applied.epoch && serial <= applied.most ?
	    applied.base + serial : 0;
}

/* Is this client left out? */
static bool
passes_by(const struct message *m, const struct client *cl)
{
	if (m->serial != 0 && cl->applied >= m->serial)
		return true;
	return m->except_a != 0 && cl->state.socket_a == m->except_a &&
	    cl->state.socket_b == m->except_b;
}

void
fanout(struct channel *ch, struct message *m)
{
	bool not_all = m->except_a != 0 || m->serial != 0;
	uint32_t i;

	/* Nothing in here changes the list: a conn that dies is buried, and
	 * leaves its channels, at the end of the loop's turn. */
	for (i = 0; i < ch->n_subs; i++) {
		struct client *cl = ch->subs[i]->client;
		struct frame *f;

		if (not_all && passes_by(m, cl))
			continue;
		if ((f = message_frame(m, cl)) != NULL) {
			client_send(cl, f);
			counter.messages_out++;
		}
	}
}
