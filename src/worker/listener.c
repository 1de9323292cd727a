/* SPDX-License-Identifier: MIT
 *
 * Accepting: see listener.h.
 */
#include <sys/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/counters.h"
#include "common/log.h"
#include "common/util.h"
#include "worker/conn.h"
#include "worker/listener.h"

#define ACCEPTS_A_TURN	64	/* of a socket that is ours alone */
#define ACCEPTS_SHARED	8	/* of one that all workers share */

static struct listener **listeners;
static size_t n_listeners;
/* Given up to accept and refuse one when descriptors run out: what waits in the
 * queue would keep the loop awake otherwise. */
static int spare = -1;

void
listener_add(int fd, unsigned section, bool local, struct bytes address)
{
	struct listener *l = xcalloc(1, sizeof(*l));

	if (fd_nonblock(fd) < 0)
		fatal("listener: %s", strerror(errno));
	l->fd = fd;
	l->section = section;
	l->local = local;
	l->proxy = worker.config->listen[section].proxy_protocol;
	l->address = bytes_dup(address);
	listeners = xreallocarray(listeners, n_listeners + 1,
	    sizeof(*listeners));
	listeners[n_listeners++] = l;
}

static void
no_descriptors(struct listener *l)
{
	static uint32_t said;
	int fd;

	counter.accept_errors++;
	if (worker.now >= said) {
		said = worker.now + 10;
		log_error("out of descriptors, refusing connections "
		    "address=%s connections=%u", l->address, conns_count());
	}
	if (spare < 0)
		return;
	close(spare);
	fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	spare = dup(l->fd);
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;
	unsigned n = l->local ? ACCEPTS_SHARED : ACCEPTS_A_TURN;

	(void)what;
	while (n-- > 0) {
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);
		int client;

		from.ss_family = AF_UNSPEC;
		client = accept4(fd, (struct sockaddr *)&from, &len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (client < 0) {
			if (errno == EMFILE || errno == ENFILE ||
			    errno == ENOBUFS || errno == ENOMEM)
				no_descriptors(l);
			return;
		}
		if (conns_accept(client, l, (struct sockaddr *)&from) == NULL)
			close(client);
	}
}

void
listeners_start(struct event_base *base)
{
	size_t i;

	for (i = 0; i < n_listeners; i++) {
		struct listener *l = listeners[i];

		if (spare < 0)
			spare = dup(l->fd);
		l->event = event_new(base, l->fd, EV_READ | EV_PERSIST,
		    on_accept, l);
		if (l->event == NULL || event_add(l->event, NULL) < 0)
			fatal("cannot watch a listener");
	}
}

void
listeners_stop(void)
{
	size_t i;

	for (i = 0; i < n_listeners; i++) {
		struct listener *l = listeners[i];

		if (l->event != NULL)
			event_free(l->event);	/* before the close */
		close(l->fd);
		free(l->address);
		free(l);
	}
	free(listeners);
	listeners = NULL;
	n_listeners = 0;
	if (spare >= 0)
		close(spare);
	spare = -1;
}
