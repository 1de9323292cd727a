/* SPDX-License-Identifier: MIT
 *
 * routerload: how much a router carries, and how long it takes.
 *
 *	routerload [OPTIONS] alone	one router between workers
 *	routerload [OPTIONS] redis	the same, its messages by way of Redis
 *	routerload [OPTIONS] hosts	two routers that Redis joins
 *	routerload [OPTIONS] latency	one-way times of all three
 *
 * The first worker publishes; all workers, itself included, are subscribers of
 * every channel.  With two hosts each has its own workers.  See README.
 */
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker.h"
#include "common/log.h"
#include "common/util.h"
#include "station.h"

#define WARM_S		0.5	/* before the clock starts */
#define DRAIN_S		10.0	/* for what is under way at the end */

/* What was measured. */
struct result {
	const char	*name;
	double		 seconds;
	uint64_t	 published, received, missing;
	double		 router[2];	/* seconds of processor */
	double		 broker;
	uint64_t	 echo_timeouts, dropped;
	double		 p50, p99;	/* seconds, latency only */
};

static struct options {
	struct bench	 bench;
	const char	*redis;		/* HOST:PORT, or our own */
	struct buf	 set;		/* more lines of [backplane] */
	unsigned	 rate;
	bool		 json;
	pid_t		 broker;
} opt = {
	.bench = { .peald = "./peald", .settings = "", .jail = "off",
	    .workers = 2, .channels = 100, .size = 64, .window = 2000,
	    .seconds = 5 },
	.rate = 1000,
};

/* ---- throughput ---------------------------------------------------------- */

struct load {
	struct station	*at[2];
	unsigned	 n;
	struct mate	*publisher;
	unsigned	 next;		/* channel */
};

static void
load_start(struct load *l, const struct bench *b, unsigned hosts)
{
	*l = (struct load){ .n = hosts };
	for (unsigned i = 0; i < hosts; i++)
		l->at[i] = station_start(b, i + 1);
	l->publisher = &l->at[0]->mate[0];
}

static void
load_stop(struct load *l)
{
	for (unsigned i = 0; i < l->n; i++)
		station_stop(l->at[i]);
}

static bool
turn_all(struct load *l)
{
	bool moved = false;

	for (unsigned h = 0; h < l->n; h++)
		for (unsigned i = 0; i < l->at[h]->bench->workers; i++)
			moved |= mate_turn(&l->at[h]->mate[i]);
	return moved;
}

static void
fill(struct load *l)
{
	const struct bench *b = l->at[0]->bench;
	struct mate *m = l->publisher;

	while (!m->held && m->sent - m->acked < b->window) {
		mate_publish(m, l->next);
		l->next = (l->next + 1) % b->channels;
	}
}

/* Nothing to do: wait until a link moves. */
static void
rest(struct load *l)
{
	struct pollfd p[64];
	nfds_t n = 0;

	for (unsigned h = 0; h < l->n; h++)
		for (unsigned i = 0; i < l->at[h]->bench->workers; i++)
			p[n++] = (struct pollfd){ .fd = l->at[h]->mate[i].fd,
			    .events = l->at[h]->mate[i].out.n > 0 ?
			    POLLIN | POLLOUT : POLLIN };
	poll(p, n, 10);
}

static void
run_until(struct load *l, double until)
{
	double second = now(), t;

	while ((t = now()) < until) {
		fill(l);
		if (!turn_all(l))
			rest(l);
		if (t < second)
			continue;
		second = t + 0.2;
		for (unsigned h = 0; h < l->n; h++)
			station_turn(l->at[h]);
	}
}

/* Messages that receivers have not got, or got twice.  What comes from another
 * host has a serial of that host's, so there only the number counts. */
static uint64_t
missing(const struct load *l)
{
	uint64_t n = l->publisher->sent - SERIAL_BASE, lost = 0, sum;
	const struct mate *m;

	sum = n * SERIAL_BASE + n * (n + 1) / 2;
	for (unsigned h = 0; h < l->n; h++)
		for (unsigned i = 0; i < l->at[h]->bench->workers; i++) {
			m = &l->at[h]->mate[i];
			if (h == 0 && m->received == n && m->sum != sum)
				lost++;
			lost += m->received > n ? m->received - n :
			    n - m->received;
		}
	return lost;
}

static uint64_t
received(const struct load *l)
{
	uint64_t n = 0;

	for (unsigned h = 0; h < l->n; h++)
		for (unsigned i = 0; i < l->at[h]->bench->workers; i++)
			n += l->at[h]->mate[i].received;
	return n;
}

static void
drain(struct load *l)
{
	double until = now() + DRAIN_S;

	while (now() < until && (missing(l) > 0 ||
	    l->publisher->acked < l->publisher->sent)) {
		for (unsigned h = 0; h < l->n; h++)
			station_turn(l->at[h]);
		if (!turn_all(l))
			rest(l);
	}
}

