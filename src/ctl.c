/* SPDX-License-Identifier: MIT
 *
 * pealctl: asks a running peald, and tells it what to do.
 *
 * Runs in: pealctl.  Owns: what main() has; the process is short.
 */
#include <config.h>		/* of configure, not our own */

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/json.h"
#include "common/log.h"
#include "common/util.h"
#include "ctl/call.h"
#include "ctl/fields.h"
#include "ctl/show.h"
#include "ctl/talk.h"

#ifndef SBINDIR
#define SBINDIR	"/usr/sbin"
#endif

/* ---- help ---------------------------------------------------------------- */

static void
print_help(FILE *to)
{
	fputs("usage: pealctl [-c FILE | -s SOCKET] [--json] VERB ...\n\n"
	    "Asks a running peald, and tells it what to do.\n\n", to);
	for (const struct verb *v = verbs; v->name != NULL; v++)
		fprintf(to, "  %-12s %-28s %s\n", v->name, v->args, v->summary);
	fputs("\n"
	    "  -c, --config FILE    speak to the peald with these settings\n"
	    "  -s, --socket PATH    speak to this control socket\n"
	    "  -a, --app APP        the application: its name or id; may be "
	    "left out\n"
	    "                       where there is only one\n"
	    "  -j, --json           print JSON\n"
	    "  -l, --limit N        so many rows\n"
	    "      --               what follows is no option\n\n"
	    "Without -c and -s the only peald that runs here is asked. Exit "
	    "status: 0 done,\n1 refused or not to be reached, 2 wrong usage. "
	    "`pealctl help VERB` explains.\n", to);
}

static void
print_usage(FILE *to, const struct verb *v)
{
	const char *args = v->usage != NULL ? v->usage : v->args;

	fprintf(to, "usage: pealctl %s%s%s\n", v->name,
	    args[0] != '\0' ? " " : "", args);
}

int
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
	print_usage(stdout, v);
	printf("\n%s", v->help);
	return STATUS_OK;
}

