/* SPDX-License-Identifier: MIT
 *
 * Finding the socket of a running peald, and one question and its answer.
 *
 * Runs in: pealctl.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <glob.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/config.h"
#include "common/util.h"
#include "ctl/talk.h"

#ifndef SYSCONFDIR
#define SYSCONFDIR	"/etc"
#endif
#define FILE_DEFAULT	SYSCONFDIR "/peal/peal.ini"

static int
dial(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd, saved;

	if (strlen(path) >= sizeof(to.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(to.sun_path, path, strlen(path) + 1);
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

static bool
answers(const char *path)
{
	int fd = dial(path);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* ---- finding ------------------------------------------------------------- */

/* What the service takes from elsewhere, such as its applications from an
 * --env-file, is not in the file. */
static char *
path_of_settings(const char *file, char **why)
{
	struct config_source source = { .file = file, .environ_ = environ,
	    .unchecked = true };
	struct config *config = config_load(&source, why);
	char *path;

	if (config == NULL)
		return NULL;
	path = config_control_path(config);
	config_free(config);
	return path;
}

static char *
path_of_default(void)
{
	char *path, *why = NULL;

	if (access(FILE_DEFAULT, R_OK) < 0)
		return NULL;
	path = path_of_settings(FILE_DEFAULT, &why);
	free(why);
	if (path != NULL && !answers(path)) {
		free(path);
		path = NULL;
	}
	return path;
}

/* In a directory of another user a socket may be anybody's. */
static bool
trusted(const char *path)
{
	const char *slash = strrchr(path, '/');
	struct stat st;
	char *dir;
	int r;

	dir = bytes_dup(bytes_of(path, (size_t)(slash - path)));
	r = stat(dir, &st);
	free(dir);
	return r == 0 && (st.st_uid == 0 || st.st_uid == geteuid());
}

