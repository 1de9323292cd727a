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
#define TOTAL(n)	"{\"ok\":true,\"total\":" n "}\n"
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
	    TOTAL("2"));
	answers(g, "{\"verb\":\"channels\",\"prefix\":\"n\",\"app\":\"1\"}",
	    "{\"channel\":\"news\",\"subscriptions\":3,\"users\":0}\n"
	    TOTAL("1"));
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
	    NO("no such application: 3"));
	answers(g, "{\"verb\":\"kick\",\"app\":\"u\\\"0\",\"user\":\"u1\"}",
	    NO("no such application: u\\\"0"));
	answers(g, "{\"verb\":\"publish\",\"app\":\"two\"}",
	    NO("a channel and an event are needed"));
	answers(g, "{\"verb\":\"publish\",\"app\":\"two\",\"channel\":\"x\","
	    "\"event\":{}}", NO("event is a string"));
	answers(g, "{\"verb\":\"terminate\",\"app\":\"two\",\"user\":\"\"}",
	    NO("a user is needed"));
	/* An id is a string, also if it has digits alone. */
	answers(g, "{\"verb\":\"channels\",\"app\":2}",
	    NO("app is a string: an id or a name"));
	answers(g, "{\"verb\":\"channels\",\"app\":\"2\",\"prefix\":7}",
	    NO("prefix is a string"));
	answers(g, "{\"verb\":\"channels\",\"app\":\"2\",\"match\":[]}",
	    NO("match is a string"));
	answers(g, "{\"verb\":\"users\",\"app\":\"2\",\"channel\":7}",
	    NO("channel is a string"));
	answers(g, "{\"verb\":\"kick\",\"app\":\"2\",\"user\":7}",
	    NO("user is a string"));
	answers(g, "{\"verb\":\"inspect\",\"app\":\"2\",\"slow\":1}",
	    NO("slow is true or false"));
	answers(g, "{\"verb\":\"inspect\",\"app\":\"2\",\"slow\":\"true\"}",
	    NO("slow is true or false"));
	rig_worker(g, 1);
	rig_run(g);
	answers(g, "{\"verb\":\"channels\",\"app\":\"2\",\"prefix\":null}",
	    TOTAL("0"));
	rig_starting(g, 1);
	answers(g, "{\"verb\":\"channels\",\"app\":\"two\"}",
	    "{\"ok\":false,\"error\":\"the router is starting, try again\","
	    "\"again\":true}\n");
	rig_free(g);
}

