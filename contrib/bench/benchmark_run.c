/* SPDX-License-Identifier: MIT
 *
 * peal-benchmark: the overseer.  It does nothing of what is measured: it waits,
 * looks at counters, and reads what the server uses.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "benchmark.h"

#define LOOK_NS		5000000
#define SPARE_FILES	64	/* descriptors of a hand that are no clients */
#define LINGER_MS	100	/* for what comes twice */
#define COMMAND_MS	600000

struct settings opt;
struct plan plan;
struct shared *shared;
struct stats *stats;

static volatile sig_atomic_t interrupted;	/* what is waited for */
static volatile sig_atomic_t asked_to_end;
static pid_t pids[HANDS_MAX + 1];
static pid_t command_pid;
static int command_status;
static size_t shared_size;

uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

void
die(const char *fmt, ...)
{
	va_list ap;

	fputs("peal-benchmark: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(2);
}

void
fault(enum counter which, const char *fmt, ...)
{
	va_list ap;

	stats->count[which]++;
	if (stats->first[0] != '\0')
		return;
	va_start(ap, fmt);
	vsnprintf(stats->first, sizeof stats->first, fmt, ap);
	va_end(ap);
}

uint64_t
stats_sum(enum counter which)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i <= plan.hands; i++)
		sum += __atomic_load_n(&shared->stats[i].count[which],
		    __ATOMIC_ACQUIRE);
	return sum;
}

void
plan_name(char name[NAME_MAX_SIZE], unsigned channel)
{
	snprintf(name, NAME_MAX_SIZE, "%sbench-%08x-%u", plan.prefix, plan.nonce,
	    channel);
}

unsigned
plan_channel(unsigned id)
{
	if (id < plan.crowd)
		return 0;
	if (plan.crowd > 0)
		return 1 + (id - plan.crowd) % (plan.channels - 1);
	return id % plan.channels;
}

/* Evenly over the crowd. */
bool
plan_stalls(unsigned id)
{
	return id < plan.crowd &&
	    (uint64_t)id * plan.stalled % 100 < plan.stalled;
}

/* ---- hands -------------------------------------------------------------- */

static void
interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
	asked_to_end = 1;
}

bool
run_no_more(void)
{
	return asked_to_end != 0;
}

/* As many processes as their limit of descriptors asks for. */
static unsigned
choose_hands(void)
{
	struct rlimit files;
	unsigned need, cores = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);

	getrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_max <= 2 * SPARE_FILES)
		die("too few open files are allowed");
	if (plan.speaker != SPEAK_NOT &&
	    plan.speakers > files.rlim_max - SPARE_FILES)
		die("more publishers than open files are allowed");
	need = (unsigned)((plan.clients + files.rlim_max - SPARE_FILES - 1) /
	    (files.rlim_max - SPARE_FILES));
	if (opt.processes > need)
		need = opt.processes;
	else if (opt.processes == 0 && cores / 4 > need)
		need = cores / 4 < 4 ? cores / 4 : 4;
	if (need > HANDS_MAX)
		die("more connections than %u processes can have", HANDS_MAX);
	return need > 0 ? need : 1;
}

