/* SPDX-License-Identifier: MIT
 *
 * What the master knows of all processes: see report.h.
 *
 * Runs in: master.
 */
#include <config.h>		/* of configure, not our own */

#include "master/report.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/json.h"
#include "common/util.h"
#include "master/hooks.h"
#include "master/master.h"
#include "master/metrics.h"
#include "master/reloads.h"

#define API	"api"
#define FRESH	100		/* ms */

void	master_on_ask_report(struct child *, struct ipc *,
	    const struct msg_ask_report *);

/* ---- pieces -------------------------------------------------------------- */

static void
add_key(struct buf *out, const char *name)
{
	char last = out->n > 0 ? out->p[out->n - 1] : '{';

	if (last != '{' && last != '[')
		buf_char(out, ',');
	buf_fmt(out, "\"%s\":", name);
}

static void
add_text(struct buf *out, const char *name, const char *text)
{
	struct bytes b = bytes_str(text);

	add_key(out, name);
	json_quote(out, utf8_valid(b) ? b : B("?"));
}

static void
add_number(struct buf *out, const char *name, uint64_t n)
{
	add_key(out, name);
	buf_u64(out, n);
}

/* Behind the last of a list. */
static void
add_comma(struct buf *out)
{
	if (out->p[out->n - 1] != '[')
		buf_char(out, ',');
}

/* ---- processes ----------------------------------------------------------- */

static void
add_counters(struct buf *out, const char *name, const struct counters *c)
{
	add_key(out, name);
	buf_char(out, '{');
	for (size_t i = 0; i < counter_count; i++)
		add_number(out, counter_info[i].name,
		    counter_at(c, &counter_info[i]));
	buf_char(out, '}');
}

/* Gauges are its own; what only grows is that of all that were in its slot. */
static struct counters
counters_of(const struct child *c)
{
	struct counters sum;

	if (child_crew(c) != CREW_IN_FORCE && child_crew(c) != CREW_BESIDE)
		return c->counters;
	numbers_of_slot(c->slot, &sum);
	for (size_t i = 0; i < counter_count; i++)
		if (counter_info[i].is_gauge)
			memcpy((char *)&sum + counter_info[i].offset,
			    (const char *)&c->counters +
			    counter_info[i].offset, sizeof(uint64_t));
	return sum;
}

static void
add_process(struct buf *out, const struct child *c)
{
	static const char *const crews[CREWS] = {
		[CREW_IN_FORCE] = "in force", [CREW_COMING] = "coming",
		[CREW_LEAVING] = "leaving", [CREW_BESIDE] = "in force",
	};
	struct counters counters = counters_of(c);

	buf_char(out, '{');
	if (child_is_worker(c))
		add_number(out, "slot", c->slot);
	add_number(out, "pid", (uint64_t)c->pid);
	add_number(out, "generation", c->generation);
	add_text(out, "state", child_state_name(c));
	add_text(out, "crew", crews[child_crew(c)]);
	add_number(out, "uptime", c->pid != 0 ?
	    (clock_ms() - c->spawned_ms) / 1000 : 0);
	add_counters(out, "counters", &counters);
	buf_char(out, '}');
}

/* Of crews that come or leave only who is there. */
static void
add_processes(struct buf *out)
{
	const struct crew *beside = master.crew[CREW_BESIDE];
	const struct child *c;

	add_key(out, "workers");
	buf_char(out, '[');
	for (c = children_next(NULL); c != NULL; c = children_next(c)) {
		if (!child_is_worker(c) || (c->pid == 0 &&
		    child_crew(c) != CREW_IN_FORCE))
			continue;
		add_comma(out);
		add_process(out, c);
	}
	buf_char(out, ']');
	add_key(out, "router");
	add_process(out, crew_router(master.crew[CREW_IN_FORCE]));
	add_key(out, "courier");
	if (beside != NULL && beside->at[0].pid != 0)
		add_process(out, &beside->at[0]);
	else
		buf_str(out, "null");
}

/* ---- sums ---------------------------------------------------------------- */

static void
add_seconds(struct buf *out, uint64_t ns)
{
	buf_fmt(out, "%" PRIu64 ".%09" PRIu64, ns / 1000000000,
	    ns % 1000000000);
}

static void
add_histogram(struct buf *out, const char *name, const struct histogram *h)
{
	add_key(out, name);
	buf_str(out, "{\"bounds\":[");
	for (size_t i = 0; i < HISTOGRAM_BUCKETS - 1; i++)
		buf_fmt(out, "%s%s", i != 0 ? "," : "",
		    histogram_bounds[i].seconds);
	buf_str(out, "],\"counts\":[");
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		buf_fmt(out, "%s%" PRIu64, i != 0 ? "," : "", h->counts[i]);
	buf_char(out, ']');
	add_key(out, "sum");
	add_seconds(out, h->sum);
	add_number(out, "count", histogram_count(h));
	buf_char(out, '}');
}

static void
add_totals(struct buf *out)
{
	struct counters sum;

	numbers_total(&sum);
	add_counters(out, "totals", &sum);
	add_key(out, "histograms");
	buf_char(out, '{');
	for (size_t i = 0; i < histogram_kinds; i++)
		add_histogram(out, histogram_info[i].name,
		    histogram_at(&sum, &histogram_info[i]));
	buf_char(out, '}');
}

static void
add_closes(struct buf *out)
{
	const char *name;
	uint64_t n;

	add_key(out, "closes");
	buf_char(out, '{');
	for (size_t i = 0; (name = numbers_reason(i, &n)) != NULL; i++)
		if (n > 0)
			add_number(out, name, n);
	buf_char(out, '}');
}

