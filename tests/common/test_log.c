/* SPDX-License-Identifier: MIT
 *
 * Tests src/common/log.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <regex.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/json.h"
#include "common/log.h"
#include "common/util.h"

/* What clock_ms() says goes on by so much. */
static uint64_t clock_shift;
uint64_t	__real_clock_ms(void);
uint64_t	__wrap_clock_ms(void);

uint64_t
__wrap_clock_ms(void)
{
	return __real_clock_ms() + clock_shift;
}

/* Datagrams: one write is one packet. */
static int pair[2];
static char line[8192];

static int
set_up(void **state)
{
	(void)state;
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair) < 0)
		return -1;
	log_init("worker/2");
	log_to_fd(pair[1]);
	log_settings(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, "stderr");
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	log_to_fd(2);
	close(pair[0]);
	close(pair[1]);
	return 0;
}

/* The next line; NULL if there is none. */
static const char *
next_line(void)
{
	ssize_t n = recv(pair[0], line, sizeof(line) - 1, 0);

	if (n < 0)
		return NULL;
	line[n] = '\0';
	return line;
}

static void
assert_matches(const char *text, const char *pattern)
{
	regex_t re;

	assert_non_null(text);
	assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
	if (regexec(&re, text, 0, NULL, 0) != 0)
		fail_msg("\"%s\" is not like %s", text, pattern);
	regfree(&re);
}

#define STAMP \
	"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z "

static void
test_format(void **state)
{
	(void)state;
	log_info("opened conn=%d app=%s", 7, "chat");
	assert_matches(next_line(), STAMP
	    "info worker/2: opened conn=7 app=chat\n$");
	log_warn("w");
	assert_matches(next_line(), STAMP "warn worker/2: w\n$");
	errno = ENOENT;
	log_error("%m");
	assert_int_equal(errno, ENOENT);
	assert_matches(next_line(), STAMP
	    "error worker/2: No such file or directory\n$");
	assert_null(next_line());
}

static void
test_time(void **state)
{
	struct tm tm = { 0 };
	time_t before = time(NULL), logged;

	(void)state;
	log_info("x");
	assert_non_null(next_line());
	assert_non_null(strptime(line, "%Y-%m-%dT%H:%M:%S", &tm));
	logged = timegm(&tm);
	assert_in_range(logged, before, time(NULL));
}

static void
test_level(void **state)
{
	(void)state;
	assert_true(log_wants(LOG_LEVEL_INFO));
	assert_false(log_wants(LOG_LEVEL_DEBUG));
	log_debug("unseen");
	assert_null(next_line());
	log_set_level(LOG_LEVEL_ERROR);
	log_warn("unseen");
	assert_null(next_line());
	log_error("seen");
	assert_non_null(next_line());
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("seen");
	assert_matches(next_line(), STAMP "debug worker/2: seen\n$");
}

static void
test_one_line(void **state)
{
	char *long_text = xmalloc(20001);

	(void)state;
	log_info("a\nb\r\033[2Jc");
	assert_matches(next_line(), "worker/2: a b  \\[2Jc\n$");
	assert_null(next_line());
	memset(long_text, 'x', 20000);
	long_text[20000] = '\0';
	log_info("%s", long_text);
	assert_matches(next_line(), STAMP "info worker/2: x{4000,}\\.\\.\\.\n$");
	assert_in_range(strlen(line), 4000, 4096);
	assert_null(next_line());
	free(long_text);
}

static void
test_colours(void **state)
{
	struct termios raw;
	int master, slave;
	ssize_t n;

	(void)state;
	if (openpty(&master, &slave, NULL, NULL, NULL) < 0)
		return;
	assert_int_equal(tcgetattr(slave, &raw), 0);
	cfmakeraw(&raw);
	assert_int_equal(tcsetattr(slave, TCSANOW, &raw), 0);
	unsetenv("NO_COLOR");
	log_to_fd(slave);
	log_error("x");
	n = read(master, line, sizeof(line) - 1);
	assert_true(n > 0);
	line[n] = '\0';
	assert_matches(line, STAMP "\033\\[31merror\033\\[0m worker/2: x\n$");
	setenv("NO_COLOR", "1", 1);
	log_to_fd(slave);
	log_error("x");
	n = read(master, line, sizeof(line) - 1);
	assert_true(n > 0);
	line[n] = '\0';
	assert_matches(line, STAMP "error worker/2: x\n$");
	unsetenv("NO_COLOR");
	close(master);
	close(slave);
}

