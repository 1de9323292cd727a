/* SPDX-License-Identifier: MIT
 *
 * What all processes count, as text for Prometheus: see metrics.h.
 *
 * Runs in: the master.
 */
#include <config.h>		/* of configure, not our own */

#include <stdio.h>

#include "common/json.h"
#include "common/util.h"
#include "master/hooks.h"
#include "master/master.h"
#include "master/metrics.h"
#include "master/openmetrics.h"
#include "master/reloads.h"

#define API	"api"		/* the way that is no front door */
#define TEXT(x)	#x
#define NUMBER(x) TEXT(x)

/* ---- one number ---------------------------------------------------------- */

static void
simple(struct openmetrics *o, const char *name, enum metric_kind kind,
    const char *unit, const char *help, uint64_t value, uint64_t parts)
{
	openmetrics_family(o, &(struct metric){ name, kind, unit, "", help });
	openmetrics_sample(o, NULL, 0, value, parts);
}

static unsigned
workers_up(void)
{
	const struct crew *crew = master.crew[CREW_IN_FORCE];
	unsigned n = 0;

	for (unsigned i = SLOT_WORKER_FIRST; crew != NULL && i < crew->n; i++)
		n += crew->at[i].state == CHILD_UP;
	return n;
}

static void
put_service(struct openmetrics *o)
{
	static const struct metric build = { "build_info", METRIC_GAUGE, NULL,
		"version", "Which release this is" };
	struct metric_label version = { "version", PACKAGE_VERSION };

	openmetrics_family(o, &build);
	openmetrics_sample(o, &version, 1, 1, 1);
	simple(o, "start_time_seconds", METRIC_GAUGE, "seconds",
	    "When the service was started, in seconds since 1970",
	    master.started_wall_ms, 1000);
	simple(o, "draining", METRIC_GAUGE, NULL,
	    "1 while the service is being stopped, or will be soon",
	    master.stopping || master.ending, 1);
	simple(o, "workers", METRIC_GAUGE, NULL,
	    "Workers in force that are up", workers_up(), 1);
}

/* ---- by application and front door --------------------------------------- */

static void
put_names(struct openmetrics *o)
{
	static const struct metric info = { "app_info", METRIC_GAUGE, NULL,
		"app, name", "Applications of the settings, and their names" };
	const struct config *config = master.config;

	openmetrics_family(o, &info);
	for (size_t i = 0; config != NULL && i < config->n_app; i++) {
		struct metric_label labels[] = {
			{ "app", config->app[i].id },
			{ "name", config->app[i].label != NULL ?
			    config->app[i].label : "" },
		};

		openmetrics_sample(o, labels, 2, 1, 1);
	}
}

static const struct of_usage {
	struct metric	 metric;
	size_t		 offset;
	bool		 api, fronts;	/* whose ways know it */
} of_usage[] = {
#define USAGE(name, kind, unit, field, api, fronts, help)		\
	{ { name, kind, unit, "app, front", help },			\
	    offsetof(struct usage, field), api, fronts },
USAGE("connections", METRIC_GAUGE, NULL, connections, false, true,
    "Established connections")
USAGE("connections_opened", METRIC_COUNTER, NULL, opened, false, true,
    "Connections that were established")
USAGE("connections_ended", METRIC_COUNTER, NULL, closed, false, true,
    "Established connections that have ended")
USAGE("messages_received", METRIC_COUNTER, NULL, messages_in, false, true,
    "Messages from clients")
USAGE("messages_sent", METRIC_COUNTER, NULL, messages_out, false, true,
    "Messages to clients")
USAGE("received_bytes", METRIC_COUNTER, "bytes", bytes_in, false, true,
    "Octets of what clients said, as on the wire, without TLS")
USAGE("sent_bytes", METRIC_COUNTER, "bytes", bytes_out, false, true,
    "Octets of messages to clients, as on the wire, without TLS")
USAGE("messages_published", METRIC_COUNTER, NULL, published, true, true,
    "Messages that the application, or clients, have published")
USAGE("api_requests", METRIC_COUNTER, NULL, requests, true, false,
    "Requests to the HTTP API with a good signature")
#undef USAGE
};

