/* SPDX-License-Identifier: MIT
 *
 * Connections that another worker serves: see pass.h.
 */
#include <sys/queue.h>
#include <sys/socket.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/counters.h"
#include "common/log.h"
#include "common/util.h"
#include "worker/listener.h"
#include "worker/pass.h"

#define TAKES_A_TURN	64
#define ADDRESS_MAX	200	/* as in the message that names a listener */

/* By which others pass something to us. */
struct inlet {
	TAILQ_ENTRY(inlet)	 link;
	struct event		*event;
	int			 fd;
};

static TAILQ_HEAD(, inlet) inlets = TAILQ_HEAD_INITIALIZER(inlets);
static int		 outlet = -1;
uint64_t		 pass_left;

/* ---- to another ------------------------------------------------------------ */

void
pass_end(void)
{
	if (outlet >= 0)
		close(outlet);
	outlet = -1;
	pass_left = 0;
}

void
pass_begin(int link, uint64_t count)
{
	pass_end();
	outlet = link;
	pass_left = count;
}

/* A link that is full, or the limit of descriptors on the way, is for the moment;
 * one whose other end is gone waits for what the master says next. */
int
pass_on(int fd, const struct listener *l)
{
	if (fd_send(outlet, l->address, strlen(l->address), fd) < 0) {
		if (errno != EAGAIN && errno != EINTR &&
		    errno != ETOOMANYREFS)
			pass_end();
		return -1;
	}
	counter.passed++;
	if (--pass_left == 0)
		pass_end();
	return 0;
}

/* ---- from others ----------------------------------------------------------- */

static void
inlet_free(struct inlet *in)
{
	TAILQ_REMOVE(&inlets, in, link);
	event_free(in->event);	/* before the close */
	close(in->fd);
	free(in);
}

/* 1: there may be more; 0: not now; -1: nothing will follow. */
static int
take_one(struct inlet *in)
{
	char address[ADDRESS_MAX];
	ssize_t n;
	int fd;

	n = fd_recv(in->fd, address, sizeof(address), &fd);
	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
	if (fd < 0) {
		/* There was no descriptor left for it. */
		counter.accept_errors++;
		return 1;
	}
	if (listener_adopt(fd, bytes_of(address, (size_t)n)) == 0)
		counter.taken++;
	return 1;
}

static void
on_inlet(evutil_socket_t fd, short what, void *arg)
{
	struct inlet *in = arg;
	int more = 1;

	(void)fd, (void)what;
	worker_clock();
	for (int i = 0; i < TAKES_A_TURN && more > 0; i++)
		more = take_one(in);
	if (more < 0)
		inlet_free(in);
}

void
pass_take(struct event_base *base, int link)
{
	struct inlet *in = xcalloc(1, sizeof(*in));

	in->fd = link;
	in->event = event_new(base, link, EV_READ | EV_PERSIST, on_inlet, in);
	if (in->event == NULL || event_add(in->event, NULL) < 0)
		fatal("cannot watch a link");
	TAILQ_INSERT_TAIL(&inlets, in, link);
}

/* ---- the end --------------------------------------------------------------- */

/* After the shutdown nothing can be put in, and what is in can be read. */
void
pass_stop(void)
{
	struct inlet *in;

	pass_end();
	while ((in = TAILQ_FIRST(&inlets)) != NULL) {
		shutdown(in->fd, SHUT_RD);
		while (take_one(in) > 0)
			;
		inlet_free(in);
	}
}
