/* SPDX-License-Identifier: MIT
 *
 * What pealctl can be told: the verbs, their requests and their help.
 *
 * Runs in: pealctl.  Owns: nothing.
 */
#include <stdio.h>

#include "common/json.h"
#include "common/util.h"
#include "ctl/call.h"
#include "ctl/fields.h"
#include "ctl/show.h"
#include "ctl/tail.h"
#include "ctl/talk.h"
#include "ctl/top.h"

/* ---- requests ------------------------------------------------------------ */

/* Members of a request; those that were not given are left out. */
static void
add(struct buf *out, const char *name, const char *value)
{
	if (value == NULL)
		return;
	buf_fmt(out, ",\"%s\":", name);
	json_quote(out, bytes_str(value));
}

static void
add_number(struct buf *out, const char *name, const char *digits)
{
	if (digits != NULL)
		buf_fmt(out, ",\"%s\":%s", name, digits);
}

static void
ask_channels(const struct call *c, struct buf *out)
{
	add(out, "prefix", c->n > 0 ? c->args[0] : NULL);
	add(out, "match", c->match);
	add_number(out, "limit", c->limit);
}

static void
ask_users(const struct call *c, struct buf *out)
{
	add(out, "channel", c->args[0]);
}

/* The data is a text; clients decode it if it is JSON. */
static void
ask_publish(const struct call *c, struct buf *out)
{
	add(out, "channel", c->args[0]);
	add(out, "event", c->args[1]);
	add(out, "data", c->args[2]);
}

static void
ask_terminate(const struct call *c, struct buf *out)
{
	add(out, "user", c->args[0]);
}

/* 123.456: a user's id may look like that too, then --user says so. */
static bool
is_socket_id(const char *text)
{
	size_t a = strspn(text, "0123456789");
	size_t b = text[a] == '.' ? strspn(text + a + 1, "0123456789") : 0;

	return a > 0 && b > 0 && text[a + 1 + b] == '\0';
}

static bool
is_of_socket(const struct call *c)
{
	return c->n > 0 ? is_socket_id(c->args[0]) : c->id != NULL;
}

static void
ask_kick(const struct call *c, struct buf *out)
{
	const char *who = c->n > 0 ? c->args[0] : c->id != NULL ? c->id :
	    c->user;

	add(out, is_of_socket(c) ? "socket" : "user", who);
}

static void
ask_stop(const struct call *c, struct buf *out)
{
	if (c->now)
		buf_str(out, ",\"now\":true");
}

static void
ask_inspect(const struct call *c, struct buf *out)
{
	add(out, "channel", c->channel);
	add(out, "user", c->user);
	add(out, "socket", c->id);
	if (c->slow)
		buf_str(out, ",\"slow\":true");
	add_number(out, "limit", c->limit);
}

static void
ask_log(const struct call *c, struct buf *out)
{
	add(out, "level", c->n > 0 ? c->args[0] : NULL);
}

static void
ask_diff(const struct call *c, struct buf *out)
{
	(void)c;
	buf_str(out, ",\"diff\":true");
}

static void
show_stopped(struct bytes answer)
{
	(void)answer;
	puts("Stopped.");
}

static void
show_done(struct bytes answer)
{
	(void)answer;
	puts("Done.");
}

static void
show_no_users(struct bytes answer)
{
	(void)answer;
	puts("That is no presence channel, and only these know who is there; "
	    "pealctl\nconnections --channel NAME lists the connections of any "
	    "channel.");
}

static void
show_differences(struct bytes answer)
{
	struct json line;
	size_t pos = 0;

	show_config_diff(answer);
	while (talk_line(answer, &pos, &line))
		if (field_flag(&line, "binary"))
			puts("The peald on disk is another one: a reload "
			    "replaces all processes.");
}

/* Of a report only what is asked for. */
static void
json_hooks(struct bytes answer)
{
	struct json report, hooks = { .type = JSON_MISSING };
	size_t pos = 0;

	if (talk_line(answer, &pos, &report))
		hooks = field(&report, "hooks");
	printf("{\"hooks\":");
	field_put(hooks.type == JSON_ARRAY ? hooks.raw : B("[]"));
	puts(",\"ok\":true}");
}

/* ---- verbs that are two --------------------------------------------------- */

