/* SPDX-License-Identifier: MIT
 *
 * Links between processes, see ipc.h.
 *
 * A stream position counts octets since the link was made.  A descriptor waits
 * with the position of its frame's first octet and leaves together with that.
 */
#include "common/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/log.h"
#include "common/util.h"

#define IN_SIZE		(256u << 10)	/* octets of the usual read buffer */
#define IN_KEEP		(1u << 20)	/* a larger one is given back */
#define OUT_KEEP	(4u << 20)	/* the same for the write buffer */
#define READS_A_TURN	16		/* then others get their turn */
#define FDS_WAITING	64		/* descriptors whose frame is not here yet */
#define FDS_A_READ	8
#define HEAD		4		/* octets of a frame's length */

struct out_fd {
	uint64_t	at;
	int		fd;
};

struct ipc {
	int			 fd;
	bool			 with_fds;
	const struct ipc_ops	*ops;
	void			*ctx;
	struct event		*on_read, *on_write;

	/* reading */
	struct msg_reader	*reader;
	char			*in;
	size_t			 in_at, in_end, in_cap;
	int			 in_fds[FDS_WAITING];
	uint32_t		 n_in_fds;
	bool			 handing_out;

	/* writing */
	struct buf		 out;
	size_t			 out_at;	/* taken by the kernel */
	uint64_t		 written, dropped;
	struct out_fd		*out_fds;
	size_t			 n_out_fds, cap_out_fds;
	uint64_t		 stuck_since;
	bool			 full;
	bool			 deaf;	/* the other side takes nothing more */

	bool			 ended, told;	/* on_gone is due; was called */
	char			 why[160];
	unsigned		 busy;		/* calls to the owner under way */
	bool			 held;		/* nothing is handed out */
	size_t			 ahead;		/* but so much is read */
	bool			 freed;
};

static void on_readable(evutil_socket_t, short, void *);
static void on_writable(evutil_socket_t, short, void *);

/* ---- life --------------------------------------------------------------- */

struct ipc *
ipc_new(struct event_base *base, int fd, bool with_fds,
    const struct ipc_ops *ops, void *ctx)
{
	struct ipc *l = xcalloc(1, sizeof(*l));

	l->fd = fd;
	l->with_fds = with_fds;
	l->ops = ops;
	l->ctx = ctx;
	l->reader = msg_reader_new();
	if (fd_nonblock(fd) < 0 || fd_cloexec(fd, 1) < 0)
		fatal("descriptor %d of a link: %s", fd, strerror(errno));
	l->on_read = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, l);
	l->on_write = event_new(base, fd, EV_WRITE, on_writable, l);
	if (l->on_read == NULL || l->on_write == NULL ||
	    event_add(l->on_read, NULL) < 0)
		fatal("no event for a link");
	return l;
}

static void
drop_out(struct ipc *l)
{
	for (size_t i = 0; i < l->n_out_fds; i++) {
		if (l->out_fds[i].fd >= 0)
			close(l->out_fds[i].fd);
	}
	l->n_out_fds = 0;
	l->dropped += l->out.n - l->out_at;
	buf_done(&l->out);
	l->out_at = 0;
	l->stuck_since = 0;
}

static void
destroy(struct ipc *l)
{
	msg_reader_free(l->reader);
	free(l->in);
	free(l->out_fds);
	free(l);
}

void
ipc_free(struct ipc *l)
{
	if (l == NULL || l->freed)
		return;
	l->freed = l->ended = l->told = true;
	event_free(l->on_read);
	event_free(l->on_write);
	for (uint32_t i = 0; i < l->n_in_fds; i++)
		close(l->in_fds[i]);
	drop_out(l);
	close(l->fd);
	if (l->busy == 0)
		destroy(l);
}

/* Around every call to the owner, who may free the link in it; false: it is
 * freed, and gone when the outermost call is back. */
static void
enter(struct ipc *l)
{
	l->busy++;
}

static bool
leave(struct ipc *l)
{
	bool freed = l->freed;

	if (--l->busy == 0 && freed)
		destroy(l);
	return !freed;
}

/* The link works no more; on_gone() follows from the loop. */
static void
end(struct ipc *l, const char *why)
{
	if (l->ended)
		return;
	l->ended = true;
	snprintf(l->why, sizeof(l->why), "%s", why);
	event_del(l->on_write);
	event_del(l->on_read);
	event_active(l->on_read, EV_READ, 0);
}

static void
tell_gone(struct ipc *l)
{
	if (l->told)
		return;
	l->told = true;
	drop_out(l);
	enter(l);
	l->ops->on_gone(l->ctx, l, l->why);
	leave(l);
}