static bool
same_place(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 &&
	    x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Where sockets may be.  XDG_RUNTIME_DIR may be one of the other two. */
static void
runtime_patterns(char *pattern[3])
{
	const char *own = getenv("XDG_RUNTIME_DIR");
	char *tmp = xasprintf("/tmp/peal-%u", (unsigned)geteuid());

	pattern[0] = xstrdup("/run/peal/*.sock");
	pattern[1] = xasprintf("%s/*.sock", tmp);
	pattern[2] = NULL;
	if (own != NULL && own[0] == '/' && !same_place(own, "/run/peal") &&
	    !same_place(own, tmp))
		pattern[2] = xasprintf("%s/peal-*.sock", own);
	free(tmp);
}

/* Sockets in the runtime directories that somebody answers on. */
static char *
path_of_runtime(char **why)
{
	char *patterns[3], *found = NULL;
	struct buf list = { 0 };
	unsigned n = 0;
	glob_t files;

	runtime_patterns(patterns);
	for (size_t i = 0; i < NELEM(patterns); i++) {
		if (patterns[i] == NULL ||
		    glob(patterns[i], 0, NULL, &files) != 0)
			continue;
		for (size_t k = 0; k < files.gl_pathc; k++) {
			if (!trusted(files.gl_pathv[k]) ||
			    !answers(files.gl_pathv[k]))
				continue;
			buf_fmt(&list, "\n  %s", files.gl_pathv[k]);
			free(found);
			found = xstrdup(files.gl_pathv[k]);
			n++;
		}
		globfree(&files);
	}
	for (size_t i = 0; i < NELEM(patterns); i++)
		free(patterns[i]);
	if (n > 1) {
		*why = xasprintf("several are running; say which with "
		    "--socket, or -c FILE:%s", buf_cstr(&list));
		free(found);
		found = NULL;
	} else if (n == 0) {
		*why = xstrdup("no peald is running here that you may speak "
		    "to; -c FILE or --socket PATH says where one is");
	}
	buf_done(&list);
	return found;
}

char *
talk_find(const char *file, const char *path, char **why)
{
	char *found;

	*why = NULL;
	if (path != NULL)
		return xstrdup(path);
	if (file != NULL)
		return path_of_settings(file, why);
	if ((found = path_of_default()) != NULL)
		return found;
	return path_of_runtime(why);
}

/* ---- speaking ------------------------------------------------------------ */

static int
send_all(int fd, struct bytes line)
{
	ssize_t n;

	while (line.n > 0) {
		n = send(fd, line.p, line.n, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		line = bytes_skip(line, (size_t)n);
	}
	return 0;
}

static int
read_all(int fd, struct buf *answer)
{
	ssize_t n;

	for (;;) {
		n = recv(fd, buf_room(answer, 65536), 65536, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return (int)n;
		answer->n += (size_t)n;
	}
}

static int
dial_why(const char *path, char **why)
{
	int fd = dial(path);

	if (fd < 0)
		*why = errno == EACCES || errno == EPERM ?
		    xasprintf("%s: only root and the peal user may speak to "
			"peald", path) :
		    errno == ENOENT || errno == ECONNREFUSED ?
		    xasprintf("%s: no peald is running there", path) :
		    xasprintf("%s: %s", path, strerror(errno));
	return fd;
}

int
talk(const char *path, struct bytes line, struct buf *answer, char **why)
{
	int fd = dial_why(path, why), r;

	if (fd < 0)
		return -1;
	/* A refusal may be there before all was sent. */
	(void)!send_all(fd, line);
	r = read_all(fd, answer);
	if (r < 0 && answer->n == 0)
		*why = xasprintf("%s: %s", path, strerror(errno));
	close(fd);
	return r < 0 && answer->n == 0 ? -1 : 0;
}

/* Gives whole lines; false when enough was given. */
static bool
give_lines(struct buf *in, bool (*take)(void *, struct bytes), void *arg)
{
	struct bytes rest = buf_view(in);
	ptrdiff_t end;
	bool more = true;

	while (more && (end = bytes_find(rest, '\n')) >= 0) {
		more = take(arg, bytes_of(rest.p, (size_t)end));
		rest = bytes_skip(rest, (size_t)end + 1);
	}
	memmove(in->p, rest.p, rest.n);
	in->n = rest.n;
	return more;
}

/* Until there is something to read; false if whoever reads `out`, a pipe or the
 * like, has gone. */
static bool
wait_readable(int fd, int out)
{
	struct pollfd p[2] = { { .fd = fd, .events = POLLIN }, { .fd = out } };

	(void)!poll(p, NELEM(p), -1);
	return (p[1].revents & (POLLERR | POLLHUP)) == 0;
}

int
talk_stream(const char *path, struct bytes line,
    bool (*take)(void *, struct bytes), void *arg, int out,
    const volatile sig_atomic_t *stop, char **why)
{
	int fd = dial_why(path, why), r = 0;
	struct buf in = { 0 };
	bool more = true;
	ssize_t n;

	if (fd < 0)
		return -1;
	(void)!send_all(fd, line);
	while (more && (stop == NULL || !*stop)) {
		if (out >= 0 && !wait_readable(fd, out)) {
			r = 1;
			break;
		}
		n = recv(fd, buf_room(&in, 65536), 65536, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		in.n += (size_t)n;
		more = give_lines(&in, take, arg);
	}
	close(fd);
	buf_done(&in);
	return r;
}

bool
talk_line(struct bytes answer, size_t *pos, struct json *line)
{
	struct bytes rest;
	ptrdiff_t end;
	const char *why;

	if (*pos >= answer.n)
		return false;
	rest = bytes_skip(answer, *pos);
	end = bytes_find(rest, '\n');
	if (end < 0)
		return false;
	*pos += (size_t)end + 1;
	rest.n = (size_t)end;
	return json_parse(rest, line, &why) == 0 && line->type == JSON_OBJECT;
}
