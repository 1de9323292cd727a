/* SPDX-License-Identifier: MIT
 *
 * The life of the service on this host.
 *
 * Runs in: master.  Owns: see master.h.
 */
#include <event2/event.h>

#include <sys/resource.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/jail.h"
#include "common/log.h"
#include "common/notify.h"
#include "common/util.h"
#include "master/again.h"
#include "master/beside.h"
#include "master/control.h"
#include "master/logfile.h"
#include "master/master.h"
#include "master/pidfile.h"
#include "master/preflight.h"
#include "master/reload.h"
#include "master/replace.h"
#include "master/signals.h"
#include "master/spool.h"
#include "master/spread.h"
#include "master/stop.h"

#define FILES_WANTED	1048576	/* open files, where root may ask for them */
#define SPOOL_WAIT_MS	5000	/* for one that was killed to let go of it */
#define COURIER_GRACE_MS	4000	/* it gives 2 s to requests under way */
#define CLOSE_GRACE_MS	2000	/* from the last client closed to the exit */

struct master master;

static struct event *deadline;	/* of a stop */
static struct event *tick, *alive;

/* ---- stop ---------------------------------------------------------------- */

static void
arm(struct event *timer, uint64_t ms)
{
	struct timeval in = timeval_ms(ms);

	event_add(timer, &in);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	log_warn("some processes did not end in time and are killed");
	children_kill();
}

static struct {
	uint64_t	 grace_ms;	/* of the last one asked for */
	uint64_t	 ends_ms;
	bool		 last;		/* the courier was told */
} end = { 0, UINT64_MAX, false };

static void
end_in(uint64_t ms)
{
	end.ends_ms = clock_ms() + end.grace_ms;
	arm(deadline, end.grace_ms + ms);
}

/* Workers go first: they may need the router to the end.  What these have said to
 * the courier is delivered, in as much time again. */
static void
stop_proceed(void)
{
	if (children_workers() != 0)
		return;
	listen_close(&master.listen);	/* others may take its paths now */
	if (children_count() == 0) {
		master.done = true;
		return;
	}
	children_stop_routers();
	if (children_routers() != 0 || end.last)
		return;
	end.last = true;
	beside_stop(end.grace_ms);
	end_in(COURIER_GRACE_MS);
}

void
master_stop(uint64_t grace_ms)
{
	if (clock_ms() + grace_ms >= end.ends_ms)
		return;
	end.grace_ms = grace_ms;
	end.last = false;
	if (!master.stopping)
		notify_send("STOPPING=1\nSTATUS=closing connections");
	master.stopping = true;
	reload_stop();
	replace_stop();
	log_info("stopping grace_ms=%llu", (unsigned long long)grace_ms);
	children_stop_workers(grace_ms);
	/* Workers refuse who comes from now on, and tell load balancers, until
	 * they end. */
	if (grace_ms != 0)
		listen_let_go(&master.listen);
	else
		listen_close(&master.listen);
	end_in(CLOSE_GRACE_MS +
	    (grace_ms != 0 ? master.config->websocket.close_timeout : 0));
	stop_proceed();
}

void
master_give_up(const char *why)
{
	if (master.status != 0)
		return;
	log_error("giving up: %s", why);
	notify_send("STATUS=giving up: %.900s", why);
	master.status = 1;
	master_stop(0);
}

/* ---- events -------------------------------------------------------------- */

static void
ready_say(void)
{
	unsigned workers = master.crew[CREW_IN_FORCE]->n - SLOT_WORKER_FIRST;

	master.ready = true;
	log_info("ready pid=%d workers=%u jail=\"%s\"%s%s", (int)getpid(),
	    workers, master.config->peal.jail == JAIL_OFF ? "off" :
	    jail_describe(), control_path() != NULL ? " control=" : "",
	    control_path() != NULL ? control_path() : "");
	notify_send("READY=1\nSTATUS=%u workers on %.200s%s", workers,
	    master.listen.at[0].text, master.listen.n > 1 ? " ..." : "");
}

void
master_child_changed(void)
{
	if (!master.ready && !master.stopping && children_up())
		ready_say();
	if (master.stopping)
		stop_proceed();
	replace_check();
	beside_proceed();
	reload_check();
	control_check();
	spread_check();
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	spread_tick();
	logfile_tick();
	children_tick(clock_ms());
	replace_tick(clock_ms());
	beside_tick(clock_ms());
}

