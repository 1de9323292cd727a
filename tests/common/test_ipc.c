/* SPDX-License-Identifier: MIT
 *
 * Tests src/common/ipc.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/ipc.h"
#include "common/util.h"

/* One end, and what happened at it. */
struct side {
	struct ipc	*link;
	unsigned	 messages, gones, fulls, drains;
	uint64_t	 expect;	/* the next ping's number */
	bool		 in_message;
	char		 why[200];
	ino_t		 inodes[32];	/* of the descriptors that came */
	unsigned	 n_inodes;
	/* What on_message does beside counting. */
	int		(*act)(struct side *, const char **why);
	bool		 free_on_gone, free_on_pressure;
	/* Reads, and what the first message of this one has said. */
	unsigned	 reads;
	struct bytes	 said;
};

static struct event_base *base;
static struct side a, b;
static int fds_before;

static int
open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

/* Keeps which file it was. */
static void
take_fd(struct side *s, int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	s->inodes[s->n_inodes++ % NELEM(s->inodes)] = st.st_ino;
	close(fd);
}

static int
take(struct side *s, unsigned type, struct unpacker *u, const char **why)
{
	struct msg_control control;
	struct msg_kick kick;
	struct msg_ping ping;
	struct msg_log log;

	switch (type) {
	case MSG_kick:
		if (msg_unpack_kick(u, &kick, why) < 0)
			return -1;
		if (s->said.n == 0)
			s->said = kick.user;
		return 0;
	case MSG_ping:
		if (msg_unpack_ping(u, &ping, why) < 0)
			return -1;
		assert_true(ping.n == s->expect);
		s->expect++;
		return 0;
	case MSG_log:
		if (msg_unpack_log(u, &log, why) < 0)
			return -1;
		take_fd(s, log.fd);
		return 0;
	case MSG_control:
		if (msg_unpack_control(u, &control, why) < 0)
			return -1;
		take_fd(s, control.fd);
		for (size_t i = 0; i < control.request.n; i += 4096)
			assert_int_equal(control.request.p[i], 'x');
		return 0;
	}
	return 0;
}

static int
on_message(void *ctx, struct ipc *link, unsigned type, struct unpacker *u,
    const char **why)
{
	struct side *s = ctx;
	int result;

	assert_ptr_equal(link, s->link);
	assert_false(s->in_message);
	s->in_message = true;
	s->messages++;
	result = take(s, type, u, why);
	if (result == 0 && s->act != NULL)
		result = s->act(s, why);
	s->in_message = false;
	return result;
}

static void
on_gone(void *ctx, struct ipc *link, const char *why)
{
	struct side *s = ctx;

	assert_ptr_equal(link, s->link);
	assert_false(s->in_message);
	assert_non_null(why);
	s->gones++;
	snprintf(s->why, sizeof(s->why), "%s", why);
	if (s->free_on_gone) {
		ipc_free(link);
		s->link = NULL;
	}
}

static void
on_pressure(void *ctx, struct ipc *link, bool full)
{
	struct side *s = ctx;

	assert_ptr_equal(link, s->link);
	if (full)
		s->fulls++;
	else
		s->drains++;
	if (s->free_on_pressure) {
		ipc_free(link);
		s->link = NULL;
	}
}

static void
on_handed_out(void *ctx)
{
	struct side *s = ctx;

	assert_false(s->in_message);
	s->reads++;
	if (s->said.n > 0)
		assert_memory_equal(s->said.p, "first", 5);
	s->said.n = 0;
}

static const struct ipc_ops ops = {
	.on_message = on_message, .on_gone = on_gone,
	.on_pressure = on_pressure, .on_handed_out = on_handed_out,
};

static int
start(bool with_fds)
{
	int fds[2];

	fds_before = open_descriptors();
	base = event_base_new();
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	if (base == NULL || ipc_pair(fds) < 0)
		return -1;
	a.link = ipc_new(base, fds[0], false, &ops, &a);
	b.link = ipc_new(base, fds[1], with_fds, &ops, &b);
	return 0;
}

static int
set_up(void **state)
{
	(void)state;
	return start(false);
}

static int
set_up_fds(void **state)
{
	(void)state;
	return start(true);
}

/* Whatever a test did, no descriptor is left. */
static int
tear_down(void **state)
{
	(void)state;
	ipc_free(a.link);
	ipc_free(b.link);
	event_base_free(base);
	return open_descriptors() == fds_before ? 0 : -1;
}

