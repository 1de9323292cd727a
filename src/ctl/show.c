/* SPDX-License-Identifier: MIT
 *
 * Answers of peald, set for people.
 *
 * Runs in: pealctl.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/counters.h"
#include "common/log.h"
#include "common/util.h"
#include "ctl/call.h"
#include "ctl/fields.h"
#include "ctl/show.h"
#include "ctl/table.h"
#include "ctl/talk.h"

/* ---- status -------------------------------------------------------------- */

/* "redis, up, 3 hosts": a word of what pealctl backplane shows. */
static void
show_reach(const struct json *status)
{
	struct json totals = field(status, "totals");
	uint64_t hosts = field_number(&totals, "hosts");

	field_put(field_text(status, "backplane"));
	if (bytes_eq(field_text(status, "backplane"), B("none")))
		return;
	printf(", %s, %" PRIu64 " host%s", field_number(&totals,
	    "backplane_up") == 0 ? "down" : field_number(&totals,
	    "backplane_degraded") != 0 ? "degraded" : "up", hosts,
	    hosts == 1 ? "" : "s");
}

static void
show_head(const struct json *status)
{
	printf("Peal ");
	field_put(field_text(status, "version"));
	printf(", process %" PRIu64 ", ", field_number(status, "pid"));
	field_put(field_text(status, "state"));
	printf(" for ");
	field_put(field_span(field_number(status, "uptime")));
	if (field(status, "file").type == JSON_STRING) {
		printf("\nSettings: ");
		field_put(field_text(status, "file"));
	}
	printf("\nJail: ");
	field_put(field_text(status, "jail"));
	printf("\nBackplane: ");
	show_reach(status);
	printf("\n\n");
}

static void
show_addresses(const struct json *status)
{
	static const char *const heads[] = { "ADDRESS", "TLS", "SECTION" };
	struct table *t = table_new(heads, NELEM(heads));
	struct json list = field(status, "addresses"), a;
	size_t pos = 0;

	while (list.type == JSON_ARRAY && json_next(&list, &pos, NULL, &a)) {
		table_cell(t, field_text(&a, "address"));
		table_cell(t, field_flag(&a, "tls") ? B("yes") : B("no"));
		table_cell(t, field_text(&a, "section").n != 0 ?
		    field_text(&a, "section") : B("-"));
	}
	table_print(t, "No addresses.");
	table_free(t);
	putchar('\n');
}

static void
process_row(struct table *t, const struct json *c, const char *name)
{
	struct buf title = { 0 };

	if (name == NULL)
		buf_fmt(&title, "worker %" PRIu64, field_number(c, "slot"));
	else
		buf_str(&title, name);
	table_cell(t, buf_view(&title));
	buf_done(&title);
	table_number(t, field_number(c, "pid"));
	table_cell(t, field_text(c, "state"));
	table_cell(t, field_span(field_number(c, "uptime")));
	table_number(t, field_number(c, "restarts"));
	table_number(t, field_number(c, "connections"));
	table_number(t, field_number(c, "websockets"));
	table_number(t, field_number(c, "messages_in"));
	table_number(t, field_number(c, "messages_out"));
}

static void
show_processes(const struct json *status)
{
	static const char *const heads[] = { "PROCESS", ">PID", "STATE", ">UP",
		">RESTARTS", ">CONNECTIONS", ">WEBSOCKETS", ">IN", ">OUT" };
	struct table *t = table_new(heads, NELEM(heads));
	struct json list = field(status, "workers"), c;
	size_t pos = 0;

	c = field(status, "router");
	process_row(t, &c, "router");
	while (list.type == JSON_ARRAY && json_next(&list, &pos, NULL, &c))
		process_row(t, &c, NULL);
	c = field(status, "courier");
	if (c.type == JSON_OBJECT)
		process_row(t, &c, "courier");
	table_print(t, "No processes.");
	table_free(t);
	putchar('\n');
}

/* " (TLS: 3, no room: 1)", if there are any; sep goes before them. */
static void
show_reasons(const struct json *object, const char *sep)
{
	struct json list = field(object, "reasons"), name, value;
	uint64_t n;
	size_t pos = 0;

	if (list.type != JSON_OBJECT)
		return;
	while (json_next(&list, &pos, &name, &value)) {
		if (json_u64(&value, &n) < 0)
			continue;
		fputs(sep, stdout);
		fputs(log_bytes(field_of(&name)), stdout);
		printf(": ");
		field_put_number(n);
		sep = ", ";
	}
	if (sep[0] == ',')
		putchar(')');
}

