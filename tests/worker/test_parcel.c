/* SPDX-License-Identifier: MIT
 *
 * Tests src/worker/parcel.c: packets of a hand-over, and the link that carries
 * them with their descriptors.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <event2/event.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/packed.h"
#include "common/util.h"
#include "tests/descriptors.h"
#include "worker/parcel.h"

static struct event_base *base;

/* What one end was told. */
struct end {
	struct parcel_link	*link;
	unsigned		 n;		/* parcels */
	struct parcel		 last;
	char			*record;	/* a copy of the last one's */
	int			 fds[4096];	/* of records */
	const char		*faults[4096];
	unsigned		 n_records;
	uint64_t		 taken;		/* number of the last one */
	unsigned		 gone;
	char			 why[200];
	unsigned		 free_at;	/* frees the link then */
};

static void
on_parcel(void *ctx, struct parcel *p)
{
	struct end *e = ctx;

	e->n++;
	e->last = *p;
	if (p->kind == PARCEL_RECORD) {
		free(e->record);
		e->record = bytes_dup(p->record);
		assert_true(e->n_records < NELEM(e->fds));
		e->faults[e->n_records] = p->fault;
		e->fds[e->n_records++] = p->fd;
	}
	if (p->kind == PARCEL_TAKEN)
		e->taken = p->was;
	if (e->n == e->free_at) {
		parcel_link_free(e->link);
		e->link = NULL;
	}
}

static void
on_gone(void *ctx, const char *why)
{
	struct end *e = ctx;

	e->gone++;
	snprintf(e->why, sizeof(e->why), "%s", why);
}

static const struct parcel_ops ops = { on_parcel, on_gone };

static struct end a, b;
static int raw;			/* instead of a's link */

static void
open_links(bool raw_a)
{
	int fds[2];

	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    fds), 0);
	raw = fds[0];
	if (!raw_a)
		a.link = parcel_link_new(base, fds[0], &ops, &a);
	b.link = parcel_link_new(base, fds[1], &ops, &b);
}

static void
close_fds(struct end *e)
{
	for (unsigned i = 0; i < e->n_records; i++)
		if (e->fds[i] >= 0)
			close(e->fds[i]);
	e->n_records = 0;
	free(e->record);
	e->record = NULL;
}

static void
close_links(void)
{
	close_fds(&a);
	close_fds(&b);
	if (a.link == NULL)
		close(raw);
	parcel_link_free(a.link);
	parcel_link_free(b.link);
}

/* Until nothing more happens. */
static void
run(void)
{
	for (unsigned quiet = 0; quiet < 3;) {
		unsigned before = a.n + b.n + a.gone + b.gone;

		event_base_loop(base, EVLOOP_NONBLOCK);
		quiet = a.n + b.n + a.gone + b.gone == before ? quiet + 1 : 0;
	}
}

static void
send_ok(struct end *e, struct parcel p)
{
	const char *why = NULL;

	assert_int_equal(parcel_send(e->link, &p, &why), 0);
}