static void
on_too_late(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	*(bool *)arg = true;
}

/* Runs the loop until *counter is n. */
static void
run_until(const unsigned *counter, unsigned n)
{
	const struct timeval limit = { 120, 0 };	/* valgrind is slow */
	bool late = false;
	struct event *timer = evtimer_new(base, on_too_late, &late);

	evtimer_add(timer, &limit);
	while (*counter < n && !late)
		event_base_loop(base, EVLOOP_ONCE);
	event_free(timer);
	if (late)
		fail_msg("waited for %u, is %u", n, *counter);
	assert_int_equal(*counter, n);
}

/* Runs what is ready now. */
static void
run_once(void)
{
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

static void
put_pings(struct ipc *link, uint64_t from, uint64_t n)
{
	for (uint64_t i = from; i < from + n; i++)
		msg_pack_ping(ipc_out(link), &(struct msg_ping){ .n = i });
}

/* ---- messages ----------------------------------------------------------- */

static void
test_order(void **state)
{
	struct buf frame = { 0 };

	(void)state;
	put_pings(a.link, 0, 50000);
	msg_pack_ping(&frame, &(struct msg_ping){ .n = 50000 });
	ipc_put(a.link, buf_view(&frame));
	buf_done(&frame);
	assert_int_equal(b.messages, 0);
	ipc_flush(a.link);
	run_until(&b.messages, 50001);
	assert_int_equal(ipc_queued(a.link), ipc_written(a.link));
	assert_int_equal(ipc_stuck_since(a.link), 0);
	assert_int_equal(a.gones + b.gones, 0);
}

static void
test_both_ways(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		put_pings(a.link, i * 10, 10);
		put_pings(b.link, i, 1);
		ipc_flush(a.link);
		ipc_flush(b.link);
		run_until(&b.messages, i * 10 + 10);
		run_until(&a.messages, i + 1);
	}
}

/* Much larger than any socket's buffer. */
static void
test_large(void **state)
{
	struct msg_publish m = { .app = B("1"), .channel = B("c") };
	char *data = xcalloc(1, 20 << 20);

	(void)state;
	m.data = bytes_of(data, 20 << 20);
	msg_pack_publish(ipc_out(a.link), &m);
	put_pings(a.link, 0, 3);
	msg_pack_publish(ipc_out(a.link), &m);
	put_pings(a.link, 3, 3);
	free(data);
	ipc_flush(a.link);
	assert_true(ipc_written(a.link) < ipc_queued(a.link));
	assert_true(ipc_stuck_since(a.link) != 0);
	assert_int_equal(a.fulls, 1);
	run_until(&b.messages, 8);
	assert_int_equal(ipc_written(a.link), ipc_queued(a.link));
	assert_int_equal(ipc_stuck_since(a.link), 0);
	assert_int_equal(a.drains, 1);
}

static int
act_echo(struct side *s, const char **why)
{
	(void)why;
	put_pings(s->link, s->messages - 1, 1);
	if (s->messages % 3 == 0)
		ipc_flush(s->link);
	ipc_read_now(s->link);		/* must not call us again */
	return 0;
}

static void
test_reentrant(void **state)
{
	(void)state;
	b.act = act_echo;
	put_pings(a.link, 0, 3000);
	ipc_flush(a.link);
	run_until(&b.messages, 3000);
	ipc_flush(b.link);
	run_until(&a.messages, 3000);
}

static void
put_kicks(struct ipc *link)
{
	static const char *const users[] = { "first", "other", "third" };

	for (size_t i = 0; i < NELEM(users); i++)
		msg_pack_kick(ipc_out(link),
		    &(struct msg_kick){ .user = bytes_str(users[i]) });
	ipc_flush(link);
}

static int
act_hold_second(struct side *s, const char **why)
{
	(void)why;
	if (s->messages == 2)
		ipc_hold(s->link, true, 0);
	return 0;
}

static int
act_free_first(struct side *s, const char **why)
{
	(void)why;
	ipc_free(s->link);
	return 0;
}

/* What one read has brought: its octets are good until the end of it, and that
 * comes also where the owner wants no more. */
