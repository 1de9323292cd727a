/* SPDX-License-Identifier: MIT
 *
 * peal-benchmark: what the user asks for.  An option belongs to the scenarios
 * whose defaults or whose line here name it.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchmark.h"

enum kind { FLAG, NUMBER, TEXT };

struct option {
	const char	*name;
	char		 letter;
	enum kind	 kind;
	size_t		 at;		/* in struct settings */
	unsigned	 min, max;
	const char	*of;		/* scenarios; NULL: all */
	const char	*help;
};

#define AT(member)	offsetof(struct settings, member)
#define SPEAKING	" fanout many reload "
static const struct option options[] = {
	{ "host", 0, TEXT, AT(host), 0, 0, NULL, "127.0.0.1" },
	{ "port", 0, NUMBER, AT(port), 1, 65535, NULL, "8080" },
	{ "app-id", 0, TEXT, AT(id), 0, 0, NULL, "of the application" },
	{ "key", 0, TEXT, AT(key), 0, 0, NULL, "of the application" },
	{ "secret", 0, TEXT, AT(secret), 0, 0, NULL, "of the application" },
	{ "origin", 0, TEXT, AT(origin), 0, 0, NULL,
	    "that clients say they come from" },
	{ "tls", 0, FLAG, AT(tls), 0, 0, NULL, "wss and https" },
	{ "pid", 0, NUMBER, AT(pid), 1, INT_MAX, NULL,
	    "what this process and its children use" },
	{ "json", 0, FLAG, AT(json), 0, 0, NULL, "one object a scenario" },
	{ "quiet", 0, FLAG, AT(quiet), 0, 0, NULL, "no progress" },
	{ "short", 0, FLAG, AT(brief), 0, 0, NULL, "some seconds are enough" },
	{ "processes", 0, NUMBER, AT(processes), 1, HANDS_MAX, NULL,
	    "that hold clients" },
	{ "wait", 0, NUMBER, AT(wait), 1, 3600, NULL,
	    "s without anything new: give up" },
	{ "inflight", 0, NUMBER, AT(inflight), 1, 100000, NULL,
	    "clients that come at a time" },
	{ "connections", 'n', NUMBER, AT(connections), 1, 10000000,
	    " connect idle fanout presence reload pressure ", "clients" },
	{ "channels", 'c', NUMBER, AT(channels), 1, 10000000,
	    " connect idle many churn ", "channels" },
	{ "members", 'm', NUMBER, AT(members), 1, 1000000, " many ",
	    "of each channel" },
	{ "kind", 0, TEXT, AT(kind), 0, 0,
	    " connect idle fanout many churn reload ",
	    "public, private or presence channels" },
	{ "subscribe", 0, FLAG, AT(subscribe), 0, 0, " connect ",
	    "each to a channel" },
	{ "resume", 0, FLAG, AT(resume), 0, 0, NULL, "use session tickets" },
	{ "client", 0, FLAG, AT(client), 0, 0, SPEAKING, "events of clients" },
	{ "rate", 'r', NUMBER, AT(rate), 0, 10000000, SPEAKING " pressure ",
	    "messages/s; 0: as --window allows" },
	{ "window", 'w', NUMBER, AT(window), 1, WINDOW_MAX, SPEAKING,
	    "messages that not all have got" },
	{ "size", 's', NUMBER, AT(size), MARK_SIZE, 1 << 20,
	    SPEAKING " publish pressure ", "octets of data" },
	{ "publishers", 'p', NUMBER, AT(publishers), 1, 10000,
	    " many publish pressure ", "connections to the API" },
	{ "pipeline", 0, NUMBER, AT(pipeline), 1, 64,
	    " publish pressure ",
	    "calls under way on each" },
	{ "messages", 'M', NUMBER, AT(messages), 0, INT_MAX,
	    SPEAKING " publish ", "end after so many, whatever --seconds says" },
	{ "warmup", 0, NUMBER, AT(warmup), 0, INT_MAX,
	    SPEAKING " publish pressure ", "messages before" },
	{ "seconds", 't', NUMBER, AT(seconds), 0, 1000000,
	    SPEAKING " publish churn pressure ", "end after so many" },
	{ "hold", 0, NUMBER, AT(hold), 0, 1000000, " idle ", "s of idling" },
	{ "stalled", 0, NUMBER, AT(stalled), 1, 90, " pressure ",
	    "% of the subscribers stop reading" },
	{ "command", 0, TEXT, AT(command), 0, 0, " reload ",
	    "run in the middle" },
};
#define OPTIONS	(sizeof options / sizeof options[0])

