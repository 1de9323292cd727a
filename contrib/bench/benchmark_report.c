/* SPDX-License-Identifier: MIT
 *
 * peal-benchmark: what is printed.  Standard output gets a report at once, when it
 * is complete; standard error the progress.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "benchmark.h"
#include "config.h"

static char *text;
static size_t used, size;
static bool grouped, fresh;

static void __attribute__((format(printf, 1, 2)))
add(const char *fmt, ...)
{
	va_list ap;
	int n;

	if (size - used < 2048) {
		size += 8192;
		if ((text = realloc(text, size)) == NULL)
			die("out of memory");
	}
	va_start(ap, fmt);
	n = vsnprintf(text + used, size - used, fmt, ap);
	va_end(ap);
	if (n > 0)
		used += (size_t)n < size - used ? (size_t)n : size - used - 1;
}

static void
label(const char *name)
{
	if (opt.json)
		add("%s\"%s\":", fresh ? "" : ",", name);
	else if (grouped)
		add("%s%s ", fresh ? "" : "  ", name);
	else
		add("  %-20s ", name);
	fresh = false;
}

static void
line_end(void)
{
	if (!opt.json && !grouped)
		add("\n");
}

void
report_number(const char *name, double value, unsigned decimals)
{
	label(name);
	add("%.*f", (int)decimals, value);
	line_end();
}

void
report_text(const char *name, const char *value)
{
	label(name);
	if (opt.json)
		add("\"");
	for (const char *p = value; *p != '\0'; p++) {
		if ((unsigned char)*p < ' ')
			add(" ");
		else if (opt.json && (*p == '"' || *p == '\\'))
			add("\\%c", *p);
		else
			add("%c", *p);
	}
	if (opt.json)
		add("\"");
	line_end();
}

void
report_flag(const char *name, bool value)
{
	label(name);
	add("%s", value ? "true" : "false");
	line_end();
}

void
report_group(const char *name)
{
	label(name);
	if (opt.json)
		add("{");
	grouped = fresh = true;
}

void
report_end(void)
{
	add(opt.json ? "}" : "\n");
	grouped = fresh = false;
}

void
report_times(const char *name, const struct histogram *h)
{
	static const struct {
		const char	*name;
		double		 share;
	} at[] = {
		{ "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 },
		{ "p99_9", 0.999 }, { "max", 1 },
	};

	report_group(name);
	for (unsigned i = 0; i < sizeof at / sizeof at[0]; i++)
		report_number(at[i].name, (double)histogram_at(h, at[i].share) /
		    1e6, 3);
	report_end();
}

/* ---- a whole one -------------------------------------------------------- */

void
report_open(const struct run *run)
{
	used = 0;
	fresh = true;
	grouped = false;
	if (!opt.json) {
		add("%s\n", run->scenario->name);
		return;
	}
	add("{");
	report_text("tool", "peal-benchmark");
	report_text("version", VERSION);
	report_text("scenario", run->scenario->name);
	report_group("options");
	options_report(&opt, run->scenario);
	report_end();
}

void
report_head(const struct run *run, uint64_t messages, uint64_t deliveries,
    enum book latency)
{
	double seconds = (double)(run->ended - run->began) / 1e9;

	report_number("seconds", seconds, 6);
	report_number("connections", (double)run->sum->count[N_CONNECTED], 0);
	if (!opt.json && messages == 0) {	/* it is not about any */
		report_times("latency_ms", &run->sum->book[latency]);
		return;
	}
	report_number("messages", (double)messages, 0);
	report_number("deliveries", (double)deliveries, 0);
	report_number("deliveries_per_s", seconds > 0 ?
	    (double)deliveries / seconds : 0, 1);
	report_times("latency_ms", &run->sum->book[latency]);
}

void
report_statuses(const struct run *run)
{
	char name[16];

	report_group("statuses");
	for (unsigned i = 0; i < STATUSES; i++) {
		if (run->sum->status[i] == 0 && i != 200)
			continue;
		snprintf(name, sizeof name, "%u", i);
		report_number(name, run->sum->status[i], 0);
	}
	report_end();
}

/* Processes that were replaced took theirs with them. */
static double
grown(double from, double to)
{
	return to > from ? to - from : 0;
}

static void
report_server(const struct run *run)
{
	double user = grown(run->start.user, run->end.user);
	double system = grown(run->start.system, run->end.system);
	uint64_t deliveries = run->sum->count[N_DELIVERIES] - run->warmup +
	    run->sum->count[N_SEEN] + run->sum->count[N_UNSEEN];
	uint64_t clients = run->sum->count[N_CONNECTED];

	if (opt.pid == 0)
		return;
	report_group("server");
	report_number("cpu_user_s", user, 3);
	report_number("cpu_system_s", system, 3);
	if (deliveries > 0)
		report_number("cpu_us_per_delivery", (user + system) * 1e6 /
		    (double)deliveries, 3);
	if (run->opening_cpu && clients > 0)
		report_number("cpu_us_per_connection", (user + system) * 1e6 /
		    (double)clients, 3);
	if (run->before.memory > 0 && run->end.memory > 0) {
		report_number("memory_before", (double)run->before.memory, 0);
		report_number("memory", (double)run->end.memory, 0);
		report_number("memory_peak", (double)run->peak, 0);
		if (plan.clients > 0 && run->filled > 0)
			report_number("octets_per_connection",
			    ((double)run->filled - (double)run->before.memory) /
			    plan.clients, 1);
	}
	report_end();
}

int
report_close(const struct run *run)
{
	static const char *const names[] = { "missing", "doubled", "disordered",
	    "refused", "closed", "bad" };

	report_server(run);
	report_number("client_cpu_s", run->self_end.user + run->self_end.system -
	    run->self_start.user - run->self_start.system, 3);
	report_group("faults");
	for (unsigned i = FAULTS_FROM; i < COUNTERS; i++)
		report_number(names[i - FAULTS_FROM],
		    (double)run->sum->count[i], 0);
	report_end();
	if (run->sum->first[0] != '\0')
		report_text("first_fault", run->sum->first);
	add(opt.json ? "}\n" : "\n");
	report_progress(NULL);
	fwrite(text, 1, used, stdout);
	fflush(stdout);
	return run_faults(run) > 0 ? 1 : 0;
}

/* ---- progress ----------------------------------------------------------- */

void
report_progress(const char *line)
{
	static size_t shown;

	if (opt.quiet || !isatty(2))
		return;
	if (line == NULL) {
		if (shown > 0)
			fprintf(stderr, "\r%*s\r", (int)shown, "");
		shown = 0;
		return;
	}
	fprintf(stderr, "\r%-*s", (int)shown, line);
	shown = strlen(line);
}