/* Counts, or single ones if anything of them is asked for. */
static int
run_connections(struct call *c)
{
	static const struct verb counts = { .name = "connections",
		.show = show_connections, .rows = "connections" };
	static const struct verb single = { .name = "connections",
		.wire = "inspect", .ask = ask_inspect, .show = show_inspected,
		.rows = "connections" };
	bool any = c->list || c->slow || c->channel != NULL ||
	    c->user != NULL || c->id != NULL || c->limit != NULL;

	c->verb = any ? &single : &counts;
	return call_ask(c);
}

static int
run_users(struct call *c)
{
	static const struct verb members = { .name = "users",
		.ask = ask_users, .show = show_users, .rows = "users" };
	static const struct verb none = { .name = "users",
		.ask = ask_users, .show = show_no_users, .rows = "users" };

	c->verb = bytes_starts(bytes_str(c->args[0]), B("presence-")) ?
	    &members : &none;
	return call_ask(c);
}

static int
run_config(struct call *c)
{
	static const struct verb whole = { .name = "config",
		.show = show_config };
	static const struct verb diff = { .name = "config", .ask = ask_diff,
		.show = show_differences, .rows = "differences" };

	if (c->n > 0 && strcmp(c->args[0], "diff") != 0) {
		fputs("usage: pealctl config [diff]\n", stderr);
		return STATUS_USAGE;
	}
	c->verb = c->n > 0 ? &diff : &whole;
	return call_ask(c);
}

static int
run_kick(struct call *c)
{
	static const struct verb user = { .name = "kick", .ask = ask_kick,
		.show = show_user_closed, .status = closed_status };
	static const struct verb single = { .name = "kick", .ask = ask_kick,
		.show = show_socket_closed, .status = closed_status };

	if ((c->n > 0) + (c->user != NULL) + (c->id != NULL) != 1) {
		fputs("usage: pealctl kick [-a APP] USER | SOCKET-ID\n",
		    stderr);
		return STATUS_USAGE;
	}
	c->verb = is_of_socket(c) ? &single : &user;
	return call_ask(c);
}

/* ---- verbs ---------------------------------------------------------------- */

