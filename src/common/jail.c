/* SPDX-License-Identifier: MIT
 *
 * The jail: root directory, user, privileges, system calls.
 *
 * The lists below are what the roles were seen to need, and what the libraries
 * under them may need in a corner (malloc, abort, OpenSSL's random source).
 * What opens files is refused with EACCES rather than death: libraries try
 * that as a convenience and go on without.
 *
 * Runs in: workers, router and courier, once.  Owns: nothing.
 */
#include <config.h>		/* of configure, not our own */

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/jail.h"
#include "common/util.h"

#if defined(HAVE_SECCOMP) && !defined(SANITIZERS)
#define JAIL_SECCOMP 1
#include <seccomp.h>
#endif

/* ---- user and root directory --------------------------------------------- */

struct identity {
	uid_t	 uid;
	gid_t	 gid;
};

static int
identity_find(const char *user, struct identity *id, const char **why)
{
	const struct passwd *pw;

	errno = 0;
	if ((pw = getpwnam(user)) == NULL) {
		*why = "there is no such user";
		return -1;
	}
	id->uid = pw->pw_uid;
	id->gid = pw->pw_gid;
	return 0;
}

/* An empty directory that has no name any more: nothing is in it, and nobody
 * can put anything there. */
static int
root_leave(const char **why)
{
	char dir[] = "/tmp/peal-jail-XXXXXX";

	if (mkdtemp(dir) == NULL) {
		*why = "cannot make a directory in /tmp";
		return -1;
	}
	if (chdir(dir) < 0 || rmdir(dir) < 0 || chroot(".") < 0 ||
	    chdir("/") < 0) {
		*why = "cannot change the root directory";
		rmdir(dir);
		return -1;
	}
	return 0;
}

static int
identity_take(const struct identity *id, const char **why)
{
	if (setgroups(1, &id->gid) < 0 ||
	    setresgid(id->gid, id->gid, id->gid) < 0 ||
	    setresuid(id->uid, id->uid, id->uid) < 0) {
		*why = "cannot change the user";
		return -1;
	}
	if (id->uid != 0 && (setuid(0) == 0 || seteuid(0) == 0)) {
		*why = "root could be had back";
		return -1;
	}
	return 0;
}

/* Root steps down; anybody else stays who he is. */
static int
privileges_drop(const char *user, bool empty_root, const char **why)
{
	struct identity id = { 0, 0 };

	if (geteuid() != 0)
		return 0;
	if (user != NULL && user[0] != '\0' &&
	    identity_find(user, &id, why) < 0)
		return -1;
	if (empty_root && root_leave(why) < 0)
		return -1;
	return identity_take(&id, why);
}

/* ---- system calls -------------------------------------------------------- */

#ifdef JAIL_SECCOMP

/* What every role needs.  Where the socket calls go through socketcall(2),
 * libseccomp lets only those of the list through it. */
static const int calls_all[] = {
	/* messages and sockets that are there already */
	SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(write), SCMP_SYS(writev),
	SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(recv),
	SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(send),
	SCMP_SYS(sendmmsg), SCMP_SYS(recvmmsg), SCMP_SYS(recvmmsg_time64),
	SCMP_SYS(shutdown), SCMP_SYS(close), SCMP_SYS(dup), SCMP_SYS(lseek),
	SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
	SCMP_SYS(getsockname), SCMP_SYS(getpeername),
	SCMP_SYS(fstat), SCMP_SYS(fstat64),
	/* the loop */
	SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
	SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(ppoll_time64),
	SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime),
	SCMP_SYS(timerfd_settime64), SCMP_SYS(eventfd2),
	/* memory */
	SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
	SCMP_SYS(memfd_create), SCMP_SYS(ftruncate), SCMP_SYS(ftruncate64),
	SCMP_SYS(futex), SCMP_SYS(futex_time64), SCMP_SYS(membarrier),
	/* time and chance */
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_gettime64),
	SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep),
	SCMP_SYS(clock_nanosleep_time64), SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(getrandom),
	/* oneself */
	SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getppid),
	SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
	SCMP_SYS(getegid), SCMP_SYS(getrusage), SCMP_SYS(sysinfo),
	SCMP_SYS(uname), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
	SCMP_SYS(restart_syscall), SCMP_SYS(sigaltstack),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(sigreturn),
	SCMP_SYS(rt_sigpending), SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(exit), SCMP_SYS(exit_group),
};