/* ---- applications -------------------------------------------------------- */

/* What the API has not is left out, and requests, which only it has. */
static bool
way_has(const struct way *way, const struct counter_info *info)
{
	bool api = strcmp(way->front, API) == 0;

	if (info->offset == offsetof(struct usage, published))
		return true;
	return api == (info->offset == offsetof(struct usage, requests));
}

static void
add_way(struct buf *out, const struct way *way)
{
	struct usage sum = numbers_by_way(way);

	add_key(out, way->front);
	buf_char(out, '{');
	for (size_t i = 0; i < usage_count; i++)
		if (way_has(way, &usage_info[i]))
			add_number(out, usage_info[i].name,
			    usage_at(&sum, &usage_info[i]));
	buf_char(out, '}');
}

static bool
was_used(const struct way *way)
{
	struct usage sum = numbers_by_way(way);

	for (size_t i = 0; i < usage_count; i++)
		if (usage_at(&sum, &usage_info[i]) != 0)
			return true;
	return false;
}

/* All ways that were used by application, so that there may be many of both. */
struct sorted {
	struct way	*at;
	size_t		 n;
};

static int
by_app(const void *a, const void *b)
{
	const struct way *x = a, *y = b;
	int order = strcmp(x->app, y->app);

	return order != 0 ? order : x->place < y->place ? -1 : 1;
}

static struct sorted
ways_sorted(void)
{
	struct sorted ways = { .n = 0 };
	struct way way;

	for (size_t i = 0; numbers_way(i, &way); i++) {
		if (!was_used(&way))
			continue;
		ways.at = xreallocarray(ways.at, ways.n + 1,
		    sizeof(*ways.at));
		ways.at[ways.n++] = way;
	}
	if (ways.n > 0)
		qsort(ways.at, ways.n, sizeof(*ways.at), by_app);
	return ways;
}

/* The first that does not come before this application. */
static size_t
first_of(const struct sorted *ways, const char *app)
{
	size_t low = 0, high = ways->n, middle;

	while (low < high) {
		middle = (low + high) / 2;
		if (strcmp(ways->at[middle].app, app) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void
add_app(struct buf *out, const struct sorted *ways, const char *id,
    const char *label)
{
	add_comma(out);
	buf_char(out, '{');
	add_text(out, "app", id);
	add_text(out, "label", label != NULL ? label : "");
	add_key(out, "fronts");
	buf_char(out, '{');
	for (size_t i = first_of(ways, id); i < ways->n &&
	    strcmp(ways->at[i].app, id) == 0; i++)
		add_way(out, &ways->at[i]);
	buf_str(out, "}}");
}

static bool
is_set(const char *id)
{
	for (size_t i = 0; i < master.config->n_app; i++)
		if (strcmp(master.config->app[i].id, id) == 0)
			return true;
	return false;
}

/* Those of the settings, then those that were. */
static void
add_apps(struct buf *out)
{
	struct sorted ways = ways_sorted();

	add_key(out, "apps");
	buf_char(out, '[');
	for (size_t i = 0; i < master.config->n_app; i++)
		add_app(out, &ways, master.config->app[i].id,
		    master.config->app[i].label);
	for (size_t i = 0; i < ways.n; i++)
		if ((i == 0 || strcmp(ways.at[i].app,
		    ways.at[i - 1].app) != 0) && !is_set(ways.at[i].app))
			add_app(out, &ways, ways.at[i].app, NULL);
	buf_char(out, ']');
	free(ways.at);
}

/* ---- all of it ----------------------------------------------------------- */

void
report_json(struct buf *out)
{
	char host[HOST_NAME_MAX + 1] = "";

	(void)gethostname(host, sizeof(host) - 1);
	numbers_look();
	buf_str(out, "{\"ok\":true");
	add_number(out, "time", clock_wall_ms());
	add_text(out, "version", PACKAGE_VERSION);
	add_text(out, "host", host);
	add_number(out, "pid", (uint64_t)getpid());
	add_number(out, "uptime", (clock_ms() - master.started_ms) / 1000);
	add_key(out, "draining");
	buf_str(out, master.stopping || master.ending ? "true" : "false");
	add_processes(out);
	add_totals(out);
	add_closes(out);
	add_apps(out);
	add_key(out, "hooks");
	hooks_json(out);
	add_key(out, "reloads");
	reloads_json(out);
	buf_str(out, "}\n");
}

/* A text of a thousand applications takes as long to make as a hundred turns of
 * this loop: whoever asks all the time gets the same one for a moment. */
static struct told {
	struct buf	 text;
	uint64_t	 made;
} kept[REPORT_METRICS_PLAIN + 1];

static struct bytes
told_of(uint64_t what)
{
	struct told *t = &kept[what <= REPORT_METRICS_PLAIN ? what :
	    REPORT_METRICS_PLAIN];

	if (t->text.n > 0 && clock_ms() - t->made < FRESH)
		return buf_view(&t->text);
	buf_clear(&t->text);
	if (what == REPORT_JSON)
		report_json(&t->text);
	else
		metrics_text(&t->text, what == REPORT_METRICS);
	t->made = clock_ms();
	return buf_view(&t->text);
}

void
report_end(void)
{
	for (size_t i = 0; i < NELEM(kept); i++)
		buf_done(&kept[i].text);
}

void
master_on_ask_report(struct child *c, struct ipc *ipc,
    const struct msg_ask_report *m)
{
	(void)c;
	msg_pack_report(ipc_out(ipc), &(struct msg_report){
	    .cookie = m->cookie, .text = told_of(m->what) });
}