/* "2,512 connections moved, 3 stay until they are closed (TLS: 3)" */
static void
show_handed(const struct json *object)
{
	uint64_t moved = field_number(object, "moved"), kept = field_number(object, "kept");

	field_put_number(moved);
	printf(" connection%s moved", moved == 1 ? "" : "s");
	if (kept != 0) {
		printf(", ");
		field_put_number(kept);
		printf(" stay%s until closed", kept == 1 ? "s" : "");
	}
	show_reasons(object, kept != 0 ? " (" : "; others were closed (");
}

/* The last reload, if there was one. */
static void
show_last_reload(const struct json *status)
{
	struct json last = field(status, "reload");
	uint64_t at = field_number(&last, "time"), now = (uint64_t)time(NULL);

	if (last.type != JSON_OBJECT)
		return;
	printf("Last reload: ");
	field_put(field_span(now > at ? now - at : 0));
	printf(" ago, in %" PRIu64 " ms, ", field_number(&last, "ms"));
	fputs(log_bytes(field_text(&last, "result")), stdout);
	if (field_flag(&last, "replaced") && field_flag(&last, "ok")) {
		printf("; ");
		show_handed(status);
	}
	if (field_flag(&last, "waiting"))
		printf("; another one waits");
	printf("\n\n");
}

static void
leaving_rows(struct table *t, const struct json *crew)
{
	struct json list = field(crew, "workers"), w;
	struct buf title = { 0 };
	size_t pos = 0;

	while (list.type == JSON_ARRAY && json_next(&list, &pos, NULL, &w)) {
		buf_clear(&title);
		buf_fmt(&title, "worker %" PRIu64 " of generation %" PRIu64,
		    field_number(&w, "slot"), field_number(crew, "generation"));
		table_cell(t, buf_view(&title));
		if (field_number(&w, "pid") != 0)
			table_number(t, field_number(&w, "pid"));
		else
			table_cell(t, B("gone"));
		table_number(t, field_number(&w, "connections"));
		table_number(t, field_number(&w, "moved"));
		table_number(t, field_number(&w, "kept"));
		table_number(t, field_number(&w, "refused"));
		table_cell(t, field_text(&w, "why").n != 0 ? field_text(&w, "why") :
		    B("-"));
	}
	buf_done(&title);
}

/* Processes of the generation that a reload replaces. */
static void
show_leaving(const struct json *status)
{
	static const char *const heads[] = { "LEAVING", ">PID", ">CONNECTIONS",
		">MOVED", ">KEPT", ">REFUSED", "LAST REASON" };
	struct json list = field(status, "generations"), crew;
	struct table *t = table_new(heads, NELEM(heads));
	bool any = false;
	size_t pos = 0;

	while (list.type == JSON_ARRAY && json_next(&list, &pos, NULL, &crew)) {
		if (!bytes_eq(field_text(&crew, "state"), B("leaving")))
			continue;
		leaving_rows(t, &crew);
		any = true;
	}
	if (any) {
		table_print(t, "");
		putchar('\n');
	}
	table_free(t);
}

/* Is it of no interest, as hosts are not joined? */
static bool
of_backplane(const struct counter_info *info)
{
	return bytes_starts(bytes_str(info->name), B("backplane_")) ||
	    bytes_starts(bytes_str(info->name), B("host"));
}

static void
counter_row(struct table *t, const struct counter_info *info, uint64_t n)
{
	table_cell(t, bytes_str(info->name));
	table_number(t, n);
	table_cell(t, bytes_str(info->help));
}

/* What has happened at all. */
static void
show_totals(const struct json *status)
{
	static const char *const heads[] = { "TOTAL", ">VALUE",
		"MEANING" };
	struct table *t = table_new(heads, NELEM(heads));
	struct json totals = field(status, "totals");
	bool alone = bytes_eq(field_text(status, "backplane"), B("none"));
	uint64_t n;

	for (size_t i = 0; i < counter_count; i++) {
		n = field_number(&totals, counter_info[i].name);
		if (n == 0 && (!counter_info[i].is_gauge ||
		    (alone && of_backplane(&counter_info[i]))))
			continue;
		counter_row(t, &counter_info[i], n);
	}
	table_print(t, "Nothing has happened yet.");
	table_free(t);
}

void
show_status(struct bytes answer)
{
	struct json status;
	size_t pos = 0;

	if (!talk_line(answer, &pos, &status))
		return;
	show_head(&status);
	show_addresses(&status);
	show_processes(&status);
	show_leaving(&status);
	show_last_reload(&status);
	show_totals(&status);
}

/* ---- rows ---------------------------------------------------------------- */

