/* SPDX-License-Identifier: MIT
 *
 * Tests src/worker/inspect.c: what the router hears of single connections.
 */
#include "tests/worker/test_core.h"

#include <stdio.h>

#include "worker/inspect.h"

#define CLIENTS	40

static struct {
	struct client	*client[CLIENTS];
	int		 peer[CLIENTS];
} crowd;

static struct buf lines;	/* of the answer read last */
static unsigned turns, parts;

/* The whole answer: lines, then "end N". */
static const char *
inspected(const struct msg_inspect *question)
{
	struct msg_inspect m = *question;
	struct msg_inspected got = { 0 };

	m.cookie = 7;
	buf_clear(&lines);
	turns = parts = 0;
	inspect_answer(&m);
	while (inspect_turn())
		turns++;
	while (!got.end) {
		expect_msg(inspected, &got);
		assert_int_equal(got.cookie, 7);
		buf_bytes(&lines, got.lines);
		parts++;
	}
	buf_fmt(&lines, "end %u", (unsigned)got.n);
	expect_silence();
	return buf_cstr(&lines);
}

#define ASK(...)	inspected(&(struct msg_inspect){ __VA_ARGS__ })

static unsigned
count_lines(const char *text)
{
	unsigned n = 0;

	for (; *text != '\0'; text++)
		n += *text == '\n';
	return n;
}

static void
swallow(void)
{
	struct unpacker u;

	while (next_message(&u) != MSG_NONE)
		;
}

/* The router answers. */
static void
in_channel(struct client *cl, const char *name)
{
	struct unpacker u;
	struct msg_join join;
	const char *why;
	unsigned type;

	channel_subscribe(cl, bytes_str(name), channel_kind(bytes_str(name),
	    200), B(""), B(""));
	while ((type = next_message(&u)) != MSG_NONE) {
		if (type == MSG_join &&
		    msg_unpack_join(&u, &join, &why) == 0 && join.cookie != 0)
			answer(name, join.cookie, 1);
	}
	assert_non_null(channel_sub(cl, bytes_str(name)));
}

static int
setup(void **state)
{
	core_setup(state);
	worker.slot = 3;
	for (unsigned i = 0; i < CLIENTS; i++) {
		struct client *cl = test_client(&crowd.peer[i]);

		cl->transport = &transport_websocket;
		conn_stage(cl->conn, &transport_websocket.stage, cl);
		cl->state.socket_a = 100 + i;
		cl->state.opened = worker.now - i;
		cl->state.seen = worker.now;
		cl->established = true;
		cl->app->open++;
		crowd.client[i] = cl;
	}
	swallow();
	return 0;
}

static int
teardown(void **state)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		if (crowd.client[i] != NULL)
			conn_kill(crowd.client[i]->conn, CLOSE_PEER_CLOSED);
		close(crowd.peer[i]);
	}
	conns_turn();
	return core_teardown(state);
}

static void
test_lines(void **state)
{
	(void)state;
	in_channel(crowd.client[2], "news");
	in_channel(crowd.client[2], "chat");
	swallow();
	assert_string_equal(ASK(.app = B("1"), .limit = 10, .socket_a = 102,
	    .socket_b = 7),
	    "{\"app\":\"1\",\"socket_id\":\"102.7\",\"front\":\"test\","
	    "\"worker\":3,\"address\":\"unix\",\"user\":null,\"channels\":2,"
	    "\"names\":[\"chat\",\"news\"],\"backlog\":0,\"age\":2,"
	    "\"idle\":0}\nend 1");
	/* Of all, and no more than are wanted. */
	assert_int_equal(count_lines(ASK(.limit = 1000)), CLIENTS);
	assert_int_equal(count_lines(ASK(.app = B("1"), .limit = 5)), 5);
	assert_non_null(strstr(buf_cstr(&lines), "end 40"));
	assert_string_equal(ASK(.app = B("2"), .limit = 5), "end 0");
	/* Who is not there yet, or not any more, is not told of. */
	crowd.client[0]->established = false;
	crowd.client[1]->conn->closing = 1;
	assert_non_null(strstr(ASK(.limit = 0), "end 38"));
	crowd.client[0]->established = true;
	crowd.client[1]->conn->closing = 0;
}

