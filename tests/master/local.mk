# Tests of src/master, and of what only the master uses: TAP programs.
master_tests = \
	tests/common/test_jail \
	tests/common/test_notify \
	tests/master/test_balance \
	tests/master/test_certificate \
	tests/master/test_listen \
	tests/master/test_metrics \
	tests/master/test_numbers \
	tests/master/test_numbers_random \
	tests/master/test_pidfile \
	tests/master/test_rundir \
	tests/master/test_logfile \
	tests/master/test_resolve \
	tests/master/test_spawn \
	tests/master/test_spool \
	tests/master/test_state \
	tests/master/test_watch
check_PROGRAMS += $(master_tests)
TESTS += $(master_tests)
tests_common_test_jail_SOURCES = tests/common/test_jail.c
tests_common_test_jail_LDADD = $(TEST_LDADD)
tests_common_test_notify_SOURCES = tests/common/test_notify.c
tests_common_test_notify_LDADD = $(TEST_LDADD)
tests_master_test_balance_SOURCES = tests/master/test_balance.c
tests_master_test_balance_LDADD = $(TEST_LDADD)
tests_master_test_certificate_SOURCES = tests/master/test_certificate.c
tests_master_test_certificate_LDADD = $(TEST_LDADD)
tests_master_test_listen_SOURCES = tests/master/test_listen.c
tests_master_test_listen_LDADD = $(TEST_LDADD)
tests_master_test_metrics_SOURCES = tests/master/test_metrics.c \
	tests/master/metrics_reader.c tests/master/metrics_reader.h
tests_master_test_metrics_LDADD = $(TEST_LDADD)
EXTRA_DIST += tests/master/metrics.text
EXTRA_DIST += tests/master/service.h
tests_master_test_numbers_SOURCES = tests/master/test_numbers.c
tests_master_test_numbers_LDADD = $(TEST_LDADD)
tests_master_test_numbers_random_SOURCES = tests/master/test_numbers_random.c
tests_master_test_numbers_random_LDADD = $(TEST_LDADD)
tests_master_test_pidfile_SOURCES = tests/master/test_pidfile.c
tests_master_test_pidfile_LDADD = $(TEST_LDADD)
tests_master_test_logfile_SOURCES = tests/master/test_logfile.c
tests_master_test_logfile_LDADD = $(TEST_LDADD)
tests_master_test_rundir_SOURCES = tests/master/test_rundir.c
tests_master_test_rundir_LDADD = $(TEST_LDADD)
tests_master_test_resolve_SOURCES = tests/master/test_resolve.c
tests_master_test_resolve_LDADD = $(TEST_LDADD)
tests_master_test_spawn_SOURCES = tests/master/test_spawn.c
tests_master_test_spawn_LDADD = $(TEST_LDADD)
tests_master_test_spool_SOURCES = tests/master/test_spool.c
tests_master_test_spool_LDADD = $(TEST_LDADD)
tests_master_test_spool_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=fsync
tests_master_test_state_SOURCES = tests/master/test_state.c
tests_master_test_state_LDADD = $(TEST_LDADD)
tests_master_test_watch_SOURCES = tests/master/test_watch.c
tests_master_test_watch_LDADD = $(TEST_LDADD)

# What this release carries over an exec, for all that come: once, before it is
# released.
EXTRA_DIST += tests/master/records
update-states: tests/master/test_state
	$(MKDIR_P) $(srcdir)/tests/master/records/$(PACKAGE_VERSION)
	tests/master/test_state --write \
	    $(srcdir)/tests/master/records/$(PACKAGE_VERSION)

# What /metrics looks like, but for counters that appear by themselves.
update-metrics: tests/master/test_metrics
	tests/master/test_metrics --write $(srcdir)/tests/master/metrics.text
