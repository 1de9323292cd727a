/* SPDX-License-Identifier: MIT
 *
 * Connections that are moved, one way each: what goes, what does not, and what
 * the peer hears.
 */
#include "tests/worker/peers.h"
#include "worker/conn_queue.h"

static void
say(struct peer *p, struct buf *b)
{
	peer_say(p, buf_view(b));
	buf_clear(b);
}

static void
open_pusher(struct peer *p, unsigned n, const char *key, bool deflate)
{
	struct buf b = { 0 };
	char target[64];

	peer_open(p, n, false);
	snprintf(target, sizeof(target), "/app/%s", key);
	say_upgrade(&b, target, deflate);
	say(p, &b);
	buf_done(&b);
}

static bool
heard(struct peer *p, const char *what)
{
	bool found;

	peer_read_all(p);
	buf_cstr(&p->heard);
	found = p->heard.n > 0 &&
	    memmem(p->heard.p, p->heard.n, what, strlen(what)) != NULL;
	buf_clear(&p->heard);
	return found;
}

static void
subscribe(struct peer *p, const char *key, const char *channel,
    const char *data)
{
	struct buf b = { 0 }, text = { 0 };

	say_subscribe(&text, p, key, channel, data);
	say_frame(&b, 0x81, buf_view(&text), 0x12345678);
	say(p, &b);
	buf_done(&b);
	buf_done(&text);
}

static void
pusher_client(void **state)
{
	struct peer a, b;

	(void)state;
	open_pusher(&a, 1, "app-key", false);
	open_pusher(&b, 2, "app-key", true);
	assert_true(heard(&a, "101.601"));
	subscribe(&a, "app-key", "public-1", NULL);
	subscribe(&a, "app-key", "presence-1", "{\"user_id\":\"ann\"}");
	subscribe(&b, "app-key", "presence-1", "{\"user_id\":\"bob\"}");
	assert_true(heard(&a, "member_added"));
	buf_clear(&played.log);
	assert_true(move(&a));
	assert_true(move(&b));
	assert_string_equal(buf_cstr(&played.log), "");
	assert_false(heard(&a, "member_"));
	played_deliver(B("1"), B("public-1"), B("\"e\""), B("\"moved\""),
	    B(""), 0, 0, 0);
	run();
	assert_true(heard(&a, "moved"));
	peer_done(&b);
	assert_true(heard(&a, "member_removed"));
	peer_done(&a);
}

static void
waits_for_the_router(void **state)
{
	struct peer p;
	const char *why;

	(void)state;
	played.slow = true;
	open_pusher(&p, 1, "key-two", false);
	assert_int_equal(freeze_may(peer_conn(&p), &why), FREEZE_LATER);
	assert_string_equal(why, "waits for the router's grant");
	played.slow = false;
	run_for(&p);
	assert_int_equal(freeze_may(peer_conn(&p), &why), FREEZE_NOW);
	played.slow = true;
	subscribe(&p, "key-two", "public-1", NULL);
	assert_int_equal(freeze_may(peer_conn(&p), &why), FREEZE_LATER);
	assert_string_equal(why, "waits for a channel");
	played.slow = false;
	run_for(&p);
	assert_true(move(&p));
	peer_done(&p);
}

static void
closes_meanwhile(void **state)
{
	struct msg_terminate m = { .app = B("1"), .user = B("ann") };
	struct buf record = { 0 };
	struct peer p;
	const char *why;

	(void)state;
	open_pusher(&p, 1, "app-key", false);
	subscribe(&p, "app-key", "presence-1", "{\"user_id\":\"ann\"}");
	/* Before the record is made: it is not made. */
	freeze_begin(peer_conn(&p));
	client_on_terminate(&m);
	assert_int_equal(freeze_may(peer_conn(&p), &why), FREEZE_NEVER);
	assert_false(move_pack(&p, &record, &why));
	assert_string_equal(why, "is closing");
	freeze_undo(peer_conn(&p));
	run_for(&p);
	assert_true(heard(&p, "4009"));
	peer_done(&p);
	buf_done(&record);
}