static void
on_alive(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	notify_send("WATCHDOG=1");
}

/* As process 1 of a container, orphans of others are ours too. */
static void
on_child(int signum)
{
	struct rusage used;
	pid_t pid;
	int status;

	(void)signum;
	while ((pid = wait4(-1, &status, WNOHANG, &used)) > 0)
		if (!children_reaped(pid, status, &used) &&
		    !preflight_reaped(pid, status))
			log_debug("reaped an orphan pid=%d", (int)pid);
}

static void
on_stop(int signum)
{
	uint64_t grace = master.config->peal.drain_timeout;

	log_info("got signal %d (%s)", signum, strsignal(signum));
	if (signum == SIGTERM && !master.stopping) {
		stop_ask(grace);
		return;
	}
	if (signum == SIGINT)
		grace /= 4;
	if (signum == SIGQUIT || master.stopping)
		grace = 0;
	master_stop(grace);
}

/* Are we what a terminal runs in the foreground? */
static bool
in_foreground(void)
{
	int fd = open("/dev/tty", O_RDONLY | O_CLOEXEC | O_NOCTTY);
	bool yes;

	if (fd < 0)
		return false;
	yes = tcgetpgrp(fd) == getpgrp();
	close(fd);
	return yes;
}

/* A terminal that is gone cannot be opened any more, so what was the case at
 * the start counts too. */
