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
#include "ctl/show.h"
#include "ctl/table.h"
#include "ctl/talk.h"

/* ---- members of an answer ------------------------------------------------ */

static struct json
member(const struct json *object, const char *name)
{
	struct json found = { .type = JSON_MISSING };
	struct json_want want = { bytes_str(name), &found };

	(void)json_pick(object, &want, 1);
	return found;
}

static uint64_t
number(const struct json *object, const char *name)
{
	struct json found = member(object, name);
	uint64_t n;

	return found.type == JSON_NUMBER && json_u64(&found, &n) == 0 ? n : 0;
}

static bool
flag(const struct json *object, const char *name)
{
	return member(object, name).type == JSON_TRUE;
}

/* Text of a string; good until the next call but one. */
static struct bytes
value_text(const struct json *value)
{
	static struct buf room[2];
	static unsigned turn;
	struct buf *scratch = &room[turn++ % 2];

	buf_clear(scratch);
	if (value->type != JSON_STRING)
		return B("");
	return json_text(value, scratch);
}

static struct bytes
text(const struct json *object, const char *name)
{
	struct json found = member(object, name);

	return value_text(&found);
}

/* "a, b" of an array of strings; good until the next call. */
static struct bytes
texts(const struct json *object, const char *name)
{
	static struct buf out;
	struct json list = member(object, name), value;
	size_t pos = 0;

	buf_clear(&out);
	if (list.type != JSON_ARRAY)
		return B("");
	while (json_next(&list, &pos, NULL, &value)) {
		if (out.n != 0)
			buf_str(&out, ", ");
		buf_bytes(&out, value_text(&value));
	}
	return buf_view(&out);
}

/* "3 d 4 h", "12 min 3 s"; good until the next call. */
static struct bytes
span(uint64_t seconds)
{
	static char out[48];
	int n;

	if (seconds >= 86400)
		n = snprintf(out, sizeof(out), "%" PRIu64 " d %" PRIu64 " h",
		    seconds / 86400, seconds / 3600 % 24);
	else if (seconds >= 3600)
		n = snprintf(out, sizeof(out), "%" PRIu64 " h %" PRIu64 " min",
		    seconds / 3600, seconds / 60 % 60);
	else if (seconds >= 60)
		n = snprintf(out, sizeof(out), "%" PRIu64 " min %" PRIu64 " s",
		    seconds / 60, seconds % 60);
	else
		n = snprintf(out, sizeof(out), "%" PRIu64 " s", seconds);
	return bytes_of(out, (size_t)n);
}

static void
put(struct bytes s)
{
	fwrite(s.p, 1, s.n, stdout);
}

/* 2,512 */
static void
put_number(uint64_t n)
{
	if (n >= 1000) {
		put_number(n / 1000);
		printf(",%03" PRIu64, n % 1000);
	} else {
		printf("%" PRIu64, n);
	}
}

/* ---- status -------------------------------------------------------------- */

/* "redis, up, 3 hosts": a word of what pealctl backplane shows. */
static void
show_reach(const struct json *status)
{
	struct json totals = member(status, "totals");
	uint64_t hosts = number(&totals, "hosts");

	put(text(status, "backplane"));
	if (bytes_eq(text(status, "backplane"), B("none")))
		return;
	printf(", %s, %" PRIu64 " host%s", number(&totals,
	    "backplane_up") == 0 ? "down" : number(&totals,
	    "backplane_degraded") != 0 ? "degraded" : "up", hosts,
	    hosts == 1 ? "" : "s");
}

static void
show_head(const struct json *status)
{
	printf("Peal ");
	put(text(status, "version"));
	printf(", process %" PRIu64 ", ", number(status, "pid"));
	put(text(status, "state"));
	printf(" for ");
	put(span(number(status, "uptime")));
	if (member(status, "file").type == JSON_STRING) {
		printf("\nSettings: ");
		put(text(status, "file"));
	}
	printf("\nJail: ");
	put(text(status, "jail"));
	printf("\nBackplane: ");
	show_reach(status);
	printf("\n\n");
}