/* Nothing is written or closed while the record may have been taken. */
static void
terminated_while_sealed(void **state)
{
	struct msg_terminate m = { .app = B("1"), .user = B("ann") };
	struct buf record = { 0 };
	struct peer p;
	const char *why;

	(void)state;
	open_pusher(&p, 1, "app-key", false);
	subscribe(&p, "app-key", "presence-1", "{\"user_id\":\"ann\"}");
	assert_true(heard(&p, "succeeded"));
	freeze_begin(peer_conn(&p));
	assert_true(move_pack(&p, &record, &why));
	played_deliver(B("1"), B("presence-1"), B("\"e\""), B("\"later\""),
	    B(""), 0, 0, 0);
	client_on_terminate(&m);
	run_for(&p);
	assert_non_null(peer_conn(&p));
	peer_read(&p);
	assert_int_equal(p.heard.n, 0);
	assert_false(p.end);
	freeze_undo(peer_conn(&p));
	run_for(&p);
	peer_read(&p);
	assert_non_null(memmem(p.heard.p, p.heard.n, "later", 5));
	assert_true(heard(&p, "4009"));
	peer_done(&p);
	buf_done(&record);
}

static void
slow_reader_while_sealed(void **state)
{
	uint64_t before = worker.config->websocket.max_backlog;
	struct buf record = { 0 };
	struct bytes much;
	struct peer p;
	const char *why;
	char *room = xcalloc(1, 40000);
	int i;

	(void)state;
	memset(room, 'x', 40000);
	room[0] = room[39999] = '"';
	much = bytes_of(room, 40000);
	worker.config->websocket.max_backlog = 65536;
	open_pusher(&p, 1, "app-key", false);
	subscribe(&p, "app-key", "public-1", NULL);
	freeze_begin(peer_conn(&p));
	assert_true(move_pack(&p, &record, &why));
	for (i = 0; i < 10; i++)
		played_deliver(B("1"), B("public-1"), B("\"e\""), much,
		    B(""), 0, 0, 0);
	run_for(&p);
	assert_non_null(peer_conn(&p));
	assert_true(peer_conn(&p)->queued < 200000);
	freeze_undo(peer_conn(&p));
	run_for(&p);
	assert_null(peer_conn(&p));
	worker.config->websocket.max_backlog = before;
	peer_done(&p);
	buf_done(&record);
	free(room);
}

/* What the socket did not take goes along, and does not count as backlog twice. */
static void
unsent_octets(void **state)
{
	struct bytes much;
	struct peer p;
	char *room = xcalloc(1, 60000);
	uint64_t backlog;
	size_t n;

	(void)state;
	memset(room, 'y', 60000);
	room[0] = room[59999] = '"';
	much = bytes_of(room, 60000);
	open_pusher(&p, 1, "app-key", false);
	subscribe(&p, "app-key", "public-1", NULL);
	peer_read_all(&p);
	for (n = 0; n < 3; n++)
		played_deliver(B("1"), B("public-1"), B("\"e\""), much,
		    B(""), 0, 0, 0);
	run_for(&p);
	assert_true(peer_conn(&p)->queued > 120000);
	n = peer_conn(&p)->queued;
	assert_true(peer_conn(&p)->blocked);
	/* Of the frame on its way nothing counts, on either side. */
	assert_true(queue_backlog(peer_conn(&p)) < n - 40000);
	backlog = queue_backlog(peer_conn(&p));
	assert_true(move(&p));
	assert_int_equal(peer_conn(&p)->queued, n);
	assert_true(queue_backlog(peer_conn(&p)) <= backlog);
	assert_true(queue_backlog(peer_conn(&p)) >= backlog - 64);
	assert_true(peer_conn(&p)->blocked);
	buf_clear(&p.heard);
	peer_read_all(&p);
	assert_true(p.heard.n > 180000);
	assert_int_equal(peer_conn(&p)->queued, 0);
	assert_false(peer_conn(&p)->blocked);
	peer_done(&p);
	free(room);
}

