/* SPDX-License-Identifier: MIT
 *
 * peald: which role am I?  The master starts its children as the same binary
 * under another name, and itself when that was replaced; whoever calls it
 * otherwise speaks to the master, after the command line was read.
 *
 * Runs in: every process, first.  Owns: nothing.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/config.h"
#include "common/log.h"
#include "common/util.h"
#include "courier/courier.h"
#include "master/again.h"
#include "master/beside.h"
#include "master/certificate.h"
#include "master/master.h"
#include "master/metrics.h"
#include "master/preflight.h"
#include "master/resolver.h"
#include "router/router.h"
#include "worker/worker.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION	"0"
#endif
#ifndef SYSCONFDIR
#define SYSCONFDIR	"/etc"
#endif

enum { STATUS_MISTAKE = 1, STATUS_USAGE = 2 };

static const struct role {
	const char	*name;		/* as the master gives it */
	int		(*main)(void);
} roles[] = {
	{ "peald: worker", worker_main },
	{ "peald: router", router_main },
	{ "peald: courier", courier_main },
	{ "peald: resolver", resolver_main },
	{ "peald: preflight", preflight_main },
};

/* ---- what the command line asks for -------------------------------------- */

struct options {
	struct config_source source;
	bool		 check, dump, with_secrets;
	bool		 template, manual, metrics, version, help;
};

/* An option with a value has the word for it in `value`. */
static const struct option {
	const char	*name, *alias, *value;
	size_t		 at;
	const char	*help;
} options[] = {
#define WITH(name, alias, value, to, help) \
	{ name, alias, value, offsetof(struct options, to), help }
#define FLAG(name, alias, to, help) \
	{ name, alias, NULL, offsetof(struct options, to), help }
	WITH("--config", "-c", "FILE", source.file,
	    "settings; else " SYSCONFDIR "/peal/peal.ini, if there"),
	WITH("--env-file", NULL, "FILE", source.env_file,
	    "a Laravel site's .env; the environment goes before it"),
	WITH("--host", NULL, "HOST", source.host,
	    "address to listen on"),
	WITH("--port", NULL, "PORT", source.port,
	    "port to listen on"),
	WITH("--path", NULL, "PATH", source.path,
	    "prefix of every route, such as /ws"),
	WITH("--hostname", NULL, "NAME", source.hostname,
	    "host name shown at start"),
	WITH("--workers", NULL, "N", source.workers,
	    "worker processes; auto is one per core"),
	FLAG("--debug", NULL, source.debug,
	    "show every connection and message"),
	FLAG("--check", NULL, check,
	    "only tell whether the settings are good"),
	FLAG("--dump-config", NULL, dump,
	    "only print the settings in force"),
	FLAG("--with-secrets", NULL, with_secrets,
	    "with --dump-config: secrets, too"),
	FLAG("--template", NULL, template,
	    "print a commented peal.ini"),
	FLAG("--manual", NULL, manual,
	    "print the manual of peal.ini, for man -l -"),
	FLAG("--metrics", NULL, metrics,
	    "print what /metrics has"),
	FLAG("--version", "-V", version, "print the version"),
	FLAG("--help", "-h", help, "print this"),
#undef WITH
#undef FLAG
};

static void
print_help(FILE *to)
{
	const struct option *o;
	char left[40];

	fputs("usage: peald [-c FILE] [--env-file FILE] [options]\n\n"
	    "Serves WebSocket clients that speak the Pusher protocol, and the "
	    "HTTP API\nbehind them. Runs in the foreground until SIGTERM; "
	    "SIGHUP loads the settings again.\n\n", to);
	for (o = options; o < options + NELEM(options); o++) {
		snprintf(left, sizeof left, "%s%s%s%s%s",
		    o->alias != NULL ? o->alias : "",
		    o->alias != NULL ? ", " : "    ", o->name,
		    o->value != NULL ? " " : "",
		    o->value != NULL ? o->value : "");
		fprintf(to, "  %-22s  %s\n", left, o->help);
	}
	fputs("\nA setting is taken from the command line, else from the "
	    "environment (REVERB_*),\nelse from the file, else it has its "
	    "default. See peald(8) and peal.ini(5).\n\n"
	    "  peald --env-file /var/www/site/.env    in place of "
	    "php artisan reverb:start\n", to);
}

static int
usage(const char *option, const char *wrong)
{
	fprintf(stderr, "peald: %s: %s; peald --help lists the options\n",
	    option, wrong);
	return STATUS_USAGE;
}

