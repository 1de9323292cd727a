/* SPDX-License-Identifier: MIT
 *
 * Tests src/master/spool.c.
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
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "master/spool.h"
#include "master/state.h"

static char null[] = "/dev/null";
static char dir[] = "/tmp/peal-test-spool-XXXXXX", other[sizeof(dir) + 2];
static struct config config = { .n_webhook = 1 };
static char *why;

static unsigned synced;
static int sync_error;

int	__wrap_fsync(int);

int
__wrap_fsync(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	synced++;
	errno = sync_error;
	return sync_error != 0 ? -1 : 0;
}

static char *
in(const char *folder, const char *name)
{
	static char path[200];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static int
prepare(char *where)
{
	free(why);
	why = NULL;
	config.courier.spool = where;
	return spool_prepare(&config, geteuid(), getegid(), 0, &why);
}

static void
use(char *where)
{
	if (prepare(where) < 0)
		fail_msg("%s", why);
	spool_commit();
	spool_turn();
}

static void
refused(char *where, const char *words)
{
	if (prepare(where) == 0)
		fail_msg("taken, not \"%s\"", words);
	if (strstr(why, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why, words);
}

static void
forget(void)
{
	spool_drop();
	for (int i = 0; i < SPOOL_FILES; i++) {
		assert_int_equal(spool_fd((unsigned)i), -1);
		unlink(in(dir, i == 0 ? "peal-0.journal" : "peal-1.journal"));
		unlink(in(other, i == 0 ? "peal-0.journal" :
		    "peal-1.journal"));
	}
}

static void
put(const char *text)
{
	assert_int_equal(pwrite(spool_fd(0), text, strlen(text), 0),
	    strlen(text));
}

static void
holds(const char *text)
{
	char room[100];
	ssize_t n = pread(spool_fd(0), room, sizeof(room), 0);

	assert_int_equal(n, strlen(text));
	assert_memory_equal(room, text, strlen(text));
}

static void
test_memory(void **state)
{
	int fd;

	(void)state;
	use(NULL);
	assert_true(spool_fd(0) >= 0 && spool_fd(1) >= 0);
	assert_false(spool_durable());
	put("memory");
	/* Nothing has changed: it stays. */
	fd = spool_fd(0);
	use(NULL);
	assert_int_equal(spool_fd(0), fd);
	holds("memory");
	forget();
}

