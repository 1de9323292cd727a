/* SPDX-License-Identifier: MIT
 *
 * peal-benchmark: fanout, one channel that all are in; many, small channels.
 */
#include <stdlib.h>
#include <string.h>

#include "benchmark.h"

/* Client events are for members of private and presence channels only. */
static const char *
prefix(void)
{
	if (strcmp(opt.kind, "presence") == 0)
		return "presence-";
	return opt.client || strcmp(opt.kind, "private") == 0 ? "private-" : "";
}

void
plan_speaking(unsigned clients, unsigned channels)
{
	plan = (struct plan){ .clients = clients, .channels = channels,
	    .subscribe = true, .prefix = prefix(),
	    .speaker = opt.client ? SPEAK_CLIENT : SPEAK_API,
	    .speakers = opt.client || opt.publishers > channels ? channels :
	    opt.publishers };
}

/* Fills, warms up; false: it makes no sense to go on. */
bool
run_warm(struct run *run)
{
	shared->rate = opt.rate;
	shared->window = opt.window;
	shared->fan = plan.clients / plan.channels;
	if (!run_filled(run))
		return false;
	run_round(run, BOOK_NONE, opt.warmup, opt.warmup > 0 ? 1 : 0);
	return !run->stopped;
}

void
report_deliveries(const struct run *run)
{
	const struct stats *sum = run->sum;

	report_head(run, sum->count[N_PUBLISHED] - run->warmup_sent,
	    sum->count[N_DELIVERIES] - run->warmup, BOOK_DELIVERY);
	report_number("subscribers", plan.clients / plan.channels, 0);
	if (plan.speaker == SPEAK_API)
		report_times("publish_ms", &sum->book[BOOK_PUBLISH]);
}

static int
speak(const struct scenario *sc)
{
	struct run run;
	int status;

	run_open(&run, sc);
	if (run_warm(&run)) {
		run_measure(&run);
		run_round(&run, BOOK_DELIVERY, opt.messages, opt.seconds);
		run_measured(&run);
	}
	run_finish(&run);
	report_open(&run);
	report_deliveries(&run);
	status = report_close(&run);
	free(run.sum);
	return status;
}

int
scenario_fanout(const struct scenario *sc)
{
	plan_speaking(opt.connections, 1);
	return speak(sc);
}

/* Of the members of a channel one speaks, if clients do. */
int
scenario_many(const struct scenario *sc)
{
	unsigned hear = opt.client ? opt.members - 1 : opt.members;

	if (hear == 0)
		die("--members: with --client one speaks, another has to hear");
	if ((uint64_t)opt.channels * hear > 10000000)
		die("too many connections");
	plan_speaking(opt.channels * hear, opt.channels);
	return speak(sc);
}