static void
map_shared(bool members)
{
	size_t n = sizeof *shared + plan.channels * sizeof(struct spot);

	shared_size = n + (members ? plan.clients * sizeof(uint64_t) : 0) + 64;
	shared = mmap(NULL, shared_size, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	if (members)
		shared->joined = (uint64_t *)(void *)
		    ((char *)shared + (n + 7) / 8 * 8);
	stats = &shared->stats[0];
	shared->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

void
run_open(struct run *run, const struct scenario *sc)
{
	struct sigaction act = { .sa_handler = interrupt };

	memset(run, 0, sizeof *run);
	run->scenario = sc;
	run->look_ms = 1000;
	plan.inflight = opt.inflight;
	plan.nonce = (unsigned)(now_ns() ^ (uint64_t)getpid() << 20);
	plan.hands = choose_hands();
	map_shared(plan.members);
	line_setup();
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	if (server_usage(opt.pid, &run->before, true) == 0 && opt.pid > 0)
		die("--pid: there is no process %u", opt.pid);
	run->peak = run->before.memory;
	run->opened = now_ns();
	fflush(NULL);
	for (unsigned i = 0; i <= plan.hands; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			hand_work(i);
		if (pids[i] < 0)
			die("fork: %s", strerror(errno));
	}
}

/* ---- waiting ------------------------------------------------------------ */

static uint64_t
faults_now(void)
{
	uint64_t n = 0;

	for (unsigned i = FAULTS_FROM; i < COUNTERS; i++)
		n += stats_sum((enum counter)i);
	return n;
}

static uint64_t
activity(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < FAULTS_FROM; i++)
		n += stats_sum((enum counter)i);
	return n;
}

static void
look_at_server(struct run *run, uint64_t now)
{
	static uint64_t last;
	struct usage u;

	if (opt.pid == 0 || now - last < run->look_ms * 1000000ull)
		return;
	last = now;
	server_usage(opt.pid, &u, true);
	if (u.memory > run->peak)
		run->peak = u.memory;
}

/* Once a second. */
static void
show(struct run *run, uint64_t now)
{
	static uint64_t last, was;
	char line[160];
	uint64_t n = activity();

	if (now - last < SECOND)
		return;
	snprintf(line, sizeof line, "%s: %.0f s  %.0f/s  connections %u  "
	    "faults %llu", run->scenario->name,
	    (double)(now - run->opened) / 1e9, n < was ? 0.0 :
	    (double)(n - was) / ((double)(now - last) / 1e9),
	    atomic_load(&shared->in), (unsigned long long)faults_now());
	report_progress(line);
	last = now;
	was = n;
}

static void
nobody_died(void)
{
	int status;
	pid_t pid = waitpid(-1, &status, WNOHANG);

	if (pid > 0 && pid == command_pid) {
		command_status = status;
		command_pid = 0;
		return;
	}
	for (unsigned i = 0; pid > 0 && i <= plan.hands; i++)
		if (pids[i] == pid)
			die("one of its processes ended");
}

bool
run_until(struct run *run, bool (*cond)(void), uint64_t ms)
{
	struct timespec pause = { .tv_nsec = LOOK_NS };
	uint64_t now = now_ns(), limit = ms > 0 ? ms * 1000000 :
	    opt.wait * SECOND, since = now, was = activity(), is;

	while (cond == NULL || !cond()) {
		now = now_ns();
		is = activity();
		if (ms == 0 && is != was) {
			was = is;
			since = now;
		}
		if (interrupted)
			run->stopped = run->interrupted = true;
		if (run->stopped || now - since > limit)
			return false;
		show(run, now);
		look_at_server(run, now);
		nobody_died();
		nanosleep(&pause, NULL);
	}
	return true;
}

/* Or will never be. */
bool
run_all_in(void)
{
	unsigned own = plan.speaker == SPEAK_CLIENT ? plan.speakers : 0;

	uint64_t gone = plan.comeback ? 0 : stats_sum(N_REFUSED) +
	    stats_sum(N_CLOSED);

	return atomic_load(&shared->in) + gone >= plan.clients + own;
}

bool
run_filled(struct run *run)
{
	struct usage u;
	bool filled = run_until(run, run_all_in, 0) && faults_now() == 0;

	server_usage(opt.pid, &u, true);
	run->filled = filled ? u.memory : 0;
	if (u.memory > run->peak)
		run->peak = u.memory;
	return filled;
}

void
run_measure(struct run *run)
{
	server_usage(opt.pid, &run->start, false);
	server_usage((unsigned)getpid(), &run->self_start, false);
	run->warmup = stats_sum(N_DELIVERIES);
	run->warmup_sent = stats_sum(N_PUBLISHED);
	run->began = now_ns();
}

void
run_measured(struct run *run)
{
	run->ended = now_ns();
	server_usage(opt.pid, &run->end, true);
	server_usage((unsigned)getpid(), &run->self_end, false);
	if (run->end.memory > run->peak)
		run->peak = run->end.memory;
}

/* ---- publishing --------------------------------------------------------- */

static uint64_t base, base_sent;

bool
run_spoken(void)
{
	return atomic_load(&shared->done) == atomic_load(&shared->round);
}

static bool
delivered(void)
{
	return run_spoken() && stats_sum(N_DELIVERIES) - base >=
	    (stats_sum(N_PUBLISHED) - base_sent) * shared->fan;
}

void
run_begin(struct run *run, enum book book, uint64_t messages, uint64_t seconds)
{
	if (run->stopped)
		return;
	if (shared->speakers == 0)
		shared->speakers = plan.speakers;
	base = stats_sum(N_DELIVERIES);
	base_sent = stats_sum(N_PUBLISHED);
	shared->seconds = shared->rate > 0 || messages > 0 ? 0 : seconds;
	shared->messages = messages > 0 ? messages : shared->rate > 0 ?
	    seconds * shared->rate : UINT64_MAX;
	atomic_store(&shared->halt, 0);
	atomic_store(&shared->book, book);
	atomic_fetch_add(&shared->round, 1);
}

void
run_wait(struct run *run)
{
	if (run->stopped && !run->interrupted)
		return;
	if (run_until(run, delivered, 0))
		return;
	/* Interrupted, or stuck: what is under way may still come. */
	run->stopped = false;
	interrupted = 0;
	atomic_store(&shared->halt, 1);
	run_until(run, run_spoken, 1000);
	run_until(run, delivered, 1000);
	run->stopped = true;
}

void
run_round(struct run *run, enum book book, uint64_t messages, uint64_t seconds)
{
	if (run->stopped)
		return;
	run_begin(run, book, messages, seconds);
	run_wait(run);
}

/* ---- the user's command ------------------------------------------------- */

static bool
command_ended(void)
{
	return command_pid == 0;
}

int
run_command(struct run *run, const char *command)
{
	fflush(NULL);
	command_pid = fork();
	if (command_pid < 0)
		die("fork: %s", strerror(errno));
	if (command_pid == 0) {
		dup2(2, 1);		/* standard output is the report's */
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	if (!run_until(run, command_ended, COMMAND_MS))
		return -1;
	return WIFEXITED(command_status) ? WEXITSTATUS(command_status) : -1;
}

/* ---- the end ------------------------------------------------------------ */

static void
add_up(struct stats *sum)
{
	for (unsigned i = 0; i <= plan.hands; i++) {
		const struct stats *s = &shared->stats[i];

		for (unsigned k = 0; k < COUNTERS; k++)
			sum->count[k] += s->count[k];
		for (unsigned k = 0; k < STATUSES; k++)
			sum->status[k] += s->status[k];
		for (unsigned k = 0; k < BOOKS; k++)
			histogram_merge(&sum->book[k], &s->book[k]);
		if (sum->first[0] == '\0')
			memcpy(sum->first, s->first, sizeof sum->first);
	}
}

void
run_finish(struct run *run)
{
	bool stopped = run->stopped;

	run->stopped = false;
	run_until(run, NULL, LINGER_MS);
	run->stopped = stopped;
	atomic_store(&shared->stopped, run->interrupted);
	atomic_store(&shared->phase, PHASE_END);
	for (unsigned i = 0; i <= plan.hands; i++)
		waitpid(pids[i], NULL, 0);
	if ((run->sum = calloc(1, sizeof *run->sum)) == NULL)
		die("out of memory");
	add_up(run->sum);
	close(shared->wake);
	munmap(shared, shared_size);
}

uint64_t
run_faults(const struct run *run)
{
	uint64_t n = 0;

	for (unsigned i = FAULTS_FROM; i < COUNTERS; i++)
		n += run->sum->count[i];
	return n;
}
