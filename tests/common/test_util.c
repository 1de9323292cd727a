/* SPDX-License-Identifier: MIT
 *
 * Tests src/common/util.c.
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
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"

static void
test_memory(void **state)
{
	char *p = xcalloc(3, 5), *s;

	(void)state;
	for (int i = 0; i < 15; i++)
		assert_int_equal(p[i], 0);
	p = xreallocarray(p, 10, 10);
	p[99] = 1;
	p = xrealloc(p, 0);
	assert_non_null(p);
	free(p);
	p = xmalloc(0);
	assert_non_null(p);
	free(p);
	s = xstrdup("text");
	assert_string_equal(s, "text");
	free(s);
	assert_null(xstrdup0(NULL));
	s = xstrdup0("");
	assert_string_equal(s, "");
	free(s);
	s = xasprintf("%s-%0100d", "x", 7);
	assert_int_equal(strlen(s), 102);
	assert_memory_equal(s, "x-00", 4);
	free(s);
	s = xasprintf("%s", "");
	assert_string_equal(s, "");
	free(s);
}

static volatile size_t huge = SIZE_MAX / 2;

static void
overflow_calloc(void)
{
	xcalloc(huge, 4);
}

static void
overflow_realloc(void)
{
	xreallocarray(NULL, 4, huge);
}

/* A size that overflows ends the process instead of giving too little. */
static void
test_overflow(void **state)
{
	void (*const calls[])(void) = { overflow_calloc, overflow_realloc };

	(void)state;
	for (size_t i = 0; i < NELEM(calls); i++) {
		int status;
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			log_to_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
			signal(SIGABRT, SIG_DFL);
			calls[i]();
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGABRT);
	}
}

static void
test_clocks(void **state)
{
	uint64_t a = clock_ms(), b;

	(void)state;
	do
		b = clock_ms();
	while (b == a);
	assert_true(b > a);
	assert_in_range(clock_wall_ms() / 1000, (uint64_t)time(NULL) - 2,
	    (uint64_t)time(NULL) + 2);
}

static void
test_random(void **state)
{
	uint32_t seen[6] = { 0 };
	unsigned char a[4096], count[256] = { 0 };
	unsigned kinds = 0;

	(void)state;
	random_fill(a, sizeof(a));
	for (size_t i = 0; i < sizeof(a); i++)
		kinds += count[a[i]]++ == 0;
	assert_true(kinds > 240);
	for (int i = 0; i < 6000; i++) {
		uint32_t r = random_1_to(6);

		assert_in_range(r, 1, 6);
		seen[r - 1]++;
	}
	for (int i = 0; i < 6; i++)
		assert_in_range(seen[i], 800, 1200);
	assert_int_equal(random_1_to(1), 1);
	for (int i = 0; i < 1000; i++)
		assert_in_range(random_1_to(1000000000), 1, 1000000000);
	assert_in_range(random_1_to(UINT32_MAX), 1, UINT32_MAX);
}

static void
test_descriptors(void **state)
{
	int fds[2];
	struct rlimit limit;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(fd_nonblock(fds[0]), 0);
	assert_int_equal(fd_nonblock(fds[0]), 0);
	assert_true(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
	assert_int_equal(fd_cloexec(fds[0], 1), 0);
	assert_int_equal(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
	assert_int_equal(fd_cloexec(fds[0], 0), 0);
	assert_int_equal(fcntl(fds[0], F_GETFD), 0);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(fd_nonblock(fds[0]), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(fd_cloexec(fds[0], 1), -1);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_true(fd_limit_raise() == limit.rlim_max);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_true(limit.rlim_cur == limit.rlim_max);
}

static char **arguments;
static int n_arguments;

static void
test_title(void **state)
{
	char shown[4096] = "", name[17] = "", *first = xstrdup(arguments[0]);
	const char *home = getenv("PEAL_TEST_TITLE");
	FILE *f;

	(void)state;
	assert_string_equal(home, "kept");
	title_init(n_arguments, arguments);
	title_set("peald: worker %d", 2);
	f = fopen("/proc/self/cmdline", "r");
	assert_non_null(f);
	assert_true(fread(shown, 1, sizeof(shown) - 1, f) > 0);
	fclose(f);
	assert_string_equal(shown, "peald: worker 2");
	assert_int_equal(prctl(PR_GET_NAME, name), 0);
	assert_string_equal(name, "peald: worker 2");
	/* Arguments and environment are still what they were. */
	assert_string_equal(arguments[0], first);
	assert_string_equal(getenv("PEAL_TEST_TITLE"), "kept");
	/* A long one is cut, and a short one leaves nothing behind. */
	title_set("%01000d", 1);
	title_set("x");
	f = fopen("/proc/self/cmdline", "r");
	assert_non_null(f);
	memset(shown, 'y', sizeof(shown));
	assert_true(fread(shown, 1, sizeof(shown) - 1, f) > 0);
	fclose(f);
	assert_memory_equal(shown, "x\0\0", 3);
	assert_string_equal(getenv("PEAL_TEST_TITLE"), "kept");
	free(first);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_clocks),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_title),
	};

	if (getenv("PEAL_TEST_TITLE") == NULL) {
		/* Once more, so that the variable stands in the area. */
		setenv("PEAL_TEST_TITLE", "kept", 1);
		execv("/proc/self/exe", argv);
	}
	arguments = argv;
	n_arguments = argc;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