static ino_t
inode(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

/* ---- packets ------------------------------------------------------------------- */

static void
all_kinds_and_back(void **state)
{
	static const struct parcel all[] = {
		{ .kind = PARCEL_CHANNEL, .app = B("1"), .name = B("c"),
		    .of_kind = 3 },
		{ .kind = PARCEL_OFFERED, .n = 7 },
		{ .kind = PARCEL_TAKE },
		{ .kind = PARCEL_RECORD, .was = UINT64_MAX, .epoch = 2,
		    .dev = 3, .ino = 4, .size = 5, .record = B("rec") },
		{ .kind = PARCEL_SLICED },
		{ .kind = PARCEL_TAKEN, .was = 9 },
		{ .kind = PARCEL_REFUSED, .was = 9, .why = B("no"),
		    .again = 1 },
		{ .kind = PARCEL_WATCH, .was = 9, .online = B("\x90"),
		    .offline = B("\x91\xa1x") },
		{ .kind = PARCEL_OVER },
	};
	struct buf out = { 0 };
	struct parcel p;

	(void)state;
	for (size_t i = 0; i < NELEM(all); i++) {
		const struct parcel *q = &all[i];

		buf_clear(&out);
		parcel_pack(&out, q);
		assert_int_equal(parcel_unpack(buf_view(&out), &p), 1);
		assert_int_equal(p.kind, q->kind);
		assert_true(p.was == q->was && p.of_kind == q->of_kind &&
		    p.n == q->n && p.epoch == q->epoch && p.dev == q->dev &&
		    p.ino == q->ino && p.size == q->size &&
		    p.again == q->again);
		assert_true(bytes_eq(p.app, q->app) &&
		    bytes_eq(p.name, q->name) &&
		    bytes_eq(p.record, q->record) && bytes_eq(p.why, q->why) &&
		    bytes_eq(p.online, q->online) &&
		    bytes_eq(p.offline, q->offline));
		assert_int_equal(p.fd, -1);
		/* No octet less. */
		for (size_t n = 0; n < out.n; n++)
			assert_int_equal(parcel_unpack(bytes_of(out.p, n), &p),
			    -1);
	}
	buf_done(&out);
}

static void
other_releases(void **state)
{
	struct buf out = { 0 };
	struct parcel p;

	(void)state;
	/* A kind of a later one, and what nobody has ever meant. */
	pack_array(&out, 2);
	pack_u64(&out, 200);
	pack_map(&out, 1);
	pack_u64(&out, 1);
	pack_nil(&out);
	assert_int_equal(parcel_unpack(buf_view(&out), &p), 0);
	buf_clear(&out);
	pack_array(&out, 1);
	pack_u64(&out, 0);
	assert_int_equal(parcel_unpack(buf_view(&out), &p), 0);
	/* A field more. */
	buf_clear(&out);
	pack_array(&out, 3);
	pack_u64(&out, PARCEL_TAKEN);
	pack_u64(&out, 5);
	pack_map(&out, 0);
	assert_int_equal(parcel_unpack(buf_view(&out), &p), 1);
	assert_int_equal(p.was, 5);
	/* One less. */
	buf_clear(&out);
	pack_array(&out, 2);
	pack_u64(&out, PARCEL_REFUSED);
	pack_u64(&out, 5);
	assert_int_equal(parcel_unpack(buf_view(&out), &p), 1);
	assert_int_equal(p.was, 5);
	assert_int_equal(p.why.n, 0);
	assert_int_equal(p.again, 0);
	buf_done(&out);
}

static void
what_is_malformed(void **state)
{
	char name[1025] = { 0 };
	struct buf out = { 0 };
	struct parcel p;

	(void)state;
	assert_int_equal(parcel_unpack(B(""), &p), -1);
	assert_int_equal(parcel_unpack(B("\x90"), &p), -1);
	assert_int_equal(parcel_unpack(B("\x93\x06\x05"), &p), -1);
	assert_int_equal(parcel_unpack(B("\x92\x06\xa1x"), &p), -1);
	assert_int_equal(parcel_unpack(B("\x92\x06\x05\x05"), &p), -1);
	assert_int_equal(parcel_unpack(B("\xdd\xff\xff\xff\xff\x06"), &p), -1);
	pack_array(&out, 4);
	pack_u64(&out, PARCEL_CHANNEL);
	pack_bytes(&out, B("1"));
	pack_bytes(&out, bytes_of(name, sizeof(name)));
	pack_u64(&out, 0);
	assert_int_equal(parcel_unpack(buf_view(&out), &p), -1);
	buf_done(&out);
}

/* ---- the link ------------------------------------------------------------------- */

static void
a_record_with_its_socket(void **state)
{
	int s[2];

	(void)state;
	open_links(false);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	send_ok(&a, (struct parcel){ .kind = PARCEL_RECORD, .was = 1,
	    .epoch = 2, .record = B("state"), .fd = s[0] });
	assert_int_equal(parcel_queued(a.link), 1);
	assert_int_equal(parcel_written(a.link), 0);
	parcel_flush(a.link);
	assert_int_equal(parcel_written(a.link), 1);
	run();
	assert_int_equal(b.n, 1);
	assert_int_equal(b.last.was, 1);
	assert_int_equal(b.last.epoch, 2);
	assert_string_equal(b.record, "state");
	assert_null(b.last.fault);
	assert_int_equal(inode(b.last.fd), inode(s[0]));
	close(s[0]);
	close(s[1]);
	close_links();
}

static void
a_long_one_in_a_file(void **state)
{
	size_t n = 5u << 20;
	char *octets = xmalloc(n);
	int before;
	int s[2];

	(void)state;
	open_links(false);
	before = open_descriptors();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	for (size_t i = 0; i < n; i++)
		octets[i] = (char)(1 + i % 251);
	send_ok(&a, (struct parcel){ .kind = PARCEL_RECORD, .was = 1,
	    .record = bytes_of(octets, n), .fd = s[0] });
	send_ok(&a, (struct parcel){ .kind = PARCEL_SLICED });
	parcel_flush(a.link);
	run();
	assert_int_equal(b.n, 2);
	assert_int_equal(b.last.kind, PARCEL_SLICED);
	assert_null(b.faults[0]);
	assert_memory_equal(b.record, octets, n);
	assert_int_equal(inode(b.fds[0]), inode(s[0]));
	free(octets);
	close(s[0]);
	close(s[1]);
	close_fds(&b);
	/* No memory file is left open. */
	assert_int_equal(open_descriptors(), before);
	close_links();
}

/* More than the kernel takes at once; sockets may be closed behind the flush. */
static void
many_wait_for_the_kernel(void **state)
{
	enum { ROUNDS = 20, N = 100 };
	static ino_t inodes[ROUNDS * N];
	static int s[N][2];
	char record[400] = { 'x' };

	(void)state;
	open_links(false);
	for (unsigned i = 0; i < ROUNDS * N; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s[i % N]),
		    0);
		inodes[i] = inode(s[i % N][0]);
		send_ok(&a, (struct parcel){ .kind = PARCEL_RECORD, .was = i,
		    .record = bytes_of(record, sizeof(record)),
		    .fd = s[i % N][0] });
		if (i % N < N - 1)
			continue;
		parcel_flush(a.link);
		for (unsigned k = 0; k < N; k++) {
			close(s[k][0]);
			close(s[k][1]);
		}
	}
	assert_true(parcel_written(a.link) < ROUNDS * N);
	assert_int_equal(parcel_queued(a.link), ROUNDS * N);
	run();
	assert_int_equal(b.n_records, ROUNDS * N);
	assert_int_equal(parcel_written(a.link), ROUNDS * N);
	for (unsigned i = 0; i < ROUNDS * N; i++) {
		assert_null(b.faults[i]);
		assert_int_equal(inode(b.fds[i]), inodes[i]);
	}
	close_links();
}

