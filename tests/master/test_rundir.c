/* SPDX-License-Identifier: MIT
 *
 * Tests src/master/rundir.c: whom the directory of the control socket lets in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util.h"
#include "master/rundir.h"

#define UID	12345
#define GID	12346
#define OTHER	12347

static char dir[] = "/tmp/peal-test-rundir-XXXXXX";
static char *path, *name;

static void
is(const char *at, uid_t uid, gid_t gid, mode_t mode)
{
	struct stat st;

	assert_int_equal(stat(at, &st), 0);
	assert_int_equal(st.st_uid, uid);
	assert_int_equal(st.st_gid, gid);
	assert_int_equal(st.st_mode & 07777, mode);
}

/* As if somebody had made it before. */
static void
there(uid_t uid, gid_t gid, mode_t mode)
{
	(void)rmdir(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chown(path, uid, gid), 0);
	assert_int_equal(chmod(path, mode), 0);
}

/* And not one of a user namespace, who may be few others.  What cannot be tried
 * just returns: some releases of cmocka print skip() as a failure. */
static bool
is_root(void)
{
	return geteuid() == 0 && chown(dir, UID, GID) == 0 &&
	    chown(dir, OTHER, 0) == 0 && chown(dir, 0, 0) == 0;
}

static void
test_made(void **state)
{
	mode_t mask = umask(077);

	(void)state;
	(void)rmdir(path);
	assert_int_equal(rundir_make(path, false, UID, GID), 0);
	umask(mask);
	if (geteuid() == 0)
		is(path, 0, GID, 0750);
	else
		is(path, geteuid(), getegid(), 0700);
	assert_int_equal(rundir_make(path, true, UID, GID), 0);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rundir_make("/tmp/peal-test-no/dir", true, UID, GID),
	    -1);
	assert_int_equal(errno, ENOENT);
}

/* Ours by name: the service's user gets in, and nobody by mode loses that. */
static void
test_ours(void **state)
{
	static const struct {
		uid_t	 uid;
		gid_t	 gid;
		mode_t	 mode;
		gid_t	 gid_then;
		mode_t	 mode_then;
	} cases[] = {
		{ 0, 0, 0700, GID, 0750 },
		{ 0, 0, 0750, GID, 0750 },
		{ 0, OTHER, 0750, GID, 0750 },
		{ 0, OTHER, 0751, GID, 0751 },
		{ 0, OTHER, 02770, GID, 02770 },
		{ 0, GID, 0700, GID, 0750 },
		{ 0, GID, 0705, GID, 0755 },
		/* Nothing is missing. */
		{ 0, 0, 0755, 0, 0755 },
		{ 0, OTHER, 01777, OTHER, 01777 },
		{ 0, GID, 0750, GID, 0750 },
		{ UID, OTHER, 0700, OTHER, 0700 },
		/* The user's own, who has shut himself out. */
		{ UID, OTHER, 0077, OTHER, 0077 },
	};

	(void)state;
	if (!is_root())
		return;
	for (size_t i = 0; i < NELEM(cases); i++) {
		there(cases[i].uid, cases[i].gid, cases[i].mode);
		assert_int_equal(rundir_make(path, true, UID, GID), 0);
		is(path, cases[i].uid, cases[i].gid_then, cases[i].mode_then);
	}
}

/* Somebody named it, or it lies elsewhere: it stays. */
static void
test_not_ours(void **state)
{
	(void)state;
	if (!is_root())
		return;
	there(0, OTHER, 0700);
	assert_int_equal(rundir_make(path, false, UID, GID), 0);
	is(path, 0, OTHER, 0700);
	assert_int_equal(symlink(path, name), 0);
	assert_int_equal(rundir_make(name, true, UID, GID), 0);
	assert_int_equal(unlink(name), 0);
	is(path, 0, OTHER, 0700);
}

static void
test_others(void **state)
{
	FILE *f;

	(void)state;
	assert_non_null(f = fopen(name, "w"));
	fclose(f);
	assert_int_equal(rundir_make(name, true, UID, GID), -1);
	assert_int_equal(errno, EPERM);
	unlink(name);
	if (!is_root())
		return;
	there(OTHER, GID, 0777);
	assert_int_equal(rundir_make(path, true, UID, GID), -1);
	assert_int_equal(errno, EPERM);
	is(path, OTHER, GID, 0777);
}

static int
setup(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	path = xasprintf("%s/run", dir);
	name = xasprintf("%s/name", dir);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	(void)rmdir(path);
	free(path);
	free(name);
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_made),
		cmocka_unit_test(test_ours),
		cmocka_unit_test(test_not_ours),
		cmocka_unit_test(test_others),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
