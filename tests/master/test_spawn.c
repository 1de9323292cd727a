/* SPDX-License-Identifier: MIT
 *
 * Tests src/master/spawn.c: the test starts itself under another name and lets
 * that process tell what it was given.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/util.h"
#include "master/spawn.h"

#define TITLE	"peald: test"

static char *own;	/* path of this program */

static int
ignores(int s)
{
	struct sigaction a;

	sigaction(s, NULL, &a);
	return a.sa_handler == SIG_IGN;
}

static int
handles_by_default(int s)
{
	struct sigaction a;

	sigaction(s, NULL, &a);
	return a.sa_handler == SIG_DFL;
}

static int
others_open(void)
{
	int n = 0;

	for (int fd = 4; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static int
is_blocked(int s)
{
	sigset_t now;

	sigprocmask(SIG_SETMASK, NULL, &now);
	return sigismember(&now, s);
}

/* What the process that was started says of itself. */
static int
report(int argc)
{
	char text[256], octet;
	int n;

	n = snprintf(text, sizeof(text), "args=%d secret=%d path=%d open=%d "
	    "int=%d term=%d hup=%d quit=%d pipe=%d usr1=%d blocked=%d null=%d",
	    argc, getenv("REVERB_APP_SECRET") != NULL,
	    getenv("PATH") != NULL, others_open(), ignores(SIGINT),
	    ignores(SIGTERM), ignores(SIGHUP), ignores(SIGQUIT),
	    ignores(SIGPIPE), handles_by_default(SIGUSR1), is_blocked(SIGUSR2),
	    read(0, &octet, 1) == 0);
	return write(3, text, (size_t)n) == n ? 7 : 1;
}

static void
on_signal(int s)
{
	(void)s;
}

static void
start_and_compare(const char *exe, int ends[2], const char *expected)
{
	char text[256] = "";
	const char *why = NULL;
	pid_t pid;
	int status;

	pid = spawn(exe, TITLE, ends[1], &why);
	assert_true(pid > 0);
	close(ends[1]);
	assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 7);
	assert_string_equal(text, expected);
}

static const char clean[] = "args=1 secret=0 path=1 open=0 int=1 term=1 hup=1 "
    "quit=1 pipe=1 usr1=1 blocked=0 null=1";

static void
test_clean(void **state)
{
	sigset_t blocked, now;
	int ends[2], leak;

	(void)state;
	setenv("REVERB_APP_SECRET", "hush", 1);
	setenv("PATH", "/usr/bin:/bin", 1);
	signal(SIGUSR1, on_signal);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR2);
	sigprocmask(SIG_SETMASK, &blocked, NULL);
	leak = open("/dev/null", O_RDONLY);	/* not close-on-exec */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
	    ends), 0);
	start_and_compare(own, ends, clean);
	close(leak);
	/* The parent's own mask is as before. */
	sigprocmask(SIG_SETMASK, NULL, &now);
	assert_true(sigismember(&now, SIGUSR2));
	assert_false(sigismember(&now, SIGTERM));
}

/* The link may have number 3 here too. */
static void
test_same_number(void **state)
{
	int ends[2], saved = fcntl(3, F_DUPFD_CLOEXEC, 100);

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
	    ends), 0);
	if (ends[1] != 3) {
		if (ends[0] == 3) {
			ends[0] = fcntl(3, F_DUPFD_CLOEXEC, 50);
		}
		dup3(ends[1], 3, O_CLOEXEC);
		close(ends[1]);
		ends[1] = 3;
	}
	start_and_compare(own, ends, clean);
	if (saved >= 0) {
		dup2(saved, 3);
		close(saved);
	}
}

/* Another file has the name now, or none: the running one is started. */
static void
test_replaced(void **state)
{
	static const char *const names[] = { "/bin/true", "/nonexistent" };
	int ends[2];

	(void)state;
	for (size_t i = 0; i < NELEM(names); i++) {
		assert_int_equal(socketpair(AF_UNIX,
		    SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
		start_and_compare(names[i], ends, clean);
	}
}

/* ---- on trial ------------------------------------------------------------ */

static int
trial(const char *exe, int fds[2])
{
	const char *why = NULL;
	int status;
	pid_t pid;

	pid = spawn_on_trial(exe, TITLE, "word", fds, &why);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* It has both descriptors, whatever numbers they have here, and the whole
 * environment; nothing else is open. */
static void
test_on_trial(void **state)
{
	static const char expected[] = "args=2 secret=1 path=1 open=1 int=1 "
	    "term=1 hup=1 quit=1 pipe=1 usr1=1 blocked=0 null=1";
	int here[2], fds[2], saved[2];
	char text[256] = "";

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
	    fds), 0);
	for (int i = 0; i < 2; i++) {
		here[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 20);
		close(fds[i]);
	}
	/* The other way round: none may overwrite the other. */
	for (int i = 0; i < 2; i++)
		saved[i] = fcntl(3 + i, F_DUPFD_CLOEXEC, 30);
	assert_int_equal(dup3(here[1], 4, O_CLOEXEC), 4);
	assert_int_equal(dup3(here[0], 3, O_CLOEXEC), 3);
	fds[0] = 4;
	fds[1] = 3;
	assert_int_equal(trial(own, fds), 7);
	assert_true(read(here[0], text, sizeof(text) - 1) > 0);
	assert_string_equal(text, expected);
	for (int i = 0; i < 2; i++) {
		close(3 + i);
		close(here[i]);
		if (saved[i] >= 0) {
			dup2(saved[i], 3 + i);
			close(saved[i]);
		}
	}
}

/* Why it cannot be executed is written to the second. */
static void
test_on_trial_fails(void **state)
{
	char text[64] = "";
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
	    fds), 0);
	assert_int_equal(trial("/nonexistent", fds), SPAWN_FAILED);
	assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
	assert_string_equal(text, "No such file or directory");
	close(fds[0]);
	close(fds[1]);
}

static int
own_find(void **state)
{
	(void)state;
	own = realpath("/proc/self/exe", NULL);
	return own == NULL;
}

static int
own_forget(void **state)
{
	(void)state;
	free(own);
	return 0;
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_same_number),
		cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_on_trial),
		cmocka_unit_test(test_on_trial_fails),
	};

	if (strcmp(argv[0], TITLE) == 0)
		return report(argc);
	return cmocka_run_group_tests(tests, own_find, own_forget);
}
