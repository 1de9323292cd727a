# The live tests and the page test need Node and real clients, so they are no
# part of make check; contrib/check runs them.
EXTRA_DIST += contrib/check contrib/quickstart doc/BAD-INPUT.md \
	tests/laravel tests/live tests/page \
	tests/package.json tests/package-lock.json tests/.npmrc tests/run.mjs

# Fails when it is told to: handover-faults.test.mjs.
check_PROGRAMS += tests/live/peald-faults
tests_live_peald_faults_SOURCES = src/main.c tests/live/faults.c
tests_live_peald_faults_LDADD = libpeal.a
tests_live_peald_faults_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=sendmmsg \
	-Wl,--wrap=recvmmsg

# Folders are packed as they are, those of the build, too.
.PHONY: dist-hook-live
dist-hook: dist-hook-live
dist-hook-live:
	rm -rf $(distdir)/tests/live/.deps
	rm -f $(distdir)/tests/live/.dirstamp $(distdir)/tests/live/*.o \
		$(distdir)/tests/live/peald-faults
