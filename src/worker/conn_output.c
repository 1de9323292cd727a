/* SPDX-License-Identifier: MIT
 *
 * What conns write: see conn_output.h.
 */
#include "worker/conn_output.h"

#include <sys/socket.h>
#include <errno.h>
#include <string.h>

#include "common/counters.h"
#include "common/tls.h"
#include "worker/address.h"
#include "worker/conn_input.h"
#include "worker/conn_queue.h"
#include "worker/worker.h"

#define WRITES_A_TURN	128	/* sockets written before others may
					   speak, and the router is read: who is
					   behind them gets what it said with
					   the same write */
#define MOVING		2	/* seconds more for each write while closing */
#define IOV		64

static struct {
	struct conn_list	 dirty;		/* have something to write */
	uint64_t		 dirtied, written;	/* on it, off it */
} output;

void
output_init(void)
{
	TAILQ_INIT(&output.dirty);
}

void
output_dirty(struct conn *c)
{
	if (c->dirty || c->blocked || c->dead || c->sealed || c->corked)
		return;
	if (c->again)
		input_remove(c);
	c->dirty = 1;
	output.dirtied++;
	TAILQ_INSERT_TAIL(&output.dirty, c, link);
}

void
output_remove(struct conn *c)
{
	TAILQ_REMOVE(&output.dirty, c, link);
	output.written++;
}

void
conn_cork(struct conn *c)
{
	c->corked = 1;
	if (!c->dirty || c->dead)
		return;
	output_remove(c);
	c->dirty = 0;
	if (c->again)
		input_add(c);
}

void
conn_uncork(struct conn *c)
{
	c->corked = 0;
	if (c->first != NULL)
		output_dirty(c);
}

void
conn_too_slow(struct conn *c)
{
	static struct notice notice;

	counter.slow_readers++;
	address_log(&notice, c, "client reads too slowly", NULL);
	conn_kill(c, CLOSE_SLOW_READER);
}

/* One frame alone may be larger than the limit (an answer of the API); what piles
 * up behind it may not. */
static bool
is_over(const struct conn *c)
{
	return c->first != NULL &&
	    queue_backlog(c) > worker.config->websocket.max_backlog;
}

/* Too much waits, and its peer is to blame: what this turn or those before have
 * brought, and nobody has tried to write yet, says nothing about who reads. */
static bool
is_behind(struct conn *c)
{
	if (!is_over(c))
		return false;
	if (!c->dirty)
		return true;
	output_flush(c);
	return (c->blocked || c->frozen) && is_over(c);
}

void
conn_send(struct conn *c, struct frame *f)
{
	if (c->dead || c->closing || conn_ends_later(c))
		return;
	if (is_behind(c))
		conn_too_slow(c);
	if (c->dead || conn_ends_later(c))
		return;
	queue_push(c, frame_ref(f));
	output_dirty(c);
}

bool
conn_half_full(const struct conn *c)
{
	return c->first != NULL &&
	    queue_backlog(c) > worker.config->websocket.max_backlog / 2;
}

void
conn_send_bytes(struct conn *c, struct bytes b)
{
	struct frame *f;

	if (c->dead || c->closing)
		return;
	f = frame_of(b);
	conn_send(c, f);
	frame_unref(f);
}

/* n octets are out. */
static void
output_wrote(struct conn *c, size_t n)
{
	counter.bytes_out += n;
	queue_wrote(c, n);
	c->stuck = 0;
	/* Closing: a peer that reads gets the time it needs. */
	if (c->closing && c->deadline < worker.now + MOVING)
		c->deadline = worker.now + MOVING;
}

static ssize_t
output_plain(struct conn *c)
{
	struct iovec iov[IOV];
	struct msghdr m = { .msg_iov = iov };
	/* The FIN of output_shut() goes into the same segment. */
	int flags = MSG_NOSIGNAL | MSG_DONTWAIT |
	    (c->closing && !c->dead ? MSG_MORE : 0);
	ssize_t n;

	if (c->more == NULL)
		n = send(c->fd, c->first->p + c->sent, c->first->n - c->sent,
		    flags);
	else {
		m.msg_iovlen = queue_gather(c, iov, IOV);
		n = sendmsg(c->fd, &m, flags);
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return TLS_WANT_WRITE;
	return n;
}

/* One record for all that waits: SSL_write costs by the call. */
static ssize_t
output_tls(struct conn *c)
{
	static char room[16384];
	struct iovec iov[IOV];
	unsigned i, n;
	size_t have = 0;

	if (c->more == NULL)
		return tls_write(c->tls, c->first->p + c->sent,
		    c->first->n - c->sent);
	n = queue_gather(c, iov, IOV);
	for (i = 0; i < n && have < sizeof(room); i++) {
		size_t take = iov[i].iov_len;

		if (take > sizeof(room) - have)
			take = sizeof(room) - have;
		memcpy(room + have, iov[i].iov_base, take);
		have += take;
	}
	return tls_write(c->tls, room, have);
}

void
output_shut(struct conn *c)
{
	if (c->shut)
		return;
	c->shut = 1;
	/* A FIN after the last octet; the socket is closed when the peer has
	 * closed too: close(2) with unread input would send a RST that may
	 * overtake what we said. */
	if (c->tls != NULL) {
		tls_free(c->tls);
		c->tls = NULL;
	}
	shutdown(c->fd, SHUT_WR);
	if (c->eof)
		conn_kill(c, c->reason);
	else if (!c->armed)
		conn_watch(c, true, false);
}

void
output_flush(struct conn *c)
{
	unsigned turn;

	for (turn = 0; c->first != NULL && turn < CALLS_A_TURN; turn++) {
		ssize_t n = c->tls != NULL ? output_tls(c) : output_plain(c);

		if (n == TLS_WANT_WRITE || n == TLS_WANT_READ) {
			if (c->stuck == 0)
				c->stuck = worker.now;
			conn_watch(c, c->armed, n == TLS_WANT_WRITE);
			return;
		}
		if (n <= 0) {
			conn_kill(c, CLOSE_PEER_RESET);
			return;
		}
		output_wrote(c, n);
	}
	if (c->first != NULL) {
		conn_watch(c, c->armed, true);
		return;
	}
	if (c->blocked)
		conn_watch(c, c->armed, false);
	if (c->closing)
		output_shut(c);
}

uint64_t
conns_dirtied(void)
{
	return output.dirtied;
}

uint64_t
conns_written(void)
{
	return output.written;
}

void
output_last(struct conn *c)
{
	if (c->first != NULL && !c->blocked && c->tls == NULL)
		output_plain(c);
}

void
output_turn(void)
{
	struct conn *c;
	unsigned n;

	for (n = 0; n < WRITES_A_TURN &&
	    (c = TAILQ_FIRST(&output.dirty)) != NULL; n++) {
		output_remove(c);
		c->dirty = 0;
		if (c->again)
			input_add(c);
		/* Here when this one's system call is done. */
		if (!TAILQ_EMPTY(&output.dirty))
			conn_prefetch(TAILQ_FIRST(&output.dirty));
		output_flush(c);
	}
}

bool
output_waits(void)
{
	return !TAILQ_EMPTY(&output.dirty);
}
