/* SPDX-License-Identifier: MIT
 *
 * Tests src/router/inspect.c, and what control.c makes of it: questions about
 * single connections, of pealctl and of workers.
 */
#include "driver.h"

#include <stdio.h>
#include <unistd.h>

#include "common/ipc.h"
#include "router/control.h"
#include "router/sink.h"

#define ROW(id, backlog)	\
	"{\"socket_id\":\"" id "\",\"backlog\":" backlog "}\n"

static int
ask(struct rig *g, const char *request)
{
	int fds[2];

	assert_int_equal(ipc_pair(fds), 0);
	control_take(g->router, fds[0], bytes_str(request));
	rig_run(g);
	return fds[1];
}

/* The whole answer, and its end. */
static void
answers(struct rig *g, int fd, const char *answer)
{
	struct buf got = { 0 };
	ssize_t n;

	rig_run(g);
	while ((n = read(fd, buf_room(&got, 65536), 65536)) > 0) {
		got.n += (size_t)n;
		rig_run(g);
	}
	assert_int_equal(n, 0);
	assert_string_equal(buf_cstr(&got), answer);
	buf_done(&got);
	close(fd);
}

static void
no_answer(int fd)
{
	char c;

	assert_int_equal(read(fd, &c, 1), -1);
}

/* From all workers, the end of it with the last. */
static void
test_all(void **state)
{
	struct rig *g = rig_new("[app two]\nid = 2\nkey = k2\nsecret = s\n");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);
	int fd = ask(g, "{\"verb\":\"inspect\",\"app\":\"two\",\"channel\":"
	    "\"n\\u0065ws\",\"user\":\"u\",\"socket\":\"12.34\",\"limit\":3}");

	(void)state;
	GETS(a, "inspect 1 app=2 channel=news user=u socket=12.34 slow=0"
	    " limit=3 kick=0");
	GETS(b, "inspect 1 app=2 channel=news user=u socket=12.34 slow=0"
	    " limit=3 kick=0");
	SAY(a, inspected, .cookie = 1, .lines = B(ROW("1.1", "5")));
	SAY(b, inspected, .cookie = 1, .lines = B(ROW("2.1", "1")
	    ROW("2.2", "9") ROW("2.3", "2")), .end = 1, .n = 70);
	rig_run(g);
	no_answer(fd);
	/* More than were wanted; and what nobody waits for. */
	SAY(a, inspected, .cookie = 1, .lines = B(ROW("1.2", "7")), .end = 1,
	    .n = 2);
	SAY(a, inspected, .cookie = 1, .end = 1, .n = 2);
	SAY(a, inspected, .cookie = 9, .end = 1, .n = 2);
	answers(g, fd, ROW("1.1", "5") ROW("2.1", "1") ROW("2.2", "9")
	    "{\"ok\":true,\"total\":72}\n");
	/* Without an application: of all. */
	fd = ask(g, "{\"verb\":\"inspect\",\"limit\":99999}");
	GETS(a, "inspect 2 app= channel= user= socket=0.0 slow=0 limit=1000"
	    " kick=0");
	GETS(b, "inspect 2 app= channel= user= socket=0.0 slow=0 limit=1000"
	    " kick=0");
	SAY(a, inspected, .cookie = 2, .end = 1);
	SAY(b, inspected, .cookie = 2, .end = 1);
	answers(g, fd, "{\"ok\":true,\"total\":0}\n");
	rig_free(g);
}

/* The most over all workers. */
static void
test_slow(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);
	int fd = ask(g, "{\"verb\":\"inspect\",\"slow\":true,\"limit\":3}");

	(void)state;
	GETS(a, "inspect 1 app= channel= user= socket=0.0 slow=1 limit=3"
	    " kick=0");
	SAY(a, inspected, .cookie = 1, .lines = B(ROW("1.1", "5")
	    ROW("1.2", "700") ROW("1.3", "6")), .end = 1, .n = 3);
	SAY(b, inspected, .cookie = 1, .lines = B(ROW("2.1", "40")
	    ROW("2.2", "800") ROW("2.3", "1")), .end = 1, .n = 9);
	answers(g, fd, ROW("2.2", "800") ROW("1.2", "700") ROW("2.1", "40")
	    "{\"ok\":true,\"total\":12}\n");
	rig_free(g);
}