static void
raw_send(struct bytes packet, const int *fds, unsigned n)
{
	union {
		struct cmsghdr	align;
		char		room[CMSG_SPACE(sizeof(int) * 8)];
	} control = { .room = { 0 } };
	struct iovec io = { (void *)(uintptr_t)packet.p, packet.n };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1 };

	if (n > 0) {
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int) * n);
		memcpy(CMSG_DATA(&control.align), fds, sizeof(int) * n);
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * n);
	}
	assert_int_equal(sendmsg(raw, &m, MSG_NOSIGNAL), packet.n);
}

static void
raw_parcel(struct parcel p, const int *fds, unsigned n)
{
	struct buf out = { 0 };

	parcel_pack(&out, &p);
	raw_send(buf_view(&out), fds, n);
	buf_done(&out);
}

/* Only the record is no good: the link goes on. */
static void
records_with_faults(void **state)
{
	struct parcel p = { .kind = PARCEL_RECORD, .was = 1,
	    .record = B("state") };
	struct stat st;
	FILE *file = tmpfile();
	int before;
	int s[8], plain;

	(void)state;
	assert_non_null(file);
	plain = fileno(file);
	open_links(true);
	for (unsigned i = 0; i < 8; i += 2)
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s + i),
		    0);
	before = open_descriptors();
	assert_int_equal(fstat(s[0], &st), 0);
	p.dev = st.st_dev;
	p.ino = st.st_ino;
	raw_parcel(p, NULL, 0);			/* none */
	raw_parcel(p, &s[1], 1);		/* another */
	raw_parcel(p, s, 8);			/* more than may be */
	p.size = 100;
	raw_parcel(p, s, 1);			/* where is the rest? */
	raw_parcel(p, (int []){ s[0], plain }, 2);	/* the file is short */
	raw_parcel(p, (int []){ s[0], s[1] }, 2);	/* and this is none */
	p.size = UINT64_MAX;
	raw_parcel(p, (int []){ s[0], plain }, 2);
	assert_int_equal(fstat(plain, &st), 0);
	p.dev = st.st_dev;
	p.ino = st.st_ino;
	p.size = 0;
	raw_parcel(p, &plain, 1);		/* no socket */
	run();
	assert_int_equal(b.n_records, 8);
	for (unsigned i = 0; i < 8; i++)
		assert_non_null(b.faults[i]);
	assert_non_null(strstr(b.faults[0], "open files"));
	assert_int_equal(b.gone, 0);
	/* A descriptor with what needs none. */
	raw_parcel((struct parcel){ .kind = PARCEL_OVER }, s, 2);
	run();
	assert_int_equal(b.last.kind, PARCEL_OVER);
	close_fds(&b);
	assert_int_equal(open_descriptors(), before);
	for (unsigned i = 0; i < 8; i++)
		close(s[i]);
	fclose(file);
	close_links();
}

