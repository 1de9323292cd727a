/* SPDX-License-Identifier: MIT
 *
 * The files of the courier's journal: see spool.h.
 *
 * Runs in: master.  Owns: see spool.h.
 */
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "master/spool.h"
#include "master/state.h"

#define TRY_MS	100	/* between two tries to lock */

struct spool {
	int	 fd[SPOOL_FILES];	/* -1: none */
	char	*path;			/* of the directory; NULL: memory */
};

static struct spool used = { { -1, -1 }, NULL };
static struct spool next = { { -1, -1 }, NULL };
static bool committed;		/* next is to be used */

static const char *const names[SPOOL_FILES] = { "peal-0.journal",
	"peal-1.journal" };

static void
spool_close(struct spool *s)
{
	for (unsigned i = 0; i < SPOOL_FILES; i++) {
		if (s->fd[i] >= 0)
			close(s->fd[i]);
		s->fd[i] = -1;
	}
	free(s->path);
	s->path = NULL;
}

static bool
is_open(const struct spool *s)
{
	return s->fd[0] >= 0;
}

/* ---- a directory --------------------------------------------------------- */

static int
directory_open(const char *path, char **why)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		*why = xasprintf("[courier] spool: %s: %s%s", path,
		    strerror(errno), errno == ENOENT ? " (it is not made by "
		    "itself)" : "");
	return fd;
}

int
spool_check(const struct config *config, char **why)
{
	const char *path = config->courier.spool;
	int fd, r;

	if (config->n_webhook == 0 || path == NULL)
		return 0;
	if ((fd = directory_open(path, why)) < 0)
		return -1;
	/* As root it is the service's user that will own the files. */
	r = faccessat(fd, ".", W_OK | X_OK, AT_EACCESS);
	if (r < 0)
		*why = xasprintf("[courier] spool: %s: %s", path,
		    strerror(errno));
	close(fd);
	return r;
}

/* ---- a file -------------------------------------------------------------- */

/* A name that somebody else has put there must lead nowhere. */
static const char *
trouble(int fd, uid_t uid)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "is no plain file";
	if (st.st_nlink != 1)
		return "has a second name";
	if (st.st_uid != uid && st.st_uid != geteuid())
		return "belongs to another user than [peal] user";
	return NULL;
}

static int
file_open(int dir, const char *name, uid_t uid, gid_t gid, const char **why)
{
	const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK |
	    O_NOCTTY;
	int fd = openat(dir, name, flags | O_CREAT, 0600);

	*why = NULL;
	if (fd < 0 || (*why = trouble(fd, uid)) != NULL ||
	    (geteuid() == 0 && fchown(fd, uid, gid) < 0) ||
	    fchmod(fd, 0600) < 0) {
		if (*why == NULL)
			*why = errno == ELOOP ? "is a symbolic link" :
			    strerror(errno);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

/* A courier that lost its master lets go in a moment.  That one waits is said,
 * once for all files. */
static int
file_lock(int fd, const char *path, unsigned wait_ms, bool *said)
{
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EINTR && (errno != EWOULDBLOCK ||
		    wait_ms < TRY_MS))
			return -1;
		if (!*said && errno == EWOULDBLOCK) {
			*said = true;
			log_info("the spool is open elsewhere: waiting for it "
			    "path=%s most_ms=%u",
			    log_value(bytes_str(path)), wait_ms);
		}
		(void)poll(NULL, 0, TRY_MS);
		wait_ms = wait_ms < TRY_MS ? 0 : wait_ms - TRY_MS;
	}
	return 0;
}

/* Files that were made must be there, too, when the power is back. */
static int
directory_sync(int dir)
{
	if (fsync(dir) == 0 || errno == EINVAL)	/* it cannot be synced */
		return 0;
	return -1;
}

static int
directory_use(struct spool *s, const char *path, uid_t uid, gid_t gid,
    unsigned wait_ms, char **why)
{
	const char *words = NULL;
	int dir = directory_open(path, why);
	bool said = false;
	unsigned i;

	if (dir < 0)
		return -1;
	for (i = 0; i < SPOOL_FILES; i++) {
		s->fd[i] = file_open(dir, names[i], uid, gid, &words);
		if (s->fd[i] < 0)
			break;
		if (file_lock(s->fd[i], path, wait_ms, &said) < 0) {
			words = errno == EWOULDBLOCK ? "another peald has it "
			    "open: each needs a directory of its own" :
			    strerror(errno);
			break;
		}
	}
	if (i == SPOOL_FILES && directory_sync(dir) == 0) {
		close(dir);
		s->path = xstrdup(path);
		return 0;
	}
	if (i == SPOOL_FILES)
		*why = xasprintf("[courier] spool: %s: %s", path,
		    strerror(errno));
	else
		*why = xasprintf("[courier] spool: %s/%s: %s", path, names[i],
		    words);
	close(dir);
	spool_close(s);
	return -1;
}