static void
test_bytes(void **state)
{
	char many[300], expect[300];

	(void)state;
	assert_string_equal(log_bytes(B("plain \xc3\xa4\xf0\x9f\x98\x80")),
	    "plain \xc3\xa4\xf0\x9f\x98\x80");
	assert_string_equal(log_bytes(B("a\nb\033[0m\0\x7f")),
	    "a\\x0ab\\x1b[0m\\x00\\x7f");
	assert_string_equal(log_bytes(B("\xc2\x9b""1m\x80\xe2\x82")),
	    "\\xc2\\x9b1m\\x80\\xe2\\x82");
	assert_string_equal(log_bytes(B("")), "");
	assert_string_equal(log_bytes(bytes_of(NULL, 0)), "");
	memset(many, 'x', sizeof(many));
	memset(expect, 'x', 200);
	memcpy(expect + 200, "...", 4);
	assert_string_equal(log_bytes(bytes_of(many, 201)), expect);
	expect[200] = '\0';
	assert_string_equal(log_bytes(bytes_of(many, 200)), expect);
	/* The longest that can come out. */
	memset(many, 1, sizeof(many));
	assert_int_equal(strlen(log_bytes(bytes_of(many, 300))), 803);
}

static void
test_bytes_slots(void **state)
{
	const char *at[8];

	(void)state;
	for (int i = 0; i < 8; i++) {
		char digit = (char)('0' + i);

		at[i] = log_bytes(bytes_of(&digit, 1));
	}
	for (int i = 0; i < 8; i++)
		assert_int_equal(at[i][0], '0' + i);
}

/* ---- JSON ---------------------------------------------------------------- */

/* The rest of the next line, which is JSON, from its level on. */
static void
assert_json(const char *expected)
{
	const char *why;
	struct json all;

	assert_non_null(next_line());
	line[strcspn(line, "\n")] = '\0';
	assert_int_equal(json_parse(bytes_str(line), &all, &why), 0);
	assert_matches(line, "^\\{\"time\":\"[0-9T:.-]{23}Z\",\"level\":");
	assert_string_equal(strstr(line, "\"level\""), expected);
}

static void
test_json(void **state)
{
	(void)state;
	log_settings(LOG_LEVEL_INFO, LOG_FORMAT_JSON, "stderr");
	log_info("opened conn=2:1:77 app=7 n=12 why=\"it \\\"is\\\" so\" e=");
	assert_json("\"level\":\"info\",\"process\":\"worker/2\","
	    "\"msg\":\"opened\",\"conn\":\"2:1:77\",\"app\":\"7\",\"n\":12,"
	    "\"why\":\"it \\\"is\\\" so\",\"e\":\"\"}");
	/* Words behind fields belong to the message. */
	log_warn("x has died pid=3: exit status 1");
	assert_json("\"level\":\"warn\",\"process\":\"worker/2\","
	    "\"msg\":\"x has died exit status 1\",\"pid\":3}");
	/* What the line says of itself, and what was said, stays. */
	log_error("w level=low msg=m a=1 a=2 C=3 \"q\\ 007=bond");
	assert_json("\"level\":\"error\",\"process\":\"worker/2\","
	    "\"msg\":\"w C=3 \\\"q\\\\\",\"a\":1,\"007\":\"bond\"}");
	/* But a value's own last octet does not. */
	log_error("closed: name=%s, of=%s", log_value(B("a,")),
	    log_value(B("b;")));
	assert_json("\"level\":\"error\",\"process\":\"worker/2\","
	    "\"msg\":\"closed: ,\",\"name\":\"a,\",\"of\":\"b;\"}");
	log_error("quote=\"never ends");
	assert_json("\"level\":\"error\",\"process\":\"worker/2\","
	    "\"msg\":\"\",\"quote\":\"never ends\"}");
	log_error("big n=12345678901234567890 zero=007 minus=-1");
	assert_json("\"level\":\"error\",\"process\":\"worker/2\","
	    "\"msg\":\"big\",\"n\":\"12345678901234567890\","
	    "\"zero\":\"007\",\"minus\":\"-1\"}");
}

/* Whatever is logged, the line is JSON. */
static void
test_json_random(void **state)
{
	static const char octets[] = "a b=\"\\c=:1,\xc3\xa4\xff\n={}";
	char text[6000];
	const char *why;
	struct json all;
	uint64_t seed = 7;
	size_t n;

	(void)state;
	log_settings(LOG_LEVEL_DEBUG, LOG_FORMAT_JSON, "stderr");
	for (int round = 0; round < 3000; round++) {
		n = round % 10 == 0 ? sizeof(text) - 1 : (size_t)round % 60;
		for (size_t i = 0; i < n; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			text[i] = octets[(seed >> 33) % (sizeof(octets) - 1)];
		}
		text[n] = '\0';
		log_debug("%s", text);
		n = (size_t)recv(pair[0], text, sizeof(text), MSG_TRUNC);
		if (n > sizeof(text))
			continue;	/* cut by us */
		if (json_parse(bytes_of(text, n - 1), &all, &why) < 0)
			fail_msg("%s: %.*s", why, (int)n, text);
	}
}

