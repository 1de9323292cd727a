# Tests of src/backplane: TAP programs.
backplane_tests = \
	tests/backplane/test_redis \
	tests/backplane/test_redis_cluster \
	tests/backplane/test_redis_played \
	tests/backplane/test_redis_reply \
	tests/backplane/test_redis_sentinel \
	tests/backplane/test_redis_slots \
	tests/backplane/test_redis_told
check_PROGRAMS += $(backplane_tests)
TESTS += $(backplane_tests)
backplane_rig = tests/backplane/rig.c tests/backplane/rig.h
backplane_ldflags = $(AM_LDFLAGS) -Wl,--wrap=clock_ms
tests_backplane_test_redis_SOURCES = tests/backplane/test_redis.c \
	tests/backplane/broker.c tests/backplane/broker.h $(backplane_rig)
tests_backplane_test_redis_LDADD = $(TEST_LDADD)
tests_backplane_test_redis_LDFLAGS = $(backplane_ldflags)
tests_backplane_test_redis_played_SOURCES = \
	tests/backplane/test_redis_played.c $(backplane_rig)
tests_backplane_test_redis_played_LDADD = $(TEST_LDADD)
tests_backplane_test_redis_played_LDFLAGS = $(backplane_ldflags)
tests_backplane_test_redis_reply_SOURCES = tests/backplane/test_redis_reply.c
tests_backplane_test_redis_reply_LDADD = $(TEST_LDADD)
tests_backplane_test_redis_cluster_SOURCES = \
	tests/backplane/test_redis_cluster.c $(backplane_rig)
tests_backplane_test_redis_cluster_LDADD = $(TEST_LDADD)
tests_backplane_test_redis_cluster_LDFLAGS = $(backplane_ldflags)
tests_backplane_test_redis_sentinel_SOURCES = \
	tests/backplane/test_redis_sentinel.c $(backplane_rig)
tests_backplane_test_redis_sentinel_LDADD = $(TEST_LDADD)
tests_backplane_test_redis_sentinel_LDFLAGS = $(backplane_ldflags)
tests_backplane_test_redis_slots_SOURCES = tests/backplane/test_redis_slots.c
tests_backplane_test_redis_slots_LDADD = $(TEST_LDADD)
tests_backplane_test_redis_told_SOURCES = tests/backplane/test_redis_told.c
tests_backplane_test_redis_told_LDADD = $(TEST_LDADD)
