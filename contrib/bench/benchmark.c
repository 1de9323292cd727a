/* SPDX-License-Identifier: MIT
 *
 * peal-benchmark: see benchmark.h and peal-benchmark(1).
 */
#include <stdio.h>
#include <string.h>

#include "benchmark.h"
#include "config.h"

const struct scenario scenarios[] = {
	{ "connect", "--connections 10000 --inflight 200", "--connections 1000",
	    "how fast connections are taken", scenario_connect },
	{ "idle", "--connections 10000 --hold 10",
	    "--connections 2000 --hold 1",
	    "what a connection costs that does nothing", scenario_idle },
	{ "fanout", "--connections 1000 --rate 50 --seconds 5 --warmup 50",
	    "--connections 200 --seconds 2 --warmup 20",
	    "one channel that all are in", scenario_fanout },
	{ "many", "--channels 500 --members 10 --rate 2000 --publishers 4 "
	    "--seconds 5 --warmup 500",
	    "--channels 50 --rate 500 --seconds 2 --warmup 50",
	    "small channels", scenario_many },
	{ "presence", "--connections 300 --inflight 20", "--connections 100",
	    "everybody sees everybody come, and half of them go",
	    scenario_presence },
	{ "publish", "--publishers 8 --seconds 5 --warmup 200", "--seconds 2",
	    "publishing that nobody hears", scenario_publish },
	{ "churn", "--inflight 50 --seconds 5", "--seconds 2",
	    "connect, subscribe, close", scenario_churn },
	{ "reload", "--connections 1000 --rate 20 --seconds 10 --warmup 20",
	    "--connections 200 --seconds 4",
	    "a fan-out while the server is replaced", scenario_reload },
	{ "pressure", "--connections 500 --rate 50 --size 4000 --stalled 10 "
	    "--publishers 32 --pipeline 4 --seconds 5 --warmup 20",
	    "--connections 100 --publishers 8 --seconds 2",
	    "subscribers that do not read, publishers in a hurry",
	    scenario_pressure },
	{ NULL, NULL, NULL, NULL, NULL }
};

static int
complain(const char *why)
{
	fprintf(stderr, "peal-benchmark: %s\n"
	    "`peal-benchmark --help' lists scenarios and options\n", why);
	return 2;
}

static int
run_one(const struct scenario *sc, int argc, char **argv)
{
	const char *why;

	if (options_read(&opt, sc, argc, argv, &why) != 0)
		return complain(why);
	return sc->run(sc);
}

static bool
has_command(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], "--command", 9) == 0)
			return true;
	return false;
}

int
main(int argc, char **argv)
{
	const struct scenario *sc;
	const char *why;
	int worst = 0, status;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 ||
		    strcmp(argv[i], "-h") == 0) {
			options_help();
			return 0;
		}
		if (strcmp(argv[i], "--version") == 0 ||
		    strcmp(argv[i], "-V") == 0) {
			printf("peal-benchmark %s\n", VERSION);
			return 0;
		}
	}
	if (options_scenario(argc, argv, &sc, &why) != 0)
		return complain(why);
	if (sc != NULL)
		return run_one(sc, argc, argv);
	for (sc = scenarios; sc->name != NULL && !run_no_more(); sc++) {
		/* Not every server is to be reloaded. */
		if (sc->run == scenario_reload && !has_command(argc, argv))
			continue;
		status = run_one(sc, argc, argv);
		if (status > worst)
			worst = status;
	}
	return worst;
}
