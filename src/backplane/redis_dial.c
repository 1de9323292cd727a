/* SPDX-License-Identifier: MIT
 *
 * Making a connection, see redis_dial.h.
 *
 * Runs in: the router.
 */
#include "backplane/redis_dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "backplane/redis.h"
#include "common/log.h"
#include "common/util.h"

static void next_address(struct redis_dial *);

/* The names' side needs up to 10 s to say that it cannot. */
#define RESOLVE_LATE_MS	12000

static void
failed(struct redis_dial *d, const char *why)
{
	if (why != d->why)
		snprintf(d->why, sizeof(d->why), "%s", why);
	redis_dial_stop(d);
	d->done(d->ctx, -1, d->why);
}

static void
succeeded(struct redis_dial *d)
{
	int fd = d->fd;

	d->fd = -1;
	redis_dial_stop(d);
	d->done(d->ctx, fd, NULL);
}

/* ---- one address after the other ----------------------------------------- */

static void
on_wait(evutil_socket_t fd, short what, void *arg)
{
	struct redis_dial *d = arg;
	int error = 0;
	socklen_t n = sizeof(error);

	if (what & EV_TIMEOUT)
		error = ETIMEDOUT;
	else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
		error = errno;
	if (error == 0) {
		succeeded(d);
		return;
	}
	snprintf(d->why, sizeof(d->why), "cannot connect: %s",
	    strerror(error));
	next_address(d);
}

static socklen_t
address_fill(const struct redis_dial *d, unsigned i, struct sockaddr_storage *to)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)to;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)to;

	memset(to, 0, sizeof(*to));
	if (d->size[i] == 4) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(d->port);
		memcpy(&v4->sin_addr, &d->address[i], 4);
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(d->port);
	v6->sin6_addr = d->address[i];
	return sizeof(*v6);
}

static int
connect_begin(struct redis_dial *d)
{
	struct sockaddr_storage to;
	socklen_t n = address_fill(d, d->next++, &to);
	int on = 1;

	d->fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);
	if (d->fd < 0)
		return -1;
	(void)setsockopt(d->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(d->fd, (const struct sockaddr *)&to, n) < 0 &&
	    errno != EINPROGRESS)
		return -1;
	return 0;
}

static void
leave_address(struct redis_dial *d)
{
	if (d->wait != NULL)
		event_free(d->wait);
	d->wait = NULL;
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

static void
next_address(struct redis_dial *d)
{
	struct timeval in = timeval_ms(d->redis->settings.set->timeout);

	leave_address(d);
	while (d->next < d->n) {
		if (connect_begin(d) < 0) {
			snprintf(d->why, sizeof(d->why), "cannot connect: %s",
			    strerror(errno));
			leave_address(d);
			continue;
		}
		d->wait = event_new(d->redis->base, d->fd, EV_WRITE, on_wait,
		    d);
		if (d->wait == NULL || event_add(d->wait, &in) < 0)
			fatal("no event for a connection");
		return;
	}
	failed(d, d->n == 0 ? "the name has no address" : d->why);
}

static void
address_add(struct redis_dial *d, const void *p, size_t n)
{
	if ((n != 4 && n != 16) || d->n == DIAL_ADDRESSES)
		return;
	memset(&d->address[d->n], 0, sizeof(d->address[d->n]));
	memcpy(&d->address[d->n], p, n);
	d->size[d->n++] = (uint8_t)n;
}

/* ---- what is asked of the router ----------------------------------------- */

/* Too late; or the answer came, in a verb that may not go on by itself. */
static void
on_late(evutil_socket_t fd, short what, void *arg)
{
	struct redis_dial *d = arg;

	(void)fd, (void)what;
	if (d->cookie != 0)
		failed(d, "the name was not looked up in time");
	else if (d->why[0] != '\0')
		failed(d, d->why);
	else if (d->fd >= 0)
		succeeded(d);
	else
		next_address(d);
}

static void
ask(struct redis_dial *d, const char *host)
{
	struct redis *r = d->redis;
	struct timeval in = timeval_ms(RESOLVE_LATE_MS);

	d->cookie = ++r->last_cookie;
	evtimer_add(d->late, &in);
	r->up->resolve(r->ctx, d->cookie, bytes_str(host));
}

static void
answered(struct redis_dial *d, const char *why)
{
	d->cookie = 0;
	snprintf(d->why, sizeof(d->why), "%s", why != NULL ? why : "");
	evtimer_del(d->late);
	event_active(d->late, EV_TIMEOUT, 0);
}

void
redis_dial_resolved(struct redis_dial *d, const struct msg_list *list,
    const char *why)
{
	struct bytes at;

	for (uint32_t i = 0; list != NULL && i < list->n; i++) {
		at = msg_list_at(list, i);
		address_add(d, at.p, at.n);
	}
	answered(d, d->n == 0 ? why : NULL);
}

void
redis_dial_connected(struct redis_dial *d, int fd)
{
	d->fd = fd;
	answered(d, fd_nonblock(fd) < 0 || fd_cloexec(fd, 1) < 0 ?
	    "a socket that cannot be used" : NULL);
}

/* ---- life ---------------------------------------------------------------- */

void
redis_dial_init(struct redis_dial *d, struct redis *r,
    void (*done)(void *ctx, int fd, const char *why), void *ctx)
{
	*d = (struct redis_dial){ .redis = r, .done = done, .ctx = ctx,
	    .fd = -1 };
	if ((d->late = evtimer_new(r->base, on_late, d)) == NULL)
		fatal("no timer for a connection");
}

void
redis_dial_stop(struct redis_dial *d)
{
	leave_address(d);
	d->n = d->next = 0;
	d->cookie = 0;
	evtimer_del(d->late);
}

void
redis_dial_done(struct redis_dial *d)
{
	redis_dial_stop(d);
	event_free(d->late);
}

void
redis_dial_start(struct redis_dial *d, const struct redis_place *place)
{
	struct in6_addr numeric;

	redis_dial_stop(d);
	d->port = place->port;
	if (inet_pton(AF_INET, place->host, &numeric) == 1)
		address_add(d, &numeric, 4);
	else if (inet_pton(AF_INET6, place->host, &numeric) == 1)
		address_add(d, &numeric, 16);
	if (d->n > 0)
		next_address(d);
	else
		ask(d, place->host);
}