static void
times_add(struct result *r, const struct load *l, int sign)
{
	for (unsigned h = 0; h < l->n; h++)
		r->router[h] += sign * process_time(l->at[h]->pid);
	if (opt.broker != 0)
		r->broker += sign * process_time(opt.broker);
	r->seconds += sign * now();
	r->published += (uint64_t)sign * (l->publisher->acked - SERIAL_BASE);
	r->received += (uint64_t)sign * received(l);
}

/* What the routers counted; they tell each second. */
static void
take_counters(struct result *r, struct load *l)
{
	double until = now() + 3;

	for (unsigned h = 0; h < l->n; h++) {
		l->at[h]->told = false;
		while (!l->at[h]->told && now() < until) {
			station_turn(l->at[h]);
			turn_all(l);
			poll(NULL, 0, 10);
		}
		r->echo_timeouts +=
		    l->at[h]->counters.backplane_echo_timeouts;
		r->dropped += l->at[h]->counters.backplane_dropped;
	}
}

static struct result
throughput(const char *name, const struct bench *b, unsigned hosts)
{
	struct result r = { .name = name };
	struct load l;

	load_start(&l, b, hosts);
	run_until(&l, now() + WARM_S);
	times_add(&r, &l, -1);
	run_until(&l, now() + b->seconds);
	times_add(&r, &l, 1);
	drain(&l);
	r.missing = missing(&l);
	take_counters(&r, &l);
	load_stop(&l);
	return r;
}

/* ---- latency ------------------------------------------------------------- */

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
percentile(unsigned p)
{
	return samples.n == 0 ? 0 : samples.at[(samples.n - 1) * p / 100];
}

/* One message at a time, so that nothing waits behind another; only workers of
 * the last host are listened to. */
static struct result
latency(const char *name, const struct bench *b, unsigned hosts)
{
	struct result r = { .name = name };
	struct mate *to;
	struct load l;
	double next, end;
	unsigned channel = 0;

	load_start(&l, b, hosts);
	to = &l.at[hosts - 1]->mate[b->workers - 1];
	samples.n = 0;
	to->timed = true;
	next = now();
	r.seconds = b->seconds;
	for (end = next + b->seconds; now() < end;) {
		if (now() >= next) {
			mate_publish_timed(l.publisher, channel++ %
			    b->channels);
			next += 1.0 / opt.rate;
			r.published++;
		}
		/* Asleep, the program would measure how it wakes up. */
		if (!turn_all(&l))
			for (unsigned h = 0; h < l.n; h++)
				station_turn(l.at[h]);
	}
	drain(&l);
	r.missing = missing(&l);
	r.received = samples.n;
	qsort(samples.at, samples.n, sizeof(*samples.at), by_value);
	r.p50 = percentile(50);
	r.p99 = percentile(99);
	take_counters(&r, &l);
	load_stop(&l);
	return r;
}

/* ---- words --------------------------------------------------------------- */

/* Seconds of processor for a million messages, and what a core could carry. */
static double
cost(const struct result *r, double seconds)
{
	return r->published == 0 ? 0 : seconds * 1e6 / (double)r->published;
}

static double
capacity(const struct result *r, double seconds)
{
	return seconds <= 0 ? 0 : (double)r->published / seconds;
}

static void
show_part(const char *name, const struct result *r, double seconds)
{
	if (seconds <= 0)
		return;
	printf("  %-10s %5.1f %% of a core, %5.2f s per million messages: "
	    "%.0f messages/s on one core\n", name,
	    100 * seconds / r->seconds, cost(r, seconds),
	    capacity(r, seconds));
}

static void
show(const struct result *r)
{
	if (r->p50 > 0) {
		printf("%s: one way p50 %.0f us, p99 %.0f us (%" PRIu64
		    " messages)\n", r->name, r->p50 * 1e6, r->p99 * 1e6,
		    r->received);
	} else {
		printf("%s: %.0f messages/s published, %.0f/s delivered\n",
		    r->name, (double)r->published / r->seconds,
		    (double)r->received / r->seconds);
		show_part("router", r, r->router[0]);
		show_part("2nd router", r, r->router[1]);
		show_part("broker", r, r->broker);
	}
	if (r->missing > 0)
		printf("  MISSING or doubled: %" PRIu64 "\n", r->missing);
	if (r->echo_timeouts + r->dropped > 0)
		printf("  echo timeouts %" PRIu64 ", dropped %" PRIu64 "\n",
		    r->echo_timeouts, r->dropped);
}

static void
show_json(const struct result *r)
{
	printf("{\"name\":\"%s\",\"seconds\":%.3f,\"published\":%" PRIu64
	    ",\"received\":%" PRIu64 ",\"missing\":%" PRIu64
	    ",\"per_second\":%.0f,\"router_cpu\":[%.2f,%.2f],"
	    "\"broker_cpu\":%.2f,\"router_capacity\":%.0f,"
	    "\"p50_us\":%.1f,\"p99_us\":%.1f,\"echo_timeouts\":%" PRIu64
	    ",\"dropped\":%" PRIu64 ",\"size\":%u,\"channels\":%u,"
	    "\"workers\":%u,\"window\":%u}\n", r->name, r->seconds,
	    r->published, r->received, r->missing,
	    (double)r->published / r->seconds, r->router[0], r->router[1],
	    r->broker, capacity(r, r->router[0]), r->p50 * 1e6, r->p99 * 1e6,
	    r->echo_timeouts, r->dropped, opt.bench.size, opt.bench.channels,
	    opt.bench.workers, opt.bench.window);
}

