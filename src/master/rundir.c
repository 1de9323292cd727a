/* SPDX-License-Identifier: MIT
 *
 * The directory of the control socket, see rundir.h.
 *
 * Runs in: master.
 */
#include "master/rundir.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

/* pealctl looks for sockets in it: enter and read. */
static bool
may_look(const struct stat *st, uid_t uid, gid_t gid)
{
	mode_t needed = st->st_uid == uid ? 0500 : st->st_gid == gid ? 0050 :
	    0005;

	return (st->st_mode & needed) == needed;
}

static void
let_in(int fd, const char *dir, uid_t uid, gid_t gid)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || st.st_uid != 0 || may_look(&st, uid, gid))
		return;
	if (fchown(fd, (uid_t)-1, gid) < 0 ||
	    fchmod(fd, (st.st_mode & 07777) | 0050) < 0)
		log_warn("pealctl: the service's user cannot be let into %s: "
		    "%s", dir, strerror(errno));
	else
		log_info("pealctl: the service's user is let into %s gid=%u "
		    "before=%u", dir, (unsigned)gid, (unsigned)st.st_gid);
}

static int
check(const char *dir, uid_t uid)
{
	struct stat st;

	if (stat(dir, &st) < 0)
		return -1;
	if (S_ISDIR(st.st_mode) && (st.st_uid == 0 ||
	    st.st_uid == geteuid() || st.st_uid == uid))
		return 0;
	errno = EPERM;
	return -1;
}

static int
keep(const char *dir, bool ours, uid_t uid, gid_t gid)
{
	int fd;

	if (check(dir, uid) < 0)
		return -1;
	if (!ours || geteuid() != 0)
		return 0;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0) {
		let_in(fd, dir, uid, gid);
		close(fd);
	}
	return 0;
}

int
rundir_make(const char *dir, bool ours, uid_t uid, gid_t gid)
{
	if (mkdir(dir, 0700) < 0)
		return errno == EEXIST ? keep(dir, ours, uid, gid) : -1;
	/* Whatever the umask is. */
	return geteuid() == 0 && (chown(dir, 0, gid) < 0 ||
	    chmod(dir, 0750) < 0) ? -1 : 0;
}
