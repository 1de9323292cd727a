/* SPDX-License-Identifier: MIT
 *
 * What the master tells its children.
 *
 * Runs in: master.  Owns: one buffer.
 */
#include <errno.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "master/master.h"
#include "master/tell.h"

static struct buf frame;	/* of a message with a descriptor */

void
tell_settings(struct child *c)
{
	struct buf packed = { 0 };

	config_pack(master.config, c->role->view, &packed);
	TELL(c, settings, .packed = buf_view(&packed));
	if (packed.n != 0)
		explicit_bzero(packed.p, packed.n);
	buf_done(&packed);
}

void
tell_log(struct child *c)
{
	struct msg_log m = { .fd = log_fd() };

	buf_clear(&frame);
	msg_pack_log(&frame, &m);
	ipc_put_fd(c->ipc, buf_view(&frame), m.fd);
}

static void
send_listener(struct child *c, const struct listen_address *a)
{
	struct msg_listener m = { .section = a->section, .local = a->local,
		.address = bytes_str(a->text), .workers = a->workers };
	unsigned k;

	for (k = 0; (m.fd = listen_fd(a, c->slot - SLOT_WORKER_FIRST,
	    k)) >= 0; k++) {
		buf_clear(&frame);
		msg_pack_listener(&frame, &m);
		ipc_put_fd(c->ipc, buf_view(&frame), m.fd);
	}
}

void
tell_certificates(struct child *c)
{
	const struct certificate *cert;

	for (size_t i = 0; i < master.config->n_listen; i++) {
		cert = &master.certificates[i];
		if (cert->chain.n != 0)
			TELL(c, certificate, .section = i,
			    .chain = buf_view(&cert->chain),
			    .key = buf_view(&cert->key));
	}
}

void
tell_worker(struct child *c)
{
	for (size_t i = 0; i < master.listen.n; i++)
		send_listener(c, &master.listen.at[i]);
	tell_certificates(c);
	TELL(c, tickets,
	    .keys = bytes_of(master.tickets, sizeof(master.tickets)));
}

void
tell_setup(struct child *c)
{
	TELL(c, start, .version = MSG_VERSION, .node = master.node,
	    .incarnation = master.incarnation, .slot = c->slot,
	    .generation = c->generation);
	tell_settings(c);
	tell_log(c);
	if (c->role->tell != NULL)
		c->role->tell(c);
}

void
tell_link(struct child *router, struct child *worker)
{
	struct msg_router_link down;
	struct msg_worker_link up;
	int ends[2];

	if (ipc_pair(ends) < 0) {
		log_error("no socket pair for %s: %s", child_name(worker),
		    strerror(errno));
		return;
	}
	down = (struct msg_router_link){ .fd = ends[0] };
	up = (struct msg_worker_link){ .fd = ends[1], .slot = worker->slot,
		.generation = worker->generation };
	buf_clear(&frame);
	msg_pack_router_link(&frame, &down);
	ipc_put_fd(worker->ipc, buf_view(&frame), down.fd);
	buf_clear(&frame);
	msg_pack_worker_link(&frame, &up);
	ipc_put_fd(router->ipc, buf_view(&frame), up.fd);
	close(ends[0]);
	close(ends[1]);
}

void
tell_control(struct child *router, int fd, struct bytes request)
{
	struct msg_control m = { .fd = fd, .request = request };

	buf_clear(&frame);
	msg_pack_control(&frame, &m);
	ipc_put_fd(router->ipc, buf_view(&frame), fd);
}

void
tell_done(void)
{
	buf_done(&frame);
}
