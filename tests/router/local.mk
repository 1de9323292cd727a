# Tests of src/router: TAP programs.  Each plays the workers of a router in its
# own process (driver.c); the clock is the test's.
router_tests = \
	tests/router/test_answer \
	tests/router/test_carrier \
	tests/router/test_control \
	tests/router/test_control_random \
	tests/router/test_count \
	tests/router/test_envelope \
	tests/router/test_history \
	tests/router/test_hooks \
	tests/router/test_hooks_hosts \
	tests/router/test_host \
	tests/router/test_hosts_random \
	tests/router/test_inspect \
	tests/router/test_load \
	tests/router/test_members \
	tests/router/test_order \
	tests/router/test_passage \
	tests/router/test_peer \
	tests/router/test_pending \
	tests/router/test_replay \
	tests/router/test_route \
	tests/router/test_shift \
	tests/router/test_shift_random \
	tests/router/test_snapshot \
	tests/router/test_succession \
	tests/router/test_succession_random \
	tests/router/test_sync \
	tests/router/test_tally \
	tests/router/test_tap \
	tests/router/test_users
check_PROGRAMS += $(router_tests)
TESTS += $(router_tests)
router_driver = tests/router/driver.c tests/router/driver.h
router_broker = tests/router/broker.c tests/router/broker.h $(router_driver)
router_ldflags = $(AM_LDFLAGS) -Wl,--wrap=clock_ms
tests_router_test_answer_SOURCES = tests/router/test_answer.c $(router_driver)
tests_router_test_answer_LDADD = $(TEST_LDADD)
tests_router_test_answer_LDFLAGS = $(router_ldflags)
tests_router_test_control_SOURCES = tests/router/test_control.c $(router_driver)
tests_router_test_control_LDADD = $(TEST_LDADD)
tests_router_test_control_LDFLAGS = $(router_ldflags)
tests_router_test_control_random_SOURCES = \
	tests/router/test_control_random.c tests/router/asked.c \
	tests/router/asked.h $(router_driver)
tests_router_test_control_random_LDADD = $(TEST_LDADD)
tests_router_test_control_random_LDFLAGS = $(router_ldflags)
tests_router_test_count_SOURCES = tests/router/test_count.c $(router_driver)
tests_router_test_count_LDADD = $(TEST_LDADD)
tests_router_test_count_LDFLAGS = $(router_ldflags)
tests_router_test_history_SOURCES = tests/router/test_history.c $(router_driver)
tests_router_test_history_LDADD = $(TEST_LDADD)
tests_router_test_history_LDFLAGS = $(router_ldflags)
router_courier = tests/router/courier.h $(router_cluster) $(router_driver) \
	$(router_told)
tests_router_test_hooks_hosts_SOURCES = tests/router/test_hooks_hosts.c \
	$(router_courier)
tests_router_test_hooks_hosts_LDADD = $(TEST_LDADD)
tests_router_test_hooks_hosts_LDFLAGS = $(router_ldflags)
tests_router_test_hooks_SOURCES = tests/router/test_hooks.c \
	$(router_courier)
