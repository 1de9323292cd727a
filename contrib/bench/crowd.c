/* SPDX-License-Identifier: MIT
 *
 * crowd: see crowd.h and README.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crowd.h"
#include "wire.h"

#define STAY_US		2000000		/* who comes and goes stays so long */

struct options opt = {
	.host = "127.0.0.1", .port = 8080, .id = "1001", .key = "app-key",
	.secret = "app-secret", .room_path = "/", .stream_path = "/sse/",
	.clients = 5000, .size = 50, .rate = 500, .publishers = 16,
	.client_rate = 50, .churn = 20, .reads = 10, .ping_ms = 10000,
	.wait_s = 10, .handshakes = 100,
};
struct shared *shared;
struct stats *stats;

uint64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void
fault(uint64_t *count, const char *fmt, ...)
{
	bool grave = count == &stats->missing || count == &stats->doubled ||
	    count == &stats->disordered || count == &stats->strange ||
	    count == &stats->presence_wrong;
	va_list ap;

	(*count)++;
	if (stats->first[0] != '\0' && (stats->first_grave || !grave))
		return;
	stats->first_grave = grave;
	va_start(ap, fmt);
	vsnprintf(stats->first, sizeof stats->first, fmt, ap);
	va_end(ap);
	for (char *p = stats->first; *p != '\0'; p++)
		if (*p == '"' || *p == '\\' || *p < ' ')
			*p = '\'';
}

/* ---- report ------------------------------------------------------------------- */

#define COUNTERS(X)							\
	X(connected) X(disconnects) X(refused) X(missing) X(missing_away) \
	X(doubled) X(disordered) X(strange) X(unanswered) X(noise)	\
	X(presence_wrong) X(presence_again) X(errors) X(api_failed) X(api_cut) \
	X(api_reopened) X(blinks) X(received) X(pongs) X(published)	\
	X(api_calls) X(reads) X(client_events) X(churned)
#define LONGEST(X)							\
	X(pause) X(delay) X(ping) X(gap) X(api) X(away) X(wrong)

static void
add_up(struct stats *sum)
{
	memset(sum, 0, sizeof *sum);
	for (unsigned i = 0; i <= opt.processes; i++) {
		const struct stats *s = &shared->stats[i];

#define X(n) sum->n += s->n;
		COUNTERS(X)
#undef X
#define X(n) if (s->n##_us > sum->n##_us) sum->n##_us = s->n##_us;
		LONGEST(X)
#undef X
		for (unsigned k = 0; k < CODES; k++)
			sum->codes[k] += s->codes[k];
		for (unsigned k = 0; k < 600; k++)
			sum->status[k] += s->status[k];
		for (unsigned k = 0; k < BUCKETS; k++) {
			sum->delays[k] += s->delays[k];
			sum->pauses[k] += s->pauses[k];
			sum->api[k] += s->api[k];
		}
		if (sum->first[0] == '\0' || s->first_grave) {
			memcpy(sum->first, s->first, sizeof sum->first);
			sum->first_grave = s->first_grave;
		}
		sum->cpu += s->cpu;
	}
}

static void
print_table(const char *name, const uint32_t *of, unsigned n)
{
	const char *comma = "";

	printf(",\"%s\":{", name);
	for (unsigned i = 0; i < n; i++) {
		if (of[i] == 0)
			continue;
		printf("%s\"%u\":%u", comma, i, of[i]);
		comma = ",";
	}
	printf("}");
}

static void
print_times(const char *name, const uint32_t *buckets)
{
	printf(",\"%s\":{\"p50\":%.2f,\"p90\":%.2f,\"p99\":%.2f,\"p999\":%.2f}",
	    name, log_percentile(buckets, 0.5), log_percentile(buckets, 0.9),
	    log_percentile(buckets, 0.99), log_percentile(buckets, 0.999));
}

/* What must be zero while nothing dies. */
static uint64_t
faults(const struct stats *s)
{
	return s->disconnects + s->refused + s->missing + s->missing_away +
	    s->doubled + s->disordered + s->strange + s->unanswered + s->noise +
	    s->presence_wrong + s->presence_again + s->errors + s->api_failed +
	    s->blinks;
}

/* All so far; recent_ms: since the last time this was asked. */
static uint64_t
report(const char *what, bool counts_right)
{
	static struct stats sum;
	uint64_t recent = 0, one;

	add_up(&sum);
	for (unsigned i = 0; i <= opt.processes; i++) {
		one = atomic_exchange(&shared->stats[i].recent_us, 0);
		recent = one > recent ? one : recent;
	}
	printf("{\"%s\":true,\"seconds\":%.2f,\"open\":%u,\"faults\":%llu",
	    what, (double)(now_us() - shared->began) / 1e6,
	    atomic_load(&shared->open), (unsigned long long)faults(&sum));
#define X(n) printf(",\"" #n "\":%llu", (unsigned long long)sum.n);
	COUNTERS(X)
#undef X
#define X(n) printf(",\"longest_" #n "_ms\":%.1f", (double)sum.n##_us / 1000);
	LONGEST(X)
#undef X
	printf(",\"recent_ms\":%.1f,\"counts_right\":%s", (double)recent / 1000,
	    counts_right ? "true" : "false");
	print_table("codes", sum.codes, CODES);
	print_table("status", sum.status, 600);
	print_times("delay_ms", sum.delays);
	print_times("pause_ms", sum.pauses);
	print_times("api_ms", sum.api);
	printf(",\"cpu_s\":%.2f,\"first_fault\":\"%s\"}\n", sum.cpu, sum.first);
	fflush(stdout);
	return faults(&sum);
}

