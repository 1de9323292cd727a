/* SPDX-License-Identifier: MIT
 *
 * Parcels of a hand-over: see parcel.h.
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/log.h"
#include "common/packed.h"
#include "common/util.h"
#include "worker/parcel.h"

#define BATCH		32	/* packets in one system call */
#define BATCHES_A_TURN	8	/* then others get their turn */
#define PACKET_MAX	(PARCEL_INLINE + 4096)
#define FDS_MAX		2	/* descriptors of a packet */
#define FIELDS_MAX	64	/* that a newer release may send */
#define RETRY_MS	10	/* when the kernel is short of something */

/* ---- what stands in a packet ------------------------------------------------- */

#define MAX_FIELDS	6

/* A field is a number, or octets with a maximum. */
struct field {
	size_t	at, max;
};
#define NUM(f)		{ offsetof(struct parcel, f), 0 }
#define OCTETS(f, n)	{ offsetof(struct parcel, f), n }

static const struct layout {
	unsigned	n;
	struct field	field[MAX_FIELDS];
} layouts[] = {
	[PARCEL_CHANNEL] = { 3, { OCTETS(app, 200), OCTETS(name, 1024),
	    NUM(of_kind) } },
	[PARCEL_OFFERED] = { 1, { NUM(n) } },
	[PARCEL_TAKE] = { 0, { { 0, 0 } } },
	[PARCEL_RECORD] = { 6, { NUM(was), NUM(epoch), NUM(dev), NUM(ino),
	    NUM(size), OCTETS(record, PARCEL_INLINE) } },
	[PARCEL_SLICED] = { 0, { { 0, 0 } } },
	[PARCEL_TAKEN] = { 1, { NUM(was) } },
	[PARCEL_REFUSED] = { 3, { NUM(was), OCTETS(why, PARCEL_WHY),
	    NUM(again) } },
	[PARCEL_WATCH] = { 3, { NUM(was), OCTETS(online, PARCEL_NAMES),
	    OCTETS(offline, PARCEL_NAMES) } },
	[PARCEL_OVER] = { 0, { { 0, 0 } } },
};

void
parcel_pack(struct buf *out, const struct parcel *p)
{
	const struct layout *l = &layouts[p->kind];

	pack_array(out, l->n + 1);
	pack_u64(out, p->kind);
	for (unsigned i = 0; i < l->n; i++) {
		const char *at = (const char *)p + l->field[i].at;

		if (l->field[i].max > 0)
			pack_bytes(out, *(const struct bytes *)(const void *)at);
		else
			pack_u64(out, *(const uint64_t *)(const void *)at);
	}
}

static void
unpack_field(struct packed *in, const struct field *f, struct parcel *p)
{
	char *at = (char *)p + f->at;

	if (f->max > 0)
		*(struct bytes *)(void *)at = packed_bytes(in, f->max);
	else
		*(uint64_t *)(void *)at = packed_u64(in);
}

int
parcel_unpack(struct bytes packet, struct parcel *p)
{
	struct packed in = packed_open(packet);
	uint32_t n = packed_count(&in, FIELDS_MAX);
	uint64_t kind = packed_u64(&in);
	bool known = kind > 0 && kind < NELEM(layouts);

	*p = (struct parcel){ .fd = -1 };
	if (n == 0)
		return -1;
	if (known)
		p->kind = (enum parcel_kind)kind;
	for (uint32_t i = 0; i < n - 1; i++) {
		if (known && i < layouts[kind].n)
			unpack_field(&in, &layouts[kind].field[i], p);
		else
			packed_skip(&in);
	}
	if (!packed_end(&in))
		return -1;
	return known ? 1 : 0;
}

/* ---- the link ------------------------------------------------------------------- */

/* A packet that waits for the kernel. */
struct waiting {
	uint32_t	 n;		/* octets in out */
	int		 fds[FDS_MAX];	/* the socket; a memfd; or -1 */
	bool		 owned;		/* the socket is a copy of our own */
};

struct parcel_link {
	int			 fd;
	const struct parcel_ops	*ops;
	void			*ctx;
	struct event		*on_read, *on_write, *retry;
	struct buf		 out;		/* packets, one behind the other */
	size_t			 out_at;	/* octets of it that are written */
	struct waiting		*queue;
	size_t			 q_at, q_n, q_cap;	/* those that wait: q_at .. q_n */
	uint64_t		 written;
	struct buf		 record;	/* the one of a memfd */
	bool			 ended, told, freed;
	unsigned		 resets, busy;
	char			 why[120];
};

