/* SPDX-License-Identifier: MIT
 *
 * One socket: see conn.h.
 */
#include <sys/epoll.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/counters.h"
#include "common/log.h"
#include "common/tls.h"
#include "common/util.h"
#include "worker/address.h"
#include "worker/backlog.h"
#include "worker/client.h"
#include "worker/conn.h"
#include "worker/conn_queue.h"
#include "worker/listener.h"
#include "worker/proxy.h"
#include "worker/request.h"
#include "worker/table.h"
#include "worker/worker.h"

#define SCRATCH		(256u << 10)	/* one read; one gathered TLS write */
#define KEEP_MAX	(32u << 10)	/* kept input up to here is copied into
					   scratch, more is read in place */
#define READS_A_TURN	4		/* one peer must not hold the loop */
#define WRITES_A_TURN	128	/* sockets written before others may
					   speak, and the router is read: who is
					   behind them gets what it said with
					   the same write */
#define FREED_A_TURN	(1u << 19)	/* frames of those who die: 2 ms */
#define MOVING		2	/* seconds more for each write while closing */
#define IOV		64
#define EVENTS		512

TAILQ_HEAD(conn_list, conn);

static struct {
	int			 epoll;
	struct event		*event;
	struct conn_list	 dirty;		/* have something to write */
	uint64_t		 dirtied, written;	/* on it, off it */
	struct conn_list	 again;		/* have kept input to show */
	uint32_t		 n_again;
	struct conn_list	 dead;
	char			 scratch[SCRATCH];
	uint32_t		 swept;		/* next index of the table */
	uint32_t		 late;		/* of all that are there */
} conns;

static void	on_ready(evutil_socket_t, short, void *);
static void	conn_read(struct conn *);
static void	conn_flush(struct conn *);

const char *
conn_name(const struct conn *c)
{
	static char names[4][40];
	static unsigned next;
	char *name = names[next++ % 4];

	snprintf(name, sizeof(names[0]), "%u:%u:%llu",
	    (unsigned)(c->id >> 56), (unsigned)(c->id >> 40) & 0xffff,
	    (unsigned long long)(c->id & 0xffffffffffULL));
	return name;
}

const char *
conn_from(const struct conn *c)
{
	return address_text(c->address, c->fd);
}

struct client *
conn_client(struct conn *c)
{
	return table_client(c);
}

static void
again_add(struct conn *c)
{
	TAILQ_INSERT_TAIL(&conns.again, c, link);
	conns.n_again++;
}

static void
again_remove(struct conn *c)
{
	TAILQ_REMOVE(&conns.again, c, link);
	conns.n_again--;
}

/* ---- the epoll set --------------------------------------------------------- */

void
conns_init(struct event_base *base, uint64_t id_base)
{
	TAILQ_INIT(&conns.dirty);
	TAILQ_INIT(&conns.again);
	TAILQ_INIT(&conns.dead);
	table_init(id_base);
	conns.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (conns.epoll < 0)
		fatal("epoll_create1: %s", strerror(errno));
	conns.event = event_new(base, conns.epoll, EV_READ | EV_PERSIST,
	    on_ready, NULL);
	if (conns.event == NULL || event_add(conns.event, NULL) < 0)
		fatal("cannot watch the clients' epoll set");
}

/* Asks epoll for what this conn wants now, if that changed. */
static void
conn_watch(struct conn *c, bool in, bool out)
{
	struct epoll_event ev = { .data.ptr = c };

	if (c->frozen || (c->armed == in && c->blocked == out))
		return;
	c->armed = in;
	c->blocked = out;
	ev.events = (in ? EPOLLIN : 0) | (out ? EPOLLOUT : 0);
	if (epoll_ctl(conns.epoll, EPOLL_CTL_MOD, c->fd, &ev) < 0)
		fatal("epoll_ctl mod: %s", strerror(errno));
}