/* ---- reading ------------------------------------------------------------ */

/* Length of the frame at in_at; 0 if its head is not here yet. */
static size_t
frame_length(const struct ipc *l)
{
	const unsigned char *p;

	if (l->in_end - l->in_at < HEAD)
		return 0;
	p = (const unsigned char *)l->in + l->in_at;
	return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 |
	    p[3];
}

/* Room to read into.  The buffer grows with what really arrives, not with what
 * a frame's head announces. */
static void
make_room(struct ipc *l)
{
	size_t have = l->in_end - l->in_at, need = HEAD + frame_length(l), cap;

	if (have == 0 && l->in_cap > IN_KEEP) {
		free(l->in);
		l->in = NULL;
		l->in_cap = 0;
	}
	if (l->in == NULL) {
		l->in_cap = IN_SIZE;
		l->in = xmalloc(l->in_cap);
	}
	if (l->in_at != 0) {
		if (have != 0)
			memmove(l->in, l->in + l->in_at, have);
		l->in_at = 0;
		l->in_end = have;
	}
	if (l->held && have == l->in_cap)
		need = l->in_cap * 2;
	if (have == l->in_cap && need > l->in_cap) {
		cap = l->in_cap * 2 < need ? l->in_cap * 2 : need;
		l->in = xrealloc(l->in, cap);
		l->in_cap = cap;
	}
}

/* Keeps the descriptors of one read.  -1: some were lost. */
static int
keep_fds(struct ipc *l, struct msghdr *m)
{
	struct cmsghdr *c;
	int fds[FDS_A_READ];
	size_t n, lost = (m->msg_flags & MSG_CTRUNC) != 0;

	for (c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		if (n > NELEM(fds))
			n = NELEM(fds);
		memcpy(fds, CMSG_DATA(c), n * sizeof(int));
		for (size_t i = 0; i < n; i++) {
			if (l->n_in_fds < FDS_WAITING) {
				l->in_fds[l->n_in_fds++] = fds[i];
			} else {
				close(fds[i]);
				lost = 1;
			}
		}
	}
	return lost ? -1 : 0;
}