tests_router_test_hooks_LDADD = $(TEST_LDADD)
tests_router_test_hooks_LDFLAGS = $(router_ldflags)
tests_router_test_load_SOURCES = tests/router/test_load.c $(router_driver)
tests_router_test_load_LDADD = $(TEST_LDADD)
tests_router_test_load_LDFLAGS = $(router_ldflags)
tests_router_test_members_SOURCES = tests/router/test_members.c $(router_driver)
tests_router_test_members_LDADD = $(TEST_LDADD)
tests_router_test_members_LDFLAGS = $(router_ldflags)
tests_router_test_passage_SOURCES = tests/router/test_passage.c $(router_broker)
tests_router_test_passage_LDADD = $(TEST_LDADD)
tests_router_test_passage_LDFLAGS = $(router_ldflags)
tests_router_test_peer_SOURCES = tests/router/test_peer.c $(router_driver)
tests_router_test_peer_LDADD = $(TEST_LDADD)
tests_router_test_peer_LDFLAGS = $(router_ldflags)
tests_router_test_replay_SOURCES = tests/router/test_replay.c $(router_broker)
tests_router_test_replay_LDADD = $(TEST_LDADD)
tests_router_test_replay_LDFLAGS = $(router_ldflags)
tests_router_test_route_SOURCES = tests/router/test_route.c $(router_driver)
tests_router_test_route_LDADD = $(TEST_LDADD)
tests_router_test_route_LDFLAGS = $(router_ldflags)
tests_router_test_sync_SOURCES = tests/router/test_sync.c $(router_driver)
tests_router_test_sync_LDADD = $(TEST_LDADD)
tests_router_test_sync_LDFLAGS = $(router_ldflags)
tests_router_test_tally_SOURCES = tests/router/test_tally.c $(router_driver)
tests_router_test_tally_LDADD = $(TEST_LDADD)
tests_router_test_tally_LDFLAGS = $(router_ldflags)
tests_router_test_users_SOURCES = tests/router/test_users.c $(router_driver)
tests_router_test_users_LDADD = $(TEST_LDADD)
tests_router_test_users_LDFLAGS = $(router_ldflags)
tests_router_test_shift_SOURCES = tests/router/test_shift.c $(router_driver)
tests_router_test_shift_LDADD = $(TEST_LDADD)
tests_router_test_shift_LDFLAGS = $(router_ldflags)
tests_router_test_shift_random_SOURCES = tests/router/test_shift_random.c \
	$(router_driver) $(router_told)
tests_router_test_shift_random_LDADD = $(TEST_LDADD)
tests_router_test_shift_random_LDFLAGS = $(router_ldflags)
router_cluster = tests/router/cluster.c tests/router/cluster.h
tests_router_test_inspect_SOURCES = tests/router/test_inspect.c $(router_driver)
tests_router_test_inspect_LDADD = $(TEST_LDADD)
tests_router_test_inspect_LDFLAGS = $(router_ldflags)
tests_router_test_tap_SOURCES = tests/router/test_tap.c $(router_cluster) \
	$(router_driver)
tests_router_test_tap_LDADD = $(TEST_LDADD)
tests_router_test_tap_LDFLAGS = $(router_ldflags)
tests_router_test_snapshot_SOURCES = tests/router/test_snapshot.c \
	$(router_cluster) $(router_driver)
tests_router_test_snapshot_LDADD = $(TEST_LDADD)
tests_router_test_snapshot_LDFLAGS = $(router_ldflags)
router_told = tests/router/told.c tests/router/told.h
tests_router_test_hosts_random_SOURCES = tests/router/test_hosts_random.c \
	$(router_cluster) $(router_driver) $(router_told)
tests_router_test_hosts_random_LDADD = $(TEST_LDADD)
tests_router_test_hosts_random_LDFLAGS = $(router_ldflags)
tests_router_test_host_SOURCES = tests/router/test_host.c $(router_cluster) \
	$(router_driver)
tests_router_test_host_LDADD = $(TEST_LDADD)
tests_router_test_host_LDFLAGS = $(router_ldflags)
tests_router_test_envelope_SOURCES = tests/router/test_envelope.c $(router_driver)
tests_router_test_envelope_LDADD = $(TEST_LDADD)
tests_router_test_envelope_LDFLAGS = $(router_ldflags)
tests_router_test_pending_SOURCES = tests/router/test_pending.c $(router_broker)
tests_router_test_pending_LDADD = $(TEST_LDADD)
tests_router_test_pending_LDFLAGS = $(router_ldflags)
tests_router_test_carrier_SOURCES = tests/router/test_carrier.c $(router_broker)
tests_router_test_carrier_LDADD = $(TEST_LDADD)
tests_router_test_carrier_LDFLAGS = $(router_ldflags)
tests_router_test_order_SOURCES = tests/router/test_order.c $(router_broker)
tests_router_test_order_LDADD = $(TEST_LDADD)
tests_router_test_order_LDFLAGS = $(router_ldflags)
tests_router_test_succession_SOURCES = tests/router/test_succession.c $(router_broker)
tests_router_test_succession_LDADD = $(TEST_LDADD)
tests_router_test_succession_LDFLAGS = $(router_ldflags)
tests_router_test_succession_random_SOURCES = \
	tests/router/test_succession_random.c $(router_broker) $(router_told)
tests_router_test_succession_random_LDADD = $(TEST_LDADD)
tests_router_test_succession_random_LDFLAGS = $(router_ldflags)
