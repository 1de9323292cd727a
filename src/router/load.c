/* SPDX-License-Identifier: MIT
 *
 * Connections of an application over all workers.
 *
 * Runs in: the router.
 */
#include "router/load.h"

#include <stdlib.h>

#include "common/util.h"
#include "router/router.h"

static struct load *
load_of(struct census *c, struct peer *peer)
{
	for (uint32_t i = 0; i < c->n_loads; i++) {
		if (c->loads[i].peer == peer)
			return &c->loads[i];
	}
	c->loads = xreallocarray(c->loads, c->n_loads + 1, sizeof(*c->loads));
	c->loads[c->n_loads] = (struct load){ .peer = peer };
	return &c->loads[c->n_loads++];
}

struct load_sum
load_sum(const struct census *c)
{
	struct load_sum sum = { 0 };

	for (uint32_t i = 0; i < c->n_loads; i++) {
		sum.open += c->loads[i].open;
		sum.subscribed += c->loads[i].subscribed;
		sum.granted += c->loads[i].given - c->loads[i].read;
	}
	return sum;
}

void
load_set(struct census *c, struct peer *peer, const struct msg_load *m)
{
	struct load *l = load_of(c, peer);

	l->open = m->open;
	l->subscribed = m->subscribed;
	l->read = m->granted < l->given ? m->granted : l->given;
}

void
load_connect(struct census *c, struct peer *peer, const struct msg_connect *m)
{
	struct load_sum sum = load_sum(c);
	struct msg_grant g = { .app = m->app, .conn = m->conn };

	g.allowed = c->max_connections == 0 ||
	    sum.open + sum.granted < c->max_connections;
	if (g.allowed)
		load_of(c, peer)->given++;
	msg_pack_grant(ipc_out(peer->ipc), &g);
}

void
load_forget(struct census *c, const struct peer *dead)
{
	for (uint32_t i = 0; i < c->n_loads; i++) {
		if (c->loads[i].peer == dead) {
			c->loads[i] = c->loads[--c->n_loads];
			return;
		}
	}
}

void
load_done(struct census *c)
{
	free(c->loads);
	c->loads = NULL;
	c->n_loads = 0;
}