/* What the API does not publish is not published here. */
static void
test_not_published(void **state)
{
	static const char name[] = NO("the channel's name is too long, or has "
	    "characters that no channel has");
	static const char reserved[] = NO("events that begin with pusher: or "
	    "pusher_internal: are the server's");
	static const struct {
		const char	*rest, *answer;
	} cases[] = {
		{ "\"channel\":\"c\\u0000d\",\"event\":\"e\",\"data\":\"\"", name },
		{ "\"channel\":\"c d\",\"event\":\"e\",\"data\":\"\"", name },
		{ "\"channel\":\"#c\",\"event\":\"e\",\"data\":\"\"", name },
		{ "\"channel\":\"123456789\",\"event\":\"e\",\"data\":\"\"", name },
		{ "\"channel\":\"c\",\"event\":\"pusher:x\",\"data\":\"\"",
		    reserved },
		{ "\"channel\":\"c\",\"event\":\"pusher\\u005finternal:x\","
		    "\"data\":\"\"", reserved },
		{ "\"channel\":\"c\",\"event\":\"123456789012345678\",\"data\":\"\"",
		    NO("the event's name is too long") },
		{ "\"channel\":\"c\",\"event\":\"e\",\"data\":\"123456\"",
		    NO("the data is larger than max_event_size") },
		{ "\"channel\":\"c\",\"event\":\"e\",\"data\":{}",
		    NO("data is a string") },
		{ "\"channel\":\"c\",\"event\":\"e\"",
		    NO("data is a string") },
		{ "\"channel\":\"c\",\"event\":\"\",\"data\":\"\"",
		    NO("a channel and an event are needed") },
		{ "\"channel\":\"12345678\",\"event\":\"pusher:12\" ,"
		    "\"data\":\"12345\"", reserved },
		{ "\"channel\":\"12345678\",\"event\":\"pusher_1234567890\" ,"
		    "\"data\":\"12345\"", OK },
		{ "\"channel\":\"#server-to-user-7\",\"event\":\"e\" ,"
		    "\"data\":\"\"", name },
	};
	struct rig *g = rig_new("max_channel_name = 8\nmax_event_name = 17\n"
	    "max_event_size = 5\n");
	char line[200];

	(void)state;
	rig_worker(g, 1);
	rig_run(g);
	for (size_t i = 0; i < NELEM(cases); i++) {
		snprintf(line, sizeof(line), "{\"verb\":\"publish\",%s}",
		    cases[i].rest);
		answers(g, line, cases[i].answer);
	}
	rig_free(g);
	g = rig_new("");
	rig_worker(g, 1);
	rig_run(g);
	answers(g, "{\"verb\":\"publish\",\"channel\":\"#server-to-user-7\","
	    "\"event\":\"e\",\"data\":\"\"}", OK);
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

/* ---- the backplane ------------------------------------------------------- */

static const struct backplane_up *up;
static void *up_ctx;

static void *
fake_open(const struct config_backplane *set, struct event_base *base,
    const struct backplane_up *calls, void *ctx, const char **why)
{
	(void)set, (void)base, (void)why;
	up = calls;
	up_ctx = ctx;
	return &up;
}

static void
fake_self(void *self)
{
	(void)self;
}

static void
fake_join(void *self, const struct topic *t, struct position since)
{
	(void)self, (void)t, (void)since;
}

static void
fake_leave(void *self, const struct topic *t)
{
	(void)self, (void)t;
}

static void
fake_publish(void *self, const struct topic *t, struct bytes octets,
    uint64_t cookie)
{
	(void)self, (void)t, (void)octets, (void)cookie;
}

static struct backplane_state fake_now;

static void
fake_state(const void *self, struct backplane_state *s)
{
	(void)self;
	*s = fake_now;
}

static const struct backplane fake = {
	.name = "fake", .open = fake_open, .close = fake_self,
	.start = fake_self, .flush = fake_self, .join = fake_join,
	.leave = fake_leave, .publish = fake_publish, .state = fake_state,
};

/* The answer has these words. */
static void
shows(struct rig *g, const char *const words[])
{
	struct buf got = { 0 };
	int fds[2];
	ssize_t n;

	assert_int_equal(ipc_pair(fds), 0);
	control_take(g->router, fds[0], B("{\"verb\":\"backplane\"}"));
	rig_run(g);
	while ((n = read(fds[1], buf_room(&got, 4096), 4096)) > 0)
		got.n += (size_t)n;
	assert_int_equal(n, 0);
	for (; *words != NULL; words++)
		if (strstr(buf_cstr(&got), *words) == NULL)
			fail_msg("%s is missing in %s", *words, buf_cstr(&got));
	buf_done(&got);
	close(fds[1]);
}

static void
test_alone(void **state)
{
	struct rig *g = rig_new("[app two]\nid = 2\nkey = k2\nsecret = s\n");

	(void)state;
	answers(g, "{\"verb\":\"backplane\"}",
	    "{\"ok\":true,\"driver\":\"none\",\"state\":\"alone\"}\n");
	/* Also before the router knows what there is. */
	rig_starting(g, 1);
	answers(g, "{\"verb\":\"backplane\"}",
	    "{\"ok\":true,\"driver\":\"none\",\"state\":\"alone\"}\n");
	rig_free(g);
}

static void
test_hosts(void **state)
{
	static const char *const down[] = { "\"own\":true",
		"\"driver\":\"fake\"", "\"state\":\"down\",\"since\":7,",
		"\"broker\":\"fake://\\\"x\"",
		"\"failure\":\"nobody there\"", "\"lag_us\":15",
		"\"topics\":1", "\"backlog\":2", "\"backlog_octets\":30",
		"\"backplane_bad_version\":0", NULL };
	static const char *const joining[] = { "\"state\":\"joining\"",
		NULL };
	static const char *const late[] = { "\"state\":\"degraded\"", NULL };
	static const char *const full[] = { "\"ok\":true",
		"\"state\":\"up\",\"since\":0", "\"hosts\":1", NULL };
	struct rig *g = rig_backplane("", &fake);
	struct topic hosts = carrier_cluster();

	(void)state;
	fake_now = (struct backplane_state){ .broker = B("fake://\"x"),
		.since = g->router->now, .why = B("nobody there"),
		.topics = 1, .backlog = 2, .backlog_octets = 30, .lag_us = 15,
	};
	rig_later(g, 7500);
	shows(g, down);
	fake_now.up = true;
	fake_now.since = g->router->now;
	up->up(up_ctx);
	shows(g, joining);
	up->joined(up_ctx, &hosts, (struct position){ 0, 0 });
	/* Nothing has come back yet. */
	shows(g, late);
	g->router->passage.degraded = false;
	shows(g, full);
	rig_free(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_not_published),
		cmocka_unit_test(test_no_reader),
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_hosts),
	};

	return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
