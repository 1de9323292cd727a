/* SPDX-License-Identifier: MIT
 *
 * What waits for all clients of a worker: how it is counted, and who goes when
 * it is too much.  And how much of it the kernel takes.
 */
#include "tests/worker/test_core.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "common/counters.h"
#include "common/msg.h"
#include "worker/backlog.h"
#include "worker/conn_queue.h"

#define CLIENTS		8
#define LIMIT		(1u << 20)
#define PIECE		1000

static struct {
	struct client	*client[CLIENTS];
	int		 peer[CLIENTS];
} crowd;

static void
turn(void)
{
	event_base_loop(worker.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	conns_turn();
}

static void
say(struct client *cl, struct frame *f)
{
	client_send(cl, f);
	frame_unref(f);
}

static struct frame *
piece(size_t n)
{
	struct frame *f = frame_new(n);

	memset(f->p, 'x', n);
	return f;
}

/* Clients whose sockets take nothing more, and that hold little. */
static int
setup(void **state)
{
	struct frame *f;
	unsigned i;

	core_setup(state);
	worker.now_ms += 1000;		/* a walk in vain is long ago */
	test_config.websocket.max_backlog = 1u << 30;
	test_config.websocket.max_backlog_total = 1u << 30;
	counter.backlog_closed = counter.slow_readers = 0;
	assert_int_equal(counter.backlog, 0);
	f = piece(1u << 20);
	for (i = 0; i < CLIENTS; i++) {
		crowd.client[i] = test_client(&crowd.peer[i]);
		client_send(crowd.client[i], f);
	}
	frame_unref(f);
	turn();
	for (i = 0; i < CLIENTS; i++)
		assert_true(crowd.client[i]->conn->blocked);
	return 0;
}

/* A conn that was buried is another one's, or nobody's. */
static bool
lives(unsigned i)
{
	char c;

	return recv(crowd.peer[i], &c, 1, MSG_DONTWAIT | MSG_PEEK) != 0 &&
	    crowd.client[i] != NULL;
}

static int
teardown(void **state)
{
	unsigned i;

	for (i = 0; i < CLIENTS; i++)
		if (crowd.client[i] != NULL)
			test_client_end(crowd.client[i], crowd.peer[i]);
	assert_int_equal(counter.backlog, 0);
	return core_teardown(state);
}

/* Those that are closed must not be ended again. */
static unsigned
closed_now(void)
{
	unsigned i, n = 0;

	for (i = 0; i < CLIENTS; i++)
		if (crowd.client[i] != NULL &&
		    crowd.client[i]->conn->dead) {
			crowd.client[i] = NULL;
			n++;
		}
	return n;
}

/* As conns_turn() does, without burying. */
static unsigned
look(void)
{
	backlog_turn();
	return closed_now();
}

static void
a_frame_counts_once(void **state)
{
	uint64_t before = counter.backlog;
	struct frame *f = piece(PIECE);
	unsigned i;

	(void)state;
	for (i = 0; i < CLIENTS; i++)
		client_send(crowd.client[i], f);
	frame_unref(f);
	/* The frame, and the smallest ring for each. */
	assert_int_equal(counter.backlog - before, PIECE + FRAME_COST +
	    CLIENTS * 8 * sizeof(void *));
	/* Each has a part of both frames. */
	assert_int_equal(queue_share(crowd.client[0]->conn),
	    ((1u << 20) + FRAME_COST) / CLIENTS + (PIECE + FRAME_COST) /
	    CLIENTS + 8 * sizeof(void *));
}

static void
who_holds_most_goes(void **state)
{
	unsigned i, n;

	(void)state;
	for (n = 0; n < 100; n++)
		for (i = 0; i < CLIENTS; i++)
			say(crowd.client[i], piece(i == 3 ? 9000 : 1000));
	assert_int_equal(look(), 0);
	test_config.websocket.max_backlog_total = counter.backlog - 1;
	assert_int_equal(look(), 1);
	assert_null(crowd.client[3]);
	assert_int_equal(counter.backlog_closed, 1);
	assert_int_equal(counter.slow_readers, 1);
	/* What it held is free before it is buried. */
	assert_true(counter.backlog <
	    test_config.websocket.max_backlog_total / 8 * 7);
	assert_int_equal(look(), 0);
}

/* What many hold is not what one of them costs. */
static void
who_shares_stays(void **state)
{
	unsigned i, n;

	(void)state;
	for (n = 0; n < 1000; n++) {
		struct frame *f = piece(PIECE);

		for (i = 1; i < CLIENTS; i++)
			client_send(crowd.client[i], f);
		frame_unref(f);
	}
	for (n = 0; n < 500; n++)
		say(crowd.client[0], piece(PIECE));
	test_config.websocket.max_backlog_total = counter.backlog - 1;
	assert_int_equal(look(), 1);
	assert_null(crowd.client[0]);
}

static void
who_waits_longest_goes(void **state)
{
	unsigned i, n;

	(void)state;
	for (n = 0; n < 200; n++)
		for (i = 0; i < CLIENTS; i++)
			say(crowd.client[i], piece(i == 5 ? 1000 : 1500));
	crowd.client[5]->conn->stuck -= 10;
	test_config.websocket.max_backlog_total = counter.backlog - 1;
	assert_true(look() >= 1);
	assert_null(crowd.client[5]);
}

/* Who has not been written to yet is no slow reader. */
static void
who_reads_stays(void **state)
{
	struct client *cl;
	unsigned n;
	int peer;

	(void)state;
	cl = test_client(&peer);
	for (n = 0; n < 100; n++)
		say(cl, piece(100000));
	test_config.websocket.max_backlog_total = LIMIT;
	assert_int_equal(look(), CLIENTS);
	assert_false(cl->conn->dead);
	assert_true(counter.backlog > LIMIT);
	test_client_end(cl, peer);
}

/* Until there is room again, and no further. */
static void
only_as_many_as_needed(void **state)
{
	unsigned i, n, left = 0;

	(void)state;
	for (n = 0; n < 200; n++)
		for (i = 0; i < CLIENTS; i++)
			say(crowd.client[i], piece(PIECE));
	test_config.websocket.max_backlog_total = counter.backlog - 1;
	n = look();
	for (i = 0; i < CLIENTS; i++)
		left += crowd.client[i] != NULL && lives(i);
	assert_true(n >= 1 && n < CLIENTS);
	assert_int_equal(left, CLIENTS - n);
}

/* Many that die at once with much behind them do not hold up the others. */
static void
buried_by_and_by(void **state)
{
	uint64_t before = counter.closed;
	struct frame *f = piece(1);
	unsigned i, n;

	(void)state;
	for (i = 0; i < 3; i++) {
		for (n = 0; n < 600000; n++)
			client_send(crowd.client[i], f);
		conn_kill(crowd.client[i]->conn, CLOSE_SLOW_READER);
		crowd.client[i] = NULL;
	}
	frame_unref(f);
	assert_true(conns_turn());
	assert_int_equal(counter.closed - before, 1);
	assert_true(conns_turn());
	assert_false(conns_turn());
	assert_int_equal(counter.closed - before, 3);
}

/* ---- the kernel ----------------------------------------------------------- */

static int
option(int fd, int name)
{
	socklen_t n = sizeof(int);
	int value = -1;

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, name, &value, &n), 0);
	return value;
}

