/* SPDX-License-Identifier: MIT
 *
 * Starting a process in a role.
 *
 * Runs in: master, and for a moment in the child, between fork and exec.
 */
#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/util.h"
#include "master/spawn.h"

#define LINK_FD	3

/* What a child may see of the environment. */
static const char *const kept[] = {
	"PATH", "TZ", "LANG", "LC_ALL", "TMPDIR", "MALLOC_ARENA_MAX",
	"OPENSSL_CONF", "OPENSSL_MODULES", "EVENT_NOEPOLL",
	"ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS",
	"LLVM_PROFILE_FILE", "GCOV_PREFIX", "GCOV_PREFIX_STRIP",
};

static void
environment_fill(char *env[NELEM(kept) + 1])
{
	const char *value;
	size_t n = 0;

	for (size_t i = 0; i < NELEM(kept); i++)
		if ((value = getenv(kept[i])) != NULL)
			env[n++] = xasprintf("%s=%s", kept[i], value);
	env[n] = NULL;
}

/* The file may have been replaced by another release, whose messages may
 * differ: then the one that runs is started, which the kernel still has. */
static const char *
exe_to_run(const char *exe)
{
	static const char running[] = "/proc/self/exe";
	struct stat file, self;

	if (stat(exe, &file) == 0 && stat(running, &self) == 0 &&
	    file.st_dev == self.st_dev && file.st_ino == self.st_ino)
		return exe;
	return running;
}

static void
signals_reset(void)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT,
		SIGPIPE };

	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	for (size_t i = 0; i < NELEM(ignored); i++)
		signal(ignored[i], SIG_IGN);
}

/* Descriptor 3 is the link, 0 is nothing, the rest is not for children: not
 * even what whoever started the master left open. */
static int
descriptors_settle(int link)
{
	int null;

	if (link == LINK_FD) {
		if (fd_cloexec(link, 0) < 0)
			return -1;
	} else if (dup2(link, LINK_FD) < 0) {
		return -1;
	}
	if ((null = open("/dev/null", O_RDWR | O_CLOEXEC)) >= 0 && null != 0)
		(void)dup2(null, 0);
	if (syscall(SYS_close_range, LINK_FD + 1, ~0U, 0) < 0)
		for (int fd = LINK_FD + 1; fd < 1024; fd++)
			close(fd);
	return 0;
}

_Noreturn static void
become(const char *exe, const char *title, int link, char **env)
{
	static const char words[] = "peald: cannot start a process\n";
	char *name = xstrdup(title);
	char *const args[] = { name, NULL };
	sigset_t none;

	signals_reset();
	if (descriptors_settle(link) == 0) {
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		execve(exe_to_run(exe), args, env);
	}
	(void)!write(2, words, sizeof(words) - 1);
	_exit(127);
}

pid_t
spawn(const char *exe, const char *title, int link, const char **why)
{
	char *env[NELEM(kept) + 1];
	sigset_t all, before;
	pid_t pid;

	environment_fill(env);
	/* libevent's handlers write to the master's own pipe: none of them may
	 * run in the child. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		become(exe, title, link, env);
	if (pid < 0)
		*why = strerror(errno);
	sigprocmask(SIG_SETMASK, &before, NULL);
	for (size_t i = 0; env[i] != NULL; i++)
		free(env[i]);
	return pid;
}