static int
usage(const struct verb *v)
{
	if (v != NULL)
		print_usage(stderr, v);
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

int
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

void
call_request(const struct call *c, struct buf *line)
{
	buf_str(line, "{\"verb\":");
	json_quote(line, bytes_str(c->verb->wire != NULL ? c->verb->wire :
	    c->verb->name));
	if (c->app != NULL) {
		buf_str(line, ",\"app\":");
		json_quote(line, bytes_str(c->app));
	}
	if (c->verb->ask != NULL)
		c->verb->ask(c, line);
	buf_str(line, "}\n");
}

char *
call_error(struct bytes answer)
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

bool
call_again(struct bytes answer)
{
	struct json line;
	size_t pos = 0;

	while (talk_line(answer, &pos, &line))
		if (field_flag(&line, "again"))
			return true;
	return false;
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
	buf_str(&line, ",\"error\":");
	json_quote(&line, bytes_str(why));
	printf("%.*s}\n", (int)line.n, line.p);
	buf_done(&line);
}

int
call_fail(const struct call *c, char *why)
{
	complain(c, why);
	free(why);
	return STATUS_REFUSED;
}

int
call_ask(struct call *c)
{
	struct buf line = { 0 }, answer = { 0 };
	char *why = NULL, *path = talk_find(c->file, c->socket, &why);
	int status = STATUS_OK;

	if (path == NULL)
		return call_fail(c, why);
	call_request(c, &line);
	if (talk(path, buf_view(&line), &answer, &why) < 0 ||
	    (why = call_error(buf_view(&answer))) != NULL) {
		status = call_fail(c, why);
	} else if (c->json && c->verb->print_json != NULL) {
		c->verb->print_json(buf_view(&answer));
	} else if (c->json) {
		show_json(buf_view(&answer), c->verb->rows);
	} else {
		c->verb->show(buf_view(&answer));
	}
	if (status == STATUS_OK && c->verb->status != NULL)
		status = c->verb->status(buf_view(&answer));
	buf_done(&line);
	buf_done(&answer);
	free(path);
	return status;
}

/* ---- command line -------------------------------------------------------- */

/* Options with a letter of struct verb; the others are for every verb. */
static const struct call_option {
	const char	*name;
	char		 letter, brief;	/* brief: 'a' for -a, 0: none */
	bool		 value;
	size_t		 at;
} call_options[] = {
#define VALUE(name, letter, brief, field) \
	{ name, letter, brief, true, offsetof(struct call, field) }
#define FLAG(name, letter, field) \
	{ name, letter, 0, false, offsetof(struct call, field) }
	VALUE("config", 0, 'c', file),
	VALUE("socket", 0, 's', socket),
	VALUE("app", 'a', 'a', app),
	VALUE("channel", 'C', 0, channel),
	VALUE("user", 'u', 0, user),
	VALUE("id", 'D', 0, id),
	VALUE("match", 'm', 'm', match),
	VALUE("kind", 'k', 'k', kinds),
	VALUE("limit", 'l', 'l', limit),
	VALUE("data", 'd', 'd', data),
	VALUE("interval", 'i', 'i', interval),
	FLAG("now", 'n', now),
	FLAG("once", 'o', once),
	FLAG("slow", 'S', slow),
	FLAG("list", 'L', list),
};

static void
option_take(struct call *c, const struct call_option *o, char *value)
{
	void *to = (char *)c + o->at;
	size_t n = strlen(c->given);

	if (o->value)
		*(const char **)to = value;
	else
		*(bool *)to = true;
	if (o->letter != 0 && n + 1 < sizeof(c->given) &&
	    strchr(c->given, o->letter) == NULL)
		c->given[n] = o->letter;
}

/* getopt's tables: a long option's number is behind all octets. */
static void
options_table(struct option *longs, char *briefs)
{
	for (size_t i = 0; i < NELEM(call_options); i++) {
		const struct call_option *o = &call_options[i];

		longs[i] = (struct option){ o->name,
			o->value ? required_argument : no_argument, NULL,
			256 + (int)i };
		if (o->brief != 0) {
			*briefs++ = o->brief;
			*briefs++ = ':';
		}
	}
	strcpy(briefs, "jhV");
}

static const struct call_option *
option_of(int o)
{
	if (o >= 256)
		return &call_options[o - 256];
	for (size_t i = 0; i < NELEM(call_options); i++)
		if (call_options[i].brief == o)
			return &call_options[i];
	return NULL;
}

static bool
options_read(struct call *c, int argc, char **argv, int *status)
{
	struct option longs[NELEM(call_options) + 4] = { 0 };
	char briefs[2 * NELEM(call_options) + 8];
	const struct call_option *known;
	int o;

	options_table(longs, briefs);
	longs[NELEM(call_options)] = (struct option){ "json", no_argument,
		NULL, 'j' };
	longs[NELEM(call_options) + 1] = (struct option){ "help", no_argument,
		NULL, 'h' };
	longs[NELEM(call_options) + 2] = (struct option){ "version",
		no_argument, NULL, 'V' };
	*status = STATUS_OK;
	while ((o = getopt_long(argc, argv, briefs, longs, NULL)) != -1) {
		if ((known = option_of(o)) != NULL) {
			option_take(c, known, optarg);
		} else if (o == 'j') {
			c->json = true;
		} else if (o == 'h') {
			print_help(stdout);
			return false;
		} else if (o == 'V') {
			puts("pealctl " PACKAGE_VERSION);
			return false;
		} else {
			*status = usage(NULL);
			return false;
		}
	}
	return true;
}

static bool
is_number(const char *text)
{
	uint64_t n;

	return text == NULL || bytes_u64(bytes_str(text), &n) == 0;
}

static bool
is_interval(const char *text)
{
	uint64_t n;

	return text == NULL || (bytes_u64(bytes_str(text), &n) == 0 &&
	    n >= 1 && n <= INTERVAL_MAX);
}

static bool
arguments_fit(struct call *c)
{
	const struct verb *v = c->verb;

	/* publish APP CHANNEL EVENT DATA: the app without -a. */
	if (strchr(v->options, 'a') != NULL && c->app == NULL &&
	    c->n == v->max + 1) {
		c->app = *c->args++;
		c->n--;
	}
	for (const char *o = c->given; *o != '\0'; o++)
		if (strchr(v->options, *o) == NULL)
			return false;
	return c->n >= v->min && c->n <= v->max && is_number(c->limit) &&
	    is_number(c->data) && is_interval(c->interval);
}

static bool
names_app(struct bytes answer, struct bytes word)
{
	struct json row;
	size_t pos = 0;

	while (field_row(answer, &pos, &row))
		if (bytes_eq(field_text(&row, "name"), word) ||
		    bytes_eq(field_text(&row, "id"), word))
			return true;
	return false;
}

/* tail APP: is the only argument an application's name?  Who cannot be asked is
 * complained of later. */
static void
find_app_alone(struct call *c)
{
	struct buf answer = { 0 };
	char *why = NULL, *path;

	if (!c->verb->app_alone || c->app != NULL || c->n != 1)
		return;
	path = talk_find(c->file, c->socket, &why);
	if (path != NULL && talk(path, B("{\"verb\":\"apps\"}\n"), &answer,
	    &why) == 0 && names_app(buf_view(&answer), bytes_str(c->args[0]))) {
		c->app = *c->args++;
		c->n--;
	}
	buf_done(&answer);
	free(path);
	free(why);
}

/* Nobody reads what we say: a pager that was left, head(1). */
static bool
reader_gone(void)
{
	struct pollfd p = { .fd = STDOUT_FILENO };

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLERR | POLLHUP)) != 0;
}

/* All that was printed has arrived, or it is no success: a full disk must not
 * look like an empty answer. */
static int
output_end(int status)
{
	const char *why = "an error";

	if (fflush(stdout) != 0)
		why = strerror(errno);
	else if (!ferror(stdout))
		return status;
	if (reader_gone())
		return status;
	fprintf(stderr, "pealctl: the output is not complete: %s\n", why);
	return status == STATUS_OK ? STATUS_REFUSED : status;
}

static int
run(int argc, char **argv)
{
	struct call c = { 0 };
	int status;

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
	find_app_alone(&c);
	return c.verb->run != NULL ? c.verb->run(&c) : call_ask(&c);
}

int
main(int argc, char **argv)
{
	log_init("pealctl");
	return output_end(run(argc, argv));
}