const struct verb verbs[] = {
	{ .name = "status", .args = "",
	  .summary = "processes, addresses, connections, counters",
	  .options = "", .show = show_status, .help =
	  "Shows how the service is: its addresses, its processes and what "
	  "they\nhold, and every counter that has moved.\n\n"
	  "    pealctl status\n"
	  "    pealctl --json status | jq .totals.connections\n" },
	{ .name = "top", .args = "[-i SECONDS] [--once]",
	  .summary = "a live view: rates, workers, apps, slow clients",
	  .options = "io", .run = run_top, .help =
	  "Shows, and shows anew each second, what goes on: connections and "
	  "messages a\nsecond, time to publish, workers, applications by "
	  "front door, clients that read\ntoo slowly, webhooks. q ends it. "
	  "With --once, or if the output is no terminal\n(TERM=dumb is none), "
	  "it is shown once. SECONDS is 1 to 3600.\n\n"
	  "    pealctl top\n"
	  "    pealctl --json top | jq .totals\n" },
	{ .name = "tail", .args = "[APP] [CHANNEL]", .usage =
	  "[--kind KINDS] [--data N] [--limit N] [APP] [CHANNEL]",
	  .summary = "events as they pass",
	  .options = "akdl", .max = 1, .app_alone = true, .run = run_tail,
	  .help =
	  "Shows what is published on this host, or delivered to its clients, "
	  "until it\nis interrupted: on one channel, on those whose names "
	  "start so (orders-*), or on\nall. One argument alone is the "
	  "application if one has that name or id. --kind\npicks (published, "
	  "client_event, occupied, vacated, member_added, "
	  "member_removed,\nopened, closed; several with commas), --data N "
	  "shows N octets of each event's\ndata (1000), --limit N ends after "
	  "N. Under load some events are left out, and\ncounted; the server "
	  "is never slowed. It goes on when processes are replaced, and\n"
	  "says that events may be missing.\n\n"
	  "    pealctl tail\n"
	  "    pealctl tail shop\n"
	  "    pealctl tail shop 'orders-*' --kind published\n"
	  "    pealctl --json tail | jq -r .channel\n" },
	{ .name = "apps", .args = "", .summary = "applications that may connect",
	  .options = "", .show = show_apps, .rows = "apps", .help =
	  "Lists the [app NAME] sections in force. Secrets are not shown.\n\n"
	  "    pealctl apps\n" },
	{ .name = "channels", .args = "[APP] [PREFIX]",
	  .usage = "[--match TEXT] [--limit N] [APP] [PREFIX]",
	  .summary = "channels with subscribers",
	  .options = "alm", .max = 1, .app_alone = true, .ask = ask_channels,
	  .show = show_channels, .rows = "channels", .help =
	  "Lists the occupied channels of an application, over all workers "
	  "and hosts,\nwith their subscriptions and (presence channels) users. "
	  "PREFIX picks those\nwhose names start so, --match TEXT those that "
	  "have it anywhere. One argument alone\nis the application if one "
	  "has that name or id.\n\n"
	  "    pealctl channels\n"
	  "    pealctl channels shop\n"
	  "    pealctl channels -a shop presence- --match room --limit 20\n" },
	{ .name = "users", .args = "[-a APP] CHANNEL",
	  .summary = "users of a presence channel",
	  .options = "a", .min = 1, .max = 1, .run = run_users, .help =
	  "Lists who is on a presence channel, on whatever host, in the order "
	  "in which\nthis host came to know them.\n\n"
	  "    pealctl users presence-room\n" },
	{ .name = "connections", .args = "[-a APP] [--list] [...]",
	  .usage = "[-a APP] [--list] [--slow] [--channel NAME] [--user ID]\n"
	  "           [--id SOCKET-ID] [--limit N]",
	  .summary = "how many connections an app has, or which",
	  .options = "aCuDSLl", .run = run_connections, .help =
	  "Counts the connections of an application (WebSockets and event "
	  "streams, on\nall hosts): all that are open, and those that hold a "
	  "subscription. With one of\nthe following it lists single ones of "
	  "this host, 100 or --limit N of them:\n"
	  "--channel NAME, --user ID, --id SOCKET-ID; --slow, which have the "
	  "most\nwaiting to be read; --list, any.\n\n"
	  "    pealctl connections -a shop\n"
	  "    pealctl connections --channel orders --limit 10\n"
	  "    pealctl connections --slow\n" },
	{ .name = "publish", .args = "[-a APP] CHANNEL EVENT DATA",
	  .summary = "send an event",
	  .options = "a", .min = 3, .max = 3, .ask = ask_publish,
	  .show = show_done, .help =
	  "Sends an event to all subscribers of a channel, as an application "
	  "would\ndo with POST /apps/ID/events. DATA is the text of the "
	  "event's data; where\nit is JSON, clients decode it.\n\n"
	  "    pealctl publish news hello '{\"text\":\"Hello\"}'\n"
	  "    pealctl publish -a shop private-orders.7 shipped '{}'\n" },
	{ .name = "kick", .args = "[-a APP] USER | SOCKET-ID",
	  .summary = "close a user's connections, or one connection",
	  .options = "auD", .max = 1, .run = run_kick, .help =
	  "Closes (4009; clients do not come back by themselves) every "
	  "connection that\nsigned in as USER, or is USER on a presence "
	  "channel, on all hosts, or the one\nwith that socket id, on this "
	  "host, and says how many. What looks like a socket\nid (123.456) "
	  "is one; --user and --id say which. If there is none the exit\n"
	  "status is 1.\n\n"
	  "    pealctl kick 42\n"
	  "    pealctl kick 7651.24428\n" },
	{ .name = "terminate", .args = "[-a APP] USER",
	  .summary = "close all connections of a user",
	  .options = "a", .min = 1, .max = 1, .ask = ask_terminate,
	  .show = show_user_closed, .status = closed_status, .help =
	  "Closes every connection that signed in as USER, or is USER on a "
	  "presence\nchannel, on all hosts (4009; clients do not come "
	  "back by themselves), and says\nhow many. If there is none the "
	  "exit status is 1.\n\n"
	  "    pealctl terminate -a shop 42\n" },
	{ .name = "hosts", .args = "", .summary = "the hosts that are joined",
	  .options = "", .show = show_hosts, .rows = "hosts", .help =
	  "Lists the hosts that the backplane joins (this one has a *), their "
	  "state, when\nthey were heard last, and how much they told.\n\n"
	  "    pealctl hosts\n" },
	{ .name = "backplane", .args = "",
	  .summary = "the broker, and the hosts that it joins",
	  .options = "", .show = show_backplane, .rows = "hosts", .help =
	  "Shows whether the broker can be reached and how far away it is, "
	  "what waits\nfor it, the hosts that are joined (this one has a *), "
	  "and what went wrong.\nStates: up; joining; degraded (messages are "
	  "delivered to this host's\nclients without waiting for the broker); "
	  "down; alone.\n\n"
	  "    pealctl backplane\n"
	  "    pealctl --json backplane | jq -e '.state == \"up\"'\n" },
	{ .name = "hooks", .args = "", .summary = "webhooks and how they do",
	  .options = "", .wire = "report", .show = show_hooks,
	  .print_json = json_hooks, .help =
	  "Lists the targets of webhooks: their state (ok; failing: the last "
	  "request was\nnot taken and is tried again; open: so many failed "
	  "that one is tried now and\nthen), what waits, what was delivered "
	  "and lost, and the last error.\n\n"
	  "    pealctl hooks\n"
	  "    pealctl --json hooks | jq .hooks\n" },
	{ .name = "config", .args = "[diff]",
	  .summary = "the settings in force, or what is new on disk",
	  .options = "", .max = 1, .run = run_config, .help =
	  "Prints the settings in force, as peald --dump-config would. With "
	  "diff: how those\non disk differ, and whether a reload just takes "
	  "them or replaces processes, as it\ndoes for another peald. "
	  "Secrets are not shown.\n\n"
	  "    pealctl config\n"
	  "    pealctl config diff\n" },
	{ .name = "log", .args = "[LEVEL]", .summary = "how much is logged",
	  .options = "", .max = 1, .ask = ask_log, .show = show_log, .help =
	  "Shows the level of the log, or sets it (error, warn, info, debug) "
	  "in all\nprocesses until settings are loaded the next time.\n\n"
	  "    pealctl log debug\n" },
	{ .name = "report", .args = "", .summary = "every number, as JSON",
	  .options = "", .show = show_report, .help =
	  "Prints one object of JSON with all that is counted: processes, "
	  "applications,\nreasons of closing, histograms, webhooks, reloads. "
	  "It is what top and the live\npage are made of.\n\n"
	  "    pealctl report | jq .closes\n" },
	{ .name = "check", .args = "[FILE]", .summary = "are the settings good?",
	  .options = "", .max = 1, .run = run_check, .help =
	  "Checks settings without touching a running server: peald --check "
	  "-c FILE.\nMistakes are shown with file, line, and what is "
	  "allowed.\n\n"
	  "    pealctl check\n"
	  "    pealctl check /tmp/new-peal.ini\n" },
	{ .name = "reload", .args = "",
	  .summary = "put changed settings, or a new peald, in force",
	  .options = "", .show = show_reloaded, .help =
	  "Has peald read its settings and certificates again, and answers "
	  "when they\nare in force. Where they, or a peald that was installed "
	  "since, need new\nprocesses, these take all connections over; only "
	  "TLS connections cannot be\nmoved and are told to reconnect (4200), "
	  "spread over [peal] reload_drain. If\nanything is wrong, nothing is "
	  "changed and the exit status is 1.\n\n"
	  "    pealctl check && pealctl reload\n" },
	{ .name = "stop", .args = "[--now]",
	  .summary = "end the service in good order",
	  .options = "n", .ask = ask_stop, .show = show_stopped, .help =
	  "Clients are told to reconnect elsewhere (4200), spread over "
	  "[peal]\ndrain_timeout, then all processes end; pealctl returns "
	  "when they have.\nWith --now nobody is given time.\n\n"
	  "    pealctl stop\n" },
	{ .name = "help", .args = "[VERB]", .summary = "more about a verb",
	  .options = "", .max = 1, .run = run_help, .help =
	  "    pealctl help publish\n" },
	{ .name = NULL },
};

const struct verb *
verb_find(const char *name)
{
	for (const struct verb *v = verbs; v->name != NULL; v++)
		if (strcmp(v->name, name) == 0)
			return v;
	return NULL;
}
