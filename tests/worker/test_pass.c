/* SPDX-License-Identifier: MIT
 *
 * Tests src/worker/pass.c: both ends are this process; the listeners are played.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <event2/event.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/counters.h"
#include "common/util.h"
#include "worker/listener.h"
#include "worker/pass.h"

static struct event_base *base;
static unsigned adopted, refused;
static bool refuse;
static struct listener listener;

void
worker_clock(void)
{
}

/* What is passed is the end of a pipe: it must be the one that was sent. */
int
listener_adopt(int fd, struct bytes address)
{
	char c;

	assert_true(bytes_eq(address, B("127.0.0.1:80")));
	assert_int_equal(read(fd, &c, 1), 1);
	assert_int_equal(c, 'x');
	close(fd);
	if (refuse) {
		refused++;
		return -1;
	}
	adopted++;
	return 0;
}

static int
set_up(void **state)
{
	int ends[2];

	(void)state;
	base = event_base_new();
	adopted = refused = 0;
	refuse = false;
	listener.address = xstrdup("127.0.0.1:80");
	memset(&counter, 0, sizeof(counter));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	pass_begin(ends[0], 3);
	pass_take(base, ends[1]);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	pass_stop();
	event_base_free(base);
	free(listener.address);
	return 0;
}

static int
pass_one(void)
{
	int ends[2], r;

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "x", 1), 1);
	r = pass_on(ends[0], &listener);
	close(ends[0]);
	close(ends[1]);
	return r;
}

static void
turn(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
}

static void
test_count(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(pass_left, 3 - i);
		assert_int_equal(pass_one(), 0);
	}
	assert_int_equal(pass_left, 0);
	turn();
	assert_int_equal(adopted, 3);
	assert_int_equal(counter.passed, 3);
	assert_int_equal(counter.taken, 3);
	/* The link was closed: nothing wakes us any more. */
	turn();
	assert_int_equal(event_base_get_num_events(base,
	    EVENT_BASE_COUNT_ADDED), 0);
}

static void
test_refused(void **state)
{
	(void)state;
	refuse = true;
	assert_int_equal(pass_one(), 0);
	turn();
	assert_int_equal(refused, 1);
	assert_int_equal(counter.taken, 0);
}

/* Who ends takes what was on its way, and the other keeps what follows. */
static void
test_stop(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(pass_one(), 0);
	assert_int_equal(pass_one(), 0);
	pass_stop();
	assert_int_equal(adopted, 2);
	assert_int_equal(pass_left, 0);

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	pass_begin(ends[0], 3);
	shutdown(ends[1], SHUT_RD);
	assert_int_equal(pass_one(), -1);
	assert_int_equal(pass_left, 0);
	close(ends[1]);
}

static void
test_receiver_dies(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	pass_begin(ends[0], 3);
	close(ends[1]);
	assert_int_equal(pass_one(), -1);
	assert_int_equal(pass_left, 0);
}

/* A link that is full for the moment: those are kept, later ones go. */
static void
test_full(void **state)
{
	int ends[2], small = 1;
	unsigned n = 0;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	assert_int_equal(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &small,
	    sizeof(small)), 0);
	pass_begin(ends[0], 1000);
	pass_take(base, ends[1]);
	while (pass_one() == 0)
		assert_true(++n < 500);
	assert_int_equal(pass_left, 1000 - n);
	turn();
	assert_int_equal(adopted, n);
	assert_int_equal(pass_one(), 0);
}

/* A new order ends the old one; none is an end, too. */
static void
test_orders(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	pass_begin(ends[0], 7);
	pass_take(base, ends[1]);
	assert_int_equal(pass_left, 7);
	assert_int_equal(pass_one(), 0);
	pass_end();
	assert_int_equal(pass_left, 0);
	turn();
	turn();
	assert_int_equal(adopted, 1);
	assert_int_equal(event_base_get_num_events(base,
	    EVENT_BASE_COUNT_ADDED), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_count, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stop, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_receiver_dies, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_orders, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