/* The receiver can have no more files: those that it has not room for come
 * without, and the next ones are right again. */
static void
limit_of_open_files(void **state)
{
	rlim_t was;
	int s[10][2];

	(void)state;
	/* The limit there is valgrind's, and the kernel knows nothing of it. */
	if (getenv("PEAL_TEST_VALGRIND") != NULL)
		return;
	open_links(false);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s[i]), 0);
		send_ok(&a, (struct parcel){ .kind = PARCEL_RECORD, .was = i,
		    .record = B("state"), .fd = s[i][0] });
	}
	parcel_flush(a.link);
	/* Places below the limit that are free: three. */
	was = limit_descriptors((rlim_t)s[9][1] + 4);
	run();
	limit_descriptors(was);
	assert_int_equal(b.n_records, 10);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(b.faults[i] == NULL, i < 3);
		assert_int_equal(b.fds[i] >= 0, i < 3);
	}
	send_ok(&a, (struct parcel){ .kind = PARCEL_RECORD, .was = 99,
	    .record = B("state"), .fd = s[9][0] });
	parcel_flush(a.link);
	run();
	assert_int_equal(b.last.was, 99);
	assert_null(b.last.fault);
	for (unsigned i = 0; i < 10; i++) {
		close(s[i][0]);
		close(s[i][1]);
	}
	close_links();
}

/* The sender has no room for copies of sockets that have to wait: those go
 * without, and are refused. */
static void
no_copy_of_what_waits(void **state)
{
	char record[PARCEL_INLINE] = { 0 };
	rlim_t was;
	unsigned whole = 0;
	int s[2];

	(void)state;
	open_links(false);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	for (unsigned i = 0; i < 30; i++)
		send_ok(&a, (struct parcel){ .kind = PARCEL_RECORD, .was = i,
		    .record = bytes_of(record, sizeof(record)), .fd = s[0] });
	was = limit_descriptors((rlim_t)s[1] + 1);
	parcel_flush(a.link);
	limit_descriptors(was);
	run();
	assert_int_equal(b.n_records, 30);
	for (unsigned i = 0; i < 30; i++)
		whole += b.faults[i] == NULL;
	assert_in_range(whole, 1, 29);
	close(s[0]);
	close(s[1]);
	close_links();
}

/* What was said before the end is heard, though our own words were not. */
static void
last_words(void **state)
{
	int s[2];

	(void)state;
	open_links(true);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	for (unsigned i = 0; i < 5; i++)
		send_ok(&b, (struct parcel){ .kind = PARCEL_RECORD, .was = i,
		    .record = B("state"), .fd = s[0] });
	parcel_flush(b.link);
	for (unsigned i = 1; i <= 100; i++)
		raw_parcel((struct parcel){ .kind = PARCEL_TAKEN, .was = i },
		    NULL, 0);
	close(raw);
	run();
	raw = dup(0);
	assert_int_equal(b.n, 100);
	assert_int_equal(b.taken, 100);
	assert_int_equal(b.gone, 1);
	close(s[0]);
	close(s[1]);
	close_links();
}

