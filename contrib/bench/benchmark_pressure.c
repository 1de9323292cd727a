/* SPDX-License-Identifier: MIT
 *
 * peal-benchmark: publish, nothing but the API; pressure, subscribers that do not
 * read, and publishers that are faster than the server.
 */
#include <stdlib.h>

#include "benchmark.h"

#define LOOK_MS		250
#define MEMBERS		10	/* of each channel that is flooded */

int
scenario_publish(const struct scenario *sc)
{
	struct run run;
	double seconds;
	uint64_t messages;
	int status;

	plan = (struct plan){ .channels = opt.publishers, .prefix = "",
	    .speaker = SPEAK_API, .speakers = opt.publishers };
	run_open(&run, sc);
	run_round(&run, BOOK_NONE, opt.warmup, 1);
	run_measure(&run);
	run_round(&run, BOOK_DELIVERY, opt.messages, opt.seconds);
	run_measured(&run);
	run_finish(&run);
	seconds = (double)(run.ended - run.began) / 1e9;
	messages = run.sum->count[N_PUBLISHED] - run.warmup_sent;
	report_open(&run);
	report_head(&run, messages, 0, BOOK_PUBLISH);
	report_number("publishes_per_s", seconds > 0 ?
	    (double)messages / seconds : 0, 1);
	report_statuses(&run);
	status = report_close(&run);
	free(run.sum);
	return status;
}

/* ---- pressure ----------------------------------------------------------- */

struct pressure {
	uint64_t	 messages[3];	/* all read; some do not; flood */
	unsigned	 reading;
	double		 flood_s;
	uint64_t	 peak[3];
};

static unsigned
still_reading(void)
{
	unsigned n = 0;

	for (unsigned id = 0; id < plan.crowd; id++)
		n += !plan_stalls(id);
	return n;
}

static void
one_round(struct run *run, struct pressure *p, unsigned i, enum book book,
    uint64_t messages)
{
	uint64_t before = stats_sum(N_PUBLISHED);

	run->peak = 0;
	run_round(run, book, messages, opt.seconds);
	run_measured(run);
	p->peak[i] = run->peak;
	p->messages[i] = stats_sum(N_PUBLISHED) - before;
}

/* One publisher speaks to the crowd, with a rate; then the others as fast as
 * they get answers, each to some subscribers of its own. */
static void
press(struct run *run, struct pressure *p)
{
	uint64_t began, peak = run->peak;

	shared->speakers = 1;
	shared->rate = opt.rate;
	shared->fan = plan.crowd;
	run_round(run, BOOK_NONE, opt.warmup, 1);
	run_measure(run);
	one_round(run, p, 0, BOOK_DELIVERY, 0);
	atomic_store(&shared->stall, 1);
	run_until(run, NULL, LOOK_MS);
	shared->fan = p->reading = still_reading();
	one_round(run, p, 1, BOOK_OTHER, 0);
	shared->first = 1;
	shared->speakers = opt.publishers;
	shared->rate = shared->window = 0;
	shared->fan = MEMBERS;
	atomic_store(&shared->flood, 1);
	began = now_ns();
	one_round(run, p, 2, BOOK_FLOOD, 0);
	p->flood_s = (double)(now_ns() - began) / 1e9;
	for (unsigned i = 0; i < 3; i++)
		peak = p->peak[i] > peak ? p->peak[i] : peak;
	run->peak = peak;
}

static void
report_pressure(const struct run *run, const struct pressure *p)
{
	const struct stats *sum = run->sum;

	report_head(run, sum->count[N_PUBLISHED] - run->warmup_sent,
	    sum->count[N_DELIVERIES] - run->warmup, BOOK_DELIVERY);
	report_times("latency_stalled_ms", &sum->book[BOOK_OTHER]);
	report_times("latency_flood_ms", &sum->book[BOOK_FLOOD]);
	report_group("stalled");
	report_number("subscribers", plan.crowd, 0);
	report_number("messages", (double)p->messages[0], 0);
	report_number("memory_peak", (double)p->peak[0], 0);
	report_number("reading_on", p->reading, 0);
	report_number("messages_stalled", (double)p->messages[1], 0);
	report_number("memory_peak_stalled", (double)p->peak[1], 0);
	report_number("closed", (double)sum->count[N_STALLED_CLOSED], 0);
	report_end();
	report_group("flood");
	report_number("subscribers", MEMBERS, 0);
	report_number("messages", (double)p->messages[2], 0);
	report_number("publishes_per_s", p->flood_s > 0 ?
	    (double)p->messages[2] / p->flood_s : 0, 1);
	report_number("memory_peak", (double)p->peak[2], 0);
	report_end();
	report_times("publish_ms", &sum->book[BOOK_PUBLISH]);
	report_statuses(run);
}

int
scenario_pressure(const struct scenario *sc)
{
	struct pressure p = { .reading = 0 };
	struct run run;
	int status;

	if (opt.rate == 0)
		die("pressure needs a --rate");
	plan = (struct plan){ .crowd = opt.connections,
	    .clients = opt.connections + opt.publishers * MEMBERS,
	    .channels = 1 + opt.publishers, .subscribe = true, .prefix = "",
	    .stalled = opt.stalled, .speaker = SPEAK_API,
	    .speakers = 1 + opt.publishers };
	run_open(&run, sc);
	run.look_ms = LOOK_MS;
	if (run_filled(&run))
		press(&run, &p);
	run_finish(&run);
	report_open(&run);
	report_pressure(&run, &p);
	status = report_close(&run);
	free(run.sum);
	return status;
}