static ssize_t
receive_with_fds(struct ipc *l)
{
	union {
		struct cmsghdr	align;
		char		room[CMSG_SPACE(sizeof(int) * FDS_A_READ)];
	} control;
	struct iovec io = { l->in + l->in_end, l->in_cap - l->in_end };
	struct msghdr m = {
		.msg_iov = &io, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(l->fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	if (n >= 0 && keep_fds(l, &m) < 0) {
		errno = EMFILE;
		return -1;
	}
	return n;
}

enum received { NOTHING, SOME, ALL };

/* One read.  ALL: nothing more was there. */
static enum received
receive(struct ipc *l)
{
	size_t room;
	ssize_t n;

	make_room(l);
	room = l->in_cap - l->in_end;
	do
		n = l->with_fds ? receive_with_fds(l) :
		    recv(l->fd, l->in + l->in_end, room, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		l->in_end += (size_t)n;
		/* A read also stops behind a descriptor. */
		return (size_t)n < room && !l->with_fds ? ALL : SOME;
	}
	if (n == 0 || errno == ECONNRESET)
		end(l, "the other side is gone");
	else if (errno == EMFILE)
		end(l, "descriptors were lost on the way");
	else if (errno != EAGAIN)
		end(l, strerror(errno));
	else if (l->deaf)
		end(l, "the other side does not read any more");
	return NOTHING;
}

/* Passes one frame's body to the owner.  False: the link is over. */
static bool
hand_out(struct ipc *l, struct bytes body)
{
	const char *why = "bad message";
	struct unpacker u;
	unsigned type;
	uint32_t taken;
	int result;

	if (msg_read(l->reader, body, &type, &u, &why) < 0) {
		end(l, why);
		return false;
	}
	u.fds = l->in_fds;
	u.n_fds = l->n_in_fds;
	enter(l);
	result = l->ops->on_message(l->ctx, l, type, &u, &why);
	if (!l->freed) {
		taken = l->n_in_fds - u.n_fds;
		l->n_in_fds -= taken;
		memmove(l->in_fds, l->in_fds + taken,
		    l->n_in_fds * sizeof(int));
		if (result < 0)
			end(l, why);
	}
	return leave(l) && result == 0;
}

/* The whole frames that are here, or about `most` octets of them.  False: the
 * link is over. */
static bool
hand_out_all(struct ipc *l, size_t most)
{
	size_t have, n, done = 0;
	bool on = true;

	enter(l);		/* its octets stay, also if it is freed */
	l->handing_out = true;
	while (on && !l->held && done < most) {
		have = l->in_end - l->in_at;
		if (have < HEAD)
			break;
		n = frame_length(l);
		if (n == 0 || n > MSG_FRAME_MAX) {
			end(l, "a message's length is out of range");
			on = false;
			break;
		}
		if (have < HEAD + n)
			break;
		/* First, so that all is in order whatever the owner does. */
		l->in_at += HEAD + n;
		done += HEAD + n;
		on = hand_out(l, bytes_of(l->in + l->in_at - n, n));
	}
	if (done > 0 && l->ops->on_handed_out != NULL)
		l->ops->on_handed_out(l->ctx);
	l->handing_out = false;
	return leave(l) && on;
}

/* most: of what is here already. */
static void
read_some(struct ipc *l, size_t most)
{
	size_t kept = l->in_end - l->in_at;

	/* What was kept by ipc_hold() comes first. */
	if (kept > 0 && !l->ended) {
		if (!hand_out_all(l, most))
			return;
		if (kept - (l->in_end - l->in_at) >= most) {
			event_active(l->on_read, EV_READ, 0);
			return;
		}
	}
	for (int i = 0; i < READS_A_TURN && !l->ended && !l->held; i++) {
		enum received got = receive(l);

		if (got == NOTHING || !hand_out_all(l, SIZE_MAX) || got == ALL)
			return;
	}
}

/* While it is held.  An end is found again when it is not. */
static void
read_ahead(struct ipc *l)
{
	ssize_t n = 1;

	for (int i = 0; i < READS_A_TURN && n > 0; i++) {
		make_room(l);
		n = l->in_end - l->in_at >= l->ahead ? 0 :
		    recv(l->fd, l->in + l->in_end, l->in_cap - l->in_end,
		    MSG_DONTWAIT);
		if (n > 0)
			l->in_end += (size_t)n;
	}
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		event_del(l->on_read);
}

void
ipc_read_now(struct ipc *l)
{
	/* Its own on_message is running: the rest comes when that is back. */
	if (l->handing_out || l->ended)
		return;
	read_some(l, SIZE_MAX);
}

void
ipc_hold(struct ipc *l, bool hold, size_t ahead)
{
	if (l->held == hold || l->ended)
		return;
	l->held = hold;
	l->ahead = l->with_fds ? 0 : ahead;
	if (hold) {
		if (l->ahead == 0)
			event_del(l->on_read);
		return;
	}
	event_add(l->on_read, NULL);
	event_active(l->on_read, EV_READ, 0);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct ipc *l = arg;

	(void)fd, (void)what;
	enter(l);
	if (l->held && l->ahead > 0 && !l->ended)
		read_ahead(l);
	else
		read_some(l, (size_t)READS_A_TURN * IN_SIZE);
	if (l->ended && !l->freed)
		tell_gone(l);
	else if (l->deaf && !l->freed && !l->held)
		event_active(l->on_read, EV_READ, 0);	/* up to its end */
	leave(l);
}

/* ---- writing ------------------------------------------------------------ */

static size_t
waiting(const struct ipc *l)
{
	return l->out.n - l->out_at;
}

void
ipc_put(struct ipc *l, struct bytes frame)
{
	buf_bytes(&l->out, frame);
}

void
ipc_put_fd(struct ipc *l, struct bytes frame, int fd)
{
	if (l->ended || l->deaf)
		return;
	if (l->n_out_fds == l->cap_out_fds) {
		l->cap_out_fds = l->cap_out_fds * 2 + 4;
		l->out_fds = xreallocarray(l->out_fds, l->cap_out_fds,
		    sizeof(*l->out_fds));
	}
	/* If no copy can be made, the frame goes alone and its receiver says
	 * what is missing. */
	l->out_fds[l->n_out_fds++] = (struct out_fd){
		.at = ipc_queued(l),
		.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0),
	};
	buf_bytes(&l->out, frame);
}

struct buf *
ipc_out(struct ipc *l)
{
	return &l->out;
}

/* One write, up to the next frame that has a descriptor. */
static ssize_t
send_some(struct ipc *l)
{
	uint64_t at = l->written + l->dropped;
	const char *p = l->out.p + l->out_at;
	size_t n = waiting(l), next = 0;
	ssize_t sent;
	int fd = -1;

	if (l->n_out_fds > 0 && l->out_fds[0].at == at)
		fd = l->out_fds[next++].fd;
	if (next < l->n_out_fds)
		n = (size_t)(l->out_fds[next].at - at);
	if (fd >= 0)
		sent = fd_send(l->fd, p, n, fd);
	else
		sent = send(l->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent > 0 && next > 0) {
		if (fd >= 0)
			close(fd);
		l->n_out_fds--;
		memmove(l->out_fds, l->out_fds + 1,
		    l->n_out_fds * sizeof(*l->out_fds));
	}
	return sent;
}

/* Gives back what is written: all of it, or, when that is worth a copy, the
 * part in front. */
static void
tidy_out(struct ipc *l)
{
	if (l->out_at == l->out.n) {
		l->out_at = 0;
		buf_clear(&l->out);
		if (l->out.cap > OUT_KEEP)
			buf_done(&l->out);
	} else if (l->out_at >= OUT_KEEP && l->out_at >= l->out.n / 2) {
		buf_drop(&l->out, l->out_at);
		l->out_at = 0;
	}
}

/* Writes until the kernel takes no more.  -1: it never will. */
static int
write_all(struct ipc *l)
{
	ssize_t n = 0;
	bool moved = false;

	while (waiting(l) > 0) {
		n = send_some(l);
		if (n > 0) {
			l->out_at += (size_t)n;
			l->written += (uint64_t)n;
			moved = true;
		} else if (n == 0 || errno != EINTR) {
			break;
		}
	}
	if (waiting(l) > 0 && n < 0 && errno != EAGAIN)
		return -1;
	tidy_out(l);
	if (waiting(l) == 0)
		l->stuck_since = 0;
	else if (moved || l->stuck_since == 0)
		l->stuck_since = clock_ms();
	return 0;
}

static void
check_marks(struct ipc *l)
{
	bool full = waiting(l) > (l->full ? IPC_LOW : IPC_HIGH);

	if (full == l->full)
		return;
	l->full = full;
	if (l->ops->on_pressure != NULL) {
		enter(l);
		l->ops->on_pressure(l->ctx, l, full);
		leave(l);
	}
}

void
ipc_flush(struct ipc *l)
{
	if (waiting(l) == 0 && !l->full)
		return;
	if (l->ended || l->deaf) {
		drop_out(l);
		return;
	}
	if (write_all(l) < 0) {
		/* What it wrote before it went is still to be read. */
		l->deaf = true;
		drop_out(l);
		event_active(l->on_read, EV_READ, 0);
		return;
	}
	if (waiting(l) > 0)
		event_add(l->on_write, NULL);
	check_marks(l);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	ipc_flush(arg);
}

static int
flush_until(struct ipc *l, uint64_t until)
{
	struct pollfd p = { .fd = l->fd, .events = POLLOUT };
	uint64_t now;

	for (;;) {
		ipc_flush(l);
		if (l->ended || l->deaf)
			return -1;
		if (waiting(l) == 0)
			return 0;
		now = clock_ms();
		if (now >= until || (poll(&p, 1, (int)(until - now)) < 0 &&
		    errno != EINTR))
			return -1;
	}
}

int
ipc_flush_wait(struct ipc *l, int timeout_ms)
{
	int result;

	enter(l);		/* on_pressure() may free it */
	result = flush_until(l, clock_ms() + (uint64_t)timeout_ms);
	leave(l);
	return result;
}

uint64_t
ipc_queued(const struct ipc *l)
{
	return l->written + l->dropped + waiting(l);
}

uint64_t
ipc_written(const struct ipc *l)
{
	return l->written;
}

uint64_t
ipc_stuck_since(const struct ipc *l)
{
	return l->stuck_since;
}

/* ---- over an exec ------------------------------------------------------- */

bool
ipc_waiting(const struct ipc *l)
{
	return waiting(l) > 0;
}

int
ipc_save(const struct ipc *l, struct bytes *unread)
{
	*unread = l->in == NULL ? B("") :
	    bytes_of(l->in + l->in_at, l->in_end - l->in_at);
	return l->ended || waiting(l) > 0 ? -1 : l->fd;
}

void
ipc_restore(struct ipc *l, struct bytes unread)
{
	if (unread.n == 0 || l->in != NULL)
		return;
	l->in_cap = unread.n > IN_SIZE ? unread.n : IN_SIZE;
	l->in = xmalloc(l->in_cap);
	memcpy(l->in, unread.p, unread.n);
	l->in_end = unread.n;
	event_active(l->on_read, EV_READ, 0);
}

int
ipc_pair(int fds[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0, fds);
}