void
show_apps(struct bytes answer)
{
	static const char *const heads[] = { "APP", "ID", "KEYS", "ENABLED",
		"CLIENT EVENTS", ">MAX CONNECTIONS", "ORIGINS" };
	struct table *t = table_new(heads, NELEM(heads));
	struct json row;
	size_t pos = 0;

	while (field_row(answer, &pos, &row)) {
		table_cell(t, field_text(&row, "name"));
		table_cell(t, field_text(&row, "id"));
		table_cell(t, field_texts(&row, "keys"));
		table_cell(t, field_flag(&row, "enabled") ? B("yes") : B("no"));
		table_cell(t, field_text(&row, "client_events"));
		if (field_number(&row, "max_connections") != 0)
			table_number(t, field_number(&row, "max_connections"));
		else
			table_cell(t, B("no limit"));
		table_cell(t, field_texts(&row, "allowed_origins"));
	}
	table_print(t, "No applications.");
	table_free(t);
}

void
show_channels(struct bytes answer)
{
	static const char *const heads[] = { "CHANNEL", ">SUBSCRIPTIONS",
		">USERS" };
	struct table *t = table_new(heads, NELEM(heads));
	struct json row;
	size_t pos = 0;
	struct bytes name;

	while (field_row(answer, &pos, &row)) {
		name = field_text(&row, "channel");
		table_cell(t, name);
		table_number(t, field_number(&row, "subscriptions"));
		if (bytes_starts(name, B("presence-")))
			table_number(t, field_number(&row, "users"));
		else
			table_cell(t, B("-"));
	}
	table_print(t, "No channels are occupied.");
	table_free(t);
}

void
show_users(struct bytes answer)
{
	static const char *const heads[] = { "USER", "MEMBER" };
	struct table *t = table_new(heads, NELEM(heads));
	struct json row, shown;
	size_t pos = 0;

	while (field_row(answer, &pos, &row)) {
		table_cell(t, field_text(&row, "id"));
		shown = field(&row, "member");
		table_cell(t, shown.raw);
	}
	table_print(t, "Nobody is there.");
	table_free(t);
}

void
show_connections(struct bytes answer)
{
	static const char *const heads[] = { "APP", ">OPEN", ">SUBSCRIBED" };
	struct table *t = table_new(heads, NELEM(heads));
	struct json row;
	size_t pos = 0;

	while (field_row(answer, &pos, &row)) {
		table_cell(t, field_text(&row, "app"));
		table_number(t, field_number(&row, "open"));
		table_number(t, field_number(&row, "subscribed"));
	}
	table_print(t, "No connections.");
	table_free(t);
}

/* ---- backplane ----------------------------------------------------------- */

static void
show_broker(const struct json *last)
{
	uint64_t lag = field_number(last, "lag_us");

	printf("Backplane: ");
	field_put(field_text(last, "driver"));
	printf(", ");
	field_put(field_text(last, "state"));
	printf(" for ");
	field_put(field_span(field_number(last, "since")));
	printf("\nBroker: ");
	field_put(field_text(last, "broker"));
	if (lag != 0)
		printf(", %" PRIu64 ".%03" PRIu64 " ms away", lag / 1000,
		    lag % 1000);
	if (field_text(last, "failure").n != 0) {
		printf("\nLast failure: ");
		field_put(field_text(last, "failure"));
	}
	printf("\nTopics: %" PRIu64 "\nBacklog: %" PRIu64 " messages, %" PRIu64
	    " octets\nIn flight: %" PRIu64 " messages\n\n",
	    field_number(last, "topics"), field_number(last, "backlog"),
	    field_number(last, "backlog_octets"), field_number(last, "in_flight"));
}

static void
host_row(struct table *t, const struct json *row)
{
	bool own = field_flag(row, "own");

	table_cell(t, own ? B("*") : B(""));
	table_cell(t, field_text(row, "name").n != 0 ? field_text(row, "name") : B("-"));
	table_cell(t, field_text(row, "node"));
	table_cell(t, field_text(row, "state"));
	table_cell(t, own ? B("-") : field_span(field_number(row, "heard")));
	table_number(t, field_number(row, "rows"));
}

static void
show_moved(const struct json *last)
{
	static const char *const heads[] = { "COUNTER", ">VALUE", "MEANING" };
	struct table *t = table_new(heads, NELEM(heads));
	struct json counters = field(last, "counters");
	uint64_t n;

	for (size_t i = 0; i < counter_count; i++) {
		n = field_number(&counters, counter_info[i].name);
		if (n == 0)
			continue;
		counter_row(t, &counter_info[i], n);
	}
	table_print(t, "Nothing has happened yet.");
	table_free(t);
}

