/* SPDX-License-Identifier: MIT
 *
 * peal-benchmark: reload.  A fan-out goes on while the user's command replaces
 * what serves it.  Who is cut off comes again, as pusher-js would.
 */
#include <stdlib.h>

#include "benchmark.h"

#define LINGER_MS	500	/* for what is under way at the end */

static bool
settled(void)
{
	return run_spoken() && run_all_in();
}

static int
reload(struct run *run)
{
	uint64_t half = opt.seconds * 500ull;
	int status;

	run_begin(run, BOOK_DELIVERY, opt.messages, opt.seconds);
	run_until(run, NULL, half + 1);
	status = run_command(run, opt.command);
	run_until(run, settled, 0);
	/* Who was away has missed something: that does not come any more. */
	if (atomic_load(&shared->cut) == 0 || run->interrupted)
		run_wait(run);
	else
		run_until(run, NULL, LINGER_MS);
	return status;
}

int
scenario_reload(const struct scenario *sc)
{
	struct run run;
	uint64_t began, cut = 0, back = 0;
	int status, command = 0;

	if (opt.command == NULL)
		die("reload needs --command, which reloads the server");
	plan_speaking(opt.connections, 1);
	plan.comeback = plan.pauses = true;
	run_open(&run, sc);
	if (run_warm(&run)) {
		run_measure(&run);
		command = reload(&run);
		run_measured(&run);
		cut = atomic_load(&shared->cut);
		back = atomic_load(&shared->back);
	}
	began = run.began;
	run_finish(&run);
	report_open(&run);
	report_deliveries(&run);
	report_number("command_status", command, 0);
	report_number("cut", (double)run.sum->count[N_CLOSED], 0);
	report_times("pause_ms", &run.sum->book[BOOK_PAUSE]);
	report_number("longest_pause_ms",
	    (double)run.sum->book[BOOK_PAUSE].max / 1e6, 1);
	report_number("cut_after_s", cut > began ? (double)(cut - began) / 1e9 :
	    0, 3);
	report_number("all_back_s", cut > 0 && back > cut ?
	    (double)(back - cut) / 1e9 : 0, 3);
	status = report_close(&run);
	free(run.sum);
	return command != 0 ? 1 : status;
}