static void
on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct epoll_event ev[EVENTS];
	int i, n;

	(void)what, (void)arg;
	worker_clock();
	n = epoll_wait(fd, ev, EVENTS, 0);
	for (i = 0; i < n; i++) {
		struct conn *c = ev[i].data.ptr;

		if (c->dead || c->frozen)
			continue;
		if (ev[i].events & EPOLLOUT)
			conn_flush(c);
		if (c->dead)
			continue;
		if (!c->armed && ev[i].events & (EPOLLHUP | EPOLLERR))
			conn_kill(c, c->closing ? c->reason :
			    CLOSE_PEER_RESET);
		else if (ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR) ||
		    (c->tls != NULL && !tls_established(c->tls)))
			conn_read(c);
	}
}

void
conn_begin(struct conn *c)
{
	c->stage = &request_stage;
	if (worker.tls[c->section] != NULL)
		c->tls = tls_accept(worker.tls[c->section], c->fd);
}

struct conn *
conns_accept(int fd, const struct listener *l, const struct sockaddr *from)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct conn *c;

	c = table_new();
	c->fd = fd;
	c->section = l->section;
	c->local = l->local;
	c->armed = 1;
	ev.data.ptr = c;
	if (address_meet(c, l, from) < 0 ||
	    epoll_ctl(conns.epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
		address_give(c);
		table_free(c);
		return NULL;
	}
	if (l->proxy)
		c->stage = &proxy_stage;
	else
		conn_begin(c);
	c->deadline = worker.now + 1 +	/* this second is half over */
	    (worker.config->http.header_timeout + 999) / 1000;
	c->late = worker.stopping;
	conns.late += c->late;
	counter.accepted++;
	counter.connections++;
	return c;
}

/* ---- reading ----------------------------------------------------------------- */

/* Keeps what the stage did not use; p may be c->in itself. */
static void
conn_keep(struct conn *c, const char *p, size_t n)
{
	if (n == 0) {
		if (c->in_cap > 0) {
			free(c->in);
			c->in = NULL;
			c->in_cap = 0;
		}
		c->in_n = 0;
		return;
	}
	if (n > c->in_cap) {
		char *fresh = xmalloc(n);

		memcpy(fresh, p, n);
		free(c->in);
		c->in = fresh;
		c->in_cap = n;
	} else
		memmove(c->in, p, n);
	c->in_n = n;
}

/* Shows n octets at p to the stage until it uses no more of them. */
static void
conn_feed(struct conn *c, char *p, size_t n)
{
	size_t used;

	while (n > 0 && !c->dead && !c->paused) {
		const struct conn_stage *stage = c->stage;

		if (c->closing) {
			n = 0;
			break;
		}
		used = stage->input(c, p, n);
		if (c->dead)
			return;
		assert(used <= n);
		p += used;
		n -= used;
		if (used == 0 && c->stage == stage)
			break;
	}
	if (!c->dead)
		conn_keep(c, p, c->closing ? 0 : n);
}