static void
test_files(void **state)
{
	struct stat st;

	(void)state;
	use(dir);
	assert_true(spool_durable());
	assert_int_equal(stat(in(dir, "peal-1.journal"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	put("disk");
	spool_drop();
	/* The next service finds it; by another name it is the same. */
	use(dir);
	holds("disk");
	use(in(dir, "."));
	holds("disk");
	forget();
}

/* The power may fail: their names must be on the disk, too. */
static void
test_synced(void **state)
{
	(void)state;
	synced = 0;
	use(dir);
	assert_int_equal(synced, 1);
	spool_drop();
	sync_error = EIO;
	refused(dir, "Input/output error");
	/* A file system that knows of no such thing. */
	sync_error = EINVAL;
	use(dir);
	sync_error = 0;
	forget();
}

static void
test_refused(void **state)
{
	char *file;

	(void)state;
	refused(in(dir, "none"), "No such file or directory (it is not made");
	free(why);
	assert_int_equal(spool_check(&config, &why), -1);
	file = xstrdup(in(dir, "peal-0.journal"));
	refused(null, "Not a directory");
	assert_int_equal(symlink("/etc/passwd", file), 0);
	refused(dir, "is a symbolic link");
	unlink(file);
	close(open(file, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(link(file, in(dir, "second")), 0);
	refused(dir, "has a second name");
	unlink(in(dir, "second"));
	unlink(file);
	assert_int_equal(mkfifo(file, 0600), 0);
	refused(dir, "is no plain file");
	unlink(file);
	if (geteuid() == 0) {
		close(open(file, O_CREAT | O_WRONLY, 0600));
		assert_int_equal(chown(file, 12345, 12345), 0);
		refused(dir, "belongs to another user");
		unlink(file);
	}
	free(file);
	/* All of it is as if it had not been tried. */
	assert_int_equal(spool_fd(0), -1);
	config.n_webhook = 0;
	assert_int_equal(spool_check(&config, &why), 0);
	use(in(dir, "none"));
	assert_int_equal(spool_fd(0), -1);
	config.n_webhook = 1;
}

/* Prepares it, and counts the lines of the log that say that one waits. */
static unsigned
said_to_wait(unsigned wait_ms, int result)
{
	static char text[4096];
	int fd = memfd_create("log", MFD_CLOEXEC);
	unsigned n = 0;
	ssize_t got;

	log_to_fd(fd);
	config.courier.spool = dir;
	free(why);
	why = NULL;
	assert_int_equal(spool_prepare(&config, geteuid(), getegid(), wait_ms,
	    &why), result);
	log_to_fd(STDERR_FILENO);
	got = pread(fd, text, sizeof(text) - 1, 0);
	assert_true(got >= 0);
	text[got] = '\0';
	close(fd);
	for (const char *s = text; (s = strstr(s, "waiting for it")) != NULL;
	    s++)
		n++;
	return n;
}

/* Two services cannot share one; who waits says so once, and gets it when the
 * other lets go. */
static void
test_locked(void **state)
{
	int fd, status;
	char c;
	int ends[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	if ((pid = fork()) == 0) {
		fd = open(in(dir, "peal-0.journal"), O_CREAT | O_RDWR, 0600);
		if (flock(fd, LOCK_EX) < 0 || write(ends[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(1);
	}
	assert_int_equal(read(ends[0], &c, 1), 1);
	refused(dir, "another peald has it open");
	assert_int_equal(said_to_wait(0, -1), 0);
	assert_int_equal(said_to_wait(250, -1), 1);
	assert_non_null(strstr(why, "another peald has it open"));
	kill(pid, SIGKILL);
	config.courier.spool = dir;
	assert_int_equal(spool_prepare(&config, geteuid(), getegid(), 30000,
	    &why), 0);
	waitpid(pid, &status, 0);
	spool_undo();
	assert_int_equal(said_to_wait(30000, 0), 0);
	spool_undo();
	close(ends[0]);
	close(ends[1]);
	forget();
}

/* What waits goes along to another spool, and is in one of them only. */
static void
test_carried(void **state)
{
	struct stat st;

	(void)state;
	use(NULL);
	put("what waits");
	use(dir);
	holds("what waits");
	use(other);
	holds("what waits");
	assert_int_equal(stat(in(dir, "peal-0.journal"), &st), 0);
	assert_int_equal(st.st_size, 0);
	use(NULL);
	holds("what waits");
	/* One that is not empty stays as it is. */
	spool_drop();
	use(dir);
	put("here");
	spool_drop();
	use(NULL);
	put("there");
	use(dir);
	holds("here");
	forget();
}

/* A reload that comes to nothing, and one upon the other. */
static void
test_undone(void **state)
{
	(void)state;
	use(NULL);
	put("x");
	assert_int_equal(prepare(dir), 0);
	spool_undo();
	spool_turn();
	assert_false(spool_durable());
	holds("x");
	assert_int_equal(prepare(dir), 0);
	spool_commit();
	spool_undo();
	refused(other, "under way");
	assert_int_equal(prepare(dir), 0);
	spool_turn();
	assert_true(spool_durable());
	holds("x");
	forget();
}

static void
test_exec(void **state)
{
	struct state s;
	int fd;

	(void)state;
	use(dir);
	put("x");
	fd = spool_fd(0);
	state_init(&s);
	spool_save(&s);
	assert_string_equal(s.spool, dir);
	spool_restore(&s);
	assert_int_equal(spool_fd(0), fd);
	assert_true(spool_durable());
	holds("x");
	state_done(&s);
	forget();
}

static int
set_up(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(other, sizeof(other), "%s/2", dir);
	return mkdir(other, 0700);
}

static int
tear_down(void **state)
{
	(void)state;
	free(why);
	rmdir(other);
	return rmdir(dir);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_synced),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_locked),
		cmocka_unit_test(test_carried),
		cmocka_unit_test(test_undone),
		cmocka_unit_test(test_exec),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
