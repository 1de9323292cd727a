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

#include "common/process.h"
#include "common/util.h"
#include "master/spawn.h"

/* What a child may see of the environment. */
static const char *const kept[] = {
	"PATH", "TZ", "LANG", "LC_ALL", "TMPDIR", "MALLOC_ARENA_MAX",
	"JOURNAL_STREAM", "OPENSSL_CONF", "OPENSSL_MODULES",
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

/* A process to be. */
struct start {
	const char	*exe;
	char		*args[3];
	int		 fds[2];	/* 3 and 4; -1: none */
	char		**env;
	int		 words;		/* who is told that it failed */
};

/* First out of the way, so that none is overwritten. */
static int
descriptors_place(const int fds[2])
{
	int away[2] = { -1, -1 };

	for (int i = 0; i < 2; i++)
		if (fds[i] >= 0 && (away[i] = fcntl(fds[i], F_DUPFD_CLOEXEC,
		    PROCESS_LINK + 2)) < 0)
			return -1;
	for (int i = 0; i < 2; i++)
		if (away[i] >= 0 && dup2(away[i], PROCESS_LINK + i) < 0)
			return -1;
	return 0;
}

/* Descriptor 3 is the link, 0 is nothing, the rest is not for children: not
 * even what whoever started the master left open. */
static int
descriptors_settle(const int fds[2])
{
	unsigned first = PROCESS_LINK + (fds[1] >= 0 ? 2 : 1);
	int null;

	if (descriptors_place(fds) < 0)
		return -1;
	if ((null = open("/dev/null", O_RDWR | O_CLOEXEC)) >= 0 && null != 0)
		(void)dup2(null, 0);
	if (syscall(SYS_close_range, first, ~0U, 0) < 0)
		for (int fd = (int)first; fd < 1024; fd++)
			close(fd);
	return 0;
}

_Noreturn static void
become(const struct start *s)
{
	static const char words[] = "peald: cannot start a process: ";
	const char *reason;
	sigset_t none;

	signals_reset();
	if (descriptors_settle(s->fds) == 0) {
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		execve(s->exe, s->args, s->env);
	}
	reason = strerror(errno);
	if (s->words == 2)
		(void)!write(2, words, sizeof(words) - 1);
	(void)!write(s->words, reason, strlen(reason));
	if (s->words == 2)
		(void)!write(2, "\n", 1);
	_exit(SPAWN_FAILED);
}

static pid_t
start(const struct start *s, const char **why)
{
	sigset_t all, before;
	pid_t pid;

	/* The master's handlers, if it has any, must not run in the child. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		become(s);
	if (pid < 0)
		*why = strerror(errno);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return pid;
}

pid_t
spawn(const char *exe, const char *title, int link, const char **why)
{
	char *env[NELEM(kept) + 1], *name = xstrdup(title);
	struct start s = { .exe = exe_to_run(exe), .args = { name },
		.fds = { link, -1 }, .env = env, .words = 2 };
	pid_t pid;

	environment_fill(env);
	pid = start(&s, why);
	for (size_t i = 0; env[i] != NULL; i++)
		free(env[i]);
	free(name);
	return pid;
}

pid_t
spawn_on_trial(const char *exe, const char *title, const char *argument,
    const int fds[2], const char **why)
{
	char *name = xstrdup(title), *word = xstrdup(argument);
	struct start s = { .exe = exe, .args = { name, word },
		.fds = { fds[0], fds[1] }, .env = environ,
		.words = PROCESS_LINK + 1 };
	pid_t pid = start(&s, why);

	free(name);
	free(word);
	return pid;
}