/* ---- one argument ------------------------------------------------------- */

/* "--rate: what", for `why' */
static const char *
about(const char *word, const char *what)
{
	static char text[160];

	snprintf(text, sizeof text, "%s%.*s: %s", *word == '-' ? "" : "--",
	    (int)strcspn(word, "="), word, what);
	return text;
}

/* The option that argv[*at] is, and its value, of which *at moves to the last
 * word.  NULL with *why. */
static const struct option *
next_option(int argc, char **argv, int *at, const char **value,
    const char **why)
{
	const char *word = argv[*at], *equals = strchr(word, '=');
	size_t n = equals != NULL ? (size_t)(equals - word) : strlen(word);
	const struct option *o = NULL;

	for (size_t i = 0; i < OPTIONS && o == NULL; i++)
		if ((n > 2 && strncmp(word, "--", 2) == 0 &&
		    strlen(options[i].name) == n - 2 &&
		    strncmp(word + 2, options[i].name, n - 2) == 0) ||
		    (n == 2 && word[1] != '-' && word[1] == options[i].letter))
			o = &options[i];
	*value = equals != NULL ? equals + 1 : NULL;
	if (o == NULL) {
		*why = about(word, "there is no such option");
		return NULL;
	}
	if (o->kind == FLAG && equals != NULL) {
		*why = about(word, "it takes no value");
		return NULL;
	}
	if (o->kind == FLAG || equals != NULL)
		return o;
	if (*at + 1 >= argc) {
		*why = about(word, "its value is missing");
		return NULL;
	}
	*value = argv[++*at];
	return o;
}

static int
number(const struct option *o, const char *text, unsigned *n)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || errno != 0)
		return -1;
	if (*end == 'k' && v <= UINT_MAX / 1000) {
		v *= 1000;
		end++;
	} else if (*end == '%' && o->at == AT(stalled)) {
		end++;
	}
	if (*end != '\0' || v < o->min || v > o->max)
		return -1;
	*n = (unsigned)v;
	return 0;
}

static int
put(struct settings *s, const struct option *o, const char *value,
    const char **why)
{
	void *member = (char *)s + o->at;
	char range[80];

	switch (o->kind) {
	case FLAG:
		*(unsigned *)member = 1;
		break;
	case TEXT:
		*(const char **)member = value;
		break;
	case NUMBER:
		if (number(o, value, member) != 0) {
			snprintf(range, sizeof range, "a number from %u to %u, "
			    "not %.20s", o->min, o->max, value);
			*why = about(o->name, range);
			return -1;
		}
	}
	return 0;
}

/* ---- all ---------------------------------------------------------------- */

static bool
belongs(const struct option *o, const struct scenario *sc)
{
	char word[32];

	if (o->of == NULL)
		return true;
	snprintf(word, sizeof word, " %s ", sc->name);
	return strstr(o->of, word) != NULL;
}

/* "--rate 50 --size 100" of the table of scenarios. */
static int
read_words(struct settings *s, const char *words, const char **why)
{
	static char room[512];	/* texts stay in it: the defaults have none */
	char *argv[32], *save = NULL;
	const struct option *o;
	const char *value;
	int argc = 0;

	snprintf(room, sizeof room, "%s", words);
	for (char *p = strtok_r(room, " ", &save); p != NULL && argc < 32;
	    p = strtok_r(NULL, " ", &save))
		argv[argc++] = p;
	for (int i = 0; i < argc; i++)
		if ((o = next_option(argc, argv, &i, &value, why)) == NULL ||
		    put(s, o, value, why) != 0)
			return -1;
	return 0;
}

static const char *
from_environment(const char *what)
{
	static const char *const prefix[] = { "REVERB_APP_", "PUSHER_APP_" };
	char name[64];
	const char *value;

	for (unsigned i = 0; i < 2; i++) {
		snprintf(name, sizeof name, "%s%s", prefix[i], what);
		if ((value = getenv(name)) != NULL && *value != '\0')
			return value;
	}
	return NULL;
}