static bool
terminal_hung_up(void)
{
	int fd;

	if (master.hup_is_reload || !master.had_terminal)
		return false;
	fd = open("/dev/tty", O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return true;
	close(fd);
	return in_foreground();
}

static void
on_hangup(int signum)
{
	if (terminal_hung_up()) {
		on_stop(SIGTERM);
		return;
	}
	(void)signum;
	if (!master.stopping && !master.ending)
		(void)reload_ask();
}

static void
on_reopen(int signum)
{
	(void)signum;
	logfile_again();
}

static const struct signal_watch watched[] = {
	{ SIGCHLD, on_child },
	{ SIGTERM, on_stop },
	{ SIGINT, on_stop },
	{ SIGQUIT, on_stop },
	{ SIGHUP, on_hangup },
	{ SIGUSR1, on_reopen },
};

static struct event *
event_need(struct event *e)
{
	if (e == NULL)
		fatal("no memory for an event");
	return e;
}

void
master_events(void)
{
	const struct timeval second = { .tv_sec = 1 };
	uint64_t ms = notify_watchdog_ms();
	struct timeval beat = timeval_ms(ms);

	signals_start(master.base, watched, NELEM(watched));
	/* Those that died while nobody looked. */
	on_child(SIGCHLD);
	deadline = event_need(evtimer_new(master.base, on_deadline, NULL));
	tick = event_need(event_new(master.base, -1, EV_PERSIST, on_tick,
	    NULL));
	event_add(tick, &second);
	alive = event_need(event_new(master.base, -1, EV_PERSIST, on_alive,
	    NULL));
	if (ms == 0)
		return;
	event_add(alive, &beat);
	on_alive(-1, 0, NULL);	/* the last one may be long ago: again.h */
}

static void
events_end(void)
{
	signals_end();
	if (deadline != NULL) {
		event_free(deadline);
		event_free(tick);
		event_free(alive);
	}
}

/* ---- who we are ---------------------------------------------------------- */

/* Root may raise the hard limit too; anybody the soft one up to it. */
static void
files_raise(void)
{
	struct rlimit limit = { FILES_WANTED, FILES_WANTED }, now;

	if (geteuid() == 0 && getrlimit(RLIMIT_NOFILE, &now) == 0 &&
	    now.rlim_max < FILES_WANTED)
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	log_debug("open files limit=%llu",
	    (unsigned long long)fd_limit_raise());
}

/* Which user will workers and router be?  Root only if the settings say so. */
static void
user_settle(void)
{
	const char *user = master.config->peal.user;
	const struct passwd *pw;

	master.uid = geteuid();
	master.gid = getegid();
	if (master.uid != 0)
		return;
	if (user == NULL || (pw = getpwnam(user)) == NULL)
		die("started as root, but there is no user \"%s\" for workers "
		    "and router to run as: make one (useradd --system %s), or "
		    "set [peal] user to one that exists",
		    user != NULL ? user : "", user != NULL ? user : "peal");
	master.uid = pw->pw_uid;
	master.gid = pw->pw_gid;
	if (master.uid == 0)
		log_warn("[peal] user is root: workers and router keep root's "
		    "rights");
}

unsigned
master_workers(const struct config *config)
{
	uint64_t n = config->peal.workers;
	cpu_set_t cpus;

	if (n == 0 && sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
		n = (uint64_t)CPU_COUNT(&cpus);
	if (n == 0)
		n = 1;
	return n < WORKERS_MAX ? (unsigned)n : WORKERS_MAX;
}

static void
identity_make(void)
{
	struct sigaction hup;

	random_fill(&master.node, sizeof(master.node));
	master.incarnation = clock_wall_ms();
	random_fill(master.tickets, sizeof(master.tickets));
	master.started_ms = clock_ms();
	master.started_wall_ms = clock_wall_ms();
	master.hup_is_reload = sigaction(SIGHUP, NULL, &hup) == 0 &&
	    hup.sa_handler == SIG_IGN;
	master.had_terminal = in_foreground();
	signal(SIGPIPE, SIG_IGN);
}

/* ---- start --------------------------------------------------------------- */

static void
addresses_say(unsigned workers)
{
	const char *name = master.config->http.hostname;
	const struct listen_address *a;

	for (size_t i = 0; i < master.listen.n; i++) {
		a = &master.listen.at[i];
		log_info("listening address=%s workers=%u%s", a->text, workers,
		    master.certificates[a->section].chain.n != 0 ? " tls=yes" :
		    "");
		if (name != NULL)
			log_info("Starting server on %s (%s).", a->text, name);
		else
			log_info("Starting server on %s.", a->text);
	}
}

static int
open_all(unsigned workers, char **why)
{
	if (pidfile_take(master.config->peal.pid_file, why) < 0)
		return -1;
	if (beside_check(master.config, why) < 0)
		return -1;
	master.certificates = certificates_read(master.config, why);
	if (master.certificates == NULL ||
	    spool_prepare(master.config, master.uid, master.gid, SPOOL_WAIT_MS,
	    why) < 0)
		return -1;
	if (listen_open(&master.listen, master.config, workers, master.uid,
	    master.gid, why) < 0)
		return -1;
	return control_open(why);
}

static void
close_all(void)
{
	control_close();
	listen_close(&master.listen);
	pidfile_drop();
	certificates_free(master.certificates, master.config->n_listen);
	children_free();
	beside_done();
	spread_done();
	stop_done();
	events_end();
	event_base_free(master.base);
	config_free(master.config);
	free(master.exe);
}

static void
prepare(const struct config_source *source)
{
	char *why = NULL, *title;

	log_init("master");
	notify_init();
	master.source = source;
	if ((master.config = config_load(source, &why)) == NULL)
		die("%s", why);
	if (logfile_use(master.config, &why) < 0)
		die("%s", why);
	title = master_title(source);
	title_set("%s", title);
	free(title);
	master.exe = again_exe();
	files_raise();
	user_settle();
	identity_make();
	if ((master.base = event_base_new()) == NULL)
		die("no event loop: %s", strerror(errno));
}

char *
master_title(const struct config_source *source)
{
	return xasprintf("peald: master%s%s", source->file != NULL ? " " : "",
	    source->file != NULL ? source->file : "");
}

int
master_run(void)
{
	while (!master.done) {
		children_flush();
		if (event_base_loop(master.base, EVLOOP_ONCE) < 0)
			fatal("the event loop failed: %s", strerror(errno));
	}
	log_info("stopped");
	close_all();
	return master.status;
}

int
master_main(const struct config_source *source)
{
	unsigned workers;
	char *why = NULL;

	prepare(source);
	workers = master_workers(master.config);
	if (open_all(workers, &why) < 0) {
		log_error("%s", why);
		/* Who starts it looks there, and not into [peal] log yet. */
		if (log_fd() != STDERR_FILENO)
			dprintf(STDERR_FILENO, "peald: %s\n", why);
		notify_send("STATUS=%.900s", why);
		free(why);
		close_all();
		return 1;
	}
	master_events();
	if (config_file_left_out(master.source) != NULL)
		log_info("settings left out file=%s why=\"this user may not "
		    "read them\"", config_file_left_out(master.source));
	addresses_say(workers);
	children_start(workers);
	return master_run();
}