/* Frozen, it neither reads nor dies of old age; its socket is out of the set. */
static void
no_clock_while_frozen(void **state)
{
	struct peer p;

	(void)state;
	peer_open(&p, 1, false);
	peer_say(&p, B("GET "));
	freeze_begin(peer_conn(&p));
	peer_say(&p, B("/up HT"));
	peers_ms += 3600000;
	worker_clock();
	conns_sweep(worker.now, true);
	run();
	assert_non_null(peer_conn(&p));
	assert_int_equal(peer_conn(&p)->in_n, 4);
	freeze_undo(peer_conn(&p));
	run_for(&p);
	assert_int_equal(peer_conn(&p)->in_n, 10);
	conns_sweep(worker.now, true);
	run();
	assert_true(heard(&p, "408"));
	peer_done(&p);
}

static void
http_pieces(void **state)
{
	static const char *const pieces[] = {
		"GET /nothing HTTP/1.1\r\nHo", "st: h\r\n\r\n",
		"POST /apps/1/events HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n"
		"\r\n{}", "    ",
		"POST /apps/1/events HTTP/1.1\r\nHost: h\r\n"
		"Transfer-Encoding: chunked\r\n\r\n3\r\nab", "c\r\n5;x=",
		"y\r\ndefgh\r\n0\r\nX", ": y\r\n\r\nGET /up HTTP/1.1\r\n",
		"Host: h\r\n\r\n",
	};
	struct peer p;
	size_t i, n = 0;
	const char *at;

	(void)state;
	peer_open(&p, 1, false);
	for (i = 0; i < NELEM(pieces); i++) {
		peer_say(&p, bytes_str(pieces[i]));
		assert_true(move(&p));
	}
	peer_read_all(&p);
	for (at = buf_cstr(&p.heard); (at = strstr(at, "HTTP/1.1 ")) != NULL;
	    at++)
		n++;
	assert_int_equal(n, 4);
	assert_non_null(strstr(buf_cstr(&p.heard), "404"));
	assert_non_null(strstr(buf_cstr(&p.heard), "401"));
	peer_done(&p);
}

/* A line of it may be so long, and not longer, wherever it is read. */
static void
long_line_of_chunks(void **state)
{
	static char octets[200];
	struct peer p;

	(void)state;
	memset(octets, 'e', sizeof(octets));
	peer_open(&p, 1, false);
	peer_say(&p, B("POST /apps/1/events HTTP/1.1\r\nHost: h\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n1;"));
	peer_say(&p, bytes_of(octets, sizeof(octets)));
	assert_true(move(&p));
	assert_false(heard(&p, "400"));
	peer_say(&p, bytes_of(octets, 100));
	assert_true(heard(&p, "400"));
	peer_done(&p);
}

/* Who had its answer's head gets no other one. */
static void
stream_ends(void **state)
{
	struct peer p;

	(void)state;
	peer_open(&p, 1, false);
	peer_say(&p, B("GET /sse/7 HTTP/1.1\r\nHost: h\r\n\r\n"));
	assert_true(move(&p));
	client_close(client_of(peer_conn(&p)), CLOSE_DRAIN);
	assert_false(heard(&p, "503"));
	assert_true(p.end);
	peer_done(&p);
}

static void
proxy_header_half_read(void **state)
{
	static const char head[] = "PROXY TCP4 192.0.2.33 192.0.2.1 1 2\r\n";
	struct peer p;
	size_t i;

	(void)state;
	peer_open(&p, 1, true);
	for (i = 0; i < strlen(head); i++) {
		peer_say(&p, bytes_of(head + i, 1));
		assert_true(move(&p));
	}
	assert_string_equal(conn_from(peer_conn(&p)), "192.0.2.33");
	assert_true(peer_conn(&p)->counted);
	peer_say(&p, B("GET /up HTTP/1.1\r\nHost: h\r\n\r\n"));
	assert_true(heard(&p, "200 OK"));
	peer_done(&p);
}

