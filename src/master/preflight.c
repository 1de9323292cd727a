/* SPDX-License-Identifier: MIT
 *
 * Trying the binary on disk, see preflight.h.
 *
 * Runs in: master (upper half), a process of its own (lower half).  Owns: in the
 * master, the process that is under way.
 */
#include <config.h>		/* of configure, not our own */

#include <event2/event.h>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "common/msg.h"
#include "common/util.h"
#include "master/again.h"
#include "master/beside.h"
#include "master/master.h"
#include "master/preflight.h"
#include "master/spawn.h"
#include "master/state.h"

#define STATE_FD	3
#define RESULT_FD	4
#define REASON_MAX	800	/* octets of it that are told */

/* ---- descriptors --------------------------------------------------------- */

static int
write_all(int fd, struct bytes octets)
{
	ssize_t n;

	while (octets.n > 0) {
		n = write(fd, octets.p, octets.n);
		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0)
			octets = bytes_skip(octets, (size_t)n);
	}
	return 0;
}

/* From its start, whatever place it is at; -1 if it is too much. */
static int
read_all(int fd, struct buf *to)
{
	ssize_t n;

	while ((n = pread(fd, buf_room(to, 65536), 65536,
	    (off_t)to->n)) != 0) {
		if (n < 0 && errno != EINTR)
			return -1;
		to->n += n > 0 ? (size_t)n : 0;
		if (to->n > STATE_MAX) {
			errno = EFBIG;
			return -1;
		}
	}
	return 0;
}

static void
secret_done(struct buf *b)
{
	if (b->n != 0)
		explicit_bzero(b->p, b->n);
	buf_done(b);
}

/* ---- the master's half --------------------------------------------------- */

static struct {
	pid_t		 pid;		/* 0: none */
	int		 result;
	bool		 late;
	struct event	*limit;
	void		(*done)(struct bytes next, const char *why);
	struct stat	 file;		/* that was tried */
} trial;

bool
preflight_same_binary(void)
{
	struct stat now;

	return stat(master.exe, &now) == 0 &&
	    now.st_dev == trial.file.st_dev &&
	    now.st_ino == trial.file.st_ino &&
	    now.st_size == trial.file.st_size &&
	    now.st_mtim.tv_sec == trial.file.st_mtim.tv_sec &&
	    now.st_mtim.tv_nsec == trial.file.st_mtim.tv_nsec;
}

static void
on_late(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	trial.late = true;
	kill(trial.pid, SIGKILL);
}

static void
trial_end(void)
{
	event_free(trial.limit);
	close(trial.result);
	trial.pid = 0;
}

/* A copy of the state for descriptor 3; -1 with errno. */
static int
state_lend(void)
{
	struct buf packed = { 0 };
	int fd = memfd_create("peal-state", MFD_CLOEXEC);

	again_pack(B(""), &packed);
	if (fd >= 0 && write_all(fd, buf_view(&packed)) < 0) {
		close(fd);
		fd = -1;
	}
	secret_done(&packed);
	return fd;
}

static int
trial_start(char **why)
{
	const struct timeval limit = { .tv_sec = PREFLIGHT_MS / 1000 };
	int fds[2] = { state_lend(), trial.result };
	const char *words = strerror(errno);

	if (fds[0] >= 0) {
		trial.pid = spawn_on_trial(master.exe, "peald: preflight",
		    PREFLIGHT_WORD, fds, &words);
		close(fds[0]);
	}
	if (fds[0] < 0 || trial.pid < 0) {
		trial.pid = 0;
		*why = xasprintf("%s was not tried: %s", master.exe, words);
		return -1;
	}
	trial.limit = evtimer_new(master.base, on_late, NULL);
	if (trial.limit == NULL || evtimer_add(trial.limit, &limit) < 0)
		fatal("no timer for a preflight");
	return 0;
}

int
preflight_start(void (*done)(struct bytes next, const char *why), char **why)
{
	if (trial.pid != 0) {
		*why = xstrdup("a preflight is under way");
		return -1;
	}
	if (stat(master.exe, &trial.file) < 0) {
		*why = xasprintf("%s: %s", master.exe, strerror(errno));
		return -1;
	}
	trial.done = done;
	trial.late = false;
	trial.result = memfd_create("peal-result", MFD_CLOEXEC);
	if (trial.result < 0) {
		*why = xasprintf("no memory for a preflight: %s",
		    strerror(errno));
		return -1;
	}
	if (trial_start(why) == 0)
		return 0;
	close(trial.result);
	return -1;
}

void
preflight_cancel(void)
{
	if (trial.pid == 0)
		return;
	kill(trial.pid, SIGKILL);
	trial_end();
}

/* A line, as it may be any program. */
static struct bytes
reason_said(const struct buf *result)
{
	struct bytes said = buf_view(result);
	ptrdiff_t end = bytes_find(said, '\n');

	if (end >= 0)
		said.n = (size_t)end;
	if (said.n > REASON_MAX)
		said.n = REASON_MAX;
	return bytes_trim(said);
}

static char *
reason_of(int status, const struct buf *result)
{
	struct bytes said = reason_said(result);

	if (trial.late)
		return xasprintf("%s, when tried, did not answer within %d s",
		    master.exe, PREFLIGHT_MS / 1000);
	if (WIFSIGNALED(status))
		return xasprintf("%s, when tried, was killed by signal %d (%s)",
		    master.exe, WTERMSIG(status), strsignal(WTERMSIG(status)));
	if (WEXITSTATUS(status) == SPAWN_FAILED && said.n != 0)
		return xasprintf("%s cannot be started: %.*s", master.exe,
		    (int)said.n, said.p);
	if (WEXITSTATUS(status) == 1 && said.n != 0)
		return xasprintf("%.*s", (int)said.n, said.p);
	return xasprintf("%s is not a peald that can be changed to: exit "
	    "status %d", master.exe, WEXITSTATUS(status));
}

