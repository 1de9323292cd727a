/* SPDX-License-Identifier: MIT
 *
 * Conns on real sockets: who is a slow reader, what is read while a stage does
 * not want input, how a conn ends that still has something to send.
 */
#include "tests/worker/test_core.h"
#include "worker/request.h"

#define PIECE	20000		/* octets; less than half of a send buffer */

static void
send_piece(struct client *cl, size_t n)
{
	struct frame *f = frame_new(n);

	memset(f->p, 'x', n);
	client_send(cl, f);
	frame_unref(f);
}

/* Reads all that is there. */
static size_t
swallow(int fd)
{
	static char room[65536];
	size_t all = 0;
	ssize_t n;

	while ((n = recv(fd, room, sizeof(room), MSG_DONTWAIT)) > 0)
		all += (size_t)n;
	return all;
}

static void
turn(void)
{
	event_base_loop(worker.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	conns_go_on();
	conns_turn();
}

/* A frame that is larger than the limit is out for the most part: what comes
 * behind it is little and does not make a slow reader. */
static void
large_frame_then_small(void **state)
{
	struct client *cl;
	size_t all = 0;
	int peer;

	(void)state;
	cl = test_client(&peer);
	send_piece(cl, 1000000);
	while (all < 1000000) {
		turn();
		all += swallow(peer);
		send_piece(cl, 10);
		assert_false(cl->conn->dead);
	}
	test_client_end(cl, peer);
}

/* But behind it no more than max_backlog may pile up. */
static void
pile_behind_a_frame(void **state)
{
	struct client *cl;
	unsigned n;
	int peer;

	(void)state;
	cl = test_client(&peer);
	send_piece(cl, 1000000);
	turn();
	for (n = 0; n < 20 && !cl->conn->dead; n++)
		send_piece(cl, PIECE);
	assert_true(cl->conn->dead);
	assert_int_equal(cl->conn->reason, CLOSE_SLOW_READER);
	/* The fourth is above, and refuses the fifth. */
	assert_int_equal(n, 5);
	test_client_end(cl, peer);
}

/* Tiny frames cost more than their octets. */
static void
pile_of_tiny_frames(void **state)
{
	struct client *cl;
	unsigned n;
	int peer;

	(void)state;
	cl = test_client(&peer);
	send_piece(cl, 1000000);
	turn();
	for (n = 0; n < 65536 && !cl->conn->dead; n++)
		send_piece(cl, 2);
	assert_true(cl->conn->dead);
	assert_true(n < 4096);
	test_client_end(cl, peer);
}

/* One turn brings more than may wait, and its peer would read it: nobody is slow
 * to whom nothing was written yet. */
static void
pile_of_one_turn(void **state)
{
	struct client *cl;
	size_t all = 0;
	unsigned n;
	int peer;

	(void)state;
	cl = test_client(&peer);
	for (n = 0; n < 50; n++) {
		send_piece(cl, PIECE);
		assert_false(cl->conn->dead);
		all += swallow(peer);
	}
	turn();
	all += swallow(peer);
	assert_int_equal(all, 50 * PIECE);
	for (n = 0; n < 50 && !cl->conn->dead; n++)
		send_piece(cl, PIECE);
	assert_int_equal(cl->conn->reason, CLOSE_SLOW_READER);
	test_client_end(cl, peer);
}

/* ---- sockets that another process has, too ------------------------------------ */

/* Sockets that are in an epoll set of this process. */
static unsigned
watched(void)
{
	char path[64], line[256];
	unsigned n = 0;

	for (int fd = 0; fd < 64; fd++) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
		if ((f = fopen(path, "r")) == NULL)
			continue;
		while (fgets(line, sizeof(line), f) != NULL)
			n += strncmp(line, "tfd:", 4) == 0;
		fclose(f);
	}
	return n;
}

/* epoll keeps a socket as long as anybody has it open: what it said then would
 * reach a conn that is no more. */
static void
goes_while_another_has_it(void **state)
{
	unsigned before = watched();
	struct client *cl;
	int peer, other;

	(void)state;
	cl = test_client(&peer);
	assert_int_equal(watched(), before + 1);
	other = dup(cl->conn->fd);
	assert_true(other >= 0);
	conn_freeze(cl->conn);
	conn_seal(cl->conn);
	conn_unfreeze(cl->conn);
	test_client_end(cl, peer);
	turn();
	assert_int_equal(watched(), before);
	close(other);
}

/* ---- what is corked -------------------------------------------------------- */

static void
corked(void **state)
{
	struct client *cl;
	int peer;

	(void)state;
	cl = test_client(&peer);
	send_piece(cl, 100);
	conn_cork(cl->conn);
	send_piece(cl, 10);
	turn();
	assert_int_equal(swallow(peer), 0);
	conn_uncork(cl->conn);
	turn();
	assert_int_equal(swallow(peer), 110);
	conn_cork(cl->conn);
	conn_uncork(cl->conn);		/* with nothing to say */
	assert_false(cl->conn->dirty);
	conn_cork(cl->conn);
	send_piece(cl, 7);
	conn_finish(cl->conn, CLOSE_OVER_QUOTA, 5);
	turn();
	assert_int_equal(swallow(peer), 7);
	test_client_end(cl, peer);
}