/* Those that do not answer are named: hung, dead, of a release before. */
static void
test_missing(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1), *b, *c = rig_worker(g, 5);
	int fd, other;

	(void)state;
	b = rig_stranger(g, 3);
	SAY(b, hello, .version = 4, .slot = 3, .generation = b->generation);
	rig_run(g);
	fd = ask(g, "{\"verb\":\"inspect\"}");
	other = ask(g, "{\"verb\":\"inspect\",\"user\":\"u\"}");
	GETS_NONE(b);
	SAY(a, inspected, .cookie = 1, .lines = B(ROW("1.1", "5")), .end = 1,
	    .n = 1);
	rig_later(g, 1900);
	no_answer(fd);
	/* This one has too many questions. */
	SAY(c, inspected, .cookie = 2, .end = 1, .refused = 1);
	rig_later(g, 100);
	answers(g, fd, ROW("1.1", "5")
	    "{\"ok\":true,\"total\":1,\"missing\":[3,5]}\n");
	answers(g, other, "{\"ok\":true,\"total\":0,\"missing\":[1,3,5]}\n");
	/* An answer that is late is nobody's. */
	SAY(c, inspected, .cookie = 1, .lines = B(ROW("5.1", "5")), .end = 1,
	    .n = 1);
	fd = ask(g, "{\"verb\":\"inspect\"}");
	SAY(a, inspected, .cookie = 3, .end = 1, .n = 4);
	rig_run(g);
	no_answer(fd);
	mate_dies(c);
	answers(g, fd, "{\"ok\":true,\"total\":4,\"missing\":[3,5]}\n");
	rig_free(g);
}

/* What a worker that was taken over may say ends its link. */
static void
test_nonsense(void **state)
{
	static const char *const lines[] = {
		"x\n", "{}", "[]\n", "{}\n", "{\"backlog\":-1}\n",
		"{\"backlog\":\"1\"}\n", "\n",
		ROW("1.1", "1") ROW("1.2", "1") ROW("1.3", "1"),
	};

	(void)state;
	for (unsigned i = 0; i < NELEM(lines); i++) {
		struct rig *g = rig_new("");
		struct mate *a = rig_worker(g, 1);
		int fd = ask(g, "{\"verb\":\"inspect\",\"limit\":2}");

		SAY(a, inspected, .cookie = 1, .lines = bytes_str(lines[i]));
		rig_run(g);
		assert_true(TAILQ_EMPTY(&g->router->peers));
		close(fd);
		rig_free(g);
	}
}

/* Counted by both workers first. */
static void
kick_user(struct rig *g, const char *verb, unsigned cookie, unsigned n,
    unsigned m)
{
	struct mate *a = &g->mates[0], *b = &g->mates[1];
	char text[120];
	int fd;

	snprintf(text, sizeof(text), "{\"verb\":\"%s\",\"user\":\"u\"}",
	    verb);
	fd = ask(g, text);
	snprintf(text, sizeof(text), "inspect %u app=1 channel= user=u "
	    "socket=0.0 slow=0 limit=0 kick=0", cookie);
	GETS(a, text);
	GETS_NONE(a);
	SAY(a, inspected, .cookie = cookie, .end = 1, .n = n);
	SAY(b, inspected, .cookie = cookie, .end = 1, .n = m);
	snprintf(text, sizeof(text), "{\"ok\":true,\"closed\":%u}\n", n + m);
	answers(g, fd, text);
	GETS(a, "terminate u");
}

static void
test_kick(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);
	int fd = ask(g, "{\"verb\":\"kick\",\"socket\":\"12.34\"}");

	(void)state;
	GETS(a, "inspect 1 app=1 channel= user= socket=12.34 slow=0 limit=0"
	    " kick=1");
	SAY(a, inspected, .cookie = 1, .end = 1);
	SAY(b, inspected, .cookie = 1, .end = 1, .n = 1);
	answers(g, fd, "{\"ok\":true,\"closed\":1}\n");
	kick_user(g, "kick", 2, 0, 0);
	kick_user(g, "terminate", 3, 2, 1);
	/* Who does not wait for the number has what it asked for, too. */
	fd = ask(g, "{\"verb\":\"kick\",\"user\":\"u\"}");
	rig_run(g);
	close(fd);
	rig_later(g, 1000);
	SAY(a, inspected, .cookie = 4, .end = 1);
	SAY(b, inspected, .cookie = 4, .end = 1);
	rig_run(g);
	GETS(a, "inspect 4 app=1 channel= user=u socket=0.0 slow=0 limit=0"
	    " kick=0");
	GETS(a, "terminate u");
	GETS_NONE(a);
	answers(g, ask(g, "{\"verb\":\"kick\"}"),
	    "{\"ok\":false,\"error\":\"a user is needed\"}\n");
	for (unsigned i = 0; i < 6; i++) {
		static const char *const ids[] = { "\"12\"", "\"a.b\"", "12.5",
			"\"0.0\"", "\"4294967296.1\"", "\"1.2.3\"" };
		char line[100];

		snprintf(line, sizeof(line), "{\"verb\":\"%s\",\"socket\":%s}",
		    i % 2 ? "kick" : "inspect", ids[i]);
		answers(g, ask(g, line), "{\"ok\":false,\"error\":\"socket is "
		    "two numbers: \\\"123.456\\\"\"}\n");
	}
	rig_free(g);
}