static void
test_handed_out(void **state)
{
	(void)state;
	put_kicks(a.link);
	run_until(&b.messages, 3);
	assert_int_equal(b.reads, 1);
	run_once();
	assert_int_equal(b.reads, 1);

	b.messages = 0;
	b.act = act_hold_second;
	put_kicks(a.link);
	run_until(&b.messages, 2);
	assert_int_equal(b.reads, 2);
	b.said = B("first");
	ipc_hold(b.link, false, 0);
	run_until(&b.messages, 3);
	assert_int_equal(b.reads, 3);

	b.act = act_free_first;
	put_kicks(a.link);
	ipc_read_now(b.link);
	assert_int_equal(b.messages, 4);
	assert_int_equal(b.reads, 4);
	b.link = NULL;
}

static void
test_positions(void **state)
{
	struct buf frame = { 0 };
	uint64_t all = 0;

	(void)state;
	msg_pack_ping(&frame, &(struct msg_ping){ .n = 0 });
	assert_int_equal(ipc_queued(a.link), 0);
	for (int i = 0; i < 3; i++) {
		ipc_put(a.link, buf_view(&frame));
		all += frame.n;
		assert_int_equal(ipc_queued(a.link), all);
		assert_int_equal(ipc_written(a.link), all - frame.n);
		ipc_flush(a.link);
		assert_int_equal(ipc_written(a.link), all);
	}
	buf_done(&frame);
}

/* ---- read_now, flush_wait ----------------------------------------------- */

static void
test_read_now(void **state)
{
	(void)state;
	ipc_read_now(b.link);
	assert_int_equal(b.messages, 0);
	put_pings(a.link, 0, 1000);
	ipc_flush(a.link);
	ipc_read_now(b.link);
	assert_int_equal(b.messages, 1000);
	/* The end is told from the loop only. */
	put_pings(a.link, 1000, 5);
	ipc_flush(a.link);
	ipc_free(a.link);
	a.link = NULL;
	ipc_read_now(b.link);
	ipc_read_now(b.link);
	assert_int_equal(b.messages, 1005);
	assert_int_equal(b.gones, 0);
	run_until(&b.gones, 1);
	ipc_read_now(b.link);
	run_once();
	assert_int_equal(b.gones, 1);
}

static void
test_flush_wait(void **state)
{
	uint64_t before;
	pid_t pid;
	int status;

	(void)state;
	assert_int_equal(ipc_flush_wait(a.link, 1000), 0);
	put_pings(a.link, 0, 200000);
	before = clock_ms();
	assert_int_equal(ipc_flush_wait(a.link, 50), -1);
	assert_true(clock_ms() - before >= 50);
	/* Somebody reads: all of it leaves. */
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		event_reinit(base);
		ipc_free(a.link);
		while (b.gones == 0)
			event_base_loop(base, EVLOOP_ONCE);
		_exit(b.messages == 200000 ? 0 : 1);
	}
	assert_int_equal(ipc_flush_wait(a.link, 30000), 0);
	ipc_free(a.link);
	a.link = NULL;
	ipc_free(b.link);
	b.link = NULL;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* ---- pressure ----------------------------------------------------------- */

static void
test_pressure(void **state)
{
	uint64_t n = 0;

	(void)state;
	while (ipc_queued(a.link) - ipc_written(a.link) <= IPC_HIGH) {
		assert_int_equal(a.fulls, 0);
		put_pings(a.link, n, 10000);
		n += 10000;
		ipc_flush(a.link);
	}
	assert_int_equal(a.fulls, 1);
	put_pings(a.link, n, 10000);
	n += 10000;
	ipc_flush(a.link);
	assert_int_equal(a.fulls, 1);
	assert_int_equal(a.drains, 0);
	run_until(&a.drains, 1);
	assert_true(ipc_queued(a.link) - ipc_written(a.link) <= IPC_LOW);
	run_until(&b.messages, (unsigned)n);
	assert_int_equal(a.fulls, 1);
	assert_int_equal(a.drains, 1);
}

static void
test_free_on_pressure(void **state)
{
	(void)state;
	a.free_on_pressure = true;
	put_pings(a.link, 0, 2000000);
	assert_int_equal(ipc_flush_wait(a.link, 1000), -1);
	assert_null(a.link);
	run_until(&b.gones, 1);
}

/* ---- the end ------------------------------------------------------------ */

/* What a killed process had written arrives, half a message does not. */
static void
test_killed_writer(void **state)
{
	static const char half[] = "\0\0\0\x20\x92\x0a";
	pid_t pid;
	int status;

	(void)state;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		event_reinit(base);
		put_pings(a.link, 0, 5000);
		ipc_put(a.link, bytes_of(half, sizeof(half) - 1));
		ipc_flush(a.link);
		kill(getpid(), SIGKILL);
	}
	ipc_free(a.link);
	a.link = NULL;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(b.messages, 0);
	run_until(&b.gones, 1);
	assert_int_equal(b.messages, 5000);
	assert_string_equal(b.why, "the other side is gone");
}