/* ---- clients that are not read -------------------------------------------- */

/* Held because the router is full, and paused by its front: the one that ends
 * first does not end the other. */
static void
held_and_paused(void **state)
{
	struct client *cl;
	int peer;

	(void)state;
	cl = test_client(&peer);
	conn_stage(cl->conn, &transport_websocket.stage, cl);
	client_pause(cl);
	client_hold(cl);
	clients_turn();			/* there is room */
	assert_false(cl->held);
	assert_true(cl->conn->paused);
	client_hold(cl);
	client_resume(cl);
	assert_true(cl->conn->paused);
	clients_turn();
	assert_false(cl->conn->paused);
	conn_stage(cl->conn, &request_stage, NULL);
	test_client_end(cl, peer);
}

/* ---- input -------------------------------------------------------------- */

/* Uses ten octets at a time and then wants no more until it is resumed. */
static size_t
sip(struct conn *c, char *p, size_t n)
{
	(void)p;
	if (n < 10)
		return 0;
	conn_pause(c);
	return 10;
}

static void
no_tick(struct conn *c, uint32_t now)
{
	(void)c, (void)now;
}

static void
no_gone(struct conn *c, enum close_reason why)
{
	(void)c, (void)why;
}

static const struct conn_stage sipping = {
	.name = "sipping", .input = sip, .tick = no_tick, .gone = no_gone,
};

/* Answered between the events of a turn, so that more could be read before what
 * is there already is used: it must not pile up. */
static void
input_waits_in_the_socket(void **state)
{
	static char octets[65536];
	struct client *cl;
	unsigned i;
	int peer;

	(void)state;
	cl = test_client(&peer);
	conn_stage(cl->conn, &sipping, cl);
	for (i = 0; i < 100; i++) {
		while (send(peer, octets, sizeof(octets), MSG_DONTWAIT) > 0)
			;
		conn_resume(cl->conn);
		turn();
	}
	assert_true(cl->conn->in_n < 512 * 1024);
	conn_kill(cl->conn, CLOSE_PEER_CLOSED);
	conns_turn();
	close(peer);
}

/* ---- ends --------------------------------------------------------------- */

/* Its time to close does not run out while the peer goes on reading. */
static void
finishes_what_moves(void **state)
{
	struct client *cl;
	size_t all = 0;
	int peer;

	(void)state;
	cl = test_client(&peer);
	send_piece(cl, 3000000);
	conn_finish(cl->conn, CLOSE_HTTP_DONE, 2);
	while (all < 3000000) {
		cl->conn->deadline = worker.now;
		turn();
		conns_sweep(worker.now, true);
		assert_false(cl->conn->dead);
		all += swallow(peer);
	}
	/* And then it does. */
	turn();
	conns_sweep(cl->conn->deadline, true);
	assert_true(cl->conn->dead);
	conns_turn();
	close(peer);
}

/* A peer that does not read at all has the time that was given. */
static void
finishes_in_time(void **state)
{
	struct client *cl;
	int peer;

	(void)state;
	cl = test_client(&peer);
	send_piece(cl, 3000000);
	conn_finish(cl->conn, CLOSE_HTTP_DONE, 2);
	turn();
	conns_sweep(cl->conn->deadline, true);
	assert_true(cl->conn->dead);
	conns_turn();
	close(peer);
}

/* ---- HTTP --------------------------------------------------------------- */

/* The router does not answer: the request is, and its conn can be used again. */
static void
request_is_answered_in_time(void **state)
{
	struct request *r = xcalloc(1, sizeof(*r));
	struct client *cl;
	struct conn *c;
	int peer;

	(void)state;
	cl = test_client(&peer);
	c = cl->conn;
	r->conn = c;
	r->head.keep_alive = true;
	c->of_stage = r;
	conn_pause(c);
	c->deadline = worker.now;
	conns_sweep(worker.now, true);
	requests_turn();
	assert_non_null(strstr(received(peer), "HTTP/1.1 503 "));
	assert_false(c->dead || c->closing || c->paused);
	conn_kill(c, CLOSE_PEER_CLOSED);
	conns_turn();
	close(peer);
}

static void
long_answer_is_not_idle(void **state)
{
	struct client *cl;
	int peer;

	(void)state;
	cl = test_client(&peer);
	send_piece(cl, 3000000);
	turn();
	cl->conn->deadline = worker.now;
	conns_sweep(worker.now, true);
	assert_false(cl->conn->dead);
	while (cl->conn->first != NULL) {
		swallow(peer);
		turn();
	}
	cl->conn->deadline = worker.now;
	conns_sweep(worker.now, true);
	assert_true(cl->conn->dead);
	conns_turn();
	close(peer);
}