static int
memory_use(struct spool *s, char **why)
{
	for (unsigned i = 0; i < SPOOL_FILES; i++) {
		s->fd[i] = memfd_create(names[i], MFD_CLOEXEC);
		if (s->fd[i] >= 0)
			continue;
		*why = xasprintf("no memory for the courier's journal: %s",
		    strerror(errno));
		spool_close(s);
		return -1;
	}
	return 0;
}

/* ---- another one --------------------------------------------------------- */

/* A path may be written in several ways. */
static bool
is_at(const struct spool *s, const char *path)
{
	struct stat here, there;
	char *file;
	int r;

	if (!is_open(s) || (path == NULL) != (s->path == NULL))
		return false;
	if (path == NULL)
		return true;
	file = xasprintf("%s/%s", path, names[0]);
	r = lstat(file, &there);
	free(file);
	return r == 0 && fstat(s->fd[0], &here) == 0 &&
	    here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

int
spool_prepare(const struct config *config, uid_t uid, gid_t gid,
    unsigned wait_ms, char **why)
{
	const char *path = config->courier.spool;

	spool_undo();
	if (config->n_webhook == 0 || is_at(committed ? &next : &used, path))
		return 0;
	if (committed) {
		*why = xstrdup("[courier] spool: the last change of it is "
		    "under way: try again");
		return -1;
	}
	return path == NULL ? memory_use(&next, why) :
	    directory_use(&next, path, uid, gid, wait_ms, why);
}

void
spool_undo(void)
{
	if (!committed)
		spool_close(&next);
}

void
spool_commit(void)
{
	committed = is_open(&next);
}

bool
spool_waits(void)
{
	return committed;
}

void
spool_drop(void)
{
	spool_close(&used);
	spool_close(&next);
	committed = false;
}

static int
copy(int from, int to)
{
	char room[65536];
	off_t at = 0;
	ssize_t n;

	if (ftruncate(to, 0) < 0)
		return -1;
	while ((n = pread(from, room, sizeof(room), at)) > 0) {
		if (pwrite(to, room, (size_t)n, at) != n)
			return -1;
		at += n;
	}
	return n < 0 ? -1 : fdatasync(to);
}

static bool
is_empty(const struct spool *s)
{
	struct stat st;

	for (unsigned i = 0; i < SPOOL_FILES; i++)
		if (fstat(s->fd[i], &st) < 0 || st.st_size != 0)
			return false;
	return true;
}

static const char *
name_of(const struct spool *s)
{
	return s->path != NULL ? s->path : "memory";
}

/* What the old files hold must be in the new ones before it leaves the old, or it
 * would be sent twice by who opens those again. */
static void
carry(void)
{
	unsigned i;

	if (is_empty(&used))
		return;
	if (!is_empty(&next)) {
		log_warn("the spool is another one and not empty: what waits "
		    "in the old one %s from=%s to=%s", used.path != NULL ?
		    "stays there" : "is lost", name_of(&used), name_of(&next));
		return;
	}
	for (i = 0; i < SPOOL_FILES; i++)
		if (copy(used.fd[i], next.fd[i]) < 0)
			break;
	if (i < SPOOL_FILES)
		log_error("what waits for webhooks could not be moved: %s "
		    "from=%s to=%s", strerror(errno), name_of(&used),
		    name_of(&next));
	else
		for (i = 0; i < SPOOL_FILES; i++)
			(void)!ftruncate(used.fd[i], 0);
}

void
spool_turn(void)
{
	if (!committed)
		return;
	if (is_open(&used))
		carry();
	spool_close(&used);
	used = next;
	next = (struct spool){ { -1, -1 }, NULL };
	committed = false;
}

/* ---- in use -------------------------------------------------------------- */

int
spool_fd(unsigned index)
{
	return used.fd[index];
}

bool
spool_durable(void)
{
	return used.path != NULL;
}

/* What waits for the end of a courier is closed by the exec: the reload behind it
 * prepares it anew. */
void
spool_save(struct state *s)
{
	s->spool_0 = used.fd[0];
	s->spool_1 = used.fd[1];
	s->spool = used.path != NULL ? xstrdup(used.path) : NULL;
}

void
spool_restore(const struct state *s)
{
	if (s->spool_0 < 0 || s->spool_1 < 0)
		return;
	used.fd[0] = s->spool_0;
	used.fd[1] = s->spool_1;
	free(used.path);
	used.path = s->spool != NULL ? xstrdup(s->spool) : NULL;
}
