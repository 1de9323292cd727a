/* SPDX-License-Identifier: MIT
 *
 * The old side of a hand-over: router and heirs are played.  All tests are one
 * worker that is being replaced, so they go on from each other.
 */
#include "tests/worker/test_core.h"

#include "common/packed.h"
#include "worker/handover.h"
#include "worker/parcel.h"
#include "worker/transport.h"

#define MANY	4

static struct client *clients[MANY];
static int peers[MANY];
static int heir;			/* the other end of the link to it */

/* ---- the played router and heir ----------------------------------------------- */

static void
answer_join(const struct msg_join *j)
{
	channel_on_subscribed(&(struct msg_subscribed){
	    .app = j->app, .channel = j->channel, .cookie = j->cookie,
	    .count = 1 });
}

static void
turns(void)
{
	for (unsigned i = 0; i < 6; i++) {
		event_base_loop(worker.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		worker_clock();
		conns_go_on();
		handover_turn();
		play_router();
		conns_turn();
	}
}

static void
marked(void)
{
	assert_true(router.mark != 0);
	handover_on_marked(&(struct msg_marked){
	    .cookie = router.mark, .epoch = 9, .serial = 100 });
	router.mark = 0;
	turns();
}

static void
new_heir(void)
{
	static uint64_t generation = 1;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK,
	    0, fds), 0);
	heir = fds[0];
	handover_on_heir(worker.base, &(struct msg_heir){
	    .fd = fds[1], .slot = 1, .generation = ++generation });
	turns();
}

static void
heir_dies(void)
{
	close(heir);
	turns();
}

static void
say(struct parcel p)
{
	struct buf out = { 0 };

	parcel_pack(&out, &p);
	assert_int_equal(send(heir, out.p, out.n, MSG_NOSIGNAL), out.n);
	buf_done(&out);
	turns();
}

/* The next packet; its descriptor is closed.  0: there is none. */
static unsigned
next_parcel(struct parcel *p)
{
	static char room[40000];
	char control[CMSG_SPACE(sizeof(int) * 2)];
	struct iovec io = { room, sizeof(room) };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1,
	    .msg_control = control, .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(heir, &m, MSG_DONTWAIT);
	struct cmsghdr *c;

	if (n <= 0)
		return 0;
	assert_int_equal(parcel_unpack(bytes_of(room, (size_t)n), p), 1);
	c = CMSG_FIRSTHDR(&m);
	assert_int_equal(c != NULL, p->kind == PARCEL_RECORD);
	if (c != NULL) {
		memcpy(&p->fd, CMSG_DATA(c), sizeof(int));
		close(p->fd);
	}
	return p->kind;
}

#define expect_parcel(k, p)	assert_int_equal(next_parcel(p), k)

/* ---- the played clients ------------------------------------------------------ */

static void
subscribe(struct client *cl, const char *channel)
{
	channel_subscribe(cl, bytes_str(channel), 0, bytes_of(NULL, 0),
	    bytes_of(NULL, 0));
	play_router();
}

static void
client_opens(unsigned i, const char *channel)
{
	clients[i] = test_client(&peers[i]);
	conn_stage(clients[i]->conn, &transport_websocket.stage, clients[i]);
	clients[i]->transport = &transport_websocket;
	subscribe(clients[i], channel);
}

static void
deliver(const char *channel, const char *event)
{
	channel_on_deliver(&(struct msg_deliver){
	    .epoch = 9, .serial = 101, .app = B("1"),
	    .channel = bytes_str(channel), .event = bytes_str(event) });
}

/* ---- tests -------------------------------------------------------------------- */

/* Up to the heir's take. */
static void
slice_up_to_take(unsigned channels)
{
	struct parcel p;

	for (unsigned i = 0; i < channels; i++)
		expect_parcel(PARCEL_CHANNEL, &p);
	expect_parcel(PARCEL_OFFERED, &p);
	assert_int_equal(p.n, channels);
	assert_int_equal(next_parcel(&p), 0);
	assert_int_equal(router.mark, 0);
	say((struct parcel){ .kind = PARCEL_TAKE });
}

static void
nobody_goes_without_an_heir(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		client_opens(i, i % 2 ? "odd" : "even");
	handover_on_depart(worker.base, &(struct msg_depart){
	    .pace_ms = 100000 });
	turns();
	assert_int_equal(conns_count(), MANY);
	assert_false(handover_keeps(clients[0]->conn));
	assert_false(handover_done());
}

/* At each step; what it had not taken goes on here, and hears everything. */
static void
heirs_die(void **state)
{
	struct parcel p;

	(void)state;
	new_heir();			/* before it takes */
	expect_parcel(PARCEL_CHANNEL, &p);
	heir_dies();
	new_heir();			/* before the mark is answered */
	slice_up_to_take(2);
	assert_true(clients[0]->conn->frozen);
	heir_dies();
	assert_false(clients[0]->conn->frozen);
	deliver("even", "one");
	assert_string_equal(received(peers[0]), "Eone");
	assert_string_equal(received(peers[2]), "Eone");
	router.mark = 0;
	assert_int_equal(conns_count(), MANY);
}