/* One packet's room for descriptors. */
union control {
	struct cmsghdr	align;
	char		room[CMSG_SPACE(sizeof(int) * FDS_MAX)];
};

static void	on_readable(evutil_socket_t, short, void *);
static void	on_writable(evutil_socket_t, short, void *);

struct parcel_link *
parcel_link_new(struct event_base *base, int fd, const struct parcel_ops *ops,
    void *ctx)
{
	struct parcel_link *l = xcalloc(1, sizeof(*l));

	l->fd = fd;
	l->ops = ops;
	l->ctx = ctx;
	if (fd_nonblock(fd) < 0 || fd_cloexec(fd, 1) < 0)
		fatal("descriptor %d of a hand-over: %s", fd, strerror(errno));
	l->on_read = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, l);
	l->on_write = event_new(base, fd, EV_WRITE, on_writable, l);
	l->retry = event_new(base, -1, 0, on_writable, l);
	if (l->on_read == NULL || l->on_write == NULL || l->retry == NULL ||
	    event_add(l->on_read, NULL) < 0)
		fatal("no event for a hand-over");
	return l;
}

static void
waiting_done(struct waiting *w)
{
	if (w->owned && w->fds[0] >= 0)
		close(w->fds[0]);
	if (w->fds[1] >= 0)
		close(w->fds[1]);
}

static void
drop_queue(struct parcel_link *l)
{
	while (l->q_at < l->q_n)
		waiting_done(&l->queue[l->q_at++]);
	l->q_at = l->q_n = l->out_at = 0;
	buf_done(&l->out);
}

static void
destroy(struct parcel_link *l)
{
	free(l->queue);
	buf_done(&l->record);
	free(l);
}

void
parcel_link_free(struct parcel_link *l)
{
	if (l == NULL || l->freed)
		return;
	l->freed = l->ended = l->told = true;
	event_free(l->on_read);
	event_free(l->on_write);
	event_free(l->retry);
	drop_queue(l);
	close(l->fd);
	if (l->busy == 0)
		destroy(l);
}

/* Around calls to the owner; false: it has freed the link. */
static bool
leave(struct parcel_link *l)
{
	bool freed = l->freed;

	if (--l->busy == 0 && freed)
		destroy(l);
	return !freed;
}

/* Both directions are shut: what the other side sends from now on fails there,
 * and what it has sent is read up to the end. */
void
parcel_link_end(struct parcel_link *l, const char *why)
{
	if (l->ended)
		return;
	l->ended = true;
	snprintf(l->why, sizeof(l->why), "%s", why);
	shutdown(l->fd, SHUT_RDWR);
	event_del(l->on_write);
	event_del(l->retry);
	drop_queue(l);
	event_active(l->on_read, EV_READ, 0);
}

/* ---- sending -------------------------------------------------------------------- */

/* A memfd with the record in it. */
static int
put_beside(struct bytes record, const char **why)
{
	int fd = memfd_create("record", MFD_CLOEXEC);

	if (fd < 0) {
		*why = "no memory file for its record";
		return -1;
	}
	while (record.n > 0) {
		ssize_t n = write(fd, record.p, record.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			close(fd);
			*why = "no room for its record";
			return -1;
		}
		record = bytes_skip(record, (size_t)n);
	}
	return fd;
}

/* Fills in what belongs to a record's descriptors. */
static int
record_prepare(struct parcel *p, int fds[FDS_MAX], const char **why)
{
	struct stat st;

	if (p->record.n > PARCEL_RECORD_MAX) {
		*why = "its record is too large";
		return -1;
	}
	if (fstat(p->fd, &st) < 0) {
		*why = "its socket cannot be looked at";
		return -1;
	}
	fds[0] = p->fd;
	p->dev = (uint64_t)st.st_dev;
	p->ino = (uint64_t)st.st_ino;
	if (p->record.n <= PARCEL_INLINE)
		return 0;
	p->size = p->record.n;
	if ((fds[1] = put_beside(p->record, why)) < 0)
		return -1;
	p->record = bytes_of(NULL, 0);
	return 0;
}

static void
enqueue(struct parcel_link *l, const struct parcel *p, const int fds[FDS_MAX])
{
	size_t before = l->out.n;

	if (l->q_n == l->q_cap) {
		l->q_cap = l->q_cap * 2 + BATCH;
		l->queue = xreallocarray(l->queue, l->q_cap,
		    sizeof(*l->queue));
	}
	parcel_pack(&l->out, p);
	l->queue[l->q_n++] = (struct waiting){
		.n = (uint32_t)(l->out.n - before), .fds = { fds[0], fds[1] },
	};
}

