# Programs that measure.  `make bench` builds them; nothing else does.
EXTRA_PROGRAMS = contrib/bench/routerload
contrib_bench_routerload_SOURCES = \
	contrib/bench/broker.c contrib/bench/broker.h \
	contrib/bench/routerload.c \
	contrib/bench/station.c contrib/bench/station.h
contrib_bench_routerload_LDADD = libpeal.a
CLEANFILES += contrib/bench/routerload
EXTRA_DIST += contrib/bench/README
.PHONY: bench
bench: peald$(EXEEXT) contrib/bench/routerload$(EXEEXT)
