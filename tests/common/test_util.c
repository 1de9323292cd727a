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
#include <sys/stat.h>
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
	s = xasprintf("%s-%0100d", "x", 7);
	assert_int_equal(strlen(s), 102);
	assert_memory_equal(s, "x-00", 4);
	free(s);
	s = xasprintf("%s", "");
	assert_string_equal(s, "");
	free(s);
}

static void
assert_unread(const char *path, size_t max, int why)
{
	struct buf text = { 0 };

	errno = 0;
	alarm(60);		/* it waits for good */
	assert_int_equal(file_read(path, max, &text), -1);
	alarm(0);
	assert_int_equal(errno, why);
	buf_done(&text);
}

static void
test_file(void **state)
{
	char dir[] = "/tmp/peal-file-XXXXXX", path[64];
	struct buf text = { 0 };
	int ends[2];

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/pipe", dir);
	assert_unread(path, 10, ENOENT);
	assert_unread(dir, 10, EISDIR);
	assert_unread("/dev/zero", 100000, EFBIG);
	/* Nobody will ever write into it. */
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_unread(path, 10, ENODATA);
	unlink(path);
	rmdir(dir);
	/* As of the shell: -c <(program) */
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "text", 4), 4);
	close(ends[1]);
	snprintf(path, sizeof(path), "/dev/fd/%d", ends[0]);
	assert_int_equal(file_read(path, 4, &text), 0);
	assert_int_equal(text.n, 4);
	assert_memory_equal(text.p, "text", 4);
	buf_done(&text);
	close(ends[0]);
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

/* Of a process that was started without them. */
static void
test_standard(void **state)
{
	int status, next;
	pid_t pid;

	(void)state;
	if ((pid = fork()) == 0) {
		next = dup(0);
		close(next);
		for (int fd = 0; fd <= 2; fd++)
			close(fd);
		fd_standard();
		for (int fd = 0; fd <= 2; fd++)
			if ((fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDWR)
				_exit(1);
		_exit(fcntl(next, F_GETFD) < 0 ? 0 : 2);
	}
	assert_true(pid > 0);
	assert_true(waitpid(pid, &status, 0) == pid);
	assert_int_equal(status, 0);
}

/* ---- the title: in a process of its own, as it can be written once only - */

static const char *program;

#define NEED(condition) do {						\
	if (!(condition)) {						\
		fprintf(stderr, "# line %d: %s\n", __LINE__, #condition); \
		return 1;						\
	}								\
} while (0)

static int
shows(const char *expect, size_t n)
{
	char shown[4096] = "";
	FILE *f = fopen("/proc/self/cmdline", "r");

	NEED(f != NULL);
	NEED(fread(shown, 1, sizeof(shown) - 1, f) > 0);
	fclose(f);
	NEED(memcmp(shown, expect, n) == 0);
	return 0;
}

static int
titled(int argc, char **argv)
{
	char name[17] = "";

	title_init(argc, argv);
	title_set("peald: worker %d", 2);
	NEED(shows("peald: worker 2", 16) == 0);
	NEED(prctl(PR_GET_NAME, name) == 0);
	NEED(strcmp(name, "peald: worker 2") == 0);
	/* Arguments and environment are still what they were. */
	NEED(strcmp(argv[1], "title") == 0);
	NEED(strcmp(getenv("PEAL_TEST_TITLE"), "kept") == 0);
	/* A long one is cut, and a short one leaves nothing behind. */
	title_set("%01000d", 1);
	title_set("x");
	NEED(shows("x\0\0", 3) == 0);
	NEED(strcmp(getenv("PEAL_TEST_TITLE"), "kept") == 0);
	return 0;
}

static void
test_title(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		setenv("PEAL_TEST_TITLE", "kept", 1);
		execl(program, program, "title", "more arguments", NULL);
		_exit(99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_clocks),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_standard),
		cmocka_unit_test(test_title),
	};

	if (argc > 1 && strcmp(argv[1], "title") == 0)
		return titled(argc, argv);
	program = argv[0];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