/* The last line is what comes first. */
void
show_backplane(struct bytes answer)
{
	static const char *const heads[] = { "", "HOST", "NODE", "STATE",
		">HEARD", ">ROWS" };
	struct table *t = table_new(heads, NELEM(heads));
	struct json row;
	size_t pos = 0;

	while (field_row(answer, &pos, &row))
		host_row(t, &row);
	if (bytes_eq(field_text(&row, "state"), B("alone"))) {
		puts("This host stands alone ([backplane] driver = none).");
	} else {
		show_broker(&row);
		table_print(t, "No hosts.");
		putchar('\n');
		show_moved(&row);
	}
	table_free(t);
}

void
show_hosts(struct bytes answer)
{
	static const char *const heads[] = { "", "HOST", "NODE", "STATE",
		">HEARD", ">ROWS" };
	struct table *t = table_new(heads, NELEM(heads));
	struct json row;
	size_t pos = 0;

	while (field_row(answer, &pos, &row))
		host_row(t, &row);
	table_print(t, "This host stands alone ([backplane] driver = none).");
	table_free(t);
}

/* ---- single connections --------------------------------------------------- */

static void
inspect_row(struct table *t, const struct json *row)
{
	table_cell(t, field_text(row, "socket_id"));
	table_cell(t, field_text(row, "app"));
	table_cell(t, field_text(row, "front"));
	table_number(t, field_number(row, "worker"));
	table_cell(t, field_text(row, "address"));
	table_cell(t, field_text(row, "user").n != 0 ?
	    field_text(row, "user") : B("-"));
	table_cell(t, field_span(field_number(row, "age")));
	table_cell(t, field_span(field_number(row, "idle")));
	table_number(t, field_number(row, "backlog"));
	table_number(t, field_number(row, "channels"));
	table_cell(t, field_texts(row, "names"));
}

/* Some workers have not answered; they do as they were told when they do. */
static bool
is_partial(const struct json *line)
{
	return field(line, "missing").type == JSON_ARRAY;
}

void
show_inspected(struct bytes answer)
{
	static const char *const heads[] = { "SOCKET", "APP", "DOOR",
		">WORKER", "ADDRESS", "USER", ">AGE", ">IDLE", ">BACKLOG",
		">CHANNELS", "WHICH" };
	struct table *t = table_new(heads, NELEM(heads));
	struct json row;
	uint64_t n = 0;
	size_t pos = 0;

	while (field_row(answer, &pos, &row)) {
		inspect_row(t, &row);
		n++;
	}
	table_print(t, "No such connections.");
	table_free(t);
	if (field_number(&row, "total") > n) {
		printf("\n%" PRIu64 " of ", n);
		field_put_number(field_number(&row, "total"));
		puts("; --limit N shows more.");
	}
	if (is_partial(&row))
		puts("Not all workers have answered.");
}

static void
put_connections(uint64_t n)
{
	if (n == 0)
		fputs("No", stdout);
	else
		field_put_number(n);
	fputs(n == 1 ? " connection" : " connections", stdout);
}

/* A user's, on this host and, where hosts are joined, on others. */
void
show_user_closed(struct bytes answer)
{
	struct json line;
	size_t pos = 0;

	if (!talk_line(answer, &pos, &line))
		return;
	if (field_number(&line, "closed") != 0)
		fputs("Closed ", stdout);
	put_connections(field_number(&line, "closed"));
	if (field(&line, "elsewhere").type != JSON_MISSING) {
		fputs(" here; the other hosts were told, where ", stdout);
		field_put_number(field_number(&line, "elsewhere"));
		fputs(" signed in", stdout);
	}
	puts(is_partial(&line) ? " yet." : ".");
	if (is_partial(&line))
		puts("Not all workers have answered; they close theirs when "
		    "they do.");
}

void
show_socket_closed(struct bytes answer)
{
	struct json line;
	size_t pos = 0;

	if (!talk_line(answer, &pos, &line))
		return;
	if (field_number(&line, "closed") != 0)
		puts("Closed 1 connection.");
	else if (is_partial(&line))
		puts("Not found, but not all workers have answered; they "
		    "close it when they do.");
	else
		puts("No such connection on this host.");
}

int
closed_status(struct bytes answer)
{
	struct json line;
	size_t pos = 0;

	return talk_line(answer, &pos, &line) &&
	    (field_number(&line, "closed") != 0 ||
	    field_number(&line, "elsewhere") != 0 ||
	    is_partial(&line)) ?
	    STATUS_OK : STATUS_REFUSED;
}

/* ---- webhooks ------------------------------------------------------------- */