static int
check(const struct settings *s, const char **why)
{
	*why = NULL;
	if (s->key == NULL)
		*why = "--key (or REVERB_APP_KEY) is missing";
	else if (s->secret == NULL)
		*why = "--secret (or REVERB_APP_SECRET) is missing";
	else if (s->id == NULL)
		*why = "--app-id (or REVERB_APP_ID) is missing";
	else if (strlen(s->key) > 200 || strlen(s->id) > 100 ||
	    (s->origin != NULL && strlen(s->origin) > 300))
		*why = "--key, --app-id or --origin is too long";
	else if (strcmp(s->kind, "public") != 0 &&
	    strcmp(s->kind, "private") != 0 && strcmp(s->kind, "presence") != 0)
		*why = "--kind is public, private or presence";
	return *why != NULL ? -1 : 0;
}

int
options_scenario(int argc, char **argv, const struct scenario **found,
    const char **why)
{
	const char *name = NULL, *value;

	*found = NULL;
	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '-' && argv[i][1] != '\0') {
			if (next_option(argc, argv, &i, &value, why) == NULL)
				return -1;
		} else if (name != NULL) {
			*why = "one scenario at a time, or `all'";
			return -1;
		} else {
			name = argv[i];
		}
	}
	*why = "which scenario?";
	if (name == NULL)
		return -1;
	for (const struct scenario *s = scenarios; s->name != NULL; s++)
		if (strcmp(s->name, name) == 0)
			*found = s;
	if (*found != NULL || strcmp(name, "all") == 0)
		return 0;
	*why = "there is no such scenario";
	return -1;
}

int
options_read(struct settings *s, const struct scenario *sc, int argc,
    char **argv, const char **why)
{
	const struct option *o;
	const char *value;
	bool all = false;

	*s = (struct settings){ .host = "127.0.0.1", .port = 8080,
	    .kind = "public", .inflight = 200, .channels = 1, .members = 1,
	    .size = 100, .window = 1, .publishers = 1, .pipeline = 1,
	    .wait = 10, .id = from_environment("ID"),
	    .key = from_environment("KEY"),
	    .secret = from_environment("SECRET") };
	for (int i = 1; i < argc; i++) {
		s->brief |= strcmp(argv[i], "--short") == 0;
		all |= strcmp(argv[i], "all") == 0;
	}
	if (read_words(s, sc->defaults, why) != 0 ||
	    (s->brief && read_words(s, sc->brief, why) != 0))
		return -1;
	for (int i = 1; i < argc; i++) {
		if (argv[i][0] != '-' || argv[i][1] == '\0')
			continue;
		if ((o = next_option(argc, argv, &i, &value, why)) == NULL)
			return -1;
		if (belongs(o, sc)) {
			if (put(s, o, value, why) != 0)
				return -1;
		} else if (!all) {
			*why = about(o->name, "not of this scenario");
			return -1;
		}
	}
	return check(s, why);
}

static void
help_option(const struct option *o)
{
	static const char *const value[] = { "", " N", " TEXT" };
	char word[32];
	const char *before = " (";

	snprintf(word, sizeof word, "%s%s", o->name, value[o->kind]);
	if (o->letter != 0)
		printf("  --%-17s -%c %s", word, o->letter, o->help);
	else
		printf("  --%-20s %s", word, o->help);
	for (const struct scenario *sc = scenarios; sc->name != NULL; sc++) {
		if (o->of == NULL || !belongs(o, sc))
			continue;
		printf("%s%s", before, sc->name);
		before = " ";
	}
	printf("%s\n", o->of != NULL ? ")" : "");
}

void
options_help(void)
{
	printf("usage: peal-benchmark [OPTIONS] SCENARIO [OPTIONS]\n\n"
	    "scenarios (\"all\" runs every one):\n");
	for (const struct scenario *sc = scenarios; sc->name != NULL; sc++)
		printf("  %-10s %s\n%12s %s\n", sc->name, sc->help, "",
		    sc->defaults);
	printf("\noptions:\n");
	for (size_t i = 0; i < OPTIONS; i++)
		help_option(&options[i]);
}

void
options_report(const struct settings *s, const struct scenario *sc)
{
	for (size_t i = 0; i < OPTIONS; i++) {
		const struct option *o = &options[i];
		const char *text = *(const char *const *)
		    ((const char *)s + (o->kind == TEXT ? o->at : 0));

		if (!belongs(o, sc) || o->at == AT(key) || o->at == AT(secret) ||
		    o->at == AT(json) || o->at == AT(quiet))
			continue;
		if (o->kind == NUMBER)
			report_number(o->name, *(const unsigned *)
			    ((const char *)s + o->at), 0);
		else if (o->kind == FLAG)
			report_flag(o->name, *(const unsigned *)
			    ((const char *)s + o->at) != 0);
		else if (text != NULL)
			report_text(o->name, text);
	}
}