/* Up to n octets, to stand behind those that p has already. */
static ssize_t
conn_recv(struct conn *c, char *p, size_t have, size_t n)
{
	ssize_t got;

	if (c->tls == NULL) {
		got = c->stage == &proxy_stage ? proxy_recv(c->fd, p, have) :
		    recv(c->fd, p + have, n, MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return TLS_WANT_READ;
		return got;
	}
	return tls_read(c->tls, p + have, n > INT32_MAX ? INT32_MAX : n);
}

static void
conn_eof(struct conn *c, ssize_t got)
{
	enum close_reason why =
	    got == 0 ? CLOSE_PEER_CLOSED : CLOSE_PEER_RESET;

	c->eof = 1;
	if (c->tls != NULL && !tls_established(c->tls))
		why = CLOSE_TLS_FAILED;
	if (got < 0 || c->first == NULL) {
		conn_kill(c, c->closing ? c->reason : why);
		return;
	}
	/* The peer only stopped sending: what we owe it still goes out. */
	conn_watch(c, false, c->blocked);
	conn_finish(c, why, 5);
}

/* Where the next octets go: behind what is kept. */
static char *
conn_room(struct conn *c, size_t *room)
{
	if (c->in_n <= KEEP_MAX) {
		if (c->in_n > 0)
			memcpy(conns.scratch, c->in, c->in_n);
		*room = SCRATCH - c->in_n;
		return conns.scratch;
	}
	if (c->in_cap - c->in_n < SCRATCH / 4) {
		c->in_cap += c->in_cap / 2 + SCRATCH / 4;
		c->in = xrealloc(c->in, c->in_cap);
	}
	*room = c->in_cap - c->in_n;
	return c->in;
}

/* Has something to be shown to its stage this turn.  A conn that is dirty
 * waits in that list first. */
static void
conn_again(struct conn *c)
{
	if (c->again || c->frozen)
		return;
	c->again = 1;
	if (!c->dirty)
		again_add(c);
}

static void
conn_read(struct conn *c)
{
	unsigned turn;

	if (c->paused && !c->closing) {
		/* The peer goes on while its last request is worked on. */
		conn_watch(c, false, c->blocked);
		return;
	}
	/* What is here already comes first, or a peer that sends faster than
	 * it is answered would fill our memory. */
	if (c->again && c->in_n > 0 && !c->closing)
		return;
	for (turn = 0; turn < READS_A_TURN && !c->dead && !c->eof; turn++) {
		size_t room, have = c->in_n;
		char *p = conn_room(c, &room);
		ssize_t got = conn_recv(c, p, have, room);

		if (got == TLS_WANT_READ)
			return;
		if (got == TLS_WANT_WRITE) {
			conn_watch(c, c->armed, true);
			return;
		}
		if (got <= 0) {
			conn_eof(c, got);
			return;
		}
		counter.bytes_in += got;
		conn_feed(c, p, have + got);
		if (c->paused)
			return;
		if ((size_t)got < room &&
		    (c->tls == NULL || !tls_pending(c->tls)))
			return;
	}
	/* TLS octets that epoll cannot see must not be forgotten. */
	if (!c->dead && c->tls != NULL && tls_pending(c->tls))
		conn_again(c);
}

void
conn_pause(struct conn *c)
{
	c->paused = 1;
}

void
conn_resume(struct conn *c)
{
	if (!c->paused || c->dead)
		return;
	c->paused = 0;
	if (!c->armed && !c->eof)
		conn_watch(c, true, c->blocked);
	conn_again(c);
}

void
conn_stage(struct conn *c, const struct conn_stage *stage, void *of_stage)
{
	c->stage = stage;
	c->of_stage = of_stage;
}

/* Shows kept input again, and reads what TLS holds. */
static void
conn_go_on(struct conn *c)
{
	if (c->paused || c->dead)
		return;
	if (c->in_n > 0) {
		size_t n = c->in_n;

		if (n <= SCRATCH) {
			memcpy(conns.scratch, c->in, n);
			conn_feed(c, conns.scratch, n);
		} else
			conn_feed(c, c->in, n);
	}
	if (!c->dead && !c->paused && !c->eof && c->tls != NULL &&
	    tls_pending(c->tls))
		conn_read(c);
}

/* ---- writing ----------------------------------------------------------------- */

static void
conn_dirty(struct conn *c)
{
	if (c->dirty || c->blocked || c->dead || c->sealed)
		return;
	if (c->again)
		again_remove(c);
	c->dirty = 1;
	conns.dirtied++;
	TAILQ_INSERT_TAIL(&conns.dirty, c, link);
}

/* It was to end while somebody else may have it already. */
static bool
ends_later(const struct conn *c)
{
	return c->sealed && c->reason != CLOSE_NONE;
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
	conn_flush(c);
	return (c->blocked || c->frozen) && is_over(c);
}

void
conn_send(struct conn *c, struct frame *f)
{
	if (c->dead || c->closing || ends_later(c))
		return;
	if (is_behind(c))
		conn_too_slow(c);
	if (c->dead || ends_later(c))
		return;
	queue_push(c, frame_ref(f));
	conn_dirty(c);
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
conn_wrote(struct conn *c, size_t n)
{
	counter.bytes_out += n;
	queue_wrote(c, n);
	c->stuck = 0;
	/* Closing: a peer that reads gets the time it needs. */
	if (c->closing && c->deadline < worker.now + MOVING)
		c->deadline = worker.now + MOVING;
}

static ssize_t
conn_write_plain(struct conn *c)
{
	struct iovec iov[IOV];
	struct msghdr m = { .msg_iov = iov };
	/* The FIN of conn_shut() goes into the same segment. */
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
conn_write_tls(struct conn *c)
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

static void
conn_shut(struct conn *c)
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

static void
conn_flush(struct conn *c)
{
	unsigned turn;

	for (turn = 0; c->first != NULL && turn < READS_A_TURN; turn++) {
		ssize_t n = c->tls != NULL ? conn_write_tls(c) :
		    conn_write_plain(c);

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
		conn_wrote(c, n);
	}
	if (c->first != NULL) {
		conn_watch(c, c->armed, true);
		return;
	}
	if (c->blocked)
		conn_watch(c, c->armed, false);
	if (c->closing)
		conn_shut(c);
}

/* ---- ending ------------------------------------------------------------------ */

/* Neither dirty nor with input to show any more. */
static void
conn_unlist(struct conn *c)
{
	if (c->dirty) {
		TAILQ_REMOVE(&conns.dirty, c, link);
		conns.written++;
	} else if (c->again)
		again_remove(c);
	c->dirty = c->again = 0;
}

void
conn_finish(struct conn *c, enum close_reason why, unsigned seconds)
{
	if (c->dead || c->closing || ends_later(c))
		return;
	c->reason = why;
	if (c->sealed)
		return;
	c->deadline = worker.now + seconds;
	c->closing = 1;
	if (c->first != NULL)
		conn_dirty(c);
	else
		conn_shut(c);
}

void
conn_kill(struct conn *c, enum close_reason why)
{
	if (c->dead || ends_later(c))
		return;
	c->reason = why;
	if (c->sealed)
		return;
	conn_unlist(c);
	c->dead = 1;
	TAILQ_INSERT_TAIL(&conns.dead, c, link);
}

/* epoll forgets a socket when its last descriptor is closed, and another process
 * may hold one yet. */
static void
conn_close(struct conn *c)
{
	if (c->fd < 0)
		return;
	if (c->foreign && !c->frozen)
		(void)epoll_ctl(conns.epoll, EPOLL_CTL_DEL, c->fd, NULL);
	close(c->fd);
}

/* The conn without what hangs on it. */
static void
conn_free(struct conn *c)
{
	counter.connections--;
	conns.late -= c->late;
	listener_settled(c);
	queue_clear(c);
	if (c->tls != NULL)
		tls_free(c->tls);
	conn_close(c);
	free(c->in);
	address_give(c);
	table_free(c);
}

static void
conn_bury(struct conn *c)
{
	TAILQ_REMOVE(&conns.dead, c, link);
	c->stage->gone(c, c->reason);
	counter.closed++;
	closed_by[c->reason]++;
	if (close_info[c->reason].is_error)
		counter.closed_errors++;
	if (log_wants(LOG_LEVEL_DEBUG))
		log_debug("closed conn=%s reason=%s", conn_name(c),
		    close_info[c->reason].name);
	if (c->first != NULL && !c->blocked && c->tls == NULL)
		conn_write_plain(c);
	conn_free(c);
}

/* All who died, unless what they leave takes too long.  True: there are more. */
static bool
conns_bury(void)
{
	struct conn *c;
	uint64_t n = 0;

	while ((c = TAILQ_FIRST(&conns.dead)) != NULL && n < FREED_A_TURN) {
		n += queue_length(c);
		conn_bury(c);
	}
	return c != NULL;
}

void
conns_go_on(void)
{
	struct conn *c;
	unsigned n;

	/* What is put here while this runs waits for the next turn. */
	for (n = conns.n_again; n > 0 &&
	    (c = TAILQ_FIRST(&conns.again)) != NULL; n--) {
		again_remove(c);
		c->again = 0;
		conn_go_on(c);
	}
}

uint64_t
conns_dirtied(void)
{
	return conns.dirtied;
}

uint64_t
conns_written(void)
{
	return conns.written;
}

bool
conns_turn(void)
{
	struct conn *c;
	unsigned n;
	bool more;

	for (n = 0; n < WRITES_A_TURN &&
	    (c = TAILQ_FIRST(&conns.dirty)) != NULL; n++) {
		TAILQ_REMOVE(&conns.dirty, c, link);
		conns.written++;
		c->dirty = 0;
		if (c->again)
			again_add(c);
		/* Here when this one's system call is done. */
		if (!TAILQ_EMPTY(&conns.dirty))
			conn_prefetch(TAILQ_FIRST(&conns.dirty));
		conn_flush(c);
	}
	more = backlog_turn();
	more |= conns_bury();
	return more || !TAILQ_EMPTY(&conns.dirty) ||
	    !TAILQ_EMPTY(&conns.again);
}

/* ---- a hand-over ---------------------------------------------------------------- */

/* epoll watches the open file, not its number: before another process has the
 * socket it must be out of the set, or its events would come here for ever. */
void
conn_freeze(struct conn *c)
{
	if (c->dead || c->frozen)
		return;
	if (epoll_ctl(conns.epoll, EPOLL_CTL_DEL, c->fd, NULL) < 0)
		fatal("epoll_ctl del: %s", strerror(errno));
	if (c->again && !c->dirty)
		again_remove(c);
	c->again = c->armed = c->blocked = 0;
	c->frozen = 1;
}

void
conn_seal(struct conn *c)
{
	conn_unlist(c);
	c->sealed = 1;
}

void
conn_unfreeze(struct conn *c)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };

	c->frozen = c->sealed = 0;
	c->foreign = 1;
	if (c->dead)
		return;
	if (epoll_ctl(conns.epoll, EPOLL_CTL_ADD, c->fd, &ev) < 0) {
		log_error("cannot watch a connection conn=%s: %s",
		    conn_name(c), strerror(errno));
		conn_kill(c, CLOSE_INTERNAL);
		return;
	}
	c->armed = 1;
	if (c->first != NULL)
		conn_dirty(c);
	if (c->in_n > 0 && !c->paused)
		conn_again(c);
}

struct conn *
conns_restore(int fd, struct bytes in, struct bytes out, uint32_t first)
{
	struct conn *c = table_new();

	c->fd = fd;
	c->frozen = c->sealed = 1;
	conn_keep(c, in.p, in.n);
	queue_restore(c, out, first);
	counter.connections++;
	return c;
}

void
conn_forget(struct conn *c)
{
	assert(c->sealed && !c->dead);
	conn_free(c);
}

/* ---- the clock --------------------------------------------------------------- */

static void
conn_tick(struct conn *c, uint32_t now)
{
	if (c->frozen)
		return;
	if (c->closing) {
		if (now >= c->deadline)
			conn_kill(c, c->reason);
		return;
	}
	if (c->stuck != 0 && now - c->stuck >
	    worker.config->websocket.backlog_timeout / 1000) {
		conn_too_slow(c);
		return;
	}
	if (c->tls != NULL && !tls_established(c->tls) && c->deadline != 0 &&
	    now >= c->deadline) {
		conn_kill(c, CLOSE_HTTP_TIMEOUT);
		return;
	}
	c->stage->tick(c, now);
}

void
conns_sweep(uint32_t now, bool whole_table)
{
	uint32_t share = whole_table ? table_size() : table_size() / 8 + 1;
	uint32_t at = whole_table ? 0 : conns.swept, end = at + share;
	struct conn *c;

	for (; (c = table_from(&at)) != NULL && at < end; at++)
		if (!c->dead)
			conn_tick(c, now);
	conns.swept = end < table_size() ? end : 0;
}

uint32_t
conns_late(void)
{
	return conns.late;
}

void
conns_each(void (*fn)(struct conn *, void *), void *arg)
{
	struct conn *c;
	uint32_t at;

	for (at = 0; (c = table_from(&at)) != NULL; at++)
		fn(c, arg);
}

struct conn *
conns_find(uint64_t id)
{
	struct conn *c = table_at(id & TABLE_INDEX);

	return c != NULL && c->id == id && !c->dead ? c : NULL;
}

uint32_t
conns_count(void)
{
	return table_count();
}