/* Is this argument the option, alone or as --name=value? */
static bool
names_option(const struct option *o, const char *arg, const char **value)
{
	size_t n = strlen(o->name);

	*value = NULL;
	if (strcmp(arg, o->name) == 0 ||
	    (o->alias != NULL && strcmp(arg, o->alias) == 0))
		return true;
	if (strncmp(arg, o->name, n) != 0 || arg[n] != '=')
		return false;
	*value = arg + n + 1;
	return true;
}

static const struct option *
find_option(const char *arg, const char **value)
{
	size_t i;

	for (i = 0; i < NELEM(options); i++)
		if (names_option(&options[i], arg, value))
			return &options[i];
	return NULL;
}

/* 0, or the status to exit with. */
static int
parse(struct options *to, char **argv)
{
	const struct option *o;
	const char *value;

	for (argv++; *argv != NULL; argv++) {
		if ((o = find_option(*argv, &value)) == NULL)
			return usage(log_bytes(bytes_str(*argv)),
			    "unknown option");
		if (o->value == NULL && value != NULL)
			return usage(o->name, "takes no value");
		if (o->value == NULL) {
			*(bool *)((char *)to + o->at) = true;
			continue;
		}
		if (value == NULL && (value = *++argv) == NULL)
			return usage(o->name, "needs a value");
		*(const char **)(void *)((char *)to + o->at) = value;
	}
	return 0;
}

/* ---- what needs no server ------------------------------------------------ */

/* All that was printed: a disk may be full. */
static int
printed(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	fprintf(stderr, "peald: standard output: %s\n", strerror(errno));
	return STATUS_MISTAKE;
}

static int
print(struct buf *text)
{
	fwrite(text->p, 1, text->n, stdout);
	buf_done(text);
	return printed();
}

static int
complain(char *why)
{
	fprintf(stderr, "peald: %s\n", why);
	free(why);
	return STATUS_MISTAKE;
}

/* Opens no socket. */
static int
check(const struct config_source *source)
{
	const char *file = config_file(source);
	struct certificate *certificates;
	struct config *c;
	char *why;

	if ((c = config_load(source, &why)) == NULL)
		return complain(why);
	if (beside_check(c, &why) < 0 ||
	    (certificates = certificates_read(c, &why)) == NULL) {
		config_free(c);
		return complain(why);
	}
	certificates_free(certificates, c->n_listen);
	config_free(c);
	printf("%s%ssettings are good\n", file != NULL ? file : "",
	    file != NULL ? ": " : "");
	return printed();
}

static int
dump(const struct options *o)
{
	struct buf text = { 0 };
	struct config *c;
	char *why;

	if ((c = config_load(&o->source, &why)) == NULL)
		return complain(why);
	config_dump(c, o->with_secrets, &text);
	config_free(c);
	return print(&text);
}

static int
document(void (*make)(struct buf *))
{
	struct buf text = { 0 };

	make(&text);
	return print(&text);
}

static int
obey(const struct options *o)
{
	if (o->help) {
		print_help(stdout);
		return printed();
	}
	if (o->version) {
		puts("peald " PACKAGE_VERSION);
		return printed();
	}
	if (o->template)
		return document(config_template);
	if (o->manual)
		return document(config_manual);
	if (o->metrics)
		return document(metrics_manual);
	if (o->check)
		return check(&o->source);
	if (o->dump)
		return dump(o);
	if (o->with_secrets)
		return usage("--with-secrets", "goes with --dump-config");
	return master_main(&o->source);
}

/* The master that was another binary a moment ago: its state's descriptor, or
 * -1. */
static int
carried(int argc, char **argv)
{
	static const char name[] = "peald: master";
	uint64_t fd;

	if (argc != 2 || strncmp(argv[0], name, strlen(name)) != 0 ||
	    bytes_u64(bytes_str(argv[1]), &fd) < 0 || fd > INT32_MAX)
		return -1;
	return (int)fd;
}

/* What is large has pages of its own: it grows without a copy, and goes back
 * when it is freed.  (Left alone, malloc puts up to 32 MB into the heap once
 * such a piece was freed.)  At the heap's end as much stays as a turn may use. */
static void
memory_setup(void)
{
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

int
main(int argc, char **argv)
{
	static struct options o;
	int fd = carried(argc, argv);
	size_t i;
	int rc;

	memory_setup();
	fd_standard();
	title_init(argc, argv);
	if (fd >= 0)
		return again_main(fd);
	o.source.environ_ = environ;
	for (i = 0; argc > 0 && i < NELEM(roles); i++)
		if (strncmp(argv[0], roles[i].name,
		    strlen(roles[i].name)) == 0)
			return roles[i].main();
	if (argc < 1)
		return STATUS_USAGE;
	rc = parse(&o, argv);
	return rc != 0 ? rc : obey(&o);
}