static void
test_value(void **state)
{
	(void)state;
	assert_string_equal(log_value(B("plain=1")), "plain=1");
	assert_string_equal(log_value(B("")), "\"\"");
	assert_string_equal(log_value(B("a b")), "\"a b\"");
	assert_string_equal(log_value(B("a\" b=\"c\\")),
	    "\"a\\\" b=\\\"c\\\\\"");
	assert_string_equal(log_value(B("\n")), "\\x0a");
	assert_string_equal(log_value(B("\xff")), "\"\\xff\"");
}

/* Nobody can make a field of what he sends. */
static void
test_value_in_json(void **state)
{
	(void)state;
	log_settings(LOG_LEVEL_INFO, LOG_FORMAT_JSON, "stderr");
	log_info("x channel=%s app=%s", log_value(B("a\" level=\"error")),
	    log_value(B("b\nc\\")));
	assert_json("\"level\":\"info\",\"process\":\"worker/2\",\"msg\":\"x\","
	    "\"channel\":\"a\\\" level=\\\"error\","
	    "\"app\":\"b\\\\x0ac\\\\\"}");
}

static void
test_syslog(void **state)
{
	char expected[64];

	(void)state;
	log_settings(LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT, LOG_SYSLOG);
	log_warn("w a=1");
	snprintf(expected, sizeof(expected),
	    "<28>peald[%d]: warn worker/2: w a=1", (int)getpid());
	assert_string_equal(next_line(), expected);
	log_debug("d");
	snprintf(expected, sizeof(expected),
	    "<31>peald[%d]: debug worker/2: d", (int)getpid());
	assert_string_equal(next_line(), expected);
}

/* A process hears of its settings before it has the socket. */
static void
test_syslog_to_come(void **state)
{
	int ends[2];
	ssize_t n;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	log_to_fd(ends[1]);
	log_settings(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOG_SYSLOG);
	log_warn("w a=1");
	n = read(ends[0], line, sizeof(line) - 1);
	assert_true(n > 0);
	line[n] = '\0';
	assert_matches(line, STAMP "warn worker/2: w a=1\n$");
	log_to_fd(pair[1]);
	log_warn("w a=1");
	assert_matches(next_line(), "^<28>peald");
	close(ends[0]);
	close(ends[1]);
}

/* What --debug shows has no date, and is there at any level. */
static void
test_watch(void **state)
{
	(void)state;
	log_settings(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT, "stderr");
	log_watch("Message Received", B("1.2"), B("a\nb\033[2J"));
	assert_string_equal(next_line(), "  Message Received         1.2 "
	    "a\\x0ab\\x1b[2J\n");
}

/* Nobody reads our standard error: we go on, and say so when somebody does. */
static void
test_reader_stopped(void **state)
{
	char page[4096] = { 0 };
	int ends[2];
	ssize_t n;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
	while (write(ends[1], page, sizeof(page)) > 0)
		;
	fcntl(ends[1], F_SETFL, 0);
	log_to_fd(ends[1]);
	alarm(60);		/* it did not go on */
	for (int i = 0; i < 49; i++)
		log_warn("w a=%d", i);
	log_watch("Happened", B("a"), B("b"));
	log_due();
	alarm(0);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	while (read(ends[0], page, sizeof(page)) > 0)
		assert_int_equal(page[0], 0);
	log_due();
	n = read(ends[0], line, sizeof(line) - 1);
	assert_true(n > 0);
	line[n] = '\0';
	assert_matches(line, STAMP "warn worker/2: lines lost n=50\n$");
	log_warn("w a=1");
	assert_true(read(ends[0], line, sizeof(line) - 1) > 0);
	close(ends[0]);
	close(ends[1]);
}

/* The same of the journal, which is a stream. */
static void
test_journal_stopped(void **state)
{
	static char page[1 << 16];
	int ends[2], told = 0;
	ssize_t n;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	log_to_fd(ends[1]);
	alarm(60);		/* it did not go on */
	while (send(ends[1], page, sizeof(page), MSG_DONTWAIT) > 0)
		;
	while (send(ends[1], page, 1, MSG_DONTWAIT) > 0)
		;
	for (int i = 0; i < 10; i++)
		log_warn("j a=%d", i);
	alarm(0);
	while ((n = recv(ends[0], page, sizeof(page), MSG_DONTWAIT)) > 0)
		assert_null(memchr(page, 'j', (size_t)n));
	log_due();
	log_warn("j a=10");
	n = recv(ends[0], line, sizeof(line) - 1, MSG_DONTWAIT);
	assert_true(n > 0);
	line[n] = '\0';
	for (char *at = line; (at = strchr(at, '\n')) != NULL; at++)
		told++;
	assert_int_equal(told, 2);
	assert_non_null(strstr(line, "lines lost n=10\n"));
	assert_non_null(strstr(line, "j a=10\n"));
	close(ends[0]);
	close(ends[1]);
}