static void
put_usage(struct openmetrics *o, const struct of_usage *u)
{
	struct counter_info at = { .offset = u->offset };
	struct usage sum;
	struct way way;
	bool api;

	openmetrics_family(o, &u->metric);
	for (size_t i = 0; numbers_way(i, &way); i++) {
		struct metric_label labels[] = {
			{ "app", way.app }, { "front", way.front },
		};

		api = strcmp(way.front, API) == 0;
		if (api ? !u->api : !u->fronts)
			continue;
		sum = numbers_by_way(&way);
		openmetrics_sample(o, labels, 2, usage_at(&sum, &at), 1);
	}
}

static void
put_closes(struct openmetrics *o)
{
	static const struct metric closes = { "connections_closed",
		METRIC_COUNTER, NULL, "reason", "Connections closed, those of "
		"HTTP requests included, by reason (src/tables/closes.def)" };
	struct metric_label label = { .name = "reason" };
	uint64_t n;

	openmetrics_family(o, &closes);
	for (size_t i = 0; (label.value = numbers_reason(i, &n)) != NULL; i++)
		if (strcmp(label.value, "NONE") != 0)
			openmetrics_sample(o, &label, 1, n, 1);
}

/* ---- tables/counters.def ------------------------------------------------- */

enum by { SUM, WORKER, ROLE, PROCESS, ROUTER, NOT };

static const struct counted {
	size_t		 offset;
	const char	*name, *unit;
	enum by		 by;
	uint64_t	 parts;
} counted[] = {
#define COUNTED(counter, name, unit, by, parts) \
	{ offsetof(struct counters, counter), name, unit, by, parts },
#include "tables/metrics.def"
};

static struct counted
counted_of(const struct counter_info *info)
{
	for (size_t i = 0; i < NELEM(counted); i++)
		if (counted[i].offset == info->offset)
			return counted[i];
	return (struct counted){ info->offset, info->name, NULL, SUM, 1 };
}

/* Of those that are gone nothing is held; a slot that was never used says
 * nothing. */
static bool
slot_says(unsigned slot, const struct counter_info *info)
{
	const struct child *c;

	if (!info->is_gauge)
		return master.generation[slot] != 0;
	for (c = children_next(NULL); c != NULL; c = children_next(c))
		if (c->slot == slot && c->pid != 0)
			return true;
	return false;
}

static void
put_slot(struct openmetrics *o, const struct counter_info *info,
    const struct counted *how, unsigned slot, const struct metric_label *label)
{
	struct counters sum;

	if (!slot_says(slot, info))
		return;
	numbers_of_slot(slot, &sum);
	openmetrics_sample(o, label, 1, counter_at(&sum, info), how->parts);
}

static void
put_workers(struct openmetrics *o, const struct counter_info *info,
    const struct counted *how)
{
	char name[16];
	struct metric_label label = { "worker", name };

	for (unsigned i = SLOT_WORKER_FIRST; i < SLOT_COURIER; i++) {
		snprintf(name, sizeof(name), "%u", i);
		put_slot(o, info, how, i, &label);
	}
}

/* As in the log. */
static void
process_name(unsigned slot, char *name, size_t room)
{
	if (slot == SLOT_ROUTER || slot == SLOT_COURIER)
		snprintf(name, room, "%s", slot == SLOT_ROUTER ? "router" :
		    "courier");
	else
		snprintf(name, room, "worker/%u", slot);
}

static void
put_processes(struct openmetrics *o, const struct counter_info *info,
    const struct counted *how)
{
	char name[32] = "master";
	struct metric_label label = { "process", name };
	uint64_t memory, cpu_us;

	numbers_own(&memory, &cpu_us);
	openmetrics_sample(o, &label, 1, info->is_gauge ? memory : cpu_us,
	    how->parts);
	for (unsigned i = 0; i < SLOTS; i++) {
		process_name(i, name, sizeof(name));
		put_slot(o, info, how, i, &label);
	}
}

static void
put_roles(struct openmetrics *o, const struct counter_info *info,
    const struct counted *how)
{
	struct metric_label label = { "process", "router" };
	struct counters sum, one;

	put_slot(o, info, how, SLOT_ROUTER, &label);
	memset(&sum, 0, sizeof(sum));
	for (unsigned i = SLOT_WORKER_FIRST; i < SLOT_COURIER; i++) {
		numbers_of_slot(i, &one);
		counters_add(&sum, &one);
	}
	label.value = "worker";
	openmetrics_sample(o, &label, 1, counter_at(&sum, info), how->parts);
}

