/* SPDX-License-Identifier: MIT
 *
 * The new side of a hand-over: router and elder are played.
 */
#include "tests/worker/test_core.h"

#include <sys/stat.h>

#include "worker/inherit.h"
#include "worker/parcel.h"
#include "worker/record.h"

static int elder;			/* the other end of the link to it */
static unsigned heard;			/* messages of the router */

static int
hear(void *ctx, struct ipc *l, unsigned type, struct unpacker *u,
    const char **why)
{
	(void)ctx, (void)l, (void)type, (void)u, (void)why;
	heard++;
	return 0;
}

static const struct ipc_ops hearing = {
	.on_message = hear, .on_gone = no_end,
};

static void
connect_router(void)
{
	int fds[2];

	assert_int_equal(ipc_pair(fds), 0);
	if (router_fd >= 0)
		close(router_fd);
	router_fd = fds[0];
	buf_clear(&inbox);
	inbox_at = 0;
	inherit_router_lost();
	uplink_connect(worker.base, fds[1], &hearing, NULL);
}

static void
answer_heir(const struct msg_join *j)
{
	assert_true(j->flags & JOIN_HEIR);
	channel_on_subscribed(&(struct msg_subscribed){
	    .app = j->app, .channel = j->channel, .cookie = j->cookie });
}

static void
turns(void)
{
	for (unsigned i = 0; i < 6; i++) {
		event_base_loop(worker.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		inherit_turn();
		play_router();
		conns_turn();
	}
}

static void
router_speaks(void)
{
	struct msg_xon m = { .end_ = "" };
	struct buf out = { 0 };

	msg_pack_xon(&out, &m);
	assert_int_equal(send(router_fd, out.p, out.n, MSG_NOSIGNAL), out.n);
	buf_done(&out);
	turns();
}

static void
say(struct parcel p, int fd)
{
	struct iovec io;
	union {
		struct cmsghdr	align;
		char		room[CMSG_SPACE(sizeof(int))];
	} control = { .room = { 0 } };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1 };
	struct buf out = { 0 };
	struct stat st;

	if (fd >= 0) {
		assert_int_equal(fstat(fd, &st), 0);
		p.dev = (uint64_t)st.st_dev;
		p.ino = (uint64_t)st.st_ino;
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(int));
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
	}
	parcel_pack(&out, &p);
	io = (struct iovec){ out.p, out.n };
	assert_int_equal(sendmsg(elder, &m, MSG_NOSIGNAL), out.n);
	buf_done(&out);
	turns();
}

/* A connection that has not asked for anything yet. */
static void
give(uint64_t was, uint64_t epoch, bool good)
{
	struct record r = { .stage = RECORD_HTTP, .was = was, .epoch = epoch };
	struct buf out = { 0 };
	const char *why;
	int s[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    s), 0);
	assert_int_equal(record_pack(&r, &out, &why), 0);
	say((struct parcel){ .kind = PARCEL_RECORD, .was = was,
	    .epoch = epoch,
	    .record = good ? buf_view(&out) : B("no record") }, s[0]);
	buf_done(&out);
	close(s[0]);
	close(s[1]);
}

/* What the elder hears next; 0: nothing. */
static unsigned
next_parcel(struct parcel *p)
{
	static char room[40000];
	ssize_t n = recv(elder, room, sizeof(room), MSG_DONTWAIT);

	if (n <= 0)
		return 0;
	assert_int_equal(parcel_unpack(bytes_of(room, (size_t)n), p), 1);
	return p->kind;
}

#define expect_parcel(k, p)	assert_int_equal(next_parcel(p), k)

static void
new_elder(void)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK,
	    0, fds), 0);
	elder = fds[0];
	inherit_on_elder(worker.base, &(struct msg_elder){
	    .fd = fds[1], .slot = 1, .generation = 2 });
	turns();
}

/* The next slice, up to take: the router is held then. */
static void
slice_up_to_take(void)
{
	struct parcel p;

	say((struct parcel){ .kind = PARCEL_OFFERED }, -1);
	assert_true(router.mark != 0);
	assert_int_equal(next_parcel(&p), 0);
	inherit_on_marked(&(struct msg_marked){ .cookie = router.mark + 2 });
	assert_int_equal(next_parcel(&p), 0);
	inherit_on_marked(&(struct msg_marked){ .cookie = router.mark,
	    .epoch = 9 });
	router.mark = 0;
	expect_parcel(PARCEL_TAKE, &p);
}

static bool
is_held(void)
{
	unsigned before = heard;

	router_speaks();
	return heard == before;
}

static struct conn *found;

static void
find_one(struct conn *c, void *arg)
{
	(void)arg;
	if (!c->dead)
		found = c;
}

static struct conn *
only_conn(void)
{
	found = NULL;
	conns_each(find_one, NULL);
	return found;
}