/* ---- WebSocket ---------------------------------------------------------- */

static struct client *opened;

static unsigned
match_all(const struct http_request *req, struct bytes path)
{
	(void)req, (void)path;
	return FRONT_WS;
}

static void
open_plain(struct client *cl, const struct http_request *req,
    struct bytes path)
{
	(void)req, (void)path;
	cl->app = app_by_id(B("1"));
	opened = cl;
}

static unsigned said;

/* Each message is one that the router must take. */
static void
publish_plain(struct client *cl, enum websocket_kind kind, struct bytes text)
{
	struct msg_publish m = {
		.app = cl->app->id, .channel = B("c"), .event = B("\"e\""),
		.data = text, .flags = PUBLISH_TEXT,
	};

	(void)kind;
	said++;
	uplink_publish(&m);
}

static const struct front plain = {
	.name = "plain", .flags = FRONT_WS | FRONT_HOLD, .match = match_all,
	.open = open_plain, .input = publish_plain,
};

const struct front *const front_list[] = { &plain, NULL };

static struct client *
test_websocket(int *peer)
{
	static const char upgrade[] = "GET / HTTP/1.1\r\nHost: x\r\n"
	    "Connection: Upgrade\r\nUpgrade: websocket\r\n"
	    "Sec-WebSocket-Version: 13\r\n"
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

	test_config.http.max_header_size = 8192;
	test_config.http.max_headers = 64;
	test_config.websocket.max_fragments = 10;
	test_client(peer);
	assert_int_equal(send(*peer, upgrade, sizeof(upgrade) - 1, 0),
	    sizeof(upgrade) - 1);
	turn();
	assert_non_null(strstr(received(*peer), "HTTP/1.1 101 "));
	return opened;
}

static void
say(int peer, unsigned n)
{
	char frame[6 + 100] = { (char)0x81, (char)(0x80 | 100) };
	unsigned i;

	memset(frame + 6, 'x', 100);
	for (i = 0; i < n; i++)
		assert_int_equal(send(peer, frame, sizeof(frame), 0),
		    sizeof(frame));
}

/* What the router cannot take yet stays with the client. */
static void
held_back_and_let_go(void **state)
{
	struct msg_publish m;
	struct msg_ack ack;
	struct client *cl, *other;
	uint64_t last = 0;
	unsigned i, before;
	int peer, peer2;

	(void)state;
	cl = test_websocket(&peer);
	other = test_websocket(&peer2);
	said = 0;
	say(peer, 200);
	turn();
	assert_true(said > 20 && said < 40);	/* of 4096 octets */
	assert_true(cl->held && uplink_full());
	assert_false(other->held);
	/* Whoever comes now says nothing at all. */
	before = said;
	say(peer2, 1);
	turn();
	assert_true(other->held);
	assert_int_equal(said, before);
	clients_turn();
	assert_true(cl->held);
	/* One dies meanwhile. */
	conn_kill(other->conn, CLOSE_PEER_RESET);
	conns_turn();
	for (i = 0; i < 20 && last < 200; i++) {
		for (; last < said; last++)
			expect_msg(publish, &m);
		ack.serial = m.serial;
		uplink_on_ack(&ack);
		clients_turn();
		assert_false(cl->held);
		turn();
	}
	assert_int_equal(said, 200);
	close(peer2);
	conn_kill(cl->conn, CLOSE_PEER_RESET);
	conns_turn();
	close(peer);
}

/* A connection that died in this turn signs out at its end: a new router must
 * have heard of it before, or another connection of its user is signed out. */
static void
who_dies_is_told_too(void **state)
{
	struct msg_hello hello;
	struct msg_load load;
	struct msg_signin in;
	struct msg_signout out;
	struct msg_synced synced;
	struct client *cl;
	int peer;

	(void)state;
	cl = test_websocket(&peer);
	client_signin(cl, B("u"), B("{}"), NULL, 0);
	expect_msg(signin, &in);
	conn_kill(cl->conn, CLOSE_PEER_RESET);
	close(router_fd);
	test_connect();
	expect_msg(hello, &hello);
	expect_msg(load, &load);
	expect_msg(signin, &in);
	assert_true(in.flags & JOIN_SYNC);
	expect_msg(synced, &synced);
	conns_turn();
	expect_msg(signout, &out);
	close(peer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(fn)	cmocka_unit_test_setup_teardown(fn, core_setup, core_teardown)
		T(large_frame_then_small),
		T(pile_behind_a_frame),
		T(pile_of_tiny_frames),
		T(pile_of_one_turn),
		T(goes_while_another_has_it),
		T(corked),
		T(held_and_paused),
		T(input_waits_in_the_socket),
		T(finishes_what_moves),
		T(finishes_in_time),
		T(request_is_answered_in_time),
		T(long_answer_is_not_idle),
		T(held_back_and_let_go),
		T(who_dies_is_told_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