/* The other side went while much was queued for it; what it wrote before is
 * still handed out. */
static void
test_gone_reader(void **state)
{
	(void)state;
	put_pings(b.link, 0, 5000);
	ipc_flush(b.link);
	put_pings(a.link, 0, 500000);
	ipc_flush(a.link);
	ipc_free(b.link);
	b.link = NULL;
	put_pings(a.link, 500000, 10);
	ipc_flush(a.link);
	ipc_flush(a.link);
	assert_int_equal(a.gones, 0);
	run_until(&a.gones, 1);
	assert_int_equal(a.messages, 5000);
	/* A dead link takes no harm from further use. */
	put_pings(a.link, 0, 10);
	ipc_flush(a.link);
	assert_int_equal(ipc_flush_wait(a.link, 10), -1);
	ipc_read_now(a.link);
	run_once();
	assert_int_equal(a.gones, 1);
	assert_int_equal(a.messages, 5000);
}

/* It only stops reading: that is an end too. */
static void
test_deaf_reader(void **state)
{
	int fds[2];

	(void)state;
	ipc_free(a.link);
	ipc_free(b.link);
	b.link = NULL;
	assert_int_equal(ipc_pair(fds), 0);
	a.link = ipc_new(base, fds[0], false, &ops, &a);
	assert_int_equal(shutdown(fds[1], SHUT_RD), 0);
	put_pings(a.link, 0, 10);
	ipc_flush(a.link);
	run_until(&a.gones, 1);
	assert_string_equal(a.why, "the other side does not read any more");
	close(fds[1]);
}

static const struct {
	struct bytes	 octets;
	const char	*why;
} garbage[] = {
	{ BYTES("\0\0\0\0"), "a message's length is out of range" },
	{ BYTES("\xff\xff\xff\xff"), "a message's length is out of range" },
	{ BYTES("\x04\x01\x00\x01"), "a message's length is out of range" },
	{ BYTES("\0\0\0\x01\xc0"), "message is malformed" },
	{ BYTES("\0\0\0\x02\x91\x63"), "message of an unknown type" },
	{ BYTES("\0\0\0\x03\x92\x0a\x90"), "message ping: n is no number" },
};

static void
test_garbage(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEM(garbage); i++) {
		put_pings(a.link, 0, 2);
		ipc_put(a.link, garbage[i].octets);
		put_pings(a.link, 2, 2);
		ipc_flush(a.link);
		run_until(&b.gones, 1);
		/* What came before was handed out, what came after not. */
		assert_int_equal(b.expect, 2);
		assert_string_equal(b.why, garbage[i].why);
		ipc_free(a.link);
		ipc_free(b.link);
		event_base_free(base);
		assert_int_equal(start(false), 0);
	}
}

static int
act_refuse_third(struct side *s, const char **why)
{
	if (s->messages < 3)
		return 0;
	*why = "not that one";
	return -1;
}

static void
test_refused(void **state)
{
	(void)state;
	b.act = act_refuse_third;
	b.free_on_gone = true;
	put_pings(a.link, 0, 10);
	ipc_flush(a.link);
	run_until(&b.gones, 1);
	assert_int_equal(b.messages, 3);
	assert_string_equal(b.why, "not that one");
	run_until(&a.gones, 1);
}

static int
act_free(struct side *s, const char **why)
{
	if (s->messages == 3) {
		ipc_free(s->link);
		s->link = NULL;
		*why = "freed";
		return -1;
	}
	return 0;
}

static void
test_free_in_message(void **state)
{
	(void)state;
	b.act = act_free;
	put_pings(a.link, 0, 10);
	ipc_flush(a.link);
	run_until(&b.messages, 3);
	assert_null(b.link);
	run_until(&a.gones, 1);
	assert_int_equal(b.messages, 3);
	assert_int_equal(b.gones, 0);
}

static void
test_free_in_read_now(void **state)
{
	(void)state;
	b.act = act_free;
	put_pings(a.link, 0, 10);
	ipc_flush(a.link);
	ipc_read_now(b.link);
	assert_null(b.link);
	assert_int_equal(b.messages, 3);
}