static void
kill_all(void)
{
	struct conn *c;

	while ((c = only_conn()) != NULL) {
		conn_kill(c, CLOSE_PEER_CLOSED);
		conns_turn();
	}
}

/* ---- tests -------------------------------------------------------------------- */

static void
channels_first(void **state)
{
	struct parcel p;

	(void)state;
	router.on_join = NULL;
	new_elder();
	say((struct parcel){ .kind = PARCEL_CHANNEL, .app = B("1"),
	    .name = B("x") }, -1);
	/* Of no application here: who is in it will be refused. */
	say((struct parcel){ .kind = PARCEL_CHANNEL, .app = B("none"),
	    .name = B("x") }, -1);
	say((struct parcel){ .kind = PARCEL_OFFERED, .n = 2 }, -1);
	assert_int_equal(router.mark, 0);
	router.on_join = answer_heir;
	connect_router();		/* which asks again */
	turns();
	assert_true(router.mark != 0);
	assert_int_equal(next_parcel(&p), 0);
	/* Not held before it has answered. */
	assert_false(is_held());
	close(elder);
	turns();
	/* That was the last elder. */
	assert_int_equal(router.forgotten, 1);
	assert_null(channel_find(app_by_id(B("1")), B("x")));
	router.mark = 0;
}

static void
a_slice(void **state)
{
	struct parcel p;

	(void)state;
	new_elder();
	slice_up_to_take();
	assert_true(is_held());
	give(70, 9, true);
	expect_parcel(PARCEL_TAKEN, &p);
	assert_int_equal(p.was, 70);
	assert_true(only_conn()->frozen);
	give(71, 9, false);
	expect_parcel(PARCEL_REFUSED, &p);
	assert_int_equal(p.was, 71);
	assert_true(p.why.n > 0 && p.again == 0);
	give(72, 8, true);
	expect_parcel(PARCEL_REFUSED, &p);
	assert_int_equal(p.again, 1);
	say((struct parcel){ .kind = PARCEL_RECORD, .was = 73, .epoch = 9,
	    .record = B("x") }, -1);
	expect_parcel(PARCEL_REFUSED, &p);
	assert_int_equal(p.again, 0);
	assert_true(is_held());
	say((struct parcel){ .kind = PARCEL_SLICED }, -1);
	assert_false(is_held());
	/* Its peer had gone: awake, it has noticed. */
	assert_null(only_conn());
	/* A slice in which there is nothing. */
	slice_up_to_take();
	say((struct parcel){ .kind = PARCEL_SLICED }, -1);
	assert_false(is_held());
	say((struct parcel){ .kind = PARCEL_OVER }, -1);
	close(elder);
	turns();
}

static void
another_router(void **state)
{
	struct parcel p;

	(void)state;
	new_elder();
	slice_up_to_take();
	give(80, 9, true);
	expect_parcel(PARCEL_TAKEN, &p);
	connect_router();
	assert_false(is_held());
	/* What was taken is awake, and the rest is to come again. */
	assert_null(only_conn());
	give(81, 9, true);
	expect_parcel(PARCEL_REFUSED, &p);
	assert_int_equal(p.was, 81);
	assert_int_equal(p.again, 1);
	say((struct parcel){ .kind = PARCEL_SLICED }, -1);
	slice_up_to_take();
	give(81, 9, true);
	expect_parcel(PARCEL_TAKEN, &p);
	close(elder);
	turns();
	assert_false(is_held());
	kill_all();
}

/* One after the other, and one that dies with the router in its hand. */
static void
two_elders(void **state)
{
	struct parcel p;
	int first;

	(void)state;
	new_elder();
	slice_up_to_take();
	first = elder;
	new_elder();
	say((struct parcel){ .kind = PARCEL_OFFERED }, -1);
	assert_int_equal(router.mark, 0);
	assert_int_equal(next_parcel(&p), 0);
	close(first);
	turns();
	assert_true(router.mark != 0);
	assert_false(is_held());
	inherit_on_marked(&(struct msg_marked){ .cookie = router.mark,
	    .epoch = 9 });
	expect_parcel(PARCEL_TAKE, &p);
	assert_true(is_held());
	/* It forgets what it was about. */
	say((struct parcel){ .kind = PARCEL_OFFERED }, -1);
	assert_int_equal(send(elder, "\x91\x05", 2, MSG_NOSIGNAL), -1);
	assert_false(is_held());
	close(elder);
	turns();
	router.mark = 0;
}

static int
setup(void **state)
{
	if (core_setup(state) != 0)
		return -1;
	connect_router();
	return 0;
}

static int
teardown(void **state)
{
	assert_int_equal(conns_count(), 0);
	return core_teardown(state);
}

int
main(void)
{
#define T(fn)	cmocka_unit_test_setup_teardown(fn, setup, teardown)
	static const struct CMUnitTest tests[] = {
		T(channels_first),
		T(a_slice),
		T(another_router),
		T(two_elders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
