/* SPDX-License-Identifier: MIT
 *
 * peal-benchmark: connect, how fast they come; idle, what they cost that do
 * nothing; churn, what coming and going costs.
 */
#include <stdlib.h>
#include <string.h>

#include "benchmark.h"

#define SETTLE_MS	500

static void
plan_coming(unsigned clients, bool subscribe)
{
	plan = (struct plan){ .clients = clients, .channels = opt.channels,
	    .subscribe = subscribe,
	    .prefix = strcmp(opt.kind, "public") == 0 ? "" :
	    strcmp(opt.kind, "private") == 0 ? "private-" : "presence-" };
}

static void
report_rate(const struct run *run, uint64_t connections)
{
	double seconds = (double)(run->ended - run->began) / 1e9;

	report_number("connections_per_s", seconds > 0 ?
	    (double)connections / seconds : 0, 1);
	if (opt.tls)
		report_number("resumed", (double)run->sum->count[N_RESUMED], 0);
}

int
scenario_connect(const struct scenario *sc)
{
	struct run run;
	int status;

	plan_coming(opt.connections, opt.subscribe);
	run_open(&run, sc);
	run_measure(&run);
	run.opening_cpu = true;
	run_filled(&run);
	run_measured(&run);
	run_finish(&run);
	report_open(&run);
	report_head(&run, 0, 0, BOOK_CONNECT);
	report_rate(&run, run.sum->count[N_CONNECTED]);
	status = report_close(&run);
	free(run.sum);
	return status;
}

int
scenario_idle(const struct scenario *sc)
{
	struct run run;
	int status;

	plan_coming(opt.connections, true);
	run_open(&run, sc);
	if (run_filled(&run)) {
		run_until(&run, NULL, SETTLE_MS);
		run_measure(&run);
		run_until(&run, NULL, opt.hold * 1000ull + 1);
		run_measured(&run);
		run.filled = run.end.memory;
	}
	run_finish(&run);
	report_open(&run);
	report_head(&run, 0, 0, BOOK_CONNECT);
	status = report_close(&run);
	free(run.sum);
	return status;
}

/* ---- churn -------------------------------------------------------------- */

static bool
all_gone(void)
{
	uint32_t n = 0;

	for (unsigned i = 0; i <= plan.hands; i++)
		n += __atomic_load_n(&shared->stats[i].opening,
		    __ATOMIC_ACQUIRE);
	return n == 0;
}

int
scenario_churn(const struct scenario *sc)
{
	struct run run;
	struct usage after;
	int status;

	plan_coming(opt.inflight, true);
	plan.churn = true;
	run_open(&run, sc);
	run_measure(&run);
	run.opening_cpu = true;
	run_until(&run, NULL, opt.seconds * 1000ull + 1);
	run.stopped = false;
	atomic_store(&shared->phase, PHASE_LEAVE);
	run_until(&run, all_gone, 0);
	run_measured(&run);
	run_until(&run, NULL, SETTLE_MS);
	server_usage(opt.pid, &after, true);
	run_finish(&run);
	report_open(&run);
	report_head(&run, 0, 0, BOOK_CONNECT);
	report_rate(&run, run.sum->count[N_ENDED]);
	if (opt.pid > 0)
		report_number("memory_left", (double)after.memory -
		    (double)run.before.memory, 0);
	status = report_close(&run);
	free(run.sum);
	return status;
}