/* ---- descriptors -------------------------------------------------------- */

/* A file of our own; only its identity counts. */
static int
temporary(struct stat *st)
{
	FILE *f = tmpfile();
	int fd;

	assert_non_null(f);
	fd = fcntl(fileno(f), F_DUPFD_CLOEXEC, 0);
	fclose(f);
	assert_int_equal(fstat(fd, st), 0);
	return fd;
}

static void
put_log(struct ipc *link, int fd)
{
	struct buf frame = { 0 };

	msg_pack_log(&frame, &(struct msg_log){ .fd = -1 });
	ipc_put_fd(link, buf_view(&frame), fd);
	buf_done(&frame);
}

static void
test_fd(void **state)
{
	struct stat st;
	int fd = temporary(&st);

	(void)state;
	put_log(a.link, fd);
	/* Ours is free to go. */
	close(fd);
	ipc_flush(a.link);
	run_until(&b.messages, 1);
	assert_int_equal(b.inodes[0], st.st_ino);
}

/* Between messages without, and within more than the kernel takes at once. */
static void
test_fds_in_order(void **state)
{
	struct buf frame = { 0 };
	struct stat st[20];
	char *data = xmalloc(1 << 20);
	int fd;

	(void)state;
	memset(data, 'x', 1 << 20);
	for (unsigned i = 0; i < NELEM(st); i++) {
		struct msg_control m = { .request = bytes_of(data,
		    i % 2 ? 1 << 20 : 100) };

		put_pings(a.link, i * 5, 5);
		buf_clear(&frame);
		msg_pack_control(&frame, &m);
		fd = temporary(&st[i]);
		ipc_put_fd(a.link, buf_view(&frame), fd);
		close(fd);
		if (i % 3 == 0)
			ipc_flush(a.link);
	}
	ipc_flush(a.link);
	run_until(&b.messages, NELEM(st) * 6);
	assert_int_equal(b.n_inodes, NELEM(st));
	for (unsigned i = 0; i < NELEM(st); i++)
		assert_int_equal(b.inodes[i], st[i].st_ino);
	buf_done(&frame);
	free(data);
}

/* Two in one write each: descriptors that nobody takes are closed, and too many
 * end the link. */
static void
test_fds_unwanted(void **state)
{
	struct buf frame = { 0 };
	struct stat st;
	int fd = temporary(&st);

	(void)state;
	msg_pack_xon(&frame, &(struct msg_xon){ .end_ = { 0 } });
	for (int i = 0; i < 10; i++)
		ipc_put_fd(a.link, buf_view(&frame), fd);
	ipc_flush(a.link);
	run_until(&b.messages, 10);
	assert_int_equal(b.gones, 0);
	for (int i = 0; i < 100; i++)
		ipc_put_fd(a.link, buf_view(&frame), fd);
	ipc_flush(a.link);
	close(fd);
	run_until(&b.gones, 1);
	assert_string_equal(b.why, "descriptors were lost on the way");
	buf_done(&frame);
}

static void
test_fd_missing(void **state)
{
	(void)state;
	msg_pack_log(ipc_out(a.link), &(struct msg_log){ .fd = -1 });
	ipc_flush(a.link);
	run_until(&b.gones, 1);
	assert_string_equal(b.why,
	    "message log: fd came without its descriptor");
}

/* A link that takes none: the kernel drops them, and so are those that never
 * left (tear_down counts). */
static void
test_fds_refused(void **state)
{
	struct stat st;
	int fd = temporary(&st);

	(void)state;
	put_log(a.link, fd);
	ipc_flush(a.link);
	put_log(a.link, fd);
	close(fd);
	run_until(&b.gones, 1);
	assert_string_equal(b.why,
	    "message log: fd came without its descriptor");
}

/* ---- over an exec ------------------------------------------------------- */

/* b's link goes on as another one of the same socket. */
static void
reborn(void)
{
	struct buf kept = { 0 };
	struct bytes unread;
	int fd;

	fd = ipc_save(b.link, &unread);
	assert_true(fd >= 0);
	buf_bytes(&kept, unread);
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	ipc_free(b.link);
	b.link = ipc_new(base, fd, false, &ops, &b);
	ipc_restore(b.link, buf_view(&kept));
	buf_done(&kept);
}