static void
put_counter(struct openmetrics *o, const struct counter_info *info,
    const struct counters *total)
{
	static const char *const labels[] = {
		[SUM] = "", [WORKER] = "worker", [ROLE] = "process",
		[PROCESS] = "process", [ROUTER] = "", [NOT] = "",
	};
	struct counted how = counted_of(info);
	struct counters router;

	if (how.by == NOT)
		return;
	openmetrics_family(o, &(struct metric){ how.name, info->is_gauge ?
	    METRIC_GAUGE : METRIC_COUNTER, how.unit, labels[how.by],
	    info->help });
	if (how.by == WORKER) {
		put_workers(o, info, &how);
	} else if (how.by == PROCESS) {
		put_processes(o, info, &how);
	} else if (how.by == ROLE) {
		put_roles(o, info, &how);
	} else if (how.by == ROUTER) {
		numbers_of_slot(SLOT_ROUTER, &router);
		openmetrics_sample(o, NULL, 0, counter_at(&router, info),
		    how.parts);
	} else {
		openmetrics_sample(o, NULL, 0, counter_at(total, info),
		    how.parts);
	}
}

static void
put_counters(struct openmetrics *o)
{
	const struct counter_info *info;
	struct counters total;

	numbers_total(&total);
	for (size_t i = 0; i < counter_count; i++)
		put_counter(o, &counter_info[i], &total);
	for (size_t i = 0; i < histogram_kinds; i++) {
		info = &histogram_info[i];
		openmetrics_family(o, &(struct metric){ info->name,
		    METRIC_HISTOGRAM, "seconds", "", info->help });
		openmetrics_histogram(o, histogram_at(&total, info));
	}
}

/* ---- processes that died ------------------------------------------------- */

/* Of a slot, over all crews; it is there, and 0, before somebody dies. */
static void
put_restarts(struct openmetrics *o)
{
	static const struct metric restarts = { "process_restarts",
		METRIC_COUNTER, NULL, "process", "Processes that were started "
		"because the one before had died or was killed" };
	char name[32];
	struct metric_label label = { "process", name };

	openmetrics_family(o, &restarts);
	for (unsigned i = 0; i < SLOTS; i++) {
		if (master.generation[i] == 0)
			continue;
		process_name(i, name, sizeof(name));
		openmetrics_sample(o, &label, 1, master.restarts[i], 1);
	}
}

/* ---- reloads ------------------------------------------------------------- */

static void
put_reloads(struct openmetrics *o)
{
	static const struct metric reloads = { "reloads", METRIC_COUNTER,
		NULL, "result", "Reloads that took effect (ok), or were "
		"refused" };
	struct metric_label label = { "result", "ok" };

	openmetrics_family(o, &reloads);
	openmetrics_sample(o, &label, 1, reloads_good(), 1);
	label.value = "refused";
	openmetrics_sample(o, &label, 1, reloads_refused(), 1);
}

/* ---- webhooks ------------------------------------------------------------ */

/* Members of what the courier says of a target. */
static const struct of_hook {
	struct metric	 metric;
	struct bytes	 member;
	uint64_t	 parts;
} of_hook[] = {
#define HOOK(name, kind, unit, member, parts, help) \
	{ { name, kind, unit, "target, app", help }, BYTES(member), parts },
HOOK("webhook_queued_events", METRIC_GAUGE, NULL, "queued", 1,
    "Events that wait for a target")
HOOK("webhook_queued_bytes", METRIC_GAUGE, "bytes", "octets", 1,
    "Octets of them")
HOOK("webhook_delivered_events", METRIC_COUNTER, NULL, "delivered", 1,
    "Events that a target has taken")
HOOK("webhook_requests", METRIC_COUNTER, NULL, "requests", 1,
    "Requests to a target")
HOOK("webhook_requests_refused", METRIC_COUNTER, NULL, "refused", 1,
    "Requests that failed or were not answered with 2xx")
HOOK("webhook_dropped_events", METRIC_COUNTER, NULL, "dropped", 1,
    "Events dropped because a target's queue was full")
HOOK("webhook_expired_events", METRIC_COUNTER, NULL, "expired", 1,
    "Events dropped because a target took none for too long")
HOOK("webhook_last_success_seconds", METRIC_GAUGE, "seconds", "last_ok", 1000,
    "When a target took something last, in seconds since 1970; 0: never")
#undef HOOK
};

/* A target's label and application, which are the settings' own. */
struct target {
	struct buf		 name, app;
	struct metric_label	 labels[2];
};

