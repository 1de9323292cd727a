# Tests of src/courier: TAP programs.  rig.c plays the master and the router,
# server.c the targets; the clock is the test's.
courier_tests = \
	tests/courier/test_address \
	tests/courier/test_body \
	tests/courier/test_choice \
	tests/courier/test_courier \
	tests/courier/test_http \
	tests/courier/test_journal \
	tests/courier/test_recovery \
	tests/courier/test_said \
	tests/courier/test_target
check_PROGRAMS += $(courier_tests)
TESTS += $(courier_tests)
courier_rig = tests/courier/rig.c tests/courier/rig.h tests/courier/server.c
courier_ldadd = $(TEST_LDADD)
courier_ldflags = $(AM_LDFLAGS) -Wl,--wrap=clock_ms
tests_courier_test_address_SOURCES = tests/courier/test_address.c
tests_courier_test_address_LDADD = $(TEST_LDADD)
tests_courier_test_body_SOURCES = tests/courier/test_body.c
tests_courier_test_body_LDADD = $(TEST_LDADD)
tests_courier_test_choice_SOURCES = tests/courier/test_choice.c
tests_courier_test_choice_LDADD = $(TEST_LDADD)
tests_courier_test_courier_SOURCES = tests/courier/test_courier.c $(courier_rig)
tests_courier_test_courier_LDADD = $(courier_ldadd)
tests_courier_test_courier_LDFLAGS = $(courier_ldflags)
tests_courier_test_http_SOURCES = tests/courier/test_http.c $(courier_rig)
tests_courier_test_http_LDADD = $(courier_ldadd)
tests_courier_test_http_LDFLAGS = $(courier_ldflags)
tests_courier_test_journal_SOURCES = tests/courier/test_journal.c
tests_courier_test_journal_LDADD = $(TEST_LDADD)
tests_courier_test_said_SOURCES = tests/courier/test_said.c
tests_courier_test_said_LDADD = $(TEST_LDADD)
tests_courier_test_target_SOURCES = tests/courier/test_target.c $(courier_rig)
tests_courier_test_target_LDADD = $(courier_ldadd)
tests_courier_test_target_LDFLAGS = $(courier_ldflags)
tests_courier_test_recovery_SOURCES = tests/courier/test_recovery.c $(courier_rig)
tests_courier_test_recovery_LDADD = $(courier_ldadd)
tests_courier_test_recovery_LDFLAGS = $(courier_ldflags)