static void
show_addresses(const struct json *status)
{
	static const char *const heads[] = { "ADDRESS", "TLS", "SECTION" };
	struct table *t = table_new(heads, NELEM(heads));
	struct json list = member(status, "addresses"), a;
	size_t pos = 0;

	while (list.type == JSON_ARRAY && json_next(&list, &pos, NULL, &a)) {
		table_cell(t, text(&a, "address"));
		table_cell(t, flag(&a, "tls") ? B("yes") : B("no"));
		table_cell(t, text(&a, "section").n != 0 ?
		    text(&a, "section") : B("-"));
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
		buf_fmt(&title, "worker %" PRIu64, number(c, "slot"));
	else
		buf_str(&title, name);
	table_cell(t, buf_view(&title));
	buf_done(&title);
	table_number(t, number(c, "pid"));
	table_cell(t, text(c, "state"));
	table_cell(t, span(number(c, "uptime")));
	table_number(t, number(c, "restarts"));
	table_number(t, number(c, "connections"));
	table_number(t, number(c, "websockets"));
	table_number(t, number(c, "messages_in"));
	table_number(t, number(c, "messages_out"));
}

static void
show_processes(const struct json *status)
{
	static const char *const heads[] = { "PROCESS", ">PID", "STATE", ">UP",
		">RESTARTS", ">CONNECTIONS", ">WEBSOCKETS", ">IN", ">OUT" };
	struct table *t = table_new(heads, NELEM(heads));
	struct json list = member(status, "workers"), c;
	size_t pos = 0;

	c = member(status, "router");
	process_row(t, &c, "router");
	while (list.type == JSON_ARRAY && json_next(&list, &pos, NULL, &c))
		process_row(t, &c, NULL);
	c = member(status, "courier");
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
	struct json list = member(object, "reasons"), name, value;
	uint64_t n;
	size_t pos = 0;

	if (list.type != JSON_OBJECT)
		return;
	while (json_next(&list, &pos, &name, &value)) {
		if (json_u64(&value, &n) < 0)
			continue;
		fputs(sep, stdout);
		fputs(log_bytes(value_text(&name)), stdout);
		printf(": ");
		put_number(n);
		sep = ", ";
	}
	if (sep[0] == ',')
		putchar(')');
}

/* "2,512 connections moved, 3 stay until they are closed (TLS: 3)" */
static void
show_handed(const struct json *object)
{
	uint64_t moved = number(object, "moved"), kept = number(object, "kept");

	put_number(moved);
	printf(" connection%s moved", moved == 1 ? "" : "s");
	if (kept != 0) {
		printf(", ");
		put_number(kept);
		printf(" stay%s until closed", kept == 1 ? "s" : "");
	}
	show_reasons(object, kept != 0 ? " (" : "; others were closed (");
}

/* The last reload, if there was one. */
static void
show_last_reload(const struct json *status)
{
	struct json last = member(status, "reload");
	uint64_t at = number(&last, "time"), now = (uint64_t)time(NULL);

	if (last.type != JSON_OBJECT)
		return;
	printf("Last reload: ");
	put(span(now > at ? now - at : 0));
	printf(" ago, in %" PRIu64 " ms, ", number(&last, "ms"));
	fputs(log_bytes(text(&last, "result")), stdout);
	if (flag(&last, "replaced") && flag(&last, "ok")) {
		printf("; ");
		show_handed(status);
	}
	if (flag(&last, "waiting"))
		printf("; another one waits");
	printf("\n\n");
}

static void
leaving_rows(struct table *t, const struct json *crew)
{
	struct json list = member(crew, "workers"), w;
	struct buf title = { 0 };
	size_t pos = 0;

	while (list.type == JSON_ARRAY && json_next(&list, &pos, NULL, &w)) {
		buf_clear(&title);
		buf_fmt(&title, "worker %" PRIu64 " of generation %" PRIu64,
		    number(&w, "slot"), number(crew, "generation"));
		table_cell(t, buf_view(&title));
		if (number(&w, "pid") != 0)
			table_number(t, number(&w, "pid"));
		else
			table_cell(t, B("gone"));
		table_number(t, number(&w, "connections"));
		table_number(t, number(&w, "moved"));
		table_number(t, number(&w, "kept"));
		table_number(t, number(&w, "refused"));
		table_cell(t, text(&w, "why").n != 0 ? text(&w, "why") :
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
	struct json list = member(status, "generations"), crew;
	struct table *t = table_new(heads, NELEM(heads));
	bool any = false;
	size_t pos = 0;

	while (list.type == JSON_ARRAY && json_next(&list, &pos, NULL, &crew)) {
		if (!bytes_eq(text(&crew, "state"), B("leaving")))
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
	struct json totals = member(status, "totals");
	bool alone = bytes_eq(text(status, "backplane"), B("none"));
	uint64_t n;

	for (size_t i = 0; i < counter_count; i++) {
		n = number(&totals, counter_info[i].name);
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

/* The lines before the last. */
static bool
row_next(struct bytes answer, size_t *pos, struct json *row)
{
	return talk_line(answer, pos, row) &&
	    member(row, "ok").type == JSON_MISSING;
}

void
show_apps(struct bytes answer)
{
	static const char *const heads[] = { "APP", "ID", "KEYS", "ENABLED",
		"CLIENT EVENTS", ">MAX CONNECTIONS", "ORIGINS" };
	struct table *t = table_new(heads, NELEM(heads));
	struct json row;
	size_t pos = 0;

	while (row_next(answer, &pos, &row)) {
		table_cell(t, text(&row, "name"));
		table_cell(t, text(&row, "id"));
		table_cell(t, texts(&row, "keys"));
		table_cell(t, flag(&row, "enabled") ? B("yes") : B("no"));
		table_cell(t, text(&row, "client_events"));
		if (number(&row, "max_connections") != 0)
			table_number(t, number(&row, "max_connections"));
		else
			table_cell(t, B("no limit"));
		table_cell(t, texts(&row, "allowed_origins"));
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

	while (row_next(answer, &pos, &row)) {
		name = text(&row, "channel");
		table_cell(t, name);
		table_number(t, number(&row, "subscriptions"));
		if (bytes_starts(name, B("presence-")))
			table_number(t, number(&row, "users"));
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

	while (row_next(answer, &pos, &row)) {
		table_cell(t, text(&row, "id"));
		shown = member(&row, "member");
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

	while (row_next(answer, &pos, &row)) {
		table_cell(t, text(&row, "app"));
		table_number(t, number(&row, "open"));
		table_number(t, number(&row, "subscribed"));
	}
	table_print(t, "No connections.");
	table_free(t);
}

/* ---- backplane ----------------------------------------------------------- */

static void
show_broker(const struct json *last)
{
	uint64_t lag = number(last, "lag_us");

	printf("Backplane: ");
	put(text(last, "driver"));
	printf(", ");
	put(text(last, "state"));
	printf(" for ");
	put(span(number(last, "since")));
	printf("\nBroker: ");
	put(text(last, "broker"));
	if (lag != 0)
		printf(", %" PRIu64 ".%03" PRIu64 " ms away", lag / 1000,
		    lag % 1000);
	if (text(last, "failure").n != 0) {
		printf("\nLast failure: ");
		put(text(last, "failure"));
	}
	printf("\nTopics: %" PRIu64 "\nBacklog: %" PRIu64 " messages, %" PRIu64
	    " octets\nIn flight: %" PRIu64 " messages\n\n",
	    number(last, "topics"), number(last, "backlog"),
	    number(last, "backlog_octets"), number(last, "in_flight"));
}

static void
host_row(struct table *t, const struct json *row)
{
	bool own = flag(row, "own");

	table_cell(t, own ? B("*") : B(""));
	table_cell(t, text(row, "name").n != 0 ? text(row, "name") : B("-"));
	table_cell(t, text(row, "node"));
	table_cell(t, text(row, "state"));
	table_cell(t, own ? B("-") : span(number(row, "heard")));
	table_number(t, number(row, "rows"));
}

static void
show_moved(const struct json *last)
{
	static const char *const heads[] = { "COUNTER", ">VALUE", "MEANING" };
	struct table *t = table_new(heads, NELEM(heads));
	struct json counters = member(last, "counters");
	uint64_t n;

	for (size_t i = 0; i < counter_count; i++) {
		n = number(&counters, counter_info[i].name);
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

	while (row_next(answer, &pos, &row))
		host_row(t, &row);
	if (bytes_eq(text(&row, "state"), B("alone"))) {
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
show_reloaded(struct bytes answer)
{
	struct json line;
	struct bytes changed;
	size_t pos = 0;

	if (!talk_line(answer, &pos, &line))
		return;
	changed = text(&line, "changed");
	printf("reloaded: ");
	fputs(changed.n != 0 ? log_bytes(changed) : "nothing has changed",
	    stdout);
	if (flag(&line, "replaced")) {
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
			put(line.raw);
			break;
		}
		if (member(&line, "ok").type != JSON_MISSING) {
			/* Its members stand beside the rows. */
			printf("],");
			put(bytes_skip(line.raw, 1));
			break;
		}
		if (n++ != 0)
			putchar(',');
		put(line.raw);
	}
	putchar('\n');
}