static void
test_filters(void **state)
{
	(void)state;
	in_channel(crowd.client[4], "news");
	in_channel(crowd.client[9], "news");
	client_signin(crowd.client[9], B("u\"\n"), B("{}"), NULL, 0);
	client_signin(crowd.client[10], B("u\"\n"), B("{}"), NULL, 0);
	client_signin(crowd.client[11], B("\xff"), B("{}"), NULL, 0);
	swallow();
	assert_int_equal(count_lines(ASK(.app = B("1"), .channel = B("news"),
	    .limit = 9)), 2);
	/* By the table, as no application is named. */
	assert_int_equal(count_lines(ASK(.channel = B("news"), .limit = 9)),
	    2);
	assert_int_equal(count_lines(ASK(.app = B("1"), .user = B("u\"\n"),
	    .limit = 9)), 2);
	assert_non_null(strstr(buf_cstr(&lines), "\"user\":\"u\\\"\\n\","));
	assert_int_equal(count_lines(ASK(.app = B("1"), .channel = B("news"),
	    .user = B("u\"\n"), .limit = 9)), 1);
	assert_non_null(strstr(buf_cstr(&lines), "\"109.7\""));
	assert_int_equal(count_lines(ASK(.user = B("\xff"), .limit = 9)), 1);
	assert_non_null(strstr(buf_cstr(&lines), "\"user\":\"?\","));
	assert_string_equal(ASK(.channel = B("none"), .limit = 9), "end 0");
}

static void
test_slow(void **state)
{
	const char *text;

	(void)state;
	for (unsigned i = 0; i < CLIENTS; i++)
		crowd.client[i]->conn->queued = i * 7 % CLIENTS;
	text = ASK(.slow = 1, .limit = 3);
	assert_int_equal(count_lines(text), 3);
	assert_non_null(strstr(text, "\"backlog\":39,"));
	assert_non_null(strstr(text, "\"backlog\":38,"));
	assert_non_null(strstr(text, "\"backlog\":37,"));
	/* One reads all. */
	assert_non_null(strstr(text, "end 39"));
	assert_string_equal(ASK(.slow = 1, .limit = 0), "end 39");
	for (unsigned i = 0; i < CLIENTS; i++)
		crowd.client[i]->conn->queued = 0;
	assert_string_equal(ASK(.slow = 1, .limit = 3), "end 0");
}

static void
test_kick(void **state)
{
	(void)state;
	in_channel(crowd.client[5], "news");
	in_channel(crowd.client[6], "news");
	swallow();
	assert_string_equal(ASK(.app = B("1"), .socket_a = 105, .socket_b = 8,
	    .kick = 1), "end 0");
	inspect_answer(&(struct msg_inspect){ .cookie = 8, .app = B("1"),
	    .socket_a = 105, .socket_b = 7, .kick = 1 });
	while (inspect_turn())
		;
	assert_true(crowd.client[5]->conn->closing);
	assert_int_equal(crowd.client[5]->conn->reason, CLOSE_TERMINATED);
	assert_false(crowd.client[6]->conn->closing);
	assert_int_equal(crowd.client[5]->n_subs, 0);
	swallow();
	conn_kill(crowd.client[5]->conn, CLOSE_PEER_CLOSED);
	crowd.client[5] = NULL;
}

/* Several at once, each a step in its turn; a router that is gone is told
 * nothing. */
static void
test_turns(void **state)
{
	struct msg_inspected got;
	struct app *app = app_by_id(B("1"));
	struct client *more[2 * INSPECT_STEP];
	int peer;

	(void)state;
	for (unsigned i = 0; i < NELEM(more); i++) {
		more[i] = test_client(&peer);
		more[i]->transport = &transport_websocket;
		conn_stage(more[i]->conn, &transport_websocket.stage, more[i]);
		more[i]->established = true;
		app->open++;
		close(peer);
	}
	swallow();
	ASK(.limit = 0);
	assert_int_equal(turns, 2);
	assert_string_equal(buf_cstr(&lines), "end 2040");
	/* Many lines are several messages, and there is a most. */
	assert_int_equal(count_lines(ASK(.limit = UINT64_MAX)), INSPECT_ROWS);
	assert_true(parts > 1);
	for (unsigned i = 0; i < 3; i++)
		inspect_answer(&(struct msg_inspect){ .cookie = i,
		    .app = bytes_str(i == 1 ? "2" : "1"), .limit = 0 });
	while (inspect_turn())
		;
	for (unsigned i = 0; i < 3; i++) {
		expect_msg(inspected, &got);
		assert_int_equal(got.cookie, i);
		assert_int_equal(got.n, i == 1 ? 0 : 2040);
	}
	for (unsigned i = 0; i < INSPECT_MOST; i++)
		inspect_answer(&(struct msg_inspect){ .cookie = i });
	expect_silence();
	inspect_answer(&(struct msg_inspect){ .cookie = INSPECT_MOST });
	expect_msg(inspected, &got);
	assert_true(got.end && got.cookie == INSPECT_MOST && got.refused);
	close(router_fd);
	test_connect();
	assert_false(inspect_turn());
	swallow();
	for (unsigned i = 0; i < NELEM(more); i++)
		conn_kill(more[i]->conn, CLOSE_PEER_CLOSED);
	conns_turn();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_filters, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kick, setup, teardown),
		cmocka_unit_test_setup_teardown(test_turns, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
