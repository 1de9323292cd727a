/* SPDX-License-Identifier: MIT
 *
 * Memory, clocks, random numbers, descriptors, the title; see util.h.
 */
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"

/* ---- memory ------------------------------------------------------------- */

static void *
checked(void *p, size_t size)
{
	if (p == NULL)
		fatal("out of memory (%zu octets)", size);
	return p;
}

void *
xmalloc(size_t size)
{
	return checked(malloc(size != 0 ? size : 1), size);
}

void *
xcalloc(size_t n, size_t size)
{
	size_t all;

	if (__builtin_mul_overflow(n, size, &all))
		fatal("%zu times %zu octets is no size", n, size);
	return checked(calloc(1, all != 0 ? all : 1), all);
}

void *
xrealloc(void *p, size_t size)
{
	return checked(realloc(p, size != 0 ? size : 1), size);
}

void *
xreallocarray(void *p, size_t n, size_t size)
{
	size_t all;

	if (__builtin_mul_overflow(n, size, &all))
		fatal("%zu times %zu octets is no size", n, size);
	return xrealloc(p, all);
}

char *
xstrdup(const char *s)
{
	size_t n = strlen(s) + 1;

	return memcpy(xmalloc(n), s, n);
}

char *
xasprintf(const char *format, ...)
{
	struct buf text = { 0 };
	va_list args;

	va_start(args, format);
	buf_vfmt(&text, format, args);
	va_end(args);
	return buf_cstr(&text);
}

/* ---- clocks ------------------------------------------------------------- */

static struct timespec
clock_read(clockid_t which)
{
	struct timespec ts;

	if (clock_gettime(which, &ts) < 0)
		fatal("clock_gettime: %s", strerror(errno));
	return ts;
}

static uint64_t
clock_read_ms(clockid_t which)
{
	struct timespec ts = clock_read(which);

	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

uint64_t
clock_ms(void)
{
	return clock_read_ms(CLOCK_MONOTONIC);
}

uint64_t
clock_ns(void)
{
	struct timespec ts = clock_read(CLOCK_MONOTONIC);

	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

uint64_t
clock_wall_ms(void)
{
	return clock_read_ms(CLOCK_REALTIME);
}

struct timeval
timeval_ms(uint64_t ms)
{
	return (struct timeval){ .tv_sec = (time_t)(ms / 1000),
		.tv_usec = (suseconds_t)(ms % 1000 * 1000) };
}

/* ---- random numbers ----------------------------------------------------- */

void
random_fill(void *to, size_t n)
{
	char *p = to;
	ssize_t got;

	while (n > 0) {
		got = getrandom(p, n, 0);
		if (got < 0) {
			if (errno == EINTR)
				continue;
			fatal("getrandom: %s", strerror(errno));
		}
		p += got;
		n -= (size_t)got;
	}
}

/* Many at a time: a connection takes two. */
static uint32_t
random_word(void)
{
	static uint32_t words[64];
	static unsigned left;

	if (left == 0) {
		random_fill(words, sizeof(words));
		left = NELEM(words);
	}
	return words[--left];
}

uint32_t
random_1_to(uint32_t limit)
{
	uint32_t drawn, fair;

	if (limit == 0)
		fatal("a random number in an empty range");
	/* The 2^32 numbers in whole runs of limit; what is over is unfair. */
	fair = (UINT32_MAX % limit + 1) % limit;
	do
		drawn = random_word();
	while (drawn < fair);
	return drawn % limit + 1;
}

/* ---- descriptors -------------------------------------------------------- */

int
fd_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -1;
	if ((flags & O_NONBLOCK) != 0)
		return 0;
	return fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -1 : 0;
}

int
fd_cloexec(int fd, int on)
{
	int flags = fcntl(fd, F_GETFD);

	if (flags < 0)
		return -1;
	flags = on ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC;
	return fcntl(fd, F_SETFD, flags) < 0 ? -1 : 0;
}

void
fd_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

#define PATIENCE	3000	/* ms; the master waits, too, and is watched */

static ssize_t
read_until(int fd, void *to, size_t n, uint64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t now;
	ssize_t got;
	int r;

	do {
		now = clock_ms();
		r = poll(&p, 1, now < deadline ? (int)(deadline - now) : 0);
		got = r > 0 ? read(fd, to, n) : -1;
		if (r == 0)
			errno = ENODATA;
	} while (got < 0 && (errno == EINTR || errno == EAGAIN));
	return got;
}

/* A pipe that nobody writes to would hold up open(2), and then read(2). */
int
file_read(const char *path, size_t max, struct buf *to)
{
	uint64_t deadline = clock_ms() + PATIENCE;
	size_t before = to->n;
	ssize_t n = -1;
	int fd, saved;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -1;
	while ((n = read_until(fd, buf_room(to, 16384), 16384, deadline)) > 0) {
		to->n += (size_t)n;
		if (to->n - before > max) {
			errno = EFBIG;
			n = -1;
			break;
		}
	}
	saved = errno;
	close(fd);
	errno = saved;
	return n < 0 ? -1 : 0;
}

union control {
	struct cmsghdr	align;
	char		room[CMSG_SPACE(sizeof(int))];
};

ssize_t
fd_send(int to, const void *p, size_t n, int fd)
{
	union control control;
	struct iovec io = { (void *)(uintptr_t)p, n };
	struct msghdr m = {
		.msg_iov = &io, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};

	memset(&control, 0, sizeof(control));
	control.align.cmsg_level = SOL_SOCKET;
	control.align.cmsg_type = SCM_RIGHTS;
	control.align.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.align), &fd, sizeof(int));
	return sendmsg(to, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

ssize_t
fd_recv(int from, void *p, size_t n, int *fd)
{
	union control control;
	struct iovec io = { p, n };
	struct msghdr m = {
		.msg_iov = &io, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	ssize_t got = recvmsg(from, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	*fd = -1;
	if (got >= 0 && m.msg_controllen >= CMSG_LEN(sizeof(int)) &&
	    control.align.cmsg_level == SOL_SOCKET &&
	    control.align.cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(&control.align), sizeof(int));
	return got;
}

uint64_t
fd_limit_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 0;
	if (limit.rlim_cur < limit.rlim_max) {
		rlim_t before = limit.rlim_cur;

		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			return before;
	}
	return limit.rlim_cur;
}

/* ---- title -------------------------------------------------------------- */

static struct {
	char	*at;
	size_t	 size;
} title;

/* Takes string into the area if it stands right behind it; a copy of it. */
static char *
title_claim(char *string)
{
	size_t n = strlen(string) + 1;

	if (title.at == NULL)
		title.at = string;
	if (string == title.at + title.size)
		title.size += n;
	return xstrdup(string);
}

void
title_init(int argc, char **argv)
{
	static char **copy;
	size_t n = 0;

	for (int i = 0; i < argc; i++)
		argv[i] = title_claim(argv[i]);
	while (environ != NULL && environ[n] != NULL)
		n++;
	copy = xcalloc(n + 1, sizeof(*copy));
	for (size_t i = 0; i < n; i++)
		copy[i] = title_claim(environ[i]);
	environ = copy;
	/* This stands in argv[0], too. */
	program_invocation_short_name = xstrdup(program_invocation_short_name);
}

void
title_set(const char *format, ...)
{
	char text[200];
	va_list args;
	size_t n;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	prctl(PR_SET_NAME, text);
	if (title.size == 0)
		return;
	n = strlen(text);
	if (n >= title.size)
		n = title.size - 1;
	memcpy(title.at, text, n);
	memset(title.at + n, 0, title.size - n);
}
