/* SPDX-License-Identifier: MIT
 *
 * What the master tells its children.
 *
 * Runs in: master.  Owns: one buffer.
 */
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "master/master.h"
#include "master/spool.h"
#include "master/tell.h"

static struct buf frame;	/* of a message with a descriptor */

/* ---- descriptors --------------------------------------------------------- */

/* Can two more be open?  What waits on a link holds a copy of each that goes with
 * it, so if there are too few it is sent first. */
static bool
spare(void)
{
	int two[2] = { -1, -1 };

	for (int try = 0; try < 2 && two[1] < 0; try++) {
		if (try != 0)
			children_flush();
		for (int i = 0; i < 2; i++)
			two[i] = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
		for (int i = 0; i < 2; i++)
			if (two[i] >= 0)
				close(two[i]);
	}
	return two[1] >= 0;
}

/* Whoever gets a message without its descriptor takes its link for broken, so
 * there must be room for a copy of both ends. */
static int
pair_make(int type, int ends[2])
{
	if (spare() && socketpair(AF_UNIX,
	    type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0) {
		if (spare())
			return 0;
		close(ends[0]);
		close(ends[1]);
	}
	errno = EMFILE;
	return -1;
}

/* ---- what is told -------------------------------------------------------- */

/* Those that leave keep the [listen] sections they have, which they know by
 * their number. */
static struct config
settings_of(const struct child *c)
{
	struct config told = *master.config;

	if (c->crew->config == NULL)
		return told;
	if (child_crew(c) == CREW_COMING)
		return *c->crew->config;
	told.listen = c->crew->config->listen;
	told.n_listen = c->crew->config->n_listen;
	return told;
}

void
tell_settings(struct child *c)
{
	struct config told = settings_of(c);
	struct buf packed = { 0 };

	config_pack(&told, c->role->view, &packed);
	TELL(c, settings, .packed = buf_view(&packed));
	if (packed.n != 0)
		explicit_bzero(packed.p, packed.n);
	buf_done(&packed);
}

void
tell_log(struct child *c)
{
	struct msg_log m = { .fd = log_fd() };

	if (!spare()) {
		log_error("too few descriptors: %s keeps its log",
		    child_name(c));
		return;
	}
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
	bool comes = child_crew(c) == CREW_COMING;
	const struct certificate *all = comes ? c->crew->certificates :
	    master.certificates, *cert;
	size_t n = comes ? c->crew->config->n_listen :
	    master.config->n_listen;

	for (size_t i = 0; i < n; i++) {
		cert = &all[i];
		if (cert->chain.n != 0)
			TELL(c, certificate, .section = i,
			    .chain = buf_view(&cert->chain),
			    .key = buf_view(&cert->key));
	}
}

void
tell_worker(struct child *c)
{
	const struct listen *all = child_crew(c) == CREW_COMING ?
	    &c->crew->listen : &master.listen;

	for (size_t i = 0; i < all->n; i++)
		send_listener(c, &all->at[i]);
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

	if (pair_make(SOCK_STREAM, ends) < 0) {
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

/* Sends one end of a pair in a message that has nothing else, or slot and
 * generation of the other side. */
#define SEND_END(to, name, end, ...) do {				\
	struct msg_##name m_ = { .fd = (end), __VA_ARGS__ };		\
									\
	buf_clear(&frame);						\
	msg_pack_##name(&frame, &m_);					\
	ipc_put_fd((to)->ipc, buf_view(&frame), m_.fd);			\
} while (0)

void
tell_succession(struct child *old, struct child *heir)
{
	int ends[2];

	if (pair_make(SOCK_STREAM, ends) < 0) {
		log_error("no socket pair for the routers: %s",
		    strerror(errno));
		return;
	}
	if (old->ipc != NULL)
		SEND_END(old, router_heir, ends[0], .end_ = "");
	SEND_END(heir, router_elder, ends[1], .end_ = "");
	close(ends[0]);
	close(ends[1]);
}

int
tell_hooks(struct child *router, struct child *courier)
{
	int ends[2];

	if (pair_make(SOCK_STREAM, ends) < 0) {
		log_error("no socket pair for %s: %s", child_name(courier),
		    strerror(errno));
		return -1;
	}
	SEND_END(courier, hook_link, ends[0], .end_ = "");
	SEND_END(router, courier_link, ends[1], .end_ = "");
	close(ends[0]);
	close(ends[1]);
	return 0;
}

void
tell_courier(struct child *c)
{
	for (unsigned i = 0; i < SPOOL_FILES; i++)
		if (spool_fd(i) >= 0)
			SEND_END(c, spool, spool_fd(i), .index = i,
			    .durable = spool_durable());
}

int
tell_handover(struct child *old, struct child *heir)
{
	int ends[2];

	if (pair_make(SOCK_SEQPACKET, ends) < 0) {
		log_error("no socket pair for %s: %s", child_name(old),
		    strerror(errno));
		return -1;
	}
	SEND_END(old, heir, ends[0], .slot = heir->slot,
	    .generation = heir->generation);
	SEND_END(heir, elder, ends[1], .slot = old->slot,
	    .generation = old->generation);
	close(ends[0]);
	close(ends[1]);
	return 0;
}

int
tell_pass(struct child *c, struct child *to, uint64_t count)
{
	int ends[2];

	if (pair_make(SOCK_SEQPACKET, ends) < 0)
		return -1;
	SEND_END(c, pass, ends[0], .count = count);
	SEND_END(to, take, ends[1], .end_ = "");
	close(ends[0]);
	close(ends[1]);
	return 0;
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
