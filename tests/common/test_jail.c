/* SPDX-License-Identifier: MIT
 *
 * Tests src/common/jail.c: each case is a process that is locked in and then
 * tries something.  What cannot be tried here just returns: some releases of
 * cmocka print skip() as a failure.
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
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/jail.h"

/* In this build, and in what runs it (valgrind has no seccomp). */
static bool
has_seccomp(void)
{
	uint32_t action = SECCOMP_RET_KILL_PROCESS;

	return strstr(jail_describe(), "seccomp") != NULL &&
	    syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

/* Status of a process that does this in the jail. */
static int
locked_in(enum jail_role role, const char *user, int mode, int (*run)(void))
{
	const char *why;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (jail_enter(role, user, mode, &why) < 0)
			_exit(99);
		_exit(run());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

#define KILLED(status)	(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)

/* ---- what a worker must be able to do ------------------------------------ */

static int listening, pair[2], journal;

static int
do_sockets(void)
{
	char room[16], control[CMSG_SPACE(sizeof(int))];
	struct iovec v = { room, sizeof(room) };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	struct mmsghdr many = { .msg_hdr = { .msg_iov = &v, .msg_iovlen = 1 } };
	int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int on = 1, epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event e = { .events = EPOLLIN };

	if (fd < 0 || epoll < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) < 0 ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) < 0 ||
	    epoll_wait(epoll, &e, 1, 0) < 0)
		return 1;
	/* A descriptor to another process, and one from there. */
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	if (sendmsg(pair[0], &m, MSG_NOSIGNAL) < 0 ||
	    recvmsg(pair[1], &m, MSG_CMSG_CLOEXEC) < 0)
		return 2;
	if (sendmmsg(pair[0], &many, 1, MSG_NOSIGNAL) != 1 ||
	    recvmmsg(pair[1], &many, 1, MSG_CMSG_CLOEXEC, NULL) != 1)
		return 4;
	return shutdown(fd, SHUT_RDWR) < 0 || close(fd) < 0 ? 3 : 0;
}

static int
do_memory(void)
{
	char *p;

	for (size_t n = 1; n < (size_t)64 << 20; n *= 3) {
		if ((p = malloc(n)) == NULL || (p = realloc(p, 2 * n)) == NULL)
			return 1;
		memset(p, 1, 2 * n);
		free(p);
	}
	if (memfd_create("state", MFD_CLOEXEC) < 0)
		return 2;
	return 0;
}

static int
do_time(void)
{
	time_t now = time(NULL);
	struct tm tm;
	char text[64];

	gmtime_r(&now, &tm);
	localtime_r(&now, &tm);
	strftime(text, sizeof(text), "%F %T %Z", &tm);
	return text[0] == '\0';
}

static void
test_allowed(void **state)
{
	int (*const all[])(void) = { do_sockets, do_memory, do_time };
	struct sockaddr_storage at = { .ss_family = AF_UNIX };
	socklen_t n = sizeof(at);
	int fd;

	(void)state;
	if (!has_seccomp())
		return;
	listening = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(listening, (struct sockaddr *)&at,
	    sizeof(sa_family_t)), 0);
	assert_int_equal(listen(listening, 1), 0);
	assert_int_equal(getsockname(listening, (struct sockaddr *)&at, &n), 0);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, n), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		assert_int_equal(locked_in(JAIL_WORKER, NULL, JAIL_ON, all[i]),
		    0);
	close(fd);
	close(pair[0]);
	close(pair[1]);
	close(listening);
}

/* ---- what nobody in there may do ----------------------------------------- */

static int
do_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) >= 0;
}

static int
do_connect(void)
{
	struct sockaddr to = { .sa_family = AF_UNIX };

	return connect(pair[0], &to, sizeof(to));
}

/* To the closed port 1 of this host. */
static int
do_broker(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(1),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 || connect(fd, (struct sockaddr *)&to,
	    sizeof(to)) == 0 || errno != ECONNREFUSED ||
	    socket(AF_INET6, SOCK_STREAM, 0) == -2;
}

/* A journal, in a file that was open before. */
static int
do_journal(void)
{
	char room[4];

	return pwrite(journal, "kept", 4, 10) != 4 ||
	    pread(journal, room, 4, 10) != 4 || fdatasync(journal) < 0 ||
	    ftruncate(journal, 0) < 0;
}