/* What is set on a listener holds for what comes in by it. */
static void
sockets_inherit(void **state)
{
	static struct config_listen section = { .max_unsent = 70000 };
	struct sockaddr_in to = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct msg_listener m = { .workers = 1, .address = B("test") };
	socklen_t len = sizeof(to);
	int peer, fd;

	(void)state;
	test_config.listen = &section;
	test_config.n_listen = 1;
	m.fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(listen(m.fd, 1), 0);
	assert_int_equal(getsockname(m.fd, (struct sockaddr *)&to, &len), 0);
	listener_add(&m);
	peer = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(peer, (struct sockaddr *)&to, len), 0);
	fd = accept(m.fd, NULL, NULL);
	assert_int_equal(option(fd, TCP_NODELAY), 1);
	assert_int_equal(option(fd, TCP_NOTSENT_LOWAT), 70000);
	close(fd);
	close(peer);
	section.max_unsent = 50000;
	listeners_settings();
	assert_int_equal(option(m.fd, TCP_NOTSENT_LOWAT), 50000);
	listeners_stop();
}

/* A frame that is made once and sent again and again waits for nobody. */
static void
what_is_kept_waits_for_nobody(void **state)
{
	static struct frame *pong;
	uint64_t before = counter.backlog;

	(void)state;
	pong = frame_kept(frame_of(B("pong")));
	assert_int_equal(counter.backlog, before);
	frame_unref(frame_ref(pong));
	assert_int_equal(counter.backlog, before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(fn)	cmocka_unit_test_setup_teardown(fn, setup, teardown)
		T(a_frame_counts_once),
		T(who_holds_most_goes),
		T(who_shares_stays),
		T(who_waits_longest_goes),
		T(who_reads_stays),
		T(only_as_many_as_needed),
		T(buried_by_and_by),
		cmocka_unit_test(what_is_kept_waits_for_nobody),
		cmocka_unit_test_setup_teardown(sockets_inherit, core_setup,
		    core_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
