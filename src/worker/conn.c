/* SPDX-License-Identifier: MIT
 *
 * One socket, but for what it reads and writes: see conn.h.
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
#include "worker/conn_input.h"
#include "worker/conn_output.h"
#include "worker/conn_queue.h"
#include "worker/listener.h"
#include "worker/proxy.h"
#include "worker/request.h"
#include "worker/table.h"
#include "worker/worker.h"

#define FREED_A_TURN	(1u << 19)	/* frames of those who die: 2 ms */
#define EVENTS		512

static struct {
	int			 epoll;
	struct event		*event;
	struct conn_list	 dead;
	uint32_t		 swept;		/* next index of the table */
	uint32_t		 late;		/* of all that are there */
} conns;

static void	on_ready(evutil_socket_t, short, void *);

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

void
conn_stage(struct conn *c, const struct conn_stage *stage, void *of_stage)
{
	c->stage = stage;
	c->of_stage = of_stage;
}

/* ---- the epoll set --------------------------------------------------------- */

void
conns_init(struct event_base *base, uint64_t id_base)
{
	input_init();
	output_init();
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

void
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
			output_flush(c);
		if (c->dead)
			continue;
		if (!c->armed && ev[i].events & (EPOLLHUP | EPOLLERR))
			conn_kill(c, c->closing ? c->reason :
			    CLOSE_PEER_RESET);
		else if (ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR) ||
		    (c->tls != NULL && !tls_established(c->tls)))
			input_read(c);
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

/* ---- ending ------------------------------------------------------------------ */

/* Neither dirty nor with input to show any more. */
static void
conn_unlist(struct conn *c)
{
	if (c->dirty)
		output_remove(c);
	else if (c->again)
		input_remove(c);
	c->dirty = c->again = 0;
}

void
conn_finish(struct conn *c, enum close_reason why, unsigned seconds)
{
	if (c->dead || c->closing || conn_ends_later(c))
		return;
	c->reason = why;
	if (c->sealed)
		return;
	c->deadline = worker.now + seconds;
	c->closing = 1;
	c->corked = 0;
	if (c->first != NULL)
		output_dirty(c);
	else
		output_shut(c);
}

void
conn_kill(struct conn *c, enum close_reason why)
{
	if (c->dead || conn_ends_later(c))
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
	output_last(c);
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

bool
conns_turn(void)
{
	bool more;

	output_turn();
	more = backlog_turn();
	more |= conns_bury();
	return more || output_waits() || input_waits();
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
		input_remove(c);
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
		output_dirty(c);
	if (c->in_n > 0 && !c->paused)
		input_again(c);
}

struct conn *
conns_restore(int fd, struct bytes in, struct bytes out, uint32_t first)
{
	struct conn *c = table_new();

	c->fd = fd;
	c->frozen = c->sealed = 1;
	input_restore(c, in);
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
