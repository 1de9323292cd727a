/* SPDX-License-Identifier: MIT
 *
 * Tests src/common/ipc.c: messages, pressure, the end.
 */
#include "tests/common/test_ipc.h"

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
	{ BYTES("\0\0\0\x02\x91\x7f"), "message of an unknown type" },
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_order),
		TEST(test_both_ways),
		TEST(test_large),
		TEST(test_reentrant),
		TEST(test_handed_out),
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
		TEST_FDS(test_order),
		TEST_FDS(test_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
