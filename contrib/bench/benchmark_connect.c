/* SPDX-License-Identifier: MIT
 *
 * peal-benchmark: idle, what a connection that does nothing costs.
 */
#include <stdlib.h>
#include <string.h>

#include "benchmark.h"

#define SETTLE_MS	500

void
plan_idle(bool subscribe)
{
	plan = (struct plan){ .clients = opt.connections,
	    .channels = opt.channels, .subscribe = subscribe,
	    .prefix = strcmp(opt.kind, "public") == 0 ? "" :
	    strcmp(opt.kind, "private") == 0 ? "private-" : "presence-" };
}

int
scenario_idle(const struct scenario *sc)
{
	struct run run;
	double seconds;
	int status;

	plan_idle(true);
	run_open(&run, sc);
	if (run_filled(&run)) {
		run_until(&run, NULL, SETTLE_MS);
		run_measure(&run);
		run_until(&run, NULL, opt.hold * 1000ull + 1);
		run_measured(&run);
		run.filled = run.end.memory;
	}
	seconds = (double)(run.ended - run.began) / 1e9;
	run_finish(&run);
	report_open(&run);
	report_number("seconds", seconds, 3);
	report_number("connections", (double)run.sum->count[N_CONNECTED], 0);
	report_times("connect_ms", &run.sum->book[BOOK_CONNECT]);
	status = report_close(&run);
	free(run.sum);
	return status;
}