int
parcel_send(struct parcel_link *l, const struct parcel *p, const char **why)
{
	struct parcel full = *p;
	int fds[FDS_MAX] = { -1, -1 };

	if (l->ended) {
		*why = "the link has ended";
		return -1;
	}
	if (p->kind == PARCEL_RECORD && record_prepare(&full, fds, why) < 0)
		return -1;
	if (full.why.n > PARCEL_WHY)
		full.why.n = PARCEL_WHY;
	enqueue(l, &full, fds);
	if (l->out.n - l->out_at > PARCEL_QUEUE)
		parcel_link_end(l, "the other side does not read");
	return 0;
}

static void
control_fill(struct msghdr *m, union control *c, const int fds[FDS_MAX])
{
	unsigned n = fds[1] >= 0 ? 2 : 1;

	if (fds[0] < 0)		/* the receiver will find it missing */
		return;
	memset(c, 0, sizeof(*c));
	c->align.cmsg_level = SOL_SOCKET;
	c->align.cmsg_type = SCM_RIGHTS;
	c->align.cmsg_len = CMSG_LEN(sizeof(int) * n);
	memcpy(CMSG_DATA(&c->align), fds, sizeof(int) * n);
	m->msg_control = c;
	m->msg_controllen = CMSG_SPACE(sizeof(int) * n);
}

/* As many as go into one call; how many the kernel took, or -1. */
static int
send_batch(struct parcel_link *l)
{
	static union control control[BATCH];
	struct mmsghdr m[BATCH] = { 0 };
	struct iovec io[BATCH];
	char *at = l->out.p + l->out_at;
	unsigned n;
	int sent;

	for (n = 0; n < BATCH && l->q_at + n < l->q_n; n++) {
		const struct waiting *w = &l->queue[l->q_at + n];

		io[n] = (struct iovec){ at, w->n };
		m[n].msg_hdr.msg_iov = &io[n];
		m[n].msg_hdr.msg_iovlen = 1;
		control_fill(&m[n].msg_hdr, &control[n], w->fds);
		at += w->n;
	}
	sent = sendmmsg(l->fd, m, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	for (int i = 0; i < sent; i++) {
		struct waiting *w = &l->queue[l->q_at++];

		l->out_at += w->n;
		l->written++;
		waiting_done(w);
	}
	return sent;
}

/* What has to wait keeps its socket, whatever becomes of the conn.  Without a
 * copy (too many open files) it goes alone and is refused over there. */
static void
keep_sockets(struct parcel_link *l)
{
	for (size_t i = l->q_at; i < l->q_n; i++) {
		struct waiting *w = &l->queue[i];

		if (w->owned || w->fds[0] < 0)
			continue;
		w->fds[0] = fcntl(w->fds[0], F_DUPFD_CLOEXEC, 0);
		w->owned = true;
	}
}

static void
wait_for_kernel(struct parcel_link *l, int error)
{
	const struct timeval soon = { 0, RETRY_MS * 1000 };

	if (error == EAGAIN)
		event_add(l->on_write, NULL);
	else if (error == ETOOMANYREFS || error == ENOBUFS || error == ENOMEM)
		event_add(l->retry, &soon);
	else {
		parcel_link_end(l, strerror(error));
		return;
	}
	keep_sockets(l);
}

void
parcel_flush(struct parcel_link *l)
{
	while (!l->ended && l->q_at < l->q_n) {
		int n = send_batch(l);

		if (n < 0 && errno != EINTR) {
			wait_for_kernel(l, errno);
			return;
		}
	}
	if (l->ended)
		return;
	l->q_at = l->q_n = l->out_at = 0;
	buf_reuse(&l->out);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	parcel_flush(arg);
}

uint64_t
parcel_written(const struct parcel_link *l)
{
	return l->written;
}

uint64_t
parcel_queued(const struct parcel_link *l)
{
	return l->written + (l->q_n - l->q_at);
}

/* ---- receiving ------------------------------------------------------------------- */

/* Takes the packet's descriptors; what is more than may come is closed. */
static void
take_fds(struct msghdr *m, int fds[FDS_MAX])
{
	struct cmsghdr *c;
	unsigned have = 0;

	for (c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		const unsigned char *p = CMSG_DATA(c);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, p + i * sizeof(fd), sizeof(fd));
			if (have < FDS_MAX)
				fds[have++] = fd;
			else
				close(fd);
		}
	}
}

