/* SPDX-License-Identifier: MIT
 *
 * The courier's links, see link.h.
 *
 * Runs in: the courier.
 */
#include "courier/link.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/ipc.h"
#include "common/log.h"
#include "common/util.h"
#include "courier/courier.h"

static int
on_message(void *ctx, struct ipc *ipc, unsigned type, struct unpacker *u,
    const char **why)
{
	struct link *l = ctx;

	(void)ipc;
	if (l->gone)
		return 0;
	/* Numbers below hook_hosts are the master's to say. */
	if (l->master != (type < MSG_hook_hosts)) {
		*why = "a message that is not its to send";
		return -1;
	}
	if (!l->master && !l->hosts && type != MSG_hook_hosts) {
		*why = "hook_hosts must come first";
		return -1;
	}
	return courier_take(l, type, u, why);
}

static void
on_gone(void *ctx, struct ipc *ipc, const char *why)
{
	struct link *l = ctx;

	(void)ipc;
	l->gone = true;
	if (l->master)
		courier_orphaned(l->courier);
	else
		log_debug("router has left why=\"%s\"", why);
}

static const struct ipc_ops ops = {
	.on_message = on_message, .on_gone = on_gone,
};

static struct link *
link_new(struct courier *c, int fd, bool master)
{
	struct link *l = xcalloc(1, sizeof(*l));

	l->courier = c;
	l->master = master;
	l->ipc = ipc_new(c->base, fd, master, &ops, l);
	return l;
}

struct link *
link_master(struct courier *c, int fd)
{
	return link_new(c, fd, true);
}

void
link_free(struct link *l)
{
	ipc_free(l->ipc);
	free(l);
}

struct link *
links_current(struct courier *c)
{
	return TAILQ_FIRST(&c->routers);
}

void
link_router(struct courier *c, int fd)
{
	struct link *l;
	unsigned n = 0;

	TAILQ_FOREACH(l, &c->routers, next)
		n++;
	if (n >= LINKS_MAX) {
		log_error("too many routers: link refused");
		close(fd);
		return;
	}
	l = link_new(c, fd, false);
	TAILQ_INSERT_TAIL(&c->routers, l, next);
	if (n > 0 || c->held)
		ipc_hold(l->ipc, true, 0);
}

void
links_hold(struct courier *c, bool hold)
{
	struct link *l = links_current(c);

	if (c->held == hold)
		return;
	c->held = hold;
	if (l != NULL)
		ipc_hold(l->ipc, hold, 0);
}

void
links_ack(struct courier *c)
{
	struct link *l = links_current(c);

	if (l == NULL || l->gone || l->acked == l->serial)
		return;
	l->acked = l->serial;
	msg_pack_hook_ack(ipc_out(l->ipc),
	    &(struct msg_hook_ack){ .serial = l->acked });
}

bool
links_bury(struct courier *c)
{
	struct link *l = links_current(c);

	if (l == NULL || !l->gone)
		return false;
	TAILQ_REMOVE(&c->routers, l, next);
	link_free(l);
	said_unsettle(&c->said);
	if ((l = links_current(c)) != NULL && !c->held)
		ipc_hold(l->ipc, false, 0);
	return true;
}

void
links_flush(struct courier *c)
{
	struct link *l = links_current(c);

	if (l != NULL && !l->gone && ipc_waiting(l->ipc))
		ipc_flush(l->ipc);
	if (!c->master->gone && ipc_waiting(c->master->ipc))
		ipc_flush(c->master->ipc);
}