static void
hook_row(struct table *t, const struct json *hook, uint64_t now)
{
	uint64_t next = field_number(hook, "next_try");

	table_cell(t, field_text(hook, "target"));
	table_cell(t, field_text(hook, "app"));
	table_cell(t, field_text(hook, "state"));
	table_number(t, field_number(hook, "queued"));
	table_number(t, field_number(hook, "delivered"));
	table_number(t, field_number(hook, "refused"));
	table_number(t, field_number(hook, "dropped") +
	    field_number(hook, "expired"));
	if (field_number(hook, "last_status") != 0)
		table_number(t, field_number(hook, "last_status"));
	else
		table_cell(t, B("-"));
	table_cell(t, field_text(hook, "last_error").n != 0 ?
	    field_text(hook, "last_error") : B("-"));
	table_cell(t, next == 0 ? B("-") : next <= now ? B("now") :
	    field_span((next - now + 999) / 1000));
	table_cell(t, field_text(hook, "url"));
}

/* The answer is a report of everything. */
void
show_hooks(struct bytes answer)
{
	static const char *const heads[] = { "TARGET", "APP", "STATE",
		">WAITING", ">DELIVERED", ">FAILED", ">LOST", ">STATUS",
		"LAST ERROR", "TRIED IN", "URL" };
	struct table *t = table_new(heads, NELEM(heads));
	struct json report, hooks = { .type = JSON_MISSING }, hook;
	bool courier = false;
	size_t pos = 0;

	if (talk_line(answer, &pos, &report)) {
		hooks = field(&report, "hooks");
		courier = field(&report, "courier").type == JSON_OBJECT;
	}
	pos = 0;
	while (hooks.type == JSON_ARRAY && json_next(&hooks, &pos, NULL, &hook))
		hook_row(t, &hook, field_number(&report, "time"));
	table_print(t, courier ? "The courier has told nothing yet: ask again "
	    "in a second." : "There are no webhooks ([webhook NAME]).");
	table_free(t);
}

/* ---- settings ------------------------------------------------------------- */

void
show_config(struct bytes answer)
{
	struct json line;
	size_t pos = 0;

	if (talk_line(answer, &pos, &line))
		field_put(field_text(&line, "settings"));
}

static void
put_side(struct table *t, const struct json *row, const char *name)
{
	struct json side = field(row, name);

	if (side.type != JSON_STRING)
		table_cell(t, B("(no such section)"));
	else
		table_cell(t, field_of(&side).n != 0 ? field_of(&side) :
		    B("-"));
}

void
show_config_diff(struct bytes answer)
{
	static const char *const heads[] = { "SETTING", "IN FORCE", "ON DISK",
		"A RELOAD" };
	struct table *t = table_new(heads, NELEM(heads));
	struct json row;
	size_t pos = 0;

	while (field_row(answer, &pos, &row)) {
		table_cell(t, field_text(&row, "setting"));
		put_side(t, &row, "now");
		put_side(t, &row, "file");
		table_cell(t, field_flag(&row, "live") ? B("takes it") :
		    B("replaces processes"));
	}
	table_print(t, "The settings on disk are those in force.");
	table_free(t);
}

void
show_log(struct bytes answer)
{
	struct json line;
	size_t pos = 0;

	if (!talk_line(answer, &pos, &line))
		return;
	field_put(field_text(&line, "level"));
	putchar('\n');
}

void
show_report(struct bytes answer)
{
	show_json(answer, NULL);
}

void
show_reloaded(struct bytes answer)
{
	struct json line;
	struct bytes changed;
	size_t pos = 0;

	if (!talk_line(answer, &pos, &line))
		return;
	changed = field_text(&line, "changed");
	printf("reloaded: ");
	fputs(changed.n != 0 ? log_bytes(changed) : "nothing has changed",
	    stdout);
	if (field_flag(&line, "replaced")) {
		printf("; ");
		show_handed(&line);
	}
	putchar('\n');
}

/* ---- JSON ---------------------------------------------------------------- */

void
show_json(struct bytes answer, const char *rows)
{
	struct json line;
	size_t pos = 0, n = 0;

	if (rows != NULL)
		printf("{\"%s\":[", rows);
	while (talk_line(answer, &pos, &line)) {
		if (rows == NULL) {
			field_put(line.raw);
			break;
		}
		if (field(&line, "ok").type != JSON_MISSING) {
			/* Its members stand beside the rows. */
			printf("],");
			field_put(bytes_skip(line.raw, 1));
			break;
		}
		if (n++ != 0)
			putchar(',');
		field_put(line.raw);
	}
	putchar('\n');
}
