/* SPDX-License-Identifier: MIT
 *
 * Tests src/master/pidfile.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/util.h"
#include "master/pidfile.h"

static char dir[] = "/tmp/peal-test-pidfile-XXXXXX";
static char *path;

static long
number_in_file(void)
{
	FILE *f = fopen(path, "r");
	long n = -1;

	if (f == NULL)
		return -1;
	if (fscanf(f, "%ld", &n) != 1)
		n = -1;
	fclose(f);
	return n;
}

static void
test_none(void **state)
{
	char *why = NULL;

	(void)state;
	assert_int_equal(pidfile_take(NULL, &why), 0);
	pidfile_drop();
}

static void
test_take(void **state)
{
	char *why = NULL;

	(void)state;
	assert_int_equal(pidfile_take(path, &why), 0);
	assert_int_equal(number_in_file(), getpid());
	pidfile_drop();
	assert_int_equal(access(path, F_OK), -1);
}

static void
test_left_by_a_dead_one(void **state)
{
	FILE *f = fopen(path, "w");
	char *why = NULL;

	(void)state;
	fputs("99999999 and more than will be written\n", f);
	fclose(f);
	assert_int_equal(pidfile_take(path, &why), 0);
	assert_int_equal(number_in_file(), getpid());
	pidfile_drop();
}

static void
test_another_runs(void **state)
{
	char *why = NULL, pid[24];
	int status;

	(void)state;
	assert_int_equal(pidfile_take(path, &why), 0);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	if (fork() == 0) {
		if (pidfile_take(path, &why) == 0)
			_exit(1);
		_exit(strstr(why, pid) != NULL ? 0 : 2);
	}
	wait(&status);
	assert_int_equal(status, 0);
	assert_int_equal(number_in_file(), getpid());
	pidfile_drop();
}

static void
test_cannot(void **state)
{
	char *why = NULL;

	(void)state;
	assert_int_equal(pidfile_take("/nonexistent/peald.pid", &why), -1);
	assert_non_null(strstr(why, "/nonexistent/peald.pid"));
	free(why);
}

static void
test_no_plain_file(void **state)
{
	char *why = NULL;
	int (*const takes[])(const char *, char **) = { pidfile_try,
	    pidfile_take };

	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	for (size_t i = 0; i < NELEM(takes); i++) {
		assert_int_equal(takes[i](path, &why), -1);
		assert_non_null(strstr(why, path));
		assert_non_null(strstr(why, "no plain file"));
		free(why);
		assert_int_equal(pidfile_try("/dev/null", &why), -1);
		free(why);
	}
	assert_int_equal(unlink(path), 0);
	assert_int_equal(pidfile_try(path, &why), 0);
	assert_int_equal(access(path, F_OK), -1);
	/* The one that is held stays held. */
	assert_int_equal(pidfile_take(path, &why), 0);
	assert_int_equal(pidfile_try(path, &why), 0);
	pidfile_drop();
}

static int
directory_make(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	path = xasprintf("%s/peald.pid", dir);
	return 0;
}

static int
directory_remove(void **state)
{
	(void)state;
	free(path);
	return rmdir(dir);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_take),
		cmocka_unit_test(test_left_by_a_dead_one),
		cmocka_unit_test(test_another_runs),
		cmocka_unit_test(test_cannot),
		cmocka_unit_test(test_no_plain_file),
	};

	return cmocka_run_group_tests(tests, directory_make, directory_remove);
}
