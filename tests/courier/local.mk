# Tests of src/courier: TAP programs.  rig.c plays the master and the router,
# server.c the targets; the clock is the test's.
courier_tests = \
	tests/courier/test_courier
check_PROGRAMS += $(courier_tests)
TESTS += $(courier_tests)
courier_rig = tests/courier/rig.c tests/courier/rig.h tests/courier/server.c
courier_ldadd = $(TEST_LDADD) $(CURL_LIBS)
courier_ldflags = $(AM_LDFLAGS) -Wl,--wrap=clock_ms
tests_courier_test_courier_SOURCES = tests/courier/test_courier.c $(courier_rig)
tests_courier_test_courier_LDADD = $(courier_ldadd)
tests_courier_test_courier_LDFLAGS = $(courier_ldflags)
