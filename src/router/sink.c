/* SPDX-License-Identifier: MIT
 *
 * Where answers go.
 *
 * Runs in: the router.
 */
#include "router/sink.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/json.h"
#include "common/log.h"
#include "router/router.h"

#define PATIENCE	30000	/* ms without anything read */
#define MOVE_UP		(64u << 10)	/* octets that are gone: moved over */

/* ---- life --------------------------------------------------------------- */

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;	/* the turn's end writes */
}

void
sink_to_fd(struct sink *s, struct router *r, int fd)
{
	*s = (struct sink){ .router = r, .fd = fd, .moved = r->now };
	s->on_write = event_new(r->base, fd, EV_WRITE, on_writable, s);
	if (s->on_write == NULL)
		fatal("no event");
}

void
sink_to_ask(struct sink *s, struct peer *peer, uint64_t cookie)
{
	*s = (struct sink){ .router = peer->router, .fd = -1, .peer = peer,
	    .cookie = cookie, .moved = peer->router->now };
}

void
sink_done(struct sink *s)
{
	if (s->fd >= 0) {
		event_free(s->on_write);
		close(s->fd);
	}
	buf_done(&s->out);
}

/* ---- the last line ------------------------------------------------------ */

void
sink_ok(struct sink *s)
{
	buf_str(&s->out, "{\"ok\":true}\n");
	s->ended = true;
}

static void
refuse(struct sink *s, const char *why, const char *more)
{
	if (s->ended)
		return;
	buf_str(&s->out, "{\"ok\":false,\"error\":");
	json_quote(&s->out, bytes_str(why));
	buf_str(&s->out, more);
	buf_str(&s->out, "}\n");
	s->ended = true;
}

void
sink_fail(struct sink *s, const char *why)
{
	refuse(s, why, "");
}

void
sink_again(struct sink *s, const char *why)
{
	refuse(s, why, ",\"again\":true");
}

/* ---- writing ------------------------------------------------------------ */

static void
empty(struct sink *s)
{
	buf_reuse(&s->out);
	s->at = 0;
	s->over |= s->ended;
}

/* One that never runs empty must not grow for ever. */
static void
move_up(struct sink *s)
{
	if (s->at < MOVE_UP || s->at < s->out.n / 2)
		return;
	buf_drop(&s->out, s->at);
	s->at = 0;
}

static void
flush_fd(struct sink *s)
{
	ssize_t n;

	while (s->at < s->out.n) {
		n = write(s->fd, s->out.p + s->at, s->out.n - s->at);
		if (n > 0) {
			s->at += (size_t)n;
			s->moved = s->router->now;
		} else if (n < 0 && errno == EAGAIN) {
			event_add(s->on_write, NULL);
			move_up(s);
			return;
		} else if (n == 0 || errno != EINTR) {
			s->over = true;
			return;
		}
	}
	empty(s);
}

/* Whole lines: as many as fit into one message, at least one. */
static struct bytes
lines_of(struct bytes text)
{
	const char *end;

	if (text.n <= SINK_TOLD)
		return text;
	end = memrchr(text.p, '\n', SINK_TOLD);
	if (end == NULL)
		end = memchr(text.p, '\n', text.n);
	return end != NULL ? bytes_of(text.p, (size_t)(end - text.p) + 1)
	    : text;
}

static void
flush_ask(struct sink *s)
{
	while ((s->at < s->out.n || s->ended) &&
	    peer_backlog(s->peer) < SINK_LINK) {
		struct bytes lines = lines_of(bytes_skip(buf_view(&s->out),
		    s->at));

		s->at += lines.n;
		s->moved = s->router->now;
		msg_pack_told(ipc_out(s->peer->ipc), &(struct msg_told){
		    .cookie = s->cookie, .lines = lines,
		    .end = s->ended && s->at == s->out.n });
		if (s->at == s->out.n) {
			empty(s);
			return;
		}
	}
	move_up(s);
}

void
sink_flush(struct sink *s)
{
	if (s->over)
		return;
	if (s->fd < 0)
		flush_ask(s);
	else if (s->at < s->out.n || s->ended)
		flush_fd(s);
}

/* Who asked may have closed his writing side, and reads yet. */
static bool
has_hung_up(const struct sink *s)
{
	struct pollfd p = { .fd = s->fd };

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

/* A worker that does not read is the master's to replace. */
void
sink_check(struct sink *s)
{
	if (s->fd < 0)
		return;
	if (sink_backlog(s) == 0)
		s->moved = s->router->now;
	s->over |= has_hung_up(s) || s->router->now >= s->moved + PATIENCE;
}