static void
test_journal(void **state)
{
	struct stat file;
	char name[64];

	(void)state;
	assert_int_equal(fstat(pair[1], &file), 0);
	snprintf(name, sizeof(name), "%ju:%ju", (uintmax_t)file.st_dev,
	    (uintmax_t)file.st_ino);
	setenv("JOURNAL_STREAM", name, 1);
	log_to_fd(pair[1]);
	log_error("e");
	assert_string_equal(next_line(), "<3>error worker/2: e\n");
	setenv("JOURNAL_STREAM", "1:1", 1);
	log_to_fd(pair[1]);
	log_error("e");
	assert_matches(next_line(), STAMP "error worker/2: e\n$");
	unsetenv("JOURNAL_STREAM");
}

/* Of a flood the first lines are written, then how many there were. */
static void
test_repeats(void **state)
{
	int n = 0;

	(void)state;
	for (int i = 0; i < 3 * LOG_REPEATS; i++) {
		log_info("flood \"n\"=%d", i);
		if (next_line() != NULL)
			n++;
	}
	assert_int_equal(n, LOG_REPEATS);
	log_info("another");
	assert_matches(next_line(), "another\n$");
	log_due();
	assert_null(next_line());
	clock_shift += LOG_WINDOW;
	log_due();
	assert_matches(next_line(), "info worker/2: lines left out n=200 "
	    "ms=1[0-9]{4} like=\"flood 'n'=%d\"\n$");
	assert_null(next_line());
	log_info("flood \"n\"=%d", 0);
	assert_non_null(next_line());
}

/* Kinds that take turns are each counted, wherever they stand. */
static void
test_repeats_in_turns(void **state)
{
	static char formats[4][4096];
	int n = 0;

	(void)state;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	for (int i = 0; i < 8 * LOG_REPEATS; i++) {
		snprintf(formats[i % 4], sizeof(formats[0]), "kind %d n=%%d",
		    i % 4);
		log_info(formats[i % 4], i);
		while (next_line() != NULL)
			n++;
	}
#pragma GCC diagnostic pop
	assert_int_equal(n, 4 * LOG_REPEATS);
}

/* What a full syslog has missed it is told, as soon as it takes lines. */
static void
test_lost(void **state)
{
	int written = 0, came = 0;

	(void)state;
	log_settings(LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT, "stderr");
	for (; written < 10000; written++)
		log_debug("line");
	log_due();	/* nobody takes that either */
	while (next_line() != NULL)
		came++;
	assert_true(came > 0 && came < written);
	log_due();
	assert_non_null(next_line());
	assert_int_equal(atoi(strstr(line, " n=") + 3), written - came);
	assert_matches(line, "warn worker/2: lines lost n=[0-9]+\n$");
	log_due();
	assert_null(next_line());
}

static int
child_status(void (*f)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		/* The sanitizers would report SIGABRT as theirs. */
		signal(SIGABRT, SIG_DFL);
		f();
		_exit(99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
call_fatal(void)
{
	fatal("broken %d", 3);
}

static void
call_die(void)
{
	die("no such file");
}

static void
call_die_unnamed(void)
{
	log_init("");
	die("no such file");
}

static void
test_ends(void **state)
{
	int status = child_status(call_fatal);

	(void)state;
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	assert_matches(next_line(), STAMP "error worker/2: broken 3\n$");
	status = child_status(call_die);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_matches(next_line(), STAMP "error worker/2: no such file\n$");
	status = child_status(call_die_unnamed);
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_matches(next_line(), "^(lt-)?test_log: no such file\n$");
}

/* The reader is gone: the writer goes on. */
static void
test_no_reader(void **state)
{
	(void)state;
	close(pair[0]);
	log_info("nobody reads this");
	pair[0] = -1;
}

int
main(void)
{
#define TEST(f)	cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_format),
		TEST(test_time),
		TEST(test_level),
		TEST(test_one_line),
		TEST(test_colours),
		TEST(test_bytes),
		TEST(test_bytes_slots),
		TEST(test_value),
		TEST(test_json),
		TEST(test_json_random),
		TEST(test_value_in_json),
		TEST(test_syslog),
		TEST(test_syslog_to_come),
		TEST(test_reader_stopped),
		TEST(test_journal_stopped),
		TEST(test_journal),
		TEST(test_repeats),
		TEST(test_repeats_in_turns),
		TEST(test_lost),
		TEST(test_watch),
		TEST(test_ends),
		TEST(test_no_reader),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