/* ---- those who stay ------------------------------------------------------------ */

static double
cpu_used(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
	    (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

/* A process with every opt.processes-th client, until the end. */
static void
hold(unsigned index)
{
	unsigned total = plan_total(), n = 0;
	uint64_t until = 0, now;
	struct herd f;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	stats = &shared->stats[index + 1];
	srandom(index + 1);
	herd_open(&f, (total + opt.processes - 1) / opt.processes);
	for (unsigned id = index; id < total; id += opt.processes) {
		struct client *c = &f.client[n++];
		const struct channel *ch;

		plan_client(c, id);
		ch = &shared->channel[c->sub[c->door == DOOR_PUSHER].channel];
		c->speaks = ch->sender == id && opt.client_rate > 0;
		c->speak = now_us() + (uint64_t)random() % opt.speak_us;
		c->state = IDLE;
	}
	f.n = n;
	for (;;) {
		herd_turn(&f, 10);
		now = now_us();
		if (atomic_load(&shared->phase) != ENDING)
			continue;
		if (until == 0)
			until = now + opt.wait_s * 1000000ull;
		if (now > until || herd_complete(&f, false))
			break;
	}
	herd_complete(&f, true);
	stats->cpu = cpu_used();
	_exit(0);
}

/* ---- those who come and go ----------------------------------------------------- */

static struct herd churn;

static void
churn_turn(bool more)
{
	static uint64_t due;
	uint64_t now = now_us();

	due = due == 0 ? now : due;
	for (unsigned i = 0; i < churn.n; i++) {
		struct client *c = &churn.client[i];
		uint32_t id;

		if (!more && c->when > now)
			c->when = now;
		if (!more || c->state != GONE || now < due)
			continue;
		id = atomic_fetch_add(&shared->churned, 1);
		if (id >= CHURN_MAX)
			return;
		free(c->watched);
		memset(c, 0, sizeof *c);
		plan_churn(c, id);
		c->when = now + STAY_US / 2 + (uint64_t)random() % STAY_US;
		stats->churned++;
		client_start(&churn, c);
		due += 1000000 / opt.churn;
	}
}

static bool
churn_gone(void)
{
	for (unsigned i = 0; i < churn.n; i++)
		if (churn.client[i].state != GONE)
			return false;
	return true;
}

/* ---- the run -------------------------------------------------------------------- */

/* Lines on standard input are asked for a report; its end ends the run. */
static bool
told_to_end(void)
{
	struct pollfd p = { .fd = 0, .events = POLLIN };
	char line[256];
	ssize_t n;

	if (opt.seconds > 0 || poll(&p, 1, 0) <= 0)
		return false;
	n = read(0, line, sizeof line);
	for (ssize_t i = 0; i < n; i++)
		if (line[i] == '\n')
			report("mark", true);
	return n <= 0;
}

static void
fill(void)
{
	unsigned total = plan_total();

	while (atomic_load(&shared->open) < total) {
		herd_turn(&churn, 10);
		if (waitpid(-1, NULL, WNOHANG) > 0 || told_to_end())
			exit(2);
	}
	if (!api_settled(&churn, now_us() + opt.wait_s * 1000000ull)) {
		fprintf(stderr, "crowd: the counts are wrong from the start\n");
		exit(2);
	}
	printf("{\"ready\":true,\"open\":%u,\"channels\":%u,\"seconds\":%.2f}\n",
	    total, shared->channels, (double)(now_us() - shared->began) / 1e6);
	fflush(stdout);
}

static void
run(void)
{
	uint64_t end = now_us() + opt.seconds * 1000000ull;

	shared->began = now_us();
	atomic_store(&shared->phase, RUNNING);
	api_start();
	while (!told_to_end() && (opt.seconds == 0 || now_us() < end)) {
		herd_turn(&churn, api_turn());
		churn_turn(opt.churn > 0);
	}
}

/* Lets all arrive; true if the counts are right in the end. */
static bool
finish(void)
{
	uint64_t end = now_us() + opt.wait_s * 1000000ull;
	bool right;

	while (!api_finished() && now_us() < end) {
		herd_turn(&churn, 10);
		api_turn();
	}
	while (now_us() < end) {
		churn_turn(false);
		if (churn_gone() &&
		    atomic_load(&shared->open) == plan_total())
			break;
		herd_turn(&churn, 10);
	}
	atomic_store(&shared->phase, DRAINING);
	right = api_settled(&churn, now_us() + opt.wait_s * 1000000ull);
	atomic_store(&shared->phase, ENDING);
	while (wait(NULL) > 0)
		;
	stats->cpu = cpu_used();
	return right;
}

/* ---- options -------------------------------------------------------------------- */

static void
usage(int status)
{
	fprintf(status == 0 ? stdout : stderr, "usage: crowd [OPTIONS]\n"
	    "--host 127.0.0.1 --port 8080 --id 1001 --key app-key --secret S\n"
	    "--clients 5000 --rooms 0 --streams 0 --size 50 (of a channel)\n"
	    "--processes 0 (0: one for 15000 clients) --handshakes 100 (each)\n"
	    "--rate 500 (publishes/s) --publishers 16 --reads 10 (questions/s)\n"
	    "--client-rate 50 (client events/s) --churn 20 (clients/s)\n"
	    "--ping 10000 (ms) --seconds 0 (0: until standard input ends)\n"
	    "--wait 10 (s, for what is under way at the end)\n"
	    "--room-path / --stream-path /sse/\n");
	exit(status);
}

static const struct {
	const char	*name;
	unsigned	*number;
	const char	**text;
} words[] = {
	{ "host", NULL, &opt.host }, { "id", NULL, &opt.id },
	{ "key", NULL, &opt.key }, { "secret", NULL, &opt.secret },
	{ "room-path", NULL, &opt.room_path },
	{ "stream-path", NULL, &opt.stream_path },
	{ "port", &opt.port, NULL }, { "clients", &opt.clients, NULL },
	{ "rooms", &opt.rooms, NULL }, { "streams", &opt.streams, NULL },
	{ "size", &opt.size, NULL }, { "processes", &opt.processes, NULL },
	{ "rate", &opt.rate, NULL }, { "publishers", &opt.publishers, NULL },
	{ "client-rate", &opt.client_rate, NULL },
	{ "churn", &opt.churn, NULL }, { "reads", &opt.reads, NULL },
	{ "ping", &opt.ping_ms, NULL }, { "seconds", &opt.seconds, NULL },
	{ "wait", &opt.wait_s, NULL }, { "handshakes", &opt.handshakes, NULL },
};
#define WORDS	(sizeof words / sizeof words[0])

static void
options(int argc, char **argv)
{
	struct option long_options[WORDS + 2] = { [WORDS] = { "help", 0, NULL,
	    (int)WORDS } };
	int at;

	for (size_t i = 0; i < WORDS; i++)
		long_options[i] = (struct option){ words[i].name, 1, NULL,
		    (int)i };
	while ((at = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (at < 0 || at >= (int)WORDS)
			usage(at == (int)WORDS ? 0 : 2);
		if (words[at].text != NULL)
			*words[at].text = optarg;
		else
			*words[at].number = (unsigned)strtoul(optarg, NULL, 10);
	}
	if (optind != argc || opt.size == 0 || opt.rate == 0 || opt.reads == 0 ||
	    opt.ping_ms == 0 || opt.publishers == 0 || opt.handshakes == 0)
		usage(2);
	if (opt.processes == 0)
		opt.processes = plan_total() / 15000 + 1;
	if (opt.processes > PROCESSES_MAX)
		opt.processes = PROCESSES_MAX;
}

/* Channels, who speaks in them, what all processes share. */
static void
prepare(void)
{
	unsigned channels = plan_channels(false), senders = 0;
	size_t size = sizeof *shared + channels * sizeof(struct channel);

	shared = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED) {
		perror("crowd: mmap");
		exit(2);
	}
	shared->channels = channels;
	shared->began = now_us();
	stats = &shared->stats[0];
	plan_channels(true);
	if (opt.publishers > channels)
		opt.publishers = channels;
	for (unsigned id = 0; id < plan_total(); id++) {
		struct client c = { .fd = -1 };
		struct channel *ch;

		plan_client(&c, id);
		ch = &shared->channel[c.sub[c.door == DOOR_PUSHER].channel];
		if (c.door != DOOR_STREAM && ch->sender == UINT32_MAX &&
		    (ch->kind == PRIVATE || ch->kind == ROOM)) {
			ch->sender = id;
			senders++;
		}
	}
	opt.speak_us = senders * 1000000ull /
	    (opt.client_rate > 0 ? opt.client_rate : 1) + 1;
}

int
main(int argc, char **argv)
{
	struct rlimit files;
	uint64_t bad;
	bool right;

	options(argc, argv);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	wire_secret(opt.secret);
	prepare();
	for (unsigned i = 0; i < opt.processes; i++)
		switch (fork()) {
		case -1:
			perror("crowd: fork");
			return 2;
		case 0:
			hold(i);
		}
	herd_open(&churn, opt.churn * 10 + 1);
	api_open(churn.ep);
	fill();
	run();
	right = finish();
	bad = report("end", right);
	return bad == 0 && right ? 0 : 1;
}
