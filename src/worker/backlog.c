/* SPDX-License-Identifier: MIT
 *
 * The limit of what waits for all clients of a worker: see backlog.h.
 */
#include "worker/backlog.h"

#include <stdlib.h>

#include "common/log.h"
#include "common/util.h"
#include "worker/conn.h"
#include "worker/conn_queue.h"
#include "worker/worker.h"

#define CLOSED_A_TURN	256	/* what they held is given back at once */
#define PAUSE_MS	50	/* after a walk that found nobody */

struct debtor {
	struct conn	*conn;
	uint64_t	 weight;
};

struct debtors {
	struct debtor	*at;
	size_t		 n, cap;
};

/* What it holds, times how long its socket has taken nothing: who holds much may
 * be the reader of a burst, who waits long may hold nothing. */
static void
weigh(struct conn *c, void *arg)
{
	struct debtors *d = arg;

	if (!c->blocked || c->first == NULL || c->dead || c->sealed)
		return;
	if (d->n == d->cap) {
		d->cap = d->cap * 2 + 256;
		d->at = xreallocarray(d->at, d->cap, sizeof(*d->at));
	}
	d->at[d->n++] = (struct debtor){ c,
	    queue_share(c) * (1 + (c->stuck != 0 ? worker.now - c->stuck : 0)),
	};
}

static int
heavier(const void *a, const void *b)
{
	const struct debtor *x = a, *y = b;

	return (x->weight < y->weight) - (x->weight > y->weight);
}

/* Octets to come down to. */
static uint64_t
target(void)
{
	uint64_t most = worker.config->websocket.max_backlog_total;

	return most - most / 8;
}

static size_t
close_some(const struct debtors *d)
{
	size_t n;

	for (n = 0; n < d->n && n < CLOSED_A_TURN &&
	    counter.backlog > target(); n++) {
		struct conn *c = d->at[n].conn;

		counter.backlog_closed++;
		conn_too_slow(c);
		queue_clear(c);
	}
	return n;
}

bool
backlog_turn(void)
{
	static uint64_t not_before;
	static bool closing;
	struct debtors d = { NULL, 0, 0 };
	size_t n;

	if (counter.backlog <= (closing ? target() :
	    worker.config->websocket.max_backlog_total)) {
		closing = false;
		return false;
	}
	if (worker.now_ms < not_before)
		return false;
	conns_each(weigh, &d);
	if (d.n > 0)
		qsort(d.at, d.n, sizeof(*d.at), heavier);
	n = close_some(&d);
	free(d.at);
	closing = n == CLOSED_A_TURN && counter.backlog > target();
	if (n == 0)
		not_before = worker.now_ms + PAUSE_MS;
	return closing;
}