bool
preflight_reaped(int pid, int status)
{
	static const struct bytes good = BYTES(PREFLIGHT_GOOD);
	struct buf result = { 0 };
	char *why = NULL;

	if (trial.pid == 0 || pid != trial.pid)
		return false;
	if (read_all(trial.result, &result) < 0)
		why = xasprintf("what the preflight says: %s", strerror(errno));
	else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 ||
	    !bytes_starts(buf_view(&result), good))
		why = reason_of(status, &result);
	trial_end();
	if (why != NULL)
		trial.done(B(""), why);
	else
		trial.done(bytes_skip(buf_view(&result), good.n), NULL);
	secret_done(&result);
	free(why);
	return true;
}

/* ---- the process of its own ---------------------------------------------- */

static int
versions_fit(const struct state *s, char **why)
{
	if (s->version >= MSG_OLDEST && s->oldest <= MSG_VERSION)
		return 0;
	*why = xasprintf("peald " PACKAGE_VERSION " does not understand the "
	    "processes of %s that run: restart instead (messages %d to %d, "
	    "they: %d to %d)", s->release != NULL ? s->release : "the release",
	    MSG_OLDEST, MSG_VERSION, (int)s->oldest, (int)s->version);
	return -1;
}

/* All that again_main() will do with it that can fail. */
static int
state_fits(const struct state *s, char **why)
{
	struct certificate *certificates;
	struct config *config;
	const char *words;
	int r;

	if (versions_fit(s, why) < 0 ||
	    state_settings_unpack(buf_view(&s->settings), s->certificates,
	    s->n_certificates, &config, &certificates, why) < 0)
		return -1;
	if ((r = state_check(s, config->n_listen, &words)) < 0)
		*why = xasprintf("the state of the service: %s", words);
	certificates_free(certificates, config->n_listen);
	config_free(config);
	return r;
}

/* Of workers and router.  Only root has a choice. */
static int
user_find(const struct config *config, struct next *next, char **why)
{
	const char *user = config->peal.user;
	const struct passwd *pw;

	next->uid = geteuid();
	next->gid = getegid();
	if (next->uid != 0)
		return 0;
	if (user == NULL || (pw = getpwnam(user)) == NULL) {
		*why = xasprintf("[peal] user: there is no user \"%s\"",
		    user != NULL ? user : "");
		return -1;
	}
	next->uid = pw->pw_uid;
	next->gid = pw->pw_gid;
	return 0;
}

/* Settings and certificates as they are on disk now. */
static int
next_read(const struct state *s, struct next *next, char **why)
{
	const struct config_source source = {
		.file = s->file, .env_file = s->env_file, .environ_ = environ,
		.host = s->host, .port = s->port, .path = s->path,
		.hostname = s->hostname, .workers = s->workers,
		.debug = s->debug != 0,
	};
	struct config *config = config_load(&source, why);
	struct certificate *certificates;
	int r;

	if (config == NULL)
		return -1;
	if (beside_check(config, why) < 0 ||
	    (certificates = certificates_read(config, why)) == NULL) {
		config_free(config);
		return -1;
	}
	next->version = MSG_VERSION;
	state_settings_pack(config, certificates, &next->settings,
	    &next->certificates, &next->n_certificates);
	r = user_find(config, next, why);
	certificates_free(certificates, config->n_listen);
	config_free(config);
	return r;
}

/* Does it come back? */
static int
next_try(struct bytes packed, char **why)
{
	struct certificate *certificates;
	struct config *config;
	const char *words;
	struct next next;
	int r;

	if (next_unpack(&next, packed, &words) < 0) {
		*why = xstrdup(words);
		return -1;
	}
	r = state_settings_unpack(buf_view(&next.settings), next.certificates,
	    next.n_certificates, &config, &certificates, why);
	if (r == 0) {
		certificates_free(certificates, config->n_listen);
		config_free(config);
	}
	next_done(&next);
	return r;
}

static int
next_make(const struct state *s, struct buf *packed, char **why)
{
	struct next next;
	int r;

	next_init(&next);
	if ((r = next_read(s, &next, why)) == 0) {
		next_pack(&next, packed);
		r = next_try(buf_view(packed), why);
	}
	next_done(&next);
	return r;
}

static int
state_read(struct state *s, char **why)
{
	struct buf packed = { 0 };
	const char *words = NULL;
	int r = read_all(STATE_FD, &packed);

	if (r < 0)
		words = strerror(errno);
	else
		r = state_unpack(s, buf_view(&packed), &words);
	if (r < 0)
		*why = xasprintf("the state of the service: %s", words);
	secret_done(&packed);
	return r;
}

static int
say(struct bytes words)
{
	return write_all(RESULT_FD, words) == 0 ? 0 : -1;
}

int
preflight_main(void)
{
	struct buf packed = { 0 };
	struct state s;
	char *why = NULL;
	int r;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	log_init("preflight");
	title_set("peald: preflight");
	if (state_read(&s, &why) < 0) {
		(void)say(bytes_str(why));
		return 1;
	}
	r = state_fits(&s, &why);
	if (r == 0)
		r = next_make(&s, &packed, &why);
	if (r == 0 && (say(B(PREFLIGHT_GOOD)) < 0 ||
	    say(buf_view(&packed)) < 0))
		return 2;
	if (r < 0)
		(void)say(bytes_str(why));
	secret_done(&packed);
	state_done(&s);
	free(why);
	return r < 0;
}