static int
do_unix_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) >= 0;
}

static int
do_exec(void)
{
	char name[] = "sh", *const args[] = { name, NULL };

	return execve("/bin/sh", args, NULL);
}

static int
do_fork(void)
{
	return fork() > 0;
}

static int
do_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

static int
do_kill(void)
{
	return kill(getppid(), 0);
}

static int
do_accept(void)
{
	return accept4(0, NULL, NULL, 0) >= 0;
}

static int
do_open(void)
{
	return open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES ? 0 : 1;
}

static int
do_abort(void)
{
	abort();
}

static void
test_killed(void **state)
{
	int (*const all[])(void) = { do_socket, do_connect, do_exec, do_fork,
		do_code, do_kill };

	(void)state;
	if (!has_seccomp())
		return;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		assert_true(KILLED(locked_in(JAIL_WORKER, NULL, JAIL_ON,
		    all[i])));
		assert_true(KILLED(locked_in(JAIL_ROUTER, NULL, JAIL_ON,
		    all[i])));
	}
}

static void
test_roles(void **state)
{
	int status;

	(void)state;
	if (!has_seccomp())
		return;
	assert_true(KILLED(locked_in(JAIL_ROUTER, NULL, JAIL_ON, do_accept)));
	assert_true(KILLED(locked_in(JAIL_ROUTER_BACKPLANE, NULL, JAIL_ON,
	    do_accept)));
	assert_true(KILLED(locked_in(JAIL_ROUTER_BACKPLANE, NULL, JAIL_ON,
	    do_unix_socket)));
	assert_int_equal(locked_in(JAIL_ROUTER_BACKPLANE, NULL, JAIL_ON,
	    do_broker), 0);
	journal = memfd_create("journal", MFD_CLOEXEC);
	assert_int_equal(locked_in(JAIL_COURIER, NULL, JAIL_ON, do_journal),
	    0);
	assert_int_equal(locked_in(JAIL_COURIER, NULL, JAIL_ON, do_broker), 0);
	assert_true(KILLED(locked_in(JAIL_COURIER, NULL, JAIL_ON, do_accept)));
	assert_true(KILLED(locked_in(JAIL_COURIER, NULL, JAIL_ON,
	    do_unix_socket)));
	assert_true(KILLED(locked_in(JAIL_ROUTER, NULL, JAIL_ON, do_journal)));
	close(journal);
	assert_int_equal(locked_in(JAIL_WORKER, NULL, JAIL_ON, do_accept), 0);
	assert_int_equal(locked_in(JAIL_WORKER, NULL, JAIL_ON, do_open), 0);
	/* A broken invariant still ends as one. */
	status = locked_in(JAIL_WORKER, NULL, JAIL_ON, do_abort);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void
test_log_lets_pass(void **state)
{
	(void)state;
	if (!has_seccomp())
		return;
	assert_int_equal(locked_in(JAIL_WORKER, NULL, JAIL_LOG, do_fork),
	    1 << 8);
}

/* ---- user and root directory --------------------------------------------- */

static uid_t wanted;

static int
is_wanted(void)
{
	gid_t groups[8];

	return getuid() != wanted || geteuid() != wanted ||
	    getgroups(8, groups) > 1 || setuid(0) == 0;
}

/* Without the list of system calls, so that it can be looked at. */
static int
root_is_empty(void)
{
	return access("/etc", F_OK) == 0 || access("/proc", F_OK) == 0 ||
	    mkdir("/x", 0700) == 0;
}

static void
test_user(void **state)
{
	struct passwd *pw = getpwnam("nobody");
	const char *why;

	(void)state;
	if (geteuid() != 0 || pw == NULL)
		return;
	wanted = pw->pw_uid;
	assert_int_equal(locked_in(JAIL_WORKER, "nobody", JAIL_OFF, is_wanted),
	    0);
	assert_int_equal(jail_enter(JAIL_WORKER, "no-such-user", JAIL_OFF,
	    &why), -1);
	assert_non_null(strstr(why, "user"));
	if (has_seccomp())
		assert_int_equal(locked_in(JAIL_WORKER, "nobody", JAIL_LOG,
		    root_is_empty), 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_allowed),
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_roles),
		cmocka_unit_test(test_log_lets_pass),
		cmocka_unit_test(test_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
