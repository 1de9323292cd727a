/* SPDX-License-Identifier: MIT
 *
 * peal-benchmark: presence.  All join one presence channel, and everybody must see
 * everybody; then every second one leaves, and those who stay must see that.
 * A delivery is a member that is seen to come, in the list or later, or to go.
 */
#include <stdlib.h>

#include "benchmark.h"

static bool
all_seen(void)
{
	return run_all_in() &&
	    stats_sum(N_SEEN) >= (uint64_t)plan.clients * plan.clients;
}

static bool
all_unseen(void)
{
	return stats_sum(N_UNSEEN) >=
	    (uint64_t)(plan.clients / 2) * (plan.clients - plan.clients / 2);
}

int
scenario_presence(const struct scenario *sc)
{
	struct run run;
	double joins = 0;
	int status;

	plan = (struct plan){ .clients = opt.connections, .channels = 1,
	    .subscribe = true, .prefix = "presence-", .members = true };
	run_open(&run, sc);
	run_measure(&run);
	if (run_until(&run, all_seen, 0)) {
		joins = (double)(now_ns() - run.began) / 1e9;
		atomic_store(&shared->left, 1);
		atomic_store(&shared->phase, PHASE_LEAVE);
		run_until(&run, all_unseen, 0);
	}
	run_measured(&run);
	run_finish(&run);
	report_open(&run);
	report_head(&run, plan.clients + (joins > 0 ? plan.clients / 2 : 0),
	    run.sum->count[N_SEEN] + run.sum->count[N_UNSEEN], BOOK_DELIVERY);
	report_times("leave_ms", &run.sum->book[BOOK_OTHER]);
	report_number("seen", (double)run.sum->count[N_SEEN], 0);
	report_number("seen_to_leave", (double)run.sum->count[N_UNSEEN], 0);
	report_number("all_seen_s", joins, 3);
	status = report_close(&run);
	free(run.sum);
	return status;
}