static void
target_read(struct target *t, const struct json *hook)
{
	struct json name, app;
	const struct json_want want[] = {
		{ BYTES("target"), &name }, { BYTES("app"), &app },
	};
	struct buf scratch = { 0 };

	json_pick(hook, want, NELEM(want));
	buf_clear(&t->name);
	buf_clear(&t->app);
	if (name.type == JSON_STRING)
		buf_bytes(&t->name, json_text(&name, &scratch));
	if (app.type == JSON_STRING)
		buf_bytes(&t->app, json_text(&app, &scratch));
	buf_done(&scratch);
	t->labels[0] = (struct metric_label){ "target", buf_cstr(&t->name) };
	t->labels[1] = (struct metric_label){ "app", buf_cstr(&t->app) };
}

static bool
target_is_ok(const struct json *hook)
{
	struct json state;
	const struct json_want want = { BYTES("state"), &state };

	json_pick(hook, &want, 1);
	return bytes_eq(state.raw, B("\"ok\""));
}

static void
put_hook(struct openmetrics *o, const struct json *all,
    const struct of_hook *of)
{
	struct target t = { 0 };
	struct json hook, member;
	const struct json_want want = { of->member, &member };
	uint64_t n;
	size_t pos = 0;

	openmetrics_family(o, &of->metric);
	while (json_next(all, &pos, NULL, &hook)) {
		if (json_pick(&hook, &want, 1) < 0)
			continue;
		target_read(&t, &hook);
		if (json_u64(&member, &n) < 0)
			n = 0;
		openmetrics_sample(o, t.labels, 2, n, of->parts);
	}
	buf_done(&t.name);
	buf_done(&t.app);
}

static void
put_hook_states(struct openmetrics *o, const struct json *all)
{
	static const struct metric up = { "webhook_up", METRIC_GAUGE, NULL,
		"target, app", "1 if a target takes what is sent to it" };
	struct target t = { 0 };
	struct json hook;
	size_t pos = 0;

	openmetrics_family(o, &up);
	while (json_next(all, &pos, NULL, &hook)) {
		if (hook.type != JSON_OBJECT)
			continue;
		target_read(&t, &hook);
		openmetrics_sample(o, t.labels, 2, target_is_ok(&hook), 1);
	}
	buf_done(&t.name);
	buf_done(&t.app);
}

static void
put_hooks(struct openmetrics *o)
{
	struct buf text = { 0 };
	const char *why;
	struct json all;

	if (o->form != OPENMETRICS_MANUAL)
		hooks_json(&text);
	if (json_parse(buf_view(&text), &all, &why) < 0 ||
	    all.type != JSON_ARRAY)
		(void)json_parse(B("[]"), &all, &why);
	put_hook_states(o, &all);
	for (size_t i = 0; i < NELEM(of_hook); i++)
		put_hook(o, &all, &of_hook[i]);
	buf_done(&text);
}

/* ---- all of it ----------------------------------------------------------- */

static void
put_all(struct openmetrics *o)
{
	put_service(o);
	put_names(o);
	for (size_t i = 0; i < NELEM(of_usage); i++)
		put_usage(o, &of_usage[i]);
	put_closes(o);
	put_counters(o);
	put_restarts(o);
	put_reloads(o);
	put_hooks(o);
	openmetrics_end(o);
}

void
metrics_text(struct buf *out, bool openmetrics)
{
	numbers_look();
	numbers_expect(master.config);
	put_all(&(struct openmetrics){ .out = out,
	    .form = openmetrics ? OPENMETRICS : OPENMETRICS_PLAIN });
}

void
metrics_manual(struct buf *out)
{
	buf_str(out, "What /metrics has\n"
	    "=================\n\n"
	    "The name, its labels, its type.  Written by the program (make "
	    "update-docs).\n\n"
	    "Counters never go back while the service lives: what a process "
	    "that is gone\nhas counted stays, over crashes, reloads and "
	    "another binary.  worker is a\nworker's number; after a reload "
	    "its successor goes on with it.  process is\nmaster, router, "
	    "courier or worker/NUMBER.  front is a front door (pusher, "
	    "rooms,\nsse), or api.\n\n"
	    "An application that is taken out of the settings keeps its series "
	    "until pairs of\napp and front take half of their room, which is "
	    NUMBER(NUMBERS_WAYS) "; what is beyond it has no\nseries.\n\n"
	    "contrib/grafana has a board for Grafana, alerts, and what "
	    "Prometheus needs to be\ntold.\n\n");
	put_all(&(struct openmetrics){ .out = out,
	    .form = OPENMETRICS_MANUAL });
}
