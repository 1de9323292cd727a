/* SPDX-License-Identifier: MIT
 *
 * For tests of src/common/ipc.c: both ends of a link, which count what comes.
 */
#ifndef PEAL_TEST_IPC_H
#define PEAL_TEST_IPC_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
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
#include "tests/descriptors.h"

/* Not every test uses all of it. */
#pragma GCC diagnostic ignored "-Wunused-function"

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

#define TEST(f)	cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define TEST_FDS(f) cmocka_unit_test_setup_teardown(f, set_up_fds, tear_down)

#endif