static const int calls_worker[] = { SCMP_SYS(accept4), SCMP_SYS(accept) };
static const int calls_connect[] = { SCMP_SYS(connect) };
static const int calls_courier[] = {
	SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(fdatasync),
	SCMP_SYS(fallocate),
};

/* Answered with EACCES. */
static const int calls_denied[] = {
	SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(openat2),
	SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
	SCMP_SYS(stat), SCMP_SYS(stat64), SCMP_SYS(lstat), SCMP_SYS(lstat64),
	SCMP_SYS(statx), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
	SCMP_SYS(getcwd),
};

/* Allowed only with this argument: (value & mask) == want. */
struct call_argument {
	int		 call;
	unsigned	 argument;
	uint64_t	 mask, want;
};

static const struct call_argument calls_checked[] = {
	/* Nothing that can be run is ever mapped. */
	{ SCMP_SYS(mmap), 2, PROT_EXEC, 0 },
	{ SCMP_SYS(mmap2), 2, PROT_EXEC, 0 },
	{ SCMP_SYS(mprotect), 2, PROT_EXEC, 0 },
	{ SCMP_SYS(fcntl), 1, ~0ULL, F_GETFD },
	{ SCMP_SYS(fcntl), 1, ~0ULL, F_SETFD },
	{ SCMP_SYS(fcntl), 1, ~0ULL, F_GETFL },
	{ SCMP_SYS(fcntl), 1, ~0ULL, F_SETFL },
	{ SCMP_SYS(fcntl), 1, ~0ULL, F_DUPFD_CLOEXEC },
	{ SCMP_SYS(fcntl), 1, ~0ULL, F_ADD_SEALS },
	{ SCMP_SYS(fcntl), 1, ~0ULL, F_GET_SEALS },
	{ SCMP_SYS(fcntl64), 1, ~0ULL, F_GETFD },
	{ SCMP_SYS(fcntl64), 1, ~0ULL, F_SETFD },
	{ SCMP_SYS(fcntl64), 1, ~0ULL, F_GETFL },
	{ SCMP_SYS(fcntl64), 1, ~0ULL, F_SETFL },
	{ SCMP_SYS(fcntl64), 1, ~0ULL, F_DUPFD_CLOEXEC },
	{ SCMP_SYS(ioctl), 1, ~0ULL, FIONREAD },
	{ SCMP_SYS(ioctl), 1, ~0ULL, FIONBIO },
	{ SCMP_SYS(ioctl), 1, ~0ULL, TCGETS },		/* isatty() */
	{ SCMP_SYS(prlimit64), 2, ~0ULL, 0 },		/* read only */
	{ SCMP_SYS(newfstatat), 3, 0x1000, 0x1000 },	/* AT_EMPTY_PATH */
	{ SCMP_SYS(prctl), 0, ~0ULL, PR_SET_NAME },
};

static const struct call_argument calls_connect_checked[] = {
	{ SCMP_SYS(socket), 0, ~0ULL, AF_INET },
	{ SCMP_SYS(socket), 0, ~0ULL, AF_INET6 },
};

/* A call that this architecture does not have cannot be made either. */
static bool
rule_failed(int r)
{
	return r < 0 && r != -EDOM;
}

static bool
calls_add(scmp_filter_ctx filter, uint32_t action, const int *call, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (rule_failed(seccomp_rule_add(filter, action, call[i], 0)))
			return false;
	return true;
}

