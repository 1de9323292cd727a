/* SPDX-License-Identifier: MIT
 *
 * What conns read: see conn_input.h.
 */
#include "worker/conn_input.h"

#include <sys/socket.h>
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/counters.h"
#include "common/tls.h"
#include "common/util.h"
#include "worker/proxy.h"

#define SCRATCH		(256u << 10)	/* one read */
#define KEEP_MAX	(32u << 10)	/* kept input up to here is copied into
					   scratch, more is read in place */

static struct {
	struct conn_list	 again;		/* have kept input to show */
	uint32_t		 n_again;
	char			 scratch[SCRATCH];
} input;

void
input_init(void)
{
	TAILQ_INIT(&input.again);
}

void
input_add(struct conn *c)
{
	TAILQ_INSERT_TAIL(&input.again, c, link);
	input.n_again++;
}

void
input_remove(struct conn *c)
{
	TAILQ_REMOVE(&input.again, c, link);
	input.n_again--;
}

/* Keeps what the stage did not use; p may be c->in itself. */
static void
input_keep(struct conn *c, const char *p, size_t n)
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

void
input_restore(struct conn *c, struct bytes octets)
{
	input_keep(c, octets.p, octets.n);
}

/* Shows n octets at p to the stage until it uses no more of them. */
static void
input_feed(struct conn *c, char *p, size_t n)
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
		input_keep(c, p, c->closing ? 0 : n);
}

/* Up to n octets, to stand behind those that p has already. */
static ssize_t
input_recv(struct conn *c, char *p, size_t have, size_t n)
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
input_eof(struct conn *c, ssize_t got)
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
input_room(struct conn *c, size_t *room)
{
	if (c->in_n <= KEEP_MAX) {
		if (c->in_n > 0)
			memcpy(input.scratch, c->in, c->in_n);
		*room = SCRATCH - c->in_n;
		return input.scratch;
	}
	if (c->in_cap - c->in_n < SCRATCH / 4) {
		c->in_cap += c->in_cap / 2 + SCRATCH / 4;
		c->in = xrealloc(c->in, c->in_cap);
	}
	*room = c->in_cap - c->in_n;
	return c->in;
}

void
input_again(struct conn *c)
{
	if (c->again || c->frozen)
		return;
	c->again = 1;
	if (!c->dirty)
		input_add(c);
}

void
input_read(struct conn *c)
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
	for (turn = 0; turn < CALLS_A_TURN && !c->dead && !c->eof; turn++) {
		size_t room, have = c->in_n;
		char *p = input_room(c, &room);
		ssize_t got = input_recv(c, p, have, room);

		if (got == TLS_WANT_READ)
			return;
		if (got == TLS_WANT_WRITE) {
			conn_watch(c, c->armed, true);
			return;
		}
		if (got <= 0) {
			input_eof(c, got);
			return;
		}
		counter.bytes_in += got;
		input_feed(c, p, have + got);
		if (c->paused)
			return;
		if ((size_t)got < room &&
		    (c->tls == NULL || !tls_pending(c->tls)))
			return;
	}
	/* TLS octets that epoll cannot see must not be forgotten. */
	if (!c->dead && c->tls != NULL && tls_pending(c->tls))
		input_again(c);
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
	input_again(c);
}

/* Shows kept input again, and reads what TLS holds. */
static void
input_go_on(struct conn *c)
{
	if (c->paused || c->dead)
		return;
	if (c->in_n > 0) {
		size_t n = c->in_n;

		if (n <= SCRATCH) {
			memcpy(input.scratch, c->in, n);
			input_feed(c, input.scratch, n);
		} else
			input_feed(c, c->in, n);
	}
	if (!c->dead && !c->paused && !c->eof && c->tls != NULL &&
	    tls_pending(c->tls))
		input_read(c);
}

void
conns_go_on(void)
{
	struct conn *c;
	unsigned n;

	/* What is put here while this runs waits for the next turn. */
	for (n = input.n_again; n > 0 &&
	    (c = TAILQ_FIRST(&input.again)) != NULL; n--) {
		input_remove(c);
		c->again = 0;
		input_go_on(c);
	}
}

bool
input_waits(void)
{
	return !TAILQ_EMPTY(&input.again);
}
