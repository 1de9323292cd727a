/* SPDX-License-Identifier: MIT
 *
 * The file that holds the master's process id.
 *
 * Runs in: master.  Owns: see pidfile.h.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "master/pidfile.h"

static int pidfile_fd = -1;
static char *pidfile_path;

/* The lock is the process's, not the descriptor's: children do not have it. */
static int
pidfile_lock(int fd, const char *path, char **why)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_SETLK, &lock) == 0)
		return 0;
	if ((errno == EAGAIN || errno == EACCES) &&
	    fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
		*why = xasprintf("%s: another peald runs, with process id %d",
		    path, (int)lock.l_pid);
	else
		*why = xasprintf("%s: %s", path, strerror(errno));
	return -1;
}

static int
pidfile_write(int fd, const char *path, char **why)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());

	if (ftruncate(fd, 0) == 0 && write(fd, text, (size_t)n) == n)
		return 0;
	*why = xasprintf("%s: %s", path, strerror(errno));
	return -1;
}

/* A pipe takes a number as well, but keeps none. */
static bool
is_plain(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static int
pidfile_open(const char *path, int flags, char **why)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK |
	    O_NOCTTY | flags, 0644);

	*why = NULL;
	if (fd < 0)
		*why = xasprintf("%s: %s", path, strerror(errno));
	else if (!is_plain(fd))
		*why = xasprintf("%s: is no plain file", path);
	if (*why == NULL && pidfile_lock(fd, path, why) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

int
pidfile_take(const char *path, char **why)
{
	int fd;

	if (path == NULL)
		return 0;
	if ((fd = pidfile_open(path, O_CREAT, why)) < 0)
		return -1;
	if (pidfile_write(fd, path, why) < 0) {
		close(fd);
		return -1;
	}
	pidfile_fd = fd;
	pidfile_path = xstrdup(path);
	return 0;
}

void
pidfile_drop(void)
{
	if (pidfile_fd < 0)
		return;
	unlink(pidfile_path);
	close(pidfile_fd);
	free(pidfile_path);
	pidfile_fd = -1;
	pidfile_path = NULL;
}

int
pidfile_save(const char **path)
{
	*path = pidfile_path;
	return pidfile_fd;
}

void
pidfile_restore(int fd, const char *path)
{
	pidfile_fd = fd;
	pidfile_path = xstrdup(path);
}

/* Written in another way.  Closing the file, by whatever descriptor, would give
 * up the lock. */
static bool
is_same(const char *path)
{
	struct stat now, then;

	return pidfile_fd >= 0 && fstat(pidfile_fd, &now) == 0 &&
	    lstat(path, &then) == 0 && now.st_dev == then.st_dev &&
	    now.st_ino == then.st_ino;
}

int
pidfile_try(const char *path, char **why)
{
	struct stat st;
	bool there;
	int fd;

	if (path == NULL || is_same(path))
		return 0;
	there = lstat(path, &st) == 0;
	if ((fd = pidfile_open(path, there ? 0 : O_CREAT | O_EXCL, why)) < 0)
		return -1;
	if (!there)
		unlink(path);
	close(fd);
	return 0;
}

void
pidfile_follow(const char *path)
{
	char *old = pidfile_path, *why;
	int fd = pidfile_fd;

	if (path == NULL) {
		pidfile_drop();
		return;
	}
	if (old != NULL && (strcmp(path, old) == 0 || is_same(path)))
		return;
	if (pidfile_take(path, &why) < 0) {
		log_error("the pid file stays where it is: %s", why);
		free(why);
		return;
	}
	if (fd < 0)
		return;
	unlink(old);
	close(fd);
	free(old);
}
