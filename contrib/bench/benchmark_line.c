/* SPDX-License-Identifier: MIT
 *
 * peal-benchmark: a connection, plain or by TLS.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "benchmark.h"

#define PER_SOURCE	8000	/* connections from one address of loopback */

static struct sockaddr_storage to;
static socklen_t to_size;
static bool loopback;
static unsigned sources;

void
line_setup(void)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list;
	const struct sockaddr_in *in;
	char port[8];
	int error;

	snprintf(port, sizeof port, "%u", opt.port);
	if ((error = getaddrinfo(opt.host, port, &hints, &list)) != 0)
		die("%s: %s", opt.host, gai_strerror(error));
	memcpy(&to, list->ai_addr, list->ai_addrlen);
	to_size = list->ai_addrlen;
	freeaddrinfo(list);
	in = (const struct sockaddr_in *)&to;
	loopback = in->sin_family == AF_INET &&
	    (ntohl(in->sin_addr.s_addr) >> 24) == 127;
	/* Who comes and goes leaves its port in TIME_WAIT for a minute. */
	sources = plan.churn ? 32 : plan.clients / PER_SOURCE + 1;
	if (opt.tls)
		tls_setup(opt.host);
}

/* Loopback has many addresses; from one there are too few ports for all. */
static void
choose_source(int fd, unsigned who)
{
	struct sockaddr_in from = { .sin_family = AF_INET };
	int on = 1;

	if (!loopback || sources == 1)
		return;
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
	from.sin_addr.s_addr = htonl(0x7f000101u + who % sources);
	bind(fd, (struct sockaddr *)&from, sizeof from);
}

static void
want(struct line *l, bool writable)
{
	struct epoll_event ev = { .events = writable ? EPOLLIN | EPOLLOUT :
	    EPOLLIN, .data.ptr = l };

	epoll_ctl(hand.ep, EPOLL_CTL_MOD, l->fd, &ev);
}

void
line_open(struct line *l, unsigned who)
{
	struct epoll_event ev = { .events = EPOLLOUT, .data.ptr = l };
	int on = 1;

	l->fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);
	if (l->fd < 0)
		die("socket: %s", strerror(errno));
	setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	choose_source(l->fd, who);
	l->state = LINE_CONNECTING;
	if (epoll_ctl(hand.ep, EPOLL_CTL_ADD, l->fd, &ev) != 0)
		die("epoll: %s", strerror(errno));
	if (connect(l->fd, (struct sockaddr *)&to, to_size) != 0 &&
	    errno != EINPROGRESS)
		l->heard(l, LINE_LOST);
}

void
line_close(struct line *l)
{
	if (l->state == LINE_IDLE)
		return;
	if (l->ssl != NULL)
		tls_close(l->ssl);
	close(l->fd);
	free(l->out);
	l->ssl = NULL;
	l->out = NULL;
	l->n_out = l->out_size = 0;
	l->waits = false;
	l->fd = -1;
	l->state = LINE_IDLE;
}

static void
up(struct line *l)
{
	l->state = LINE_OPEN;
	want(l, false);
	l->heard(l, LINE_UP);
}

static void
secure(struct line *l)
{
	bool writable = false;
	int done = tls_handshake(l->ssl, &writable);

	if (done > 0) {
		up(l);
	} else if (done < 0) {
		errno = EPROTO;
		l->heard(l, LINE_LOST);
	} else {
		want(l, writable);
	}
}

static void
connected(struct line *l)
{
	int error = 0;
	socklen_t size = sizeof error;

	getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &size);
	if (error != 0) {
		errno = error;
		l->heard(l, LINE_LOST);
	} else if (!opt.tls) {
		up(l);
	} else {
		l->state = LINE_SECURING;
		l->ssl = tls_open(l->fd);
		secure(l);
	}
}

/* What the kernel takes of it; never fails, reading tells that. */
static size_t
push(struct line *l, const char *p, size_t n)
{
	long done = l->ssl != NULL ? tls_send(l->ssl, p, n) :
	    send(l->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);

	return done > 0 ? (size_t)done : 0;
}

void
line_flush(struct line *l)
{
	size_t n = push(l, l->out, l->n_out);

	l->n_out -= (uint32_t)n;
	memmove(l->out, l->out + n, l->n_out);
	if (l->waits != (l->n_out > 0)) {
		l->waits = l->n_out > 0;
		want(l, l->waits);
	}
}

void
line_keep(struct line *l, const char *p, size_t n)
{
	if (l->n_out + n > l->out_size) {
		l->out_size = l->n_out + (uint32_t)n + 1024;
		if ((l->out = realloc(l->out, l->out_size)) == NULL)
			die("out of memory");
	}
	memcpy(l->out + l->n_out, p, n);
	l->n_out += (uint32_t)n;
}

void
line_send(struct line *l, const char *p, size_t n)
{
	size_t done = l->n_out == 0 ? push(l, p, n) : 0;

	if (done == n)
		return;
	line_keep(l, p + done, n - done);
	if (!l->waits) {
		l->waits = true;
		want(l, true);
	}
}

long
line_recv(struct line *l, char *p, size_t n)
{
	ssize_t got;

	if (l->ssl != NULL)
		return tls_recv(l->ssl, p, n);
	got = recv(l->fd, p, n, MSG_DONTWAIT);
	if (got > 0)
		return got;
	return got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

void
line_stall(struct line *l)
{
	struct epoll_event ev = { .events = 0, .data.ptr = l };
	int little = 4096;

	setsockopt(l->fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
	epoll_ctl(hand.ep, EPOLL_CTL_MOD, l->fd, &ev);
}

bool
line_resumed(const struct line *l)
{
	return l->ssl != NULL && tls_resumed(l->ssl);
}

void
line_event(struct line *l, unsigned events)
{
	switch (l->state) {
	case LINE_IDLE:		/* closed by what came before it */
		return;
	case LINE_CONNECTING:
		connected(l);
		return;
	case LINE_SECURING:
		secure(l);
		return;
	}
	if ((events & EPOLLOUT) != 0 && l->n_out > 0)
		line_flush(l);
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
		l->heard(l, LINE_READABLE);
}