/* The record of a memfd into l->record. */
static int
read_beside(struct parcel_link *l, int fd, size_t size)
{
	if (size > PARCEL_RECORD_MAX || lseek(fd, 0, SEEK_SET) < 0)
		return -1;
	buf_reuse(&l->record);
	/* It grows with what is there, not with what was announced. */
	while (l->record.n < size) {
		size_t room = size - l->record.n < 1u << 20 ?
		    size - l->record.n : 1u << 20;
		ssize_t n = read(fd, buf_room(&l->record, room), room);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		l->record.n += (size_t)n;
	}
	return 0;
}

/* Is all of the record here, and the right socket? */
static void
record_check(struct parcel_link *l, struct parcel *p, const int fds[FDS_MAX],
    bool lost)
{
	struct stat st;

	if (lost || fds[0] < 0)
		p->fault = "its descriptor was lost on the way "
		    "(limit of open files)";
	else if (fstat(fds[0], &st) < 0 || !S_ISSOCK(st.st_mode) ||
	    (uint64_t)st.st_dev != p->dev || (uint64_t)st.st_ino != p->ino)
		p->fault = "its descriptor is another one";
	else if (p->size > 0 && (fds[1] < 0 ||
	    read_beside(l, fds[1], p->size) < 0))
		p->fault = "its record is not whole";
	else if (p->size > 0)
		p->record = buf_view(&l->record);
}

/* One packet.  False: the owner has freed the link. */
static bool
hand_out(struct parcel_link *l, struct msghdr *m, size_t n)
{
	struct parcel p;
	int fds[FDS_MAX] = { -1, -1 }, known;
	bool lost = (m->msg_flags & MSG_CTRUNC) != 0;

	take_fds(m, fds);
	known = m->msg_flags & MSG_TRUNC ? -1 :
	    parcel_unpack(bytes_of(m->msg_iov->iov_base, n), &p);
	if (known > 0 && p.kind == PARCEL_RECORD) {
		record_check(l, &p, fds, lost);
		p.fd = fds[0];
		fds[0] = -1;
	}
	for (unsigned i = 0; i < FDS_MAX; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (known < 0)
		parcel_link_end(l, "a malformed packet");
	if (known <= 0)
		return true;
	l->busy++;
	l->ops->on_parcel(l->ctx, &p);
	return leave(l);
}

/* Packets that were received after the owner has freed the link. */
static void
drop_rest(struct mmsghdr *m, int i, int n)
{
	for (; i < n; i++) {
		int fds[FDS_MAX] = { -1, -1 };

		take_fds(&m[i].msg_hdr, fds);
		for (unsigned j = 0; j < FDS_MAX; j++)
			if (fds[j] >= 0)
				close(fds[j]);
	}
}

static int
receive_batch(int fd, struct mmsghdr m[BATCH])
{
	static char room[BATCH][PACKET_MAX];
	static union control control[BATCH];
	static struct iovec io[BATCH];

	for (unsigned i = 0; i < BATCH; i++) {
		io[i] = (struct iovec){ room[i], PACKET_MAX };
		m[i] = (struct mmsghdr){ .msg_hdr = {
		    .msg_iov = &io[i], .msg_iovlen = 1,
		    .msg_control = &control[i],
		    .msg_controllen = sizeof(control[i]),
		} };
	}
	return recvmmsg(fd, m, BATCH, MSG_CMSG_CLOEXEC | MSG_DONTWAIT, NULL);
}

enum received { MORE, NO_MORE, AT_END, FREED };

static enum received
receive(struct parcel_link *l)
{
	struct mmsghdr m[BATCH];
	int n = receive_batch(l->fd, m), i;

	if (n < 0) {
		if (errno == EINTR)
			return MORE;
		/* The other side died with something of ours unread; what it
		 * had sent comes behind the error. */
		if (errno == ECONNRESET && l->resets++ == 0)
			return MORE;
		return errno == EAGAIN ? NO_MORE : AT_END;
	}
	for (i = 0; i < n; i++) {
		if (m[i].msg_len == 0)		/* nobody sends empty ones */
			return AT_END;
		if (!hand_out(l, &m[i].msg_hdr, m[i].msg_len)) {
			drop_rest(m, i + 1, n);
			return FREED;
		}
	}
	return n == BATCH ? MORE : NO_MORE;
}

static void
tell_gone(struct parcel_link *l)
{
	parcel_link_end(l, "the other side is gone");
	event_del(l->on_read);
	if (l->told)
		return;
	l->told = true;
	l->ops->on_gone(l->ctx, l->why);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct parcel_link *l = arg;
	enum received got = MORE;

	(void)fd, (void)what;
	l->busy++;
	for (int i = 0; i < BATCHES_A_TURN && got == MORE; i++)
		got = receive(l);
	if (got == AT_END)
		tell_gone(l);
	leave(l);
}
