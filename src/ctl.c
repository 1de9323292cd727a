/* SPDX-License-Identifier: MIT
 *
 * pealctl: asks a running peald, and tells it what to do.
 *
 * Runs in: pealctl.  Owns: what main() has; the process is short.
 */
#include <config.h>		/* of configure, not our own */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/json.h"
#include "common/log.h"
#include "common/util.h"
#include "ctl/show.h"
#include "ctl/talk.h"

#ifndef SBINDIR
#define SBINDIR	"/usr/sbin"
#endif

enum { STATUS_OK, STATUS_REFUSED, STATUS_USAGE };

/* What the command line said. */
struct call {
	const struct verb *verb;
	const char	*file, *socket, *app;
	bool		 json, now;
	char		**args;		/* behind the verb */
	int		 n;
};

struct verb {
	const char	*name, *args, *summary;
	int		 min, max;
	const char	*help;
	/* The request's members behind "verb", if it has any. */
	void		(*ask)(const struct call *, struct buf *);
	void		(*show)(struct bytes answer);
	const char	*rows;		/* their name in --json */
	/* In place of asking. */
	int		(*run)(struct call *);
	bool		 takes_app;	/* -a, or one argument more */
};

static const struct verb *verb_find(const char *);
static int	run_check(struct call *);
static int	run_help(struct call *);

/* ---- requests ------------------------------------------------------------ */

static void
add(struct buf *out, const char *name, const char *value)
{
	buf_fmt(out, ",\"%s\":", name);
	json_quote(out, bytes_str(value));
}

