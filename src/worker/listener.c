/* SPDX-License-Identifier: MIT
 *
 * Accepting: see listener.h.
 */
#include <sys/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/counters.h"
#include "common/log.h"
#include "common/msg.h"
#include "common/util.h"
#include "worker/conn.h"
#include "worker/governor.h"
#include "worker/listener.h"
#include "worker/pass.h"

#define ACCEPTS_A_TURN	64	/* of a socket that is ours alone */
#define ACCEPTS_SHARED	8	/* of one that all workers share */
#define HOLD_MS		10	/* then a held one is looked at again */
#define SAY_EVERY	10	/* seconds between two lines of the same */

/* What the listeners of a [listen] section have in common. */
struct door {
	struct governor	 governor;
	struct event	*timer;		/* while it is held */
	uint64_t	 since_ms;	/* it is held, or was looked at */
	uint32_t	 said;
};

static struct listener **listeners;
static size_t n_listeners;
static struct door *doors;	/* as many as there are sections */
/* Given up to accept and refuse one when descriptors run out: what waits in the
 * queue would keep the loop awake otherwise. */
static int spare = -1;

/* What its connections inherit: so there is no call for each of them. */
static void
listener_set(const struct listener *l)
{
	int unsent = (int)worker.config->listen[l->section].max_unsent;
	int on = 1;

	if (!l->local && (setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on,
	    sizeof(on)) < 0 || setsockopt(l->fd, IPPROTO_TCP,
	    TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent)) < 0))
		log_warn("listener is not set up address=%s: %s", l->address,
		    strerror(errno));
}

void
listeners_settings(void)
{
	size_t i;

	for (i = 0; i < n_listeners; i++)
		listener_set(listeners[i]);
}

void
listener_add(const struct msg_listener *m)
{
	const struct config *c = worker.config;
	struct listener *l = xcalloc(1, sizeof(*l));
	size_t i;

	if (fd_nonblock(m->fd) < 0)
		fatal("listener: %s", strerror(errno));
	l->fd = m->fd;
	l->section = (unsigned)m->section;
	l->local = m->local != 0;
	l->proxy = c->listen[l->section].proxy_protocol;
	l->address = bytes_dup(m->address);
	if (doors == NULL) {
		doors = xcalloc(c->n_listen, sizeof(*doors));
		for (i = 0; i < c->n_listen; i++)
			governor_init(&doors[i].governor, 1);
	}
	governor_init(&doors[l->section].governor, m->workers);
	listeners = xreallocarray(listeners, n_listeners + 1,
	    sizeof(*listeners));
	listeners[n_listeners++] = l;
	listener_set(l);
}

static const struct config_listen *
settings_of(const struct door *d)
{
	return &worker.config->listen[d - doors];
}

/* ---- one ------------------------------------------------------------------- */

static void
no_descriptors(struct listener *l)
{
	static uint32_t said;
	int fd;

	counter.accept_errors++;
	if (worker.now >= said) {
		said = worker.now + SAY_EVERY;
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

/* NULL: it was closed. */
static struct conn *
let_in(const struct listener *l, int fd, const struct sockaddr_storage *from)
{
	struct conn *c;

	c = conns_accept(fd, l, (const struct sockaddr *)from);
	if (c == NULL) {
		close(fd);
		return NULL;
	}
	c->opening = 1;
	doors[l->section].governor.opening++;
	return c;
}

/* False: nobody waits there, or none can be taken. */
static bool
accept_one(struct listener *l)
{
	struct door *d = &doors[l->section];
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	int fd;

	from.ss_family = AF_UNSPEC;
	fd = accept4(l->fd, (struct sockaddr *)&from, &len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE ||
		    errno == ENOBUFS || errno == ENOMEM)
			no_descriptors(l);
		return false;
	}
	governor_took(&d->governor, settings_of(d));
	if (pass_left != 0 && pass_on(fd, l) == 0)
		close(fd);
	else
		(void)let_in(l, fd, &from);
	return true;
}

/* It was let in by another worker's governor; here it counts as one that has
 * not sent its head. */
int
listener_adopt(int fd, struct bytes address)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	struct conn *c;
	size_t i;

	for (i = 0; i < n_listeners; i++)
		if (bytes_eq(bytes_str(listeners[i]->address), address))
			break;
	if (i == n_listeners || fd_nonblock(fd) < 0 ||
	    getpeername(fd, (struct sockaddr *)&from, &len) < 0) {
		close(fd);
		return -1;
	}
	if ((c = let_in(listeners[i], fd, &from)) == NULL)
		return -1;
	c->foreign = 1;
	return 0;
}

/* ---- held back ------------------------------------------------------------- */

