# Programs that measure.  `make bench` builds them and runs the one for users;
# crowd is also what the live tests of reloads stand on.
EXTRA_PROGRAMS = contrib/bench/routerload
contrib_bench_routerload_SOURCES = \
	contrib/bench/broker.c contrib/bench/broker.h \
	contrib/bench/routerload.c \
	contrib/bench/station.c contrib/bench/station.h
contrib_bench_routerload_LDADD = libpeal.a
noinst_PROGRAMS += contrib/bench/crowd
contrib_bench_crowd_SOURCES = \
	contrib/bench/crowd.c contrib/bench/crowd.h \
	contrib/bench/crowd_api.c \
	contrib/bench/crowd_client.c \
	contrib/bench/crowd_heard.c \
	contrib/bench/crowd_plan.c \
	contrib/bench/crowd_tally.c \
	contrib/bench/wire.c contrib/bench/wire.h
EXTRA_PROGRAMS += contrib/bench/floor
contrib_bench_floor_SOURCES = contrib/bench/floor.c
# The tool for users; it needs less than what all are linked with.
bin_PROGRAMS += peal-benchmark
peal_benchmark_SOURCES = \
	contrib/bench/benchmark.c contrib/bench/benchmark.h \
	contrib/bench/benchmark_api.c \
	contrib/bench/benchmark_client.c \
	contrib/bench/benchmark_connect.c \
	contrib/bench/benchmark_fanout.c \
	contrib/bench/benchmark_hand.c \
	contrib/bench/benchmark_heard.c \
	contrib/bench/benchmark_line.c \
	contrib/bench/benchmark_mark.c \
	contrib/bench/benchmark_options.c \
	contrib/bench/benchmark_pressure.c \
	contrib/bench/benchmark_presence.c \
	contrib/bench/benchmark_reload.c \
	contrib/bench/benchmark_report.c \
	contrib/bench/benchmark_run.c \
	contrib/bench/benchmark_server.c \
	contrib/bench/benchmark_speaker.c \
	contrib/bench/benchmark_tally.c contrib/bench/benchmark_tally.h \
	contrib/bench/benchmark_tls.c \
	contrib/bench/histogram.c contrib/bench/histogram.h \
	contrib/bench/wire.c contrib/bench/wire.h
peal_benchmark_LDFLAGS = $(AM_LDFLAGS) -Wl,--as-needed
CLEANFILES += contrib/bench/routerload contrib/bench/floor \
	contrib/bench/results.jsonl
dist_man_MANS += doc/peal-benchmark.1
EXTRA_DIST += contrib/bench/README contrib/bench/balance \
	contrib/bench/reload contrib/bench/run \
	contrib/bench/suite contrib/bench/suite_clients.cjs \
	contrib/bench/suite_growth.cjs contrib/bench/suite_hooks.cjs \
	contrib/bench/suite_server.cjs \
	contrib/bench/charts contrib/bench/charts_svg.cjs \
	doc/BENCHMARKS doc/benchmarks/results.jsonl \
	doc/benchmarks/channels.svg doc/benchmarks/connections.svg \
	doc/benchmarks/disconnects.svg doc/benchmarks/latency.svg \
	doc/benchmarks/memory.svg doc/benchmarks/rate.svg \
	doc/benchmarks/ratios.svg doc/benchmarks/subscribers.svg
.PHONY: bench bench-programs
bench: bench-programs
	$(srcdir)/contrib/bench/run -b .
bench-programs: peald$(EXEEXT) pealctl$(EXEEXT) peal-benchmark$(EXEEXT) \
	contrib/bench/routerload$(EXEEXT) contrib/bench/crowd$(EXEEXT) \
	contrib/bench/floor$(EXEEXT)

# doc/BENCHMARKS, made anew; the machine should have nothing else to do.
.PHONY: update-benchmarks
update-benchmarks: bench-programs
	$(srcdir)/contrib/bench/suite -b . >contrib/bench/results.jsonl
	mv contrib/bench/results.jsonl $(srcdir)/doc/benchmarks/results.jsonl
	$(srcdir)/contrib/bench/charts --to $(srcdir)/doc/benchmarks \
		--update $(srcdir)/doc/BENCHMARKS \
		$(srcdir)/doc/benchmarks/results.jsonl

# The page is what the results say.
TESTS += tests/bench/charts.sh
EXTRA_DIST += tests/bench/charts.sh

# Would it notice?
if HAVE_CMOCKA
bench_tests = tests/bench/test_benchmark tests/bench/test_tally
check_PROGRAMS += $(bench_tests)
TESTS += $(bench_tests)
tests_bench_test_benchmark_SOURCES = tests/bench/test_benchmark.c \
	contrib/bench/benchmark_mark.c \
	contrib/bench/benchmark_options.c \
	contrib/bench/benchmark_tally.c \
	contrib/bench/histogram.c contrib/bench/wire.c
tests_bench_test_benchmark_LDADD = $(TEST_LDADD)
tests_bench_test_tally_SOURCES = tests/bench/test_tally.c \
	contrib/bench/crowd_tally.c
tests_bench_test_tally_LDADD = $(TEST_LDADD)
endif
