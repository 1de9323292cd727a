/* SPDX-License-Identifier: MIT
 *
 * Tests src/router/control.c: what pealctl asks.
 */
#include "driver.h"

#include <stdio.h>
#include <unistd.h>

#include "router/control.h"

/* The whole answer, and the end of the connection behind it. */
static void
answers(struct rig *g, const char *request, const char *answer)
{
	struct buf got = { 0 };
	int fds[2];
	ssize_t n;

	assert_int_equal(ipc_pair(fds), 0);
	control_take(g->router, fds[0], bytes_str(request));
	rig_run(g);
	while ((n = read(fds[1], buf_room(&got, 4096), 4096)) > 0) {
		got.n += (size_t)n;
		rig_run(g);
	}
	assert_int_equal(n, 0);
	assert_string_equal(buf_cstr(&got), answer);
	buf_done(&got);
	close(fds[1]);
}

#define OK	"{\"ok\":true}\n"
#define NO(why)	"{\"ok\":false,\"error\":\"" why "\"}\n"

static void
test_lists(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1);

	(void)state;
	SAY(a, join, .app = B("1"), .channel = B("news"), .n = 3);
	SAY(a, join, .app = B("1"), .channel = B("presence-r"), .n = 2,
	    .flags = JOIN_PRESENCE, .user = B("a\"b"), .member = B("{\"x\":1}"));
	SAY(a, load, .app = B("1"), .open = 9, .subscribed = 7);
	rig_run(g);
	answers(g, "{\"verb\":\"channels\"}",
	    "{\"channel\":\"news\",\"subscriptions\":3,\"users\":0}\n"
	    "{\"channel\":\"presence-r\",\"subscriptions\":2,\"users\":1}\n"
	    OK);
	answers(g, "{\"verb\":\"channels\",\"prefix\":\"n\",\"app\":\"1\"}",
	    "{\"channel\":\"news\",\"subscriptions\":3,\"users\":0}\n" OK);
	answers(g, "{\"verb\":\"users\",\"app\":\"chat\","
	    "\"channel\":\"presence\\u002dr\"}",
	    "{\"id\":\"a\\\"b\",\"member\":{\"x\":1}}\n" OK);
	answers(g, "{\"verb\":\"connections\"}",
	    "{\"app\":\"1\",\"open\":9,\"subscribed\":7}\n" OK);
	rig_free(g);
}

static void
test_commands(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1);
	char line[100];

	(void)state;
	SAY(a, join, .app = B("1"), .channel = B("cache-x"), .n = 1);
	rig_run(g);
	answers(g, "{\"verb\":\"publish\",\"channel\":\"cache-x\","
	    "\"event\":\"e\",\"data\":\"{\\\"a\\\":1}\"}", OK);
	snprintf(line, sizeof(line), "deliver cache-x \"e\"=\"{\\\"a\\\":1}\""
	    " from=%u n=1 at=1", (unsigned)(g->router->epoch >> 32));
	GETS(a, line);
	SAY(a, join, .app = B("1"), .channel = B("cache-x"), .n = 1,
	    .cookie = 2, .flags = JOIN_CACHE);
	rig_run(g);
	GETS(a, "subscribed cache-x cookie=2 count=2 at=1"
	    " cached=\"e\":\"{\\\"a\\\":1}\"");
	answers(g, "{\"verb\":\"terminate\",\"user\":\"u\"}", OK);
	GETS(a, "terminate u");
	rig_free(g);
}

static void
test_mistakes(void **state)
{
	struct rig *g = rig_new("[app two]\nid = 2\nkey = k2\nsecret = s\n");

	(void)state;
	answers(g, "", NO("the request is no JSON object"));
	answers(g, "[]", NO("the request is no JSON object"));
	answers(g, "{}", NO("unknown verb"));
	answers(g, "{\"verb\":7}", NO("unknown verb"));
	answers(g, "{\"verb\":\"channels\"}",
	    NO("there are several applications: name one"));
	answers(g, "{\"verb\":\"channels\",\"app\":\"3\"}",
	    NO("no such application"));
	answers(g, "{\"verb\":\"publish\",\"app\":\"two\"}",
	    NO("a channel and an event are needed"));
	answers(g, "{\"verb\":\"publish\",\"app\":\"two\",\"channel\":\"x\","
	    "\"event\":{}}", NO("a channel and an event are needed"));
	answers(g, "{\"verb\":\"terminate\",\"app\":\"two\",\"user\":\"\"}",
	    NO("a user is needed"));
	rig_starting(g, 1);
	answers(g, "{\"verb\":\"channels\",\"app\":\"two\"}",
	    NO("the router is starting, try again"));
	rig_free(g);
}

/* One that does not read is ended after a while, and never waited for. */
static void
test_no_reader(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1);
	char name[32];
	int fds[2], i;

	(void)state;
	for (i = 0; i < 50000; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		SAY(a, join, .app = B("1"), .channel = bytes_str(name), .n = 1);
	}
	rig_run(g);
	assert_int_equal(ipc_pair(fds), 0);
	control_take(g->router, fds[0], B("{\"verb\":\"channels\"}"));
	rig_run(g);
	assert_int_equal(g->router->n_controls, 1);
	rig_later(g, 30000);
	assert_int_equal(g->router->n_controls, 0);
	assert_true(TAILQ_EMPTY(&g->router->answers));
	close(fds[1]);
	/* And one that has gone. */
	assert_int_equal(ipc_pair(fds), 0);
	close(fds[1]);
	control_take(g->router, fds[0], B("{\"verb\":\"channels\"}"));
	rig_run(g);
	assert_int_equal(g->router->n_controls, 0);
	rig_free(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_no_reader),
	};

	return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
