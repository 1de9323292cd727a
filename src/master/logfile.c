/* SPDX-License-Identifier: MIT
 *
 * Where the service's log goes.
 *
 * Runs in: master.  Owns: see logfile.h.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "common/process.h"
#include "common/util.h"
#include "master/logfile.h"
#include "master/master.h"

#define SYSLOG_SOCKET	"/dev/log"
#define ROOM		(8 << 20)	/* octets of a socket; systemd's have as many */

/* A socket as a file. */
struct place {
	dev_t	device;
	ino_t	inode;
	struct timespec	changed;	/* a number may be used again */
};

/* The one that we write to. */
static struct place connected;

static const char *
syslog_path(void)
{
	const char *path = getenv("PEAL_SYSLOG_SOCKET");

	return path != NULL ? path : SYSLOG_SOCKET;
}

static int
syslog_open(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int saved;

	if (fd < 0)
		return -1;
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", syslog_path());
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

static struct place
syslog_place(void)
{
	struct stat file = { 0 };

	(void)stat(syslog_path(), &file);
	return (struct place){ file.st_dev, file.st_ino, file.st_ctim };
}

/* Not held up by a pipe that nobody reads: that is refused. */
static int
file_open(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC |
	    O_NOCTTY | O_NONBLOCK, 0640);
	int flags;

	if (fd >= 0 && (flags = fcntl(fd, F_GETFL)) >= 0)
		(void)fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
	return fd;
}

/* A reader that takes its time over a socket: a usual one is full after some 250
 * lines, and lines are lost then. */
static void
make_room(int fd)
{
	int n = ROOM;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &n, sizeof(n)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &n, sizeof(n));
}

static int
open_where(const char *where)
{
	if (where == NULL || strcmp(where, "stderr") == 0)
		return STDERR_FILENO;
	if (strcmp(where, LOG_SYSLOG) == 0)
		return syslog_open();
	return file_open(where);
}

static int
open_why(const struct config *config, char **why)
{
	int fd = open_where(config->peal.log);

	if (fd < 0)
		*why = xasprintf("[peal] log: %s: %s", config->peal.log,
		    strerror(errno));
	return fd;
}

int
logfile_try(const struct config *config, char **why)
{
	int fd = open_why(config, why);

	if (fd > STDERR_FILENO)
		close(fd);
	return fd < 0 ? -1 : 0;
}

int
logfile_use(const struct config *config, char **why)
{
	/* Before it is opened: if another comes in between, that is seen. */
	struct place place = syslog_place();
	int fd = open_why(config, why), old = log_fd();

	if (fd < 0)
		return -1;
	make_room(fd);
	process_log_settings(config);
	log_to_fd(fd);
	connected = place;
	if (old > STDERR_FILENO && old != fd)
		close(old);
	return 0;
}

void
logfile_again(void)
{
	char *why;

	if (logfile_use(master.config, &why) < 0) {
		log_error("the log goes on where it was: %s", why);
		free(why);
		return;
	}
	children_log();
	log_info("log reopened");
}

void
logfile_tick(void)
{
	const char *to = master.config->peal.log;
	struct stat file;

	log_due();
	if (to == NULL || strcmp(to, LOG_SYSLOG) != 0 ||
	    stat(syslog_path(), &file) < 0 ||
	    (file.st_dev == connected.device &&
	    file.st_ino == connected.inode &&
	    file.st_ctim.tv_sec == connected.changed.tv_sec &&
	    file.st_ctim.tv_nsec == connected.changed.tv_nsec))
		return;
	logfile_again();
}