/* ---- runs ---------------------------------------------------------------- */

/* Settings that join the hosts; the prefix is new each time. */
static const char *
settings_of_redis(void)
{
	struct buf *text = &opt.set;
	const char *colon;

	buf_fmt(text, "driver = redis\nchannel = routerload-%u\n",
	    (unsigned)getpid());
	if (opt.redis == NULL) {
		buf_fmt(text, "host = 127.0.0.1\nport = %u\n",
		    broker_start(&opt.broker));
		return buf_cstr(text);
	}
	colon = strrchr(opt.redis, ':');
	if (colon == NULL)
		die("--redis is HOST:PORT");
	buf_fmt(text, "host = %.*s\nport = %s\n",
	    (int)(colon - opt.redis), opt.redis, colon + 1);
	return buf_cstr(text);
}

static struct result
run_one(const char *name, const struct bench *b, unsigned hosts)
{
	struct result r = throughput(name, b, hosts);

	(opt.json ? show_json : show)(&r);
	return r;
}

static void
run_latency(const struct bench *alone, const struct bench *redis)
{
	struct result r[3];

	samples.at = xcalloc(SAMPLES_MAX, sizeof(*samples.at));
	r[0] = latency("alone", alone, 1);
	r[1] = latency("redis", redis, 1);
	r[2] = latency("hosts", redis, 2);
	for (size_t i = 0; i < NELEM(r); i++)
		(opt.json ? show_json : show)(&r[i]);
	if (!opt.json)
		printf("a hop over Redis adds p50 %.0f us, p99 %.0f us\n",
		    (r[2].p50 - r[0].p50) * 1e6, (r[2].p99 - r[0].p99) * 1e6);
	free(samples.at);
}

static void
run(const char *what)
{
	struct bench alone = opt.bench, redis = opt.bench;

	if (strcmp(what, "alone") == 0) {
		run_one(what, &alone, 1);
		return;
	}
	redis.settings = settings_of_redis();
	if (strcmp(what, "redis") == 0)
		run_one(what, &redis, 1);
	else if (strcmp(what, "hosts") == 0)
		run_one(what, &redis, 2);
	else if (strcmp(what, "latency") == 0)
		run_latency(&alone, &redis);
	else
		die("what is %s? known are alone, redis, hosts, latency",
		    what);
}

static void
stop_broker(void)
{
	if (opt.broker > 0)
		broker_stop(opt.broker);
}

static unsigned
count(const char *name, const char *text, unsigned min, unsigned max)
{
	uint64_t n;

	if (bytes_u64(bytes_str(text), &n) < 0 || n < min || n > max)
		die("%s: a number from %u to %u", name, min, max);
	return (unsigned)n;
}

static const struct option longs[] = {
	{ "peald", required_argument, NULL, 'p' },
	{ "redis", required_argument, NULL, 'r' },
	{ "set", required_argument, NULL, 'S' },
	{ "workers", required_argument, NULL, 'w' },
	{ "channels", required_argument, NULL, 'c' },
	{ "size", required_argument, NULL, 's' },
	{ "window", required_argument, NULL, 'W' },
	{ "seconds", required_argument, NULL, 't' },
	{ "rate", required_argument, NULL, 'R' },
	{ "jail", no_argument, NULL, 'J' },
	{ "json", no_argument, NULL, 'j' },
	{ NULL, 0, NULL, 0 },
};

static void
take_option(int o)
{
	struct bench *b = &opt.bench;

	switch (o) {
	case 'p': b->peald = optarg; break;
	case 'r': opt.redis = optarg; break;
	case 'S': buf_fmt(&opt.set, "%s\n", optarg); break;
	case 'w': b->workers = count("--workers", optarg, 1, 30); break;
	case 'c': b->channels = count("--channels", optarg, 1, 10000); break;
	case 's': b->size = count("--size", optarg, 2, 1 << 20); break;
	case 'W': b->window = count("--window", optarg, 1, 1 << 20); break;
	case 't': b->seconds = count("--seconds", optarg, 1, 3600); break;
	case 'R': opt.rate = count("--rate", optarg, 1, 100000); break;
	case 'J': b->jail = "on"; break;
	case 'j': opt.json = true; break;
	default:
		fputs("usage: routerload [--peald FILE] [--redis HOST:PORT] "
		    "[--set 'KEY = VALUE']\n"
		    "    [--workers N] [--channels N] [--size OCTETS] "
		    "[--window N] [--seconds N]\n"
		    "    [--rate N] [--jail] [--json]\n"
		    "    alone|redis|hosts|latency\n", stderr);
		exit(2);
	}
}

int
main(int argc, char **argv)
{
	int o;

	log_init("routerload");
	while ((o = getopt_long(argc, argv, "", longs, NULL)) != -1)
		take_option(o);
	if (argc - optind != 1)
		take_option('?');
	atexit(stop_broker);
	run(argv[optind]);
	return 0;
}
