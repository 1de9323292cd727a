# Tests of src/backplane: TAP programs.
backplane_tests = \
	tests/backplane/test_redis_slots
check_PROGRAMS += $(backplane_tests)
TESTS += $(backplane_tests)
tests_backplane_test_redis_slots_SOURCES = tests/backplane/test_redis_slots.c
tests_backplane_test_redis_slots_LDADD = $(TEST_LDADD)