static void
ask_channels(const struct call *c, struct buf *out)
{
	if (c->n > 0)
		add(out, "prefix", c->args[0]);
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

static void
ask_stop(const struct call *c, struct buf *out)
{
	if (c->now)
		buf_str(out, ",\"now\":true");
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

/* ---- verbs --------------------------------------------------------------- */

static const struct verb verbs[] = {
	{ "status", "", "processes, addresses, connections, counters", 0, 0,
	  "Shows how the service is: its addresses, its processes and what "
	  "they\nhold, and every counter that has moved.\n\n"
	  "    pealctl status\n"
	  "    pealctl --json status | jq .totals.connections\n",
	  NULL, show_status, NULL, NULL, false },
	{ "apps", "", "applications that may connect", 0, 0,
	  "Lists the [app NAME] sections in force. Secrets are not shown.\n\n"
	  "    pealctl apps\n",
	  NULL, show_apps, "apps", NULL, false },
	{ "channels", "[-a APP] [PREFIX]", "channels with subscribers", 0, 1,
	  "Lists the occupied channels of an application, over all workers "
	  "and hosts,\nwith their subscriptions and (presence channels) users. "
	  "PREFIX picks those\nwhose names start so.\n\n"
	  "    pealctl channels\n"
	  "    pealctl channels -a shop presence-\n",
	  ask_channels, show_channels, "channels", NULL, true },
	{ "users", "[-a APP] CHANNEL", "users of a presence channel", 1, 1,
	  "Lists who is on a presence channel, on whatever host, in the order "
	  "in which\nthis host came to know them.\n\n"
	  "    pealctl users presence-room\n",
	  ask_users, show_users, "users", NULL, true },
	{ "connections", "[-a APP]", "how many connections an app has", 0, 0,
	  "Counts the connections of an application (WebSockets and event "
	  "streams, on\nall hosts): all that are open, and those that hold a "
	  "subscription.\n\n"
	  "    pealctl connections -a shop\n",
	  NULL, show_connections, "connections", NULL, true },
	{ "publish", "[-a APP] CHANNEL EVENT DATA", "send an event", 3, 3,
	  "Sends an event to all subscribers of a channel, as an application "
	  "would\ndo with POST /apps/ID/events. DATA is the text of the "
	  "event's data; where\nit is JSON, clients decode it.\n\n"
	  "    pealctl publish news hello '{\"text\":\"Hello\"}'\n"
	  "    pealctl publish -a shop private-orders.7 shipped '{}'\n",
	  ask_publish, show_done, NULL, NULL, true },
	{ "terminate", "[-a APP] USER", "close all connections of a user", 1, 1,
	  "Closes every connection that signed in as USER, on all hosts "
	  "(4009; clients\ndo not come back by themselves).\n\n"
	  "    pealctl terminate -a shop 42\n",
	  ask_terminate, show_done, NULL, NULL, true },
	{ "backplane", "", "the broker, and the hosts that it joins", 0, 0,
	  "Shows whether the broker can be reached and how far away it is, "
	  "what waits\nfor it, the hosts that are joined (this one has a *), "
	  "and what went wrong.\nStates: up; joining; degraded (messages are "
	  "delivered to this host's\nclients without waiting for the broker); "
	  "down; alone.\n\n"
	  "    pealctl backplane\n"
	  "    pealctl --json backplane | jq -e '.state == \"up\"'\n",
	  NULL, show_backplane, "hosts", NULL, false },
	{ "check", "[FILE]", "are the settings good?", 0, 1,
	  "Checks settings without touching a running server: peald --check "
	  "-c FILE.\nMistakes are shown with file, line, and what is "
	  "allowed.\n\n"
	  "    pealctl check\n"
	  "    pealctl check /tmp/new-peal.ini\n",
	  NULL, NULL, NULL, run_check, false },
	{ "reload", "", "put changed settings, or a new peald, in force", 0, 0,
	  "Has peald read its settings and certificates again, and answers "
	  "when they\nare in force. Where they, or a peald that was installed "
	  "since, need new\nprocesses, these take all connections over; only "
	  "TLS connections cannot be\nmoved and are told to reconnect (4200), "
	  "spread over [peal] reload_drain. If\nanything is wrong, nothing is "
	  "changed and the exit status is 1.\n\n"
	  "    pealctl check && pealctl reload\n",
	  NULL, show_reloaded, NULL, NULL, false },
	{ "stop", "[--now]", "end the service in good order", 0, 0,
	  "Clients are told to reconnect elsewhere (4200), spread over "
	  "[peal]\ndrain_timeout, then all processes end; pealctl returns "
	  "when they have.\nWith --now nobody is given time.\n\n"
	  "    pealctl stop\n",
	  ask_stop, show_stopped, NULL, NULL, false },
	{ "help", "[VERB]", "more about a verb", 0, 1,
	  "    pealctl help publish\n",
	  NULL, NULL, NULL, run_help, false },
};

static const struct verb *
verb_find(const char *name)
{
	for (size_t i = 0; i < NELEM(verbs); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

/* ---- help ---------------------------------------------------------------- */

static void
print_help(FILE *to)
{
	fputs("usage: pealctl [-c FILE | -s SOCKET] [--json] VERB ...\n\n"
	    "Asks a running peald, and tells it what to do.\n\n", to);
	for (size_t i = 0; i < NELEM(verbs); i++)
		fprintf(to, "  %-12s %-28s %s\n", verbs[i].name,
		    verbs[i].args, verbs[i].summary);
	fputs("\n"
	    "  -c, --config FILE    speak to the peald with these settings\n"
	    "  -s, --socket PATH    speak to this control socket\n"
	    "  -a, --app APP        the application: its name or id; may be "
	    "left out\n"
	    "                       where there is only one\n"
	    "  -j, --json           print JSON\n"
	    "      --               what follows is no option\n\n"
	    "Without -c and -s the only peald that runs here is asked. Exit "
	    "status: 0 done,\n1 refused or not to be reached, 2 wrong usage. "
	    "`pealctl help VERB` explains.\n", to);
}

static int
run_help(struct call *c)
{
	const struct verb *v;

	if (c->n == 0) {
		print_help(stdout);
		return STATUS_OK;
	}
	if ((v = verb_find(c->args[0])) == NULL) {
		fprintf(stderr, "pealctl: there is no verb %s\n", c->args[0]);
		return STATUS_USAGE;
	}
	printf("usage: pealctl %s%s%s\n\n%s", v->name,
	    v->args[0] != '\0' ? " " : "", v->args, v->help);
	return STATUS_OK;
}

static int
usage(const struct verb *v)
{
	if (v != NULL)
		fprintf(stderr, "usage: pealctl %s %s\n", v->name, v->args);
	else
		print_help(stderr);
	return STATUS_USAGE;
}

/* ---- check --------------------------------------------------------------- */

/* The peald of this build or installation: beside pealctl, in ../sbin, or
 * where it was configured to be. */
static char *
peald_path(void)
{
	static const char *const places[] = { "peald", "../sbin/peald" };
	char self[4096], *path, *slash;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n > 0) {
		self[n] = '\0';
		if ((slash = strrchr(self, '/')) != NULL)
			slash[1] = '\0';
		for (size_t i = 0; i < NELEM(places); i++) {
			path = xasprintf("%s%s", self, places[i]);
			if (access(path, X_OK) == 0)
				return path;
			free(path);
		}
	}
	return xstrdup(SBINDIR "/peald");
}

static int
check_exec(const char *path, const char *file)
{
	if (file != NULL)
		execl(path, "peald", "--check", "-c", file, (char *)NULL);
	else
		execl(path, "peald", "--check", (char *)NULL);
	fprintf(stderr, "pealctl: cannot run %s\n", path);
	return STATUS_REFUSED;
}

/* What peald says goes into one JSON object. */
static int
check_json(const char *path, const char *file)
{
	struct buf words = { 0 }, line = { 0 };
	int ends[2], status = -1;
	ssize_t n;
	pid_t pid;

	if (pipe(ends) != 0 || (pid = fork()) < 0)
		return STATUS_REFUSED;
	if (pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		dup2(ends[1], STDERR_FILENO);
		_exit(check_exec(path, file));
	}
	close(ends[1]);
	while ((n = read(ends[0], buf_room(&words, 4096), 4096)) > 0)
		words.n += (size_t)n;
	waitpid(pid, &status, 0);
	while (words.n > 0 && words.p[words.n - 1] == '\n')
		words.n--;
	buf_str(&line, status == 0 ? "{\"ok\":true" :
	    "{\"ok\":false,\"error\":");
	if (status != 0)
		json_quote(&line, buf_view(&words));
	printf("%.*s}\n", (int)line.n, line.p);
	buf_done(&words);
	buf_done(&line);
	return status == 0 ? STATUS_OK : STATUS_REFUSED;
}

static int
run_check(struct call *c)
{
	const char *file = c->n > 0 ? c->args[0] : c->file;
	char *path = peald_path();
	int status;

	status = c->json ? check_json(path, file) : check_exec(path, file);
	free(path);
	return status;
}

/* ---- asking -------------------------------------------------------------- */

static void
request_make(const struct call *c, struct buf *line)
{
	buf_str(line, "{\"verb\":");
	json_quote(line, bytes_str(c->verb->name));
	if (c->app != NULL)
		add(line, "app", c->app);
	if (c->verb->ask != NULL)
		c->verb->ask(c, line);
	buf_str(line, "}\n");
}

/* What the last line says: ok, or why not (caller frees). */
static char *
answer_error(struct bytes answer)
{
	struct json line, ok = { .type = JSON_MISSING }, error = ok;
	const struct json_want want[] = { { BYTES("ok"), &ok },
		{ BYTES("error"), &error } };
	struct buf scratch = { 0 };
	size_t pos = 0;
	char *why;

	while (ok.type == JSON_MISSING && talk_line(answer, &pos, &line))
		(void)json_pick(&line, want, NELEM(want));
	if (ok.type == JSON_TRUE)
		return NULL;
	if (error.type != JSON_STRING)
		return xstrdup("the answer was cut off");
	why = bytes_dup(json_text(&error, &scratch));
	buf_done(&scratch);
	return why;
}

/* What went wrong: for people, and with --json for programs. */
static void
complain(const struct call *c, const char *why)
{
	struct buf line = { 0 };

	fprintf(stderr, "pealctl: %s\n", why);
	if (!c->json)
		return;
	buf_str(&line, "{\"ok\":false");
	add(&line, "error", why);
	printf("%.*s}\n", (int)line.n, line.p);
	buf_done(&line);
}

static int
fail(const struct call *c, char *why)
{
	complain(c, why);
	free(why);
	return STATUS_REFUSED;
}

static int
run_ask(struct call *c)
{
	struct buf line = { 0 }, answer = { 0 };
	char *why = NULL, *path = talk_find(c->file, c->socket, &why);
	int status = STATUS_OK;

	if (path == NULL)
		return fail(c, why);
	request_make(c, &line);
	if (talk(path, buf_view(&line), &answer, &why) < 0 ||
	    (why = answer_error(buf_view(&answer))) != NULL) {
		status = fail(c, why);
	} else if (c->json) {
		show_json(buf_view(&answer), c->verb->rows);
	} else {
		c->verb->show(buf_view(&answer));
	}
	buf_done(&line);
	buf_done(&answer);
	free(path);
	return status;
}

/* ---- command line -------------------------------------------------------- */

static bool
options_read(struct call *c, int argc, char **argv, int *status)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "socket", required_argument, NULL, 's' },
		{ "app", required_argument, NULL, 'a' },
		{ "json", no_argument, NULL, 'j' },
		{ "now", no_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int o;

	*status = STATUS_OK;
	while ((o = getopt_long(argc, argv, "c:s:a:jhV", longs, NULL)) != -1) {
		switch (o) {
		case 'c': c->file = optarg; break;
		case 's': c->socket = optarg; break;
		case 'a': c->app = optarg; break;
		case 'j': c->json = true; break;
		case 'n': c->now = true; break;
		case 'h':
			print_help(stdout);
			return false;
		case 'V':
			puts("pealctl " PACKAGE_VERSION);
			return false;
		default:
			*status = usage(NULL);
			return false;
		}
	}
	return true;
}

static bool
arguments_fit(struct call *c)
{
	const struct verb *v = c->verb;

	/* publish APP CHANNEL EVENT DATA: the app without -a. */
	if (v->takes_app && c->app == NULL && c->n == v->max + 1) {
		c->app = *c->args++;
		c->n--;
	}
	return c->n >= v->min && c->n <= v->max &&
	    (c->app == NULL || v->takes_app);
}

int
main(int argc, char **argv)
{
	struct call c = { 0 };
	int status;

	log_init("pealctl");
	if (!options_read(&c, argc, argv, &status))
		return status;
	if (optind >= argc)
		return usage(NULL);
	if ((c.verb = verb_find(argv[optind])) == NULL) {
		fprintf(stderr, "pealctl: there is no verb %s; pealctl help "
		    "lists them\n", argv[optind]);
		return STATUS_USAGE;
	}
	c.args = argv + optind + 1;
	c.n = argc - optind - 1;
	if (!arguments_fit(&c))
		return usage(c.verb);
	return c.verb->run != NULL ? c.verb->run(&c) : run_ask(&c);
}