/* Over the limit of its address it goes on all the same. */
static void
counted_without_refusing(void **state)
{
	uint64_t before = worker.config->http.max_connections_per_address;
	struct peer p;

	(void)state;
	open_pusher(&p, 1, "app-key", false);
	assert_true(peer_conn(&p)->counted);
	worker.config->http.max_connections_per_address = 1;
	assert_true(move(&p));
	assert_true(peer_conn(&p)->counted);
	assert_string_equal(conn_from(peer_conn(&p)), "192.0.2.9");
	worker.config->http.max_connections_per_address = before;
	peer_done(&p);
}

static void
streams_and_rooms(void **state)
{
	struct buf b = { 0 };
	struct peer sse, room, half;

	(void)state;
	peer_open(&sse, 1, false);
	peer_say(&sse, B("GET /sse/7 HTTP/1.1\r\nHost: h\r\n\r\n"));
	peer_open(&room, 2, false);
	say_upgrade(&b, "/?room=7", true);
	say(&room, &b);
	/* One that has not shown its token yet. */
	peer_open(&half, 3, false);
	say_upgrade(&b, "/closed?room=7", false);
	say(&half, &b);
	assert_true(move(&sse));
	assert_true(move(&room));
	assert_true(move(&half));
	say_frame(&b, 0x81, B("hello"), 1);
	say(&room, &b);
	assert_true(heard(&sse, "data: hello"));
	assert_true(heard(&room, "hello"));
	say_frame(&b, 0x81, bytes_str(say_token("7")), 1);
	say(&half, &b);
	say_frame(&b, 0x81, B("within"), 1);
	say(&half, &b);
	assert_true(heard(&half, "within"));
	peer_done(&sse);
	peer_done(&room);
	peer_done(&half);
	buf_done(&b);
}

/* Not read because the router is full: on the other side it is seen anew. */
static void
held_back(void **state)
{
	struct buf b = { 0 };
	struct peer p;

	(void)state;
	peer_open(&p, 1, false);
	say_upgrade(&b, "/?room=7", false);
	say(&p, &b);
	uplink_hold(true);
	say_frame(&b, 0x81, B("waits"), 1);
	say(&p, &b);
	assert_true(client_of(peer_conn(&p))->held);
	assert_true(move(&p));
	assert_false(heard(&p, "waits"));
	assert_true(client_of(peer_conn(&p))->held);
	uplink_hold(false);
	run_for(&p);
	assert_true(heard(&p, "waits"));
	peer_done(&p);
	buf_done(&b);
}

/* Of a user that signed in: the other side knows all, and the router is told
 * nothing before it goes. */
static void
signed_in(void **state)
{
	static const struct bytes names[] = { BYTES("bob") };
	struct msg_list nobody = { NULL, 0 };
	struct msg_list online = { names, 1 };
	struct buf b = { 0 }, text = { 0 };
	struct msg_watch m = { .online = online, .offline = nobody };
	struct peer p;

	(void)state;
	open_pusher(&p, 1, "app-key", false);
	say_signin(&text, &p, "app-key",
	    "{\"id\":\"ann\",\"watchlist\":[\"bob\"]}");
	say_frame(&b, 0x81, buf_view(&text), 3);
	say(&p, &b);
	assert_true(heard(&p, "signin_success"));
	buf_clear(&played.log);
	assert_true(move(&p));
	assert_int_equal(played.log.n, 0);
	m.conn = p.conn;
	client_on_watch(&m);
	assert_true(heard(&p, "bob"));
	peer_done(&p);
	assert_non_null(strstr(buf_cstr(&played.log), "signout 1 ann\n"));
	buf_done(&b);
	buf_done(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#undef T
#define T(fn)	cmocka_unit_test_setup_teardown(fn, peers_setup, peers_teardown)
		T(pusher_client),
		T(waits_for_the_router),
		T(closes_meanwhile),
		T(terminated_while_sealed),
		T(slow_reader_while_sealed),
		T(unsent_octets),
		T(no_clock_while_frozen),
		T(http_pieces),
		T(long_line_of_chunks),
		T(stream_ends),
		T(proxy_header_half_read),
		T(counted_without_refusing),
		T(streams_and_rooms),
		T(held_back),
		T(signed_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
