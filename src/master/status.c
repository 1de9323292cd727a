/* SPDX-License-Identifier: MIT
 *
 * What the master knows, as JSON for pealctl.
 *
 * Runs in: master.
 */
#include <config.h>		/* of configure, not our own */

#include <inttypes.h>
#include <unistd.h>

#include "common/jail.h"
#include "common/json.h"
#include "common/util.h"
#include "master/beside.h"
#include "master/control.h"
#include "master/master.h"
#include "master/reload.h"
#include "master/replace.h"
#include "master/spread.h"
#include "master/status.h"

static void
add_text(struct buf *out, const char *name, const char *text)
{
	buf_fmt(out, "\"%s\":", name);
	if (text != NULL)
		json_quote(out, bytes_str(text));
	else
		buf_str(out, "null");
}

static void
add_number(struct buf *out, const char *name, uint64_t n)
{
	buf_fmt(out, "\"%s\":%" PRIu64, name, n);
}

static void
add_counters(struct buf *out, const struct counters *c)
{
	for (size_t i = 0; i < counter_count; i++) {
		if (i != 0)
			buf_char(out, ',');
		add_number(out, counter_info[i].name,
		    counter_at(c, &counter_info[i]));
	}
}

static void
add_child(struct buf *out, const struct child *c, uint64_t now)
{
	buf_char(out, '{');
	add_number(out, "slot", c->slot);
	buf_char(out, ',');
	add_number(out, "pid", (uint64_t)c->pid);
	buf_char(out, ',');
	add_text(out, "state", child_state_name(c));
	buf_char(out, ',');
	add_number(out, "generation", c->generation);
	buf_char(out, ',');
	add_number(out, "restarts", c->spawns - (c->spawns != 0));
	buf_char(out, ',');
	add_number(out, "uptime",
	    c->pid != 0 ? (now - c->spawned_ms) / 1000 : 0);
	buf_char(out, ',');
	add_counters(out, &c->counters);
	buf_char(out, '}');
}

static void
add_address(struct buf *out, const struct listen_address *a)
{
	const struct config_listen *section =
	    &master.config->listen[a->section];

	buf_char(out, '{');
	add_text(out, "address", a->text);
	buf_char(out, ',');
	add_text(out, "section", section->label != NULL ? section->label : "");
	buf_fmt(out, ",\"tls\":%s}",
	    section->certificate != NULL ? "true" : "false");
}

static void
add_addresses(struct buf *out)
{
	buf_str(out, "\"addresses\":[");
	for (size_t i = 0; i < master.listen.n; i++) {
		if (i != 0)
			buf_char(out, ',');
		add_address(out, &master.listen.at[i]);
	}
	buf_char(out, ']');
}

static void
add_children(struct buf *out)
{
	uint64_t now = clock_ms();

	const struct crew *crew = master.crew[CREW_IN_FORCE];
	const struct child *beside = &master.crew[CREW_BESIDE]->at[0];

	buf_str(out, "\"workers\":[");
	for (unsigned i = SLOT_WORKER_FIRST; i < crew->n; i++) {
		if (i != SLOT_WORKER_FIRST)
			buf_char(out, ',');
		add_child(out, &crew->at[i], now);
	}
	buf_str(out, "],\"router\":");
	add_child(out, crew_router(crew), now);
	buf_str(out, ",\"courier\":");
	if (beside_wanted() || beside->pid != 0)
		add_child(out, beside, now);
	else
		buf_str(out, "null");
}

static const char *
jail_in_force(void)
{
	return master.config->peal.jail == JAIL_OFF ? "off" : jail_describe();
}

/* "none", or what joins this host to others. */
static const char *
backplane_name(void)
{
	static const char *const names[] = {
		[BACKPLANE_NONE] = "none", [BACKPLANE_REDIS] = "redis",
	};

	return names[master.config->backplane.driver];
}

void
status_json(struct buf *out)
{
	struct counters sum;

	numbers_look();
	numbers_total(&sum);
	buf_str(out, "{\"ok\":true,");
	add_text(out, "version", PACKAGE_VERSION);
	buf_char(out, ',');
	add_number(out, "pid", (uint64_t)getpid());
	buf_char(out, ',');
	add_text(out, "state", master.stopping ? "stopping" :
	    master.ending ? "ending" : children_up() ? "running" : "starting");
	buf_char(out, ',');
	add_number(out, "started", master.started_wall_ms / 1000);
	buf_char(out, ',');
	add_number(out, "uptime", (clock_ms() - master.started_ms) / 1000);
	buf_char(out, ',');
	add_text(out, "file", master.source->file);
	buf_char(out, ',');
	add_text(out, "control", control_path());
	buf_char(out, ',');
	add_text(out, "jail", jail_in_force());
	buf_char(out, ',');
	add_text(out, "backplane", backplane_name());
	buf_char(out, ',');
	add_addresses(out);
	buf_char(out, ',');
	add_children(out);
	buf_char(out, ',');
	spread_status(out);
	buf_char(out, ',');
	replace_status(out);
	buf_char(out, ',');
	reload_status(out);
	buf_str(out, ",\"totals\":{");
	add_counters(out, &sum);
	buf_str(out, "}}\n");
}

static void
add_list(struct buf *out, const char *name, const struct config_strings *list)
{
	buf_fmt(out, "\"%s\":[", name);
	for (size_t i = 0; i < list->n; i++) {
		if (i != 0)
			buf_char(out, ',');
		json_quote(out, bytes_str(list->at[i]));
	}
	buf_char(out, ']');
}

static void
add_app(struct buf *out, const struct config_app *app)
{
	static const char *const events[] = { "none", "members", "all" };

	buf_char(out, '{');
	add_text(out, "name", app->label != NULL ? app->label : "");
	buf_char(out, ',');
	add_text(out, "id", app->id);
	buf_char(out, ',');
	add_list(out, "keys", &app->key);
	buf_fmt(out, ",\"enabled\":%s,", app->enabled ? "true" : "false");
	add_list(out, "allowed_origins", &app->allowed_origins);
	buf_char(out, ',');
	add_text(out, "client_events", events[app->client_events]);
	buf_char(out, ',');
	add_number(out, "max_connections", app->max_connections);
	buf_char(out, ',');
	add_number(out, "max_message_size", app->max_message_size);
	buf_str(out, "}\n");
}

void
status_apps(struct buf *out)
{
	for (size_t i = 0; i < master.config->n_app; i++)
		add_app(out, &master.config->app[i]);
	buf_fmt(out, "{\"ok\":true,\"count\":%zu}\n", master.config->n_app);
}
