/* SPDX-License-Identifier: MIT
 *
 * Tests src/common/ipc.c: descriptors, and links that outlive an exec.
 */
#include "tests/common/test_ipc.h"

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
	const struct CMUnitTest tests[] = {
		TEST(test_restore),
		TEST(test_restore_held),
		TEST(test_hold_ahead),
		TEST(test_hold_ahead_full),
		TEST(test_save_refused),
		TEST_FDS(test_fd),
		TEST_FDS(test_fds_in_order),
		TEST_FDS(test_fds_unwanted),
		TEST_FDS(test_fd_missing),
		TEST(test_fds_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