/* Long lists are taken in pieces; who has gone is not waited for. */
static void
test_lists_of_asks(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1), *b = rig_worker(g, 2);
	size_t octets = 0;
	char name[32];
	unsigned ends = 0;

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		SAY(a, join, .app = B("1"), .channel = bytes_str(name), .n = 1);
	}
	rig_run(g);
	b->asleep = true;
	SAY(b, ask, .cookie = 5, .line = B("{\"verb\":\"channels\"}"));
	rig_run(g);
	/* It reads nothing: little waits for it, on its link or elsewhere. */
	assert_true(peer_backlog(b->peer) < 2 * SINK_LINK);
	assert_int_equal(g->router->n_asks, 1);
	assert_false(TAILQ_EMPTY(&g->router->answers));
	/* Others are answered. */
	SAY(a, ask, .cookie = 6, .line = B("{\"verb\":\"channels\",\"match\":"
	    "\"999\",\"limit\":2}"));
	rig_run(g);
	GETS(a, "told 6 {\"channel\":\"c999\",\"subscriptions\":1,\"users\":0}\n");
	GETS(a, "told 6 {\"channel\":\"c1999\",\"subscriptions\":1,"
	    "\"users\":0}\n");
	GETS(a, "told 6 end {\"ok\":true,\"total\":280}\n");
	b->asleep = false;
	rig_run(g);
	for (size_t i = 0; i < b->n_lines; i++) {
		const char *line = b->lines[i];

		assert_int_equal(strncmp(line, "told 5 ", 7), 0);
		assert_int_equal(line[strlen(line) - 1], '\n');
		octets += strlen(line);
		ends += strncmp(line, "told 5 end", 10) == 0;
	}
	assert_true(octets > 100000 * 40);
	assert_true(b->n_lines > 5);
	assert_int_equal(ends, 1);
	assert_non_null(strstr(b->lines[b->n_lines - 1], "\"total\":100000}\n"));
	assert_int_equal(g->router->n_asks, 0);
	/* Taken back; and its worker dead. */
	SAY(a, ask, .cookie = 7, .line = B("{\"verb\":\"channels\"}"));
	SAY(a, ask_end, .cookie = 7);
	SAY(b, ask, .cookie = 8, .line = B("{\"verb\":\"inspect\"}"));
	rig_run(g);
	GETS(a, "inspect 1 app= channel= user= socket=0.0 slow=0 limit=100"
	    " kick=0");
	assert_int_equal(g->router->n_asks, 1);
	mate_dies(b);
	rig_run(g);
	assert_int_equal(g->router->n_asks, 0);
	assert_true(LIST_EMPTY(&g->router->inspections));
	SAY(a, ask, .cookie = 9, .line = B("nonsense"));
	rig_run(g);
	GETS(a, "told 9 end {\"ok\":false,\"error\":\"the request is no JSON "
	    "object\"}\n");
	rig_free(g);
}

static void
test_limits(void **state)
{
	struct rig *g = rig_new("");
	struct mate *a = rig_worker(g, 1);
	int fds[CONTROLS_MAX + 1];

	(void)state;
	for (unsigned i = 0; i < ASKS_MAX; i++)
		SAY(a, ask, .cookie = i, .line = B("{\"verb\":\"inspect\"}"));
	for (unsigned i = 0; i < CONTROLS_MAX; i++)
		fds[i] = ask(g, "{\"verb\":\"inspect\"}");
	assert_int_equal(g->router->n_asks, ASKS_MAX);
	assert_int_equal(g->router->n_controls, CONTROLS_MAX);
	while (a->n_lines > 0)
		free(a->lines[--a->n_lines]);
	SAY(a, ask, .cookie = 99, .line = B("{\"verb\":\"inspect\"}"));
	rig_run(g);
	GETS(a, "told 99 end {\"ok\":false,\"error\":\"too many questions at "
	    "once\"}\n");
	answers(g, ask(g, "{\"verb\":\"inspect\"}"),
	    "{\"ok\":false,\"error\":\"too many questions at once\"}\n");
	GETS_NONE(a);
	for (unsigned i = 0; i < CONTROLS_MAX; i++)
		close(fds[i]);
	rig_later(g, 1000);
	assert_int_equal(g->router->n_controls, 0);
	rig_free(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_slow),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_kick),
		cmocka_unit_test(test_lists_of_asks),
		cmocka_unit_test(test_limits),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