static bool
calls_add_checked(scmp_filter_ctx filter, const struct call_argument *c,
    size_t n)
{
	for (; n > 0; n--, c++)
		if (rule_failed(seccomp_rule_add(filter, SCMP_ACT_ALLOW,
		    c->call, 1, SCMP_CMP(c->argument, SCMP_CMP_MASKED_EQ,
		    c->mask, c->want))))
			return false;
	return true;
}

/* abort() and raise() reach nobody but ourselves. */
static bool
calls_add_signals(scmp_filter_ctx filter)
{
	struct scmp_arg_cmp self = { .arg = 0, .op = SCMP_CMP_EQ,
	    .datum_a = (scmp_datum_t)getpid() };

	return !rule_failed(seccomp_rule_add(filter, SCMP_ACT_ALLOW,
	    SCMP_SYS(tgkill), 1, self));
}

static bool
calls_add_connect(scmp_filter_ctx filter)
{
	return calls_add(filter, SCMP_ACT_ALLOW, calls_connect,
	    NELEM(calls_connect)) &&
	    calls_add_checked(filter, calls_connect_checked,
	    NELEM(calls_connect_checked));
}

static bool
filter_fill(scmp_filter_ctx filter, enum jail_role role, int mode)
{
	if (!calls_add(filter, SCMP_ACT_ALLOW, calls_all, NELEM(calls_all)))
		return false;
	if (role == JAIL_WORKER && !calls_add(filter, SCMP_ACT_ALLOW,
	    calls_worker, NELEM(calls_worker)))
		return false;
	if ((role == JAIL_ROUTER_BACKPLANE || role == JAIL_COURIER) &&
	    !calls_add_connect(filter))
		return false;
	if (role == JAIL_COURIER && !calls_add(filter, SCMP_ACT_ALLOW,
	    calls_courier, NELEM(calls_courier)))
		return false;
	if (mode == JAIL_ON && !calls_add(filter, SCMP_ACT_ERRNO(EACCES),
	    calls_denied, NELEM(calls_denied)))
		return false;
	return calls_add_checked(filter, calls_checked,
	    NELEM(calls_checked)) && calls_add_signals(filter);
}

static int
calls_lock(enum jail_role role, int mode, const char **why)
{
	uint32_t otherwise =
	    mode == JAIL_LOG ? SCMP_ACT_LOG : SCMP_ACT_KILL_PROCESS;
	scmp_filter_ctx filter = seccomp_init(otherwise);
	int r = -1;

	if (filter == NULL) {
		*why = "no memory for the list of system calls";
		return -1;
	}
	/* So that the kernel's log names the call; older ones cannot. */
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
	if (filter_fill(filter, role, mode))
		r = seccomp_load(filter);
	seccomp_release(filter);
	if (r < 0) {
		*why = "the kernel did not take the list of system calls";
		return -1;
	}
	return 0;
}

#else

static int
calls_lock(enum jail_role role, int mode, const char **why)
{
	(void)role;
	(void)mode;
	(void)why;
	return 0;
}

#endif

/* ---- the whole ----------------------------------------------------------- */

int
jail_enter(enum jail_role role, const char *user, int mode, const char **why)
{
	bool locked = mode != JAIL_OFF;

	/* The first formatted time opens /etc/localtime; do it now. */
	tzset();
#ifdef SANITIZERS
	/* Their reports need files, ptrace and more. */
	locked = false;
#endif
	if (privileges_drop(user, locked, why) < 0)
		return -1;
	if (!locked)
		return 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		*why = "cannot give up new privileges";
		return -1;
	}
	/* Memory holds secrets: no core files, no debugger of the same user. */
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	return calls_lock(role, mode, why);
}

const char *
jail_describe(void)
{
#if defined(SANITIZERS)
	return "none";
#elif defined(JAIL_SECCOMP)
	return geteuid() == 0 ? "seccomp and chroot" : "seccomp";
#else
	return geteuid() == 0 ? "chroot" : "none";
#endif
}