static void
put_off_and_marked_again(void **state)
{
	struct msg_list none = { 0 };
	uint64_t first;
	struct parcel p;

	(void)state;
	new_heir();
	expect_parcel(PARCEL_CHANNEL, &p);
	expect_parcel(PARCEL_CHANNEL, &p);
	expect_parcel(PARCEL_OFFERED, &p);
	/* It has got a channel since that the heir does not know. */
	subscribe(clients[3], "new");
	say((struct parcel){ .kind = PARCEL_TAKE });
	assert_true(clients[0]->conn->frozen);
	assert_false(clients[3]->conn->frozen);
	/* The router dies: another one is asked. */
	first = router.mark;
	handover_router_lost();
	uplink_lost();
	close(router_fd);
	router.mark = 0;
	turns();
	test_connect();
	turns();
	assert_true(router.mark != 0 && router.mark != first);
	handover_on_marked(&(struct msg_marked){ .cookie = first });
	assert_int_equal(next_parcel(&p), 0);
	marked();
	for (unsigned i = 0; i < 3; i++) {
		expect_parcel(PARCEL_RECORD, &p);
		assert_int_equal(p.was, clients[i]->conn->id);
		assert_int_equal(p.epoch, 9);
		assert_true(p.record.n > 0 && p.dev != 0 && p.ino != 0);
	}
	expect_parcel(PARCEL_SLICED, &p);
	/* What comes now is the heir's to say, if it takes them. */
	deliver("even", "two");
	deliver("odd", "three");
	assert_string_equal(received(peers[0]), "");
	assert_string_equal(received(peers[3]), "Ethree");
	/* So is what only this worker is told, for one that is away. */
	assert_true(handover_watch(&(struct msg_watch){
	    .conn = clients[0]->conn->id, .online = none, .offline = none }));
	assert_false(handover_watch(&(struct msg_watch){
	    .conn = clients[3]->conn->id, .online = none, .offline = none }));
}

static void
answers(void **state)
{
	uint64_t ids[3];
	struct parcel p;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		ids[i] = clients[i]->conn->id;
	say((struct parcel){ .kind = PARCEL_TAKEN, .was = 12345 });
	say((struct parcel){ .kind = PARCEL_TAKEN, .was = ids[0] });
	say((struct parcel){ .kind = PARCEL_TAKEN, .was = ids[0] });
	assert_int_equal(conns_count(), MANY - 1);
	expect_parcel(PARCEL_WATCH, &p);
	assert_int_equal(p.was, ids[0]);
	/* Refused for good, and for now. */
	say((struct parcel){ .kind = PARCEL_REFUSED, .was = ids[2],
	    .why = B("no such front") });
	assert_string_equal(received(peers[2]), "Etwo");
	assert_true(handover_keeps(clients[2]->conn));
	say((struct parcel){ .kind = PARCEL_REFUSED, .was = ids[1],
	    .why = B("busy"), .again = 1 });
	assert_string_equal(received(peers[1]), "Ethree");
	assert_false(handover_keeps(clients[1]->conn));
	/* The next slice: the one that was put off, and the one to try again. */
	expect_parcel(PARCEL_CHANNEL, &p);
	assert_true(bytes_eq(p.name, B("new")));
	expect_parcel(PARCEL_OFFERED, &p);
	/* It is passed on until the router has answered in that one. */
	assert_true(handover_watch(&(struct msg_watch){ .conn = ids[0] }));
	turns();
	expect_parcel(PARCEL_WATCH, &p);
	assert_int_equal(p.was, ids[0]);
	say((struct parcel){ .kind = PARCEL_TAKE });
	marked();
	assert_false(handover_watch(&(struct msg_watch){ .conn = ids[0] }));
	expect_parcel(PARCEL_RECORD, &p);
	say((struct parcel){ .kind = PARCEL_TAKEN, .was = p.was });
	expect_parcel(PARCEL_RECORD, &p);
	expect_parcel(PARCEL_SLICED, &p);
	/* The heir dies with one of them: that one stays. */
	heir_dies();
	assert_int_equal(conns_count(), 2);
}

/* What three heirs have died with is kept from the fourth. */
static void
what_heirs_die_of(void **state)
{
	struct client *cl = clients[3];
	struct parcel p;

	(void)state;
	assert_ptr_equal(conns_find(cl->conn->id), cl->conn);
	for (unsigned i = 0; i < 3 && !handover_keeps(cl->conn); i++) {
		new_heir();
		while (next_parcel(&p) != 0)
			;
		say((struct parcel){ .kind = PARCEL_TAKE });
		marked();
		heir_dies();
		assert_false(cl->conn->frozen);
	}
	assert_true(handover_keeps(cl->conn));
	deliver("new", "four");
	assert_string_equal(received(peers[3]), "Efour");
}

static void
over_when_all_is_settled(void **state)
{
	struct parcel p;

	(void)state;
	new_heir();
	turns();
	expect_parcel(PARCEL_OVER, &p);
	assert_false(handover_done());
	for (unsigned i = 2; i < MANY; i++)
		test_client_end(clients[i], peers[i]);
	assert_int_equal(conns_count(), 0);
	turns();
	turns();
	assert_true(handover_done());
}

static int
teardown(void **state)
{
	(void)state;
	return 0;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_goes_without_an_heir),
		cmocka_unit_test(heirs_die),
		cmocka_unit_test(put_off_and_marked_again),
		cmocka_unit_test(answers),
		cmocka_unit_test(what_heirs_die_of),
		cmocka_unit_test(over_when_all_is_settled),
	};

	router.on_join = answer_join;
	return cmocka_run_group_tests(tests, core_setup, teardown);
}