static void
door_watch(const struct door *d, bool on)
{
	size_t i;

	for (i = 0; i < n_listeners; i++) {
		struct listener *l = listeners[i];

		if (&doors[l->section] != d || l->event == NULL)
			continue;
		if ((on ? event_add(l->event, NULL) :
		    event_del(l->event)) < 0)
			fatal("cannot watch a listener");
	}
}

static void
door_wait(struct door *d)
{
	struct timeval hold = { 0, HOLD_MS * 1000 };

	d->since_ms = clock_ms();
	event_add(d->timer, &hold);
}

static void
door_hold(struct door *d, const struct listener *l)
{
	if (d->governor.held)
		return;
	d->governor.held = true;
	counter.accept_held++;
	door_watch(d, false);
	door_wait(d);
	if (worker.now < d->said)
		return;
	d->said = worker.now + SAY_EVERY;
	log_info("many connect at once, the others wait address=%s opening=%u",
	    l->address, d->governor.opening);
}

static void
door_open(struct door *d)
{
	d->governor.held = false;
	event_del(d->timer);
	door_watch(d, true);
}

/* Those who never send a head must not shut others out. */
static void
accept_owed(struct door *d, uint64_t now)
{
	const struct config_listen *settings = settings_of(d);
	size_t i;

	for (i = 0; i < n_listeners; i++) {
		struct listener *l = listeners[i];
		unsigned n;

		if (&doors[l->section] != d)
			continue;
		n = governor_owed(&l->owed, settings->backlog,
		    worker.config->http.header_timeout, now - d->since_ms);
		n = governor_rate_allows(&d->governor, settings, now, n);
		while (n-- > 0 && accept_one(l))
			;
	}
}

static void
on_hold(evutil_socket_t fd, short what, void *arg)
{
	struct door *d = arg;
	uint64_t now = clock_ms();

	(void)fd, (void)what;
	worker_clock();
	if (governor_allows(&d->governor, settings_of(d), now, 1) > 0) {
		door_open(d);
		return;
	}
	accept_owed(d, now);
	door_wait(d);
}

void
listener_settled(struct conn *c)
{
	struct door *d;

	if (!c->opening)
		return;
	c->opening = 0;
	d = &doors[c->section];
	d->governor.opening--;
	if (d->governor.held && n_listeners > 0 &&
	    governor_allows(&d->governor, settings_of(d), clock_ms(), 1) > 0)
		door_open(d);
}

/* ---- all ------------------------------------------------------------------- */

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;
	struct door *d = &doors[l->section];
	unsigned want = l->local ? ACCEPTS_SHARED : ACCEPTS_A_TURN;
	unsigned n = governor_allows(&d->governor, settings_of(d), clock_ms(),
	    want);

	(void)fd, (void)what;
	want -= n;
	while (n-- > 0)
		if (!accept_one(l))
			return;
	if (want > 0)
		door_hold(d, l);
}

void
listeners_start(struct event_base *base)
{
	size_t i;

	for (i = 0; i < n_listeners; i++) {
		struct listener *l = listeners[i];
		struct door *d = &doors[l->section];

		if (spare < 0)
			spare = dup(l->fd);
		if (d->timer == NULL)
			d->timer = event_new(base, -1, 0, on_hold, d);
		l->event = event_new(base, l->fd, EV_READ | EV_PERSIST,
		    on_accept, l);
		if (d->timer == NULL || l->event == NULL ||
		    event_add(l->event, NULL) < 0)
			fatal("cannot watch a listener");
	}
}

/* No more than can be there now, as others may come all the time; and the limits
 * hold: who has to wait for them waits for another worker. */
static void
accept_last(struct listener *l)
{
	struct door *d = &doors[l->section];
	const struct config_listen *settings = settings_of(d);
	unsigned n;

	if (worker.tls[l->section] != NULL)
		return;
	n = governor_allows(&d->governor, settings, clock_ms(),
	    (unsigned)settings->backlog + 1);
	while (n-- > 0 && accept_one(l))
		;
}

static void
listener_close(struct listener *l)
{
	if (l->event != NULL) {
		event_free(l->event);	/* before the close */
		l->event = NULL;
		accept_last(l);
	}
	close(l->fd);
	free(l->address);
	free(l);
}

void
listeners_stop(void)
{
	size_t i, n = n_listeners;

	pass_stop();
	for (i = 0; i < n; i++) {
		struct door *d = &doors[listeners[i]->section];

		if (d->timer != NULL)
			event_free(d->timer);
		d->timer = NULL;
	}
	n_listeners = 0;
	for (i = 0; i < n; i++)
		listener_close(listeners[i]);
	free(listeners);
	listeners = NULL;
	if (spare >= 0)
		close(spare);
	spare = -1;
}