/* Garbage ends the link, but not what was said before or behind it. */
static void
garbage_ends_the_link(void **state)
{
	char large[100000] = { 0 };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		open_links(true);
		raw_parcel((struct parcel){ .kind = PARCEL_TAKEN, .was = 1 },
		    NULL, 0);
		raw_send(bytes_of(large, i == 0 ? 3 : sizeof(large)), NULL, 0);
		raw_parcel((struct parcel){ .kind = PARCEL_TAKEN, .was = 2 },
		    NULL, 0);
		run();
		assert_int_equal(b.taken, 2);
		assert_int_equal(b.gone, 1);
		assert_string_equal(b.why, "a malformed packet");
		/* Neither side can say anything any more. */
		assert_int_equal(send(raw, "\x91\x03", 2, MSG_NOSIGNAL), -1);
		assert_int_equal(errno, EPIPE);
		assert_int_equal(recv(raw, large, sizeof(large), 0), 0);
		close_links();
	}
}

static void
the_end_by_its_owner(void **state)
{
	const char *why = NULL;
	struct parcel p = { .kind = PARCEL_TAKE };

	(void)state;
	open_links(false);
	send_ok(&a, (struct parcel){ .kind = PARCEL_TAKEN, .was = 1 });
	parcel_flush(a.link);
	parcel_link_end(b.link, "enough");
	send_ok(&a, (struct parcel){ .kind = PARCEL_TAKEN, .was = 2 });
	parcel_flush(a.link);
	/* So a knows that this one will never be read. */
	assert_int_equal(parcel_written(a.link), 1);
	assert_int_equal(parcel_send(b.link, &p, &why), -1);
	assert_non_null(why);
	run();
	assert_int_equal(b.taken, 1);
	assert_int_equal(b.gone, 1);
	assert_string_equal(b.why, "enough");
	assert_int_equal(a.gone, 1);
	close_links();
}

static void
who_does_not_read(void **state)
{
	char record[PARCEL_INLINE] = { 0 };
	const char *why;
	unsigned n = 0;
	int s[2];
	struct parcel p = { .kind = PARCEL_RECORD,
	    .record = { record, sizeof(record) } };

	(void)state;
	open_links(true);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	p.fd = s[0];
	while (parcel_send(b.link, &p, &why) == 0) {
		parcel_flush(b.link);
		assert_true(++n < 2 * PARCEL_QUEUE / PARCEL_INLINE);
	}
	run();
	assert_int_equal(b.gone, 1);
	assert_string_equal(b.why, "the other side does not read");
	close(s[0]);
	close(s[1]);
	close_links();
}

/* The owner may free the link for a parcel: what came with it is closed. */
static void
freed_inside(void **state)
{
	int before = open_descriptors();
	int s[2];

	(void)state;
	open_links(false);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	b.free_at = 3;
	for (unsigned i = 0; i < 10; i++)
		send_ok(&a, (struct parcel){ .kind = PARCEL_RECORD, .was = i,
		    .record = B("state"), .fd = s[0] });
	parcel_flush(a.link);
	run();
	assert_int_equal(b.n, 3);
	assert_int_equal(b.gone, 0);
	assert_int_equal(a.gone, 1);
	close(s[0]);
	close(s[1]);
	close_links();
	assert_int_equal(open_descriptors(), before);
}

static int
setup(void **state)
{
	(void)state;
	base = event_base_new();
	return base == NULL;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_kinds_and_back),
		cmocka_unit_test(other_releases),
		cmocka_unit_test(what_is_malformed),
		cmocka_unit_test(a_record_with_its_socket),
		cmocka_unit_test(a_long_one_in_a_file),
		cmocka_unit_test(many_wait_for_the_kernel),
		cmocka_unit_test(records_with_faults),
		cmocka_unit_test(limit_of_open_files),
		cmocka_unit_test(no_copy_of_what_waits),
		cmocka_unit_test(last_words),
		cmocka_unit_test(garbage_ends_the_link),
		cmocka_unit_test(the_end_by_its_owner),
		cmocka_unit_test(who_does_not_read),
		cmocka_unit_test(freed_inside),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
