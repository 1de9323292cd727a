/* SPDX-License-Identifier: MIT
 *
 * The ring of unacknowledged messages, waiters and queries.
 */
#include "tests/worker/test_core.h"

static unsigned acked, rows, answered, restarted;

static void
on_acked(struct waiter *w)
{
	(void)w;
	acked++;
}

static void
on_row(struct query *q, const struct msg_row *m)
{
	(void)q, (void)m;
	rows++;
}

static void
on_done(struct query *q)
{
	(void)q;
	answered++;
}

static void
on_restart(struct query *q)
{
	(void)q;
	restarted++;
}

static uint64_t
publish(const char *event)
{
	struct msg_publish m = {
		.app = B("1"), .channel = B("c"), .event = bytes_str(event),
	};

	return uplink_publish(&m);
}

static void
ack(uint64_t serial)
{
	struct msg_ack m = { .serial = serial };

	uplink_on_ack(&m);
}

static void
what_is_not_acknowledged_is_told_again(void **state)
{
	struct msg_hello hello;
	struct msg_load load;
	struct msg_publish p;
	struct msg_kick kick;
	struct msg_connection opened = { .open = 1, .app = B("1") };
	struct msg_synced synced;
	uint64_t one, two, three;

	(void)state;
	one = publish("one");
	two = publish("two");
	three = uplink_kick(B("1"), B("u"));
	assert_int_equal(two, one + 1);
	assert_int_equal(three, one + 2);
	uplink_connection(&opened);
	assert_int_equal(opened.serial, one + 3);
	expect_msg(publish, &p);
	expect_msg(publish, &p);
	expect_msg(kick, &kick);
	expect_msg(connection, &opened);
	ack(one);

	uplink_lost();
	close(router_fd);
	test_connect();
	expect_msg(hello, &hello);
	expect_msg(load, &load);
	expect_msg(publish, &p);
	assert_int_equal(p.serial, two);
	assert_memory_equal(p.event.p, "two", 3);
	expect_msg(kick, &kick);
	assert_int_equal(kick.serial, three);
	expect_msg(connection, &opened);
	assert_int_equal(opened.serial, three + 1);
	expect_msg(synced, &synced);
	ack(opened.serial);
	uplink_lost();
	close(router_fd);
	test_connect();
	expect_hello();
}

static void
waiters_wait_for_their_serial(void **state)
{
	struct waiter first = { .done = on_acked }, second = first,
	    cancelled = first;
	uint64_t one, two;

	(void)state;
	acked = 0;
	one = publish("one");
	two = publish("two");
	waiter_arm(&first, one);
	waiter_arm(&cancelled, one);
	waiter_arm(&second, two);
	waiter_cancel(&cancelled);
	waiter_cancel(&cancelled);
	ack(one);
	assert_int_equal(acked, 1);
	ack(two);
	assert_int_equal(acked, 2);
}

static void
full_until_acknowledged(void **state)
{
	uint64_t last = 0;
	unsigned n;

	(void)state;
	for (n = 0; !uplink_full(); n++) {
		assert_true(n < 4096);
		last = publish("0123456789012345678901234567890123456789");
	}
	ack(last - 1);
	assert_false(uplink_full());
	ack(last);
	uplink_hold(true);
	assert_true(uplink_full());
	uplink_hold(false);
	assert_false(uplink_full());
}

static void
queries_outlive_a_router(void **state)
{
	struct query q = {
		.row = on_row, .done = on_done, .restart = on_restart,
	};
	struct msg_hello hello;
	struct msg_load load;
	struct msg_synced synced;
	struct msg_query asked;
	struct msg_row row = { 0 };
	struct msg_done done = { 0 };

	(void)state;
	rows = answered = restarted = 0;
	query_send(&q, QUERY_CHANNELS, B("1"), B("pre"));
	expect_msg(query, &asked);
	row.cookie = done.cookie = asked.cookie;
	uplink_on_row(&row);
	uplink_lost();
	close(router_fd);
	test_connect();
	expect_msg(hello, &hello);
	expect_msg(load, &load);
	expect_msg(synced, &synced);
	assert_int_equal(restarted, 1);
	expect_msg(query, &asked);
	assert_int_equal(asked.cookie, row.cookie);
	assert_int_equal(asked.kind, QUERY_CHANNELS);
	assert_memory_equal(asked.name.p, "pre", 3);
	uplink_on_row(&row);
	uplink_on_done(&done);
	uplink_on_done(&done);
	uplink_on_row(&row);
	assert_int_equal(rows, 2);
	assert_int_equal(answered, 1);
}

/* A message that is too large to be told is no hole in the ring. */
static void
too_large_to_be_told(void **state)
{
	struct msg_publish huge = {
		.app = B("1"), .channel = B("c"), .event = B("huge"),
	}, p;
	struct msg_hello hello;
	struct msg_load load;
	struct msg_synced synced;
	char *octets = xcalloc(1, MSG_MAX + 1);
	uint64_t one;

	(void)state;
	huge.data = bytes_of(octets, MSG_MAX + 1);
	uplink_publish(&huge);
	free(octets);
	one = publish("one");
	publish("two");
	ack(one);
	uplink_lost();
	close(router_fd);
	test_connect();
	expect_msg(hello, &hello);
	expect_msg(load, &load);
	expect_msg(publish, &p);
	assert_true(bytes_eq(p.event, B("two")));
	expect_msg(synced, &synced);
	ack(p.serial);
}

static unsigned heard;

static int
count_message(void *ctx, struct ipc *l, unsigned type, struct unpacker *u,
    const char **why)
{
	(void)ctx, (void)l, (void)u, (void)why;
	heard += type == MSG_count;
	return 0;
}

static const struct ipc_ops counting = {
	.on_message = count_message, .on_gone = no_end,
};

/* The publisher of what a dead router sent may have been told that it is
 * delivered. */
static void
last_words_of_a_router_are_heard(void **state)
{
	struct msg_count m = { .app = B("1"), .channel = B("c") };
	struct buf words = { 0 };
	int fds[2];

	(void)state;
	assert_int_equal(ipc_pair(fds), 0);
	close(router_fd);
	router_fd = fds[0];
	uplink_connect(worker.base, fds[1], &counting, NULL);
	msg_pack_count(&words, &m);
	assert_int_equal(send(router_fd, words.p, words.n, 0), words.n);
	buf_done(&words);
	close(router_fd);
	heard = 0;
	test_connect();
	assert_int_equal(heard, 1);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    what_is_not_acknowledged_is_told_again, core_setup,
		    core_teardown),
		cmocka_unit_test_setup_teardown(waiters_wait_for_their_serial,
		    core_setup, core_teardown),
		cmocka_unit_test_setup_teardown(full_until_acknowledged,
		    core_setup, core_teardown),
		cmocka_unit_test_setup_teardown(queries_outlive_a_router,
		    core_setup, core_teardown),
		cmocka_unit_test_setup_teardown(too_large_to_be_told,
		    core_setup, core_teardown),
		cmocka_unit_test_setup_teardown(
		    last_words_of_a_router_are_heard, core_setup,
		    core_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