/* Wherever the stream is cut, every message arrives once and in order. */
static void
test_restore(void **state)
{
	struct buf frames = { 0 };
	size_t n;

	(void)state;
	for (uint64_t i = 0; i < 5; i++)
		msg_pack_ping(&frames, &(struct msg_ping){ .n = i * 1000 });
	n = frames.n;
	buf_clear(&frames);
	for (size_t cut = 0; cut <= n; cut++) {
		uint64_t from = b.expect;

		buf_clear(&frames);
		for (uint64_t i = from; i < from + 5; i++)
			msg_pack_ping(&frames, &(struct msg_ping){ .n = i });
		if (cut > frames.n)
			break;
		ipc_put(a.link, bytes_of(frames.p, cut));
		ipc_flush(a.link);
		run_once();
		reborn();
		ipc_put(a.link, bytes_skip(buf_view(&frames), cut));
		ipc_flush(a.link);
		run_until(&b.messages, (unsigned)from + 5);
	}
	assert_true(b.expect > 5 * 10);
	assert_int_equal(a.gones + b.gones, 0);
	buf_done(&frames);
}

/* Whole messages that were read and not handed out are handed out, though
 * nothing more comes. */
static int
act_hold(struct side *s, const char **why)
{
	(void)why;
	ipc_hold(s->link, true, 0);
	return 0;
}

static void
test_restore_held(void **state)
{
	(void)state;
	put_pings(a.link, 0, 10);
	ipc_flush(a.link);
	b.act = act_hold;
	run_until(&b.messages, 1);
	b.act = NULL;
	reborn();
	run_until(&b.messages, 10);
}

/* What is read ahead is not handed out before; an end waits for it. */
static void
test_hold_ahead(void **state)
{
	const uint64_t n = 800000;	/* more than a turn hands out */

	(void)state;
	ipc_hold(b.link, true, 16u << 20);
	put_pings(a.link, 0, n);
	ipc_flush(a.link);
	while (ipc_waiting(a.link))
		run_once();
	ipc_free(a.link);
	a.link = NULL;
	run_once();
	run_once();
	assert_int_equal(b.messages + b.gones, 0);
	ipc_hold(b.link, false, 0);
	run_until(&b.messages, n);
	run_until(&b.gones, 1);
	assert_int_equal(b.messages, n);
}

/* No more than that. */
static void
test_hold_ahead_full(void **state)
{
	size_t ahead = 1u << 20;

	(void)state;
	ipc_hold(b.link, true, ahead);
	put_pings(a.link, 0, 300000);
	ipc_flush(a.link);
	for (unsigned i = 0; i < 100; i++)
		run_once();
	assert_true(ipc_waiting(a.link));
	ipc_hold(b.link, false, 0);
	run_until(&b.messages, 300000);
}

/* A link at its end, or with something to write, is not carried. */
static void
test_save_refused(void **state)
{
	struct bytes unread;

	(void)state;
	assert_false(ipc_waiting(a.link));
	assert_true(ipc_save(a.link, &unread) >= 0);
	assert_int_equal(unread.n, 0);
	put_pings(a.link, 0, 1);
	assert_true(ipc_waiting(a.link));
	assert_int_equal(ipc_save(a.link, &unread), -1);
	ipc_flush(a.link);
	assert_true(ipc_save(a.link, &unread) >= 0);
	ipc_free(b.link);
	b.link = NULL;
	run_until(&a.gones, 1);
	assert_int_equal(ipc_save(a.link, &unread), -1);
}

int
main(void)
{
#define TEST(f)	cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define TEST_FDS(f) cmocka_unit_test_setup_teardown(f, set_up_fds, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_order),
		TEST(test_both_ways),
		TEST(test_large),
		TEST(test_reentrant), TEST(test_handed_out),
		TEST(test_positions),
		TEST(test_read_now),
		TEST(test_flush_wait),
		TEST(test_pressure),
		TEST(test_free_on_pressure),
		TEST(test_killed_writer),
		TEST(test_gone_reader),
		TEST(test_deaf_reader),
		TEST(test_garbage),
		TEST(test_refused),
		TEST(test_free_in_message),
		TEST(test_free_in_read_now),
		TEST(test_restore),
		TEST(test_restore_held),
		TEST(test_hold_ahead),
		TEST(test_hold_ahead_full),
		TEST(test_save_refused),
		TEST_FDS(test_order),
		TEST_FDS(test_large),
		TEST_FDS(test_fd),
		TEST_FDS(test_fds_in_order),
		TEST_FDS(test_fds_unwanted),
		TEST_FDS(test_fd_missing),
		TEST(test_fds_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
