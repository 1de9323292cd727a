# Tests of src/worker: TAP programs.

# HTTP heads, WebSocket framing, compression.
check_PROGRAMS += tests/worker/test_http tests/worker/test_websocket \
	tests/worker/test_deflate
tests_worker_test_http_SOURCES = tests/worker/test_http.c
tests_worker_test_http_LDADD = $(TEST_LDADD)
tests_worker_test_websocket_SOURCES = tests/worker/test_websocket.c
tests_worker_test_websocket_LDADD = $(TEST_LDADD)
tests_worker_test_deflate_SOURCES = tests/worker/test_deflate.c
tests_worker_test_deflate_LDADD = $(TEST_LDADD)
TESTS += tests/worker/test_http tests/worker/test_websocket \
	tests/worker/test_deflate

# The core: a played router, a front door that writes down what it is told.
EXTRA_DIST += tests/worker/test_core.h
check_PROGRAMS += tests/worker/test_conn tests/worker/test_channel \
	tests/worker/test_presence tests/worker/test_uplink \
	tests/worker/test_arrival tests/worker/test_fanout_random
tests_worker_test_fanout_random_SOURCES = tests/worker/test_fanout_random.c
tests_worker_test_fanout_random_LDADD = $(TEST_LDADD)
tests_worker_test_arrival_SOURCES = tests/worker/test_arrival.c
tests_worker_test_arrival_LDADD = $(TEST_LDADD)
tests_worker_test_conn_SOURCES = tests/worker/test_conn.c
tests_worker_test_conn_LDADD = $(TEST_LDADD)
tests_worker_test_channel_SOURCES = tests/worker/test_channel.c
tests_worker_test_channel_LDADD = $(TEST_LDADD)
tests_worker_test_presence_SOURCES = tests/worker/test_presence.c
tests_worker_test_presence_LDADD = $(TEST_LDADD)
tests_worker_test_uplink_SOURCES = tests/worker/test_uplink.c
tests_worker_test_uplink_LDADD = $(TEST_LDADD)
TESTS += tests/worker/test_conn tests/worker/test_channel \
	tests/worker/test_presence tests/worker/test_uplink \
	tests/worker/test_arrival tests/worker/test_fanout_random

check_PROGRAMS += tests/worker/test_backlog tests/worker/test_notice
tests_worker_test_backlog_SOURCES = tests/worker/test_backlog.c
tests_worker_test_backlog_LDADD = $(TEST_LDADD)
tests_worker_test_notice_SOURCES = tests/worker/test_notice.c
tests_worker_test_notice_LDADD = $(TEST_LDADD)
TESTS += tests/worker/test_backlog tests/worker/test_notice

# Applications, signatures, the API: a worker without sockets.
check_PROGRAMS += tests/worker/test_app tests/worker/test_auth \
	tests/worker/test_params tests/worker/test_api
tests_worker_test_app_SOURCES = tests/worker/test_app.c
tests_worker_test_app_LDADD = $(TEST_LDADD)
tests_worker_test_auth_SOURCES = tests/worker/test_auth.c
tests_worker_test_auth_LDADD = $(TEST_LDADD)
tests_worker_test_params_SOURCES = tests/worker/test_params.c
tests_worker_test_params_LDADD = $(TEST_LDADD)
tests_worker_test_api_SOURCES = tests/worker/test_api.c \
	tests/worker/fake.c tests/worker/fake.h
tests_worker_test_api_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests
tests_worker_test_api_LDADD = $(TEST_LDADD)
TESTS += tests/worker/test_app tests/worker/test_auth \
	tests/worker/test_params tests/worker/test_api

# What is answered where, numbers, health.
check_PROGRAMS += tests/worker/test_metrics
tests_worker_test_metrics_SOURCES = tests/worker/test_metrics.c \
	tests/worker/fake.c tests/worker/fake.h
tests_worker_test_metrics_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests
tests_worker_test_metrics_LDADD = $(TEST_LDADD)
TESTS += tests/worker/test_metrics

check_PROGRAMS += tests/worker/test_table
tests_worker_test_table_SOURCES = tests/worker/test_table.c
tests_worker_test_table_LDADD = $(TEST_LDADD)
TESTS += tests/worker/test_table

# What is seen of single connections.
check_PROGRAMS += tests/worker/test_inspect
tests_worker_test_inspect_SOURCES = tests/worker/test_inspect.c
tests_worker_test_inspect_LDADD = $(TEST_LDADD)
TESTS += tests/worker/test_inspect

# What proxies say about clients.
check_PROGRAMS += tests/worker/test_proxy
tests_worker_test_proxy_SOURCES = tests/worker/test_proxy.c
tests_worker_test_proxy_LDADD = $(TEST_LDADD)
TESTS += tests/worker/test_proxy

# Who comes in, and who is sent away, at which pace.
check_PROGRAMS += tests/worker/test_pass
TESTS += tests/worker/test_pass
tests_worker_test_pass_SOURCES = tests/worker/test_pass.c
tests_worker_test_pass_LDADD = $(TEST_LDADD)
check_PROGRAMS += tests/worker/test_governor tests/worker/test_drain
tests_worker_test_governor_SOURCES = tests/worker/test_governor.c
tests_worker_test_governor_LDADD = $(TEST_LDADD)
tests_worker_test_drain_SOURCES = tests/worker/test_drain.c
tests_worker_test_drain_LDADD = $(TEST_LDADD)
TESTS += tests/worker/test_governor tests/worker/test_drain

# Connections as records.  The clock and the dice are the test's: see peers.h.
LDFLAGS_PEERS = $(AM_LDFLAGS) -Wl,--wrap=clock_ms -Wl,--wrap=clock_wall_ms \
	-Wl,--wrap=random_1_to
EXTRA_DIST += tests/worker/peers.h tests/worker/situations.h \
	tests/worker/records
check_PROGRAMS += tests/worker/test_freeze tests/worker/test_thaw \
	tests/worker/test_freeze_random tests/worker/test_connection
tests_worker_test_connection_SOURCES = tests/worker/test_connection.c
tests_worker_test_connection_LDFLAGS = $(LDFLAGS_PEERS)
tests_worker_test_connection_LDADD = $(TEST_LDADD)
tests_worker_test_freeze_SOURCES = tests/worker/test_freeze.c
tests_worker_test_freeze_LDFLAGS = $(LDFLAGS_PEERS)
tests_worker_test_freeze_LDADD = $(TEST_LDADD)
tests_worker_test_thaw_SOURCES = tests/worker/test_thaw.c
tests_worker_test_thaw_LDFLAGS = $(LDFLAGS_PEERS)
tests_worker_test_thaw_LDADD = $(TEST_LDADD)
tests_worker_test_freeze_random_SOURCES = tests/worker/test_freeze_random.c
tests_worker_test_freeze_random_LDFLAGS = $(LDFLAGS_PEERS)
tests_worker_test_freeze_random_LDADD = $(TEST_LDADD)
TESTS += tests/worker/test_freeze tests/worker/test_thaw \
	tests/worker/test_freeze_random tests/worker/test_connection

# The records of this release, for all that come: once, before it is released.
update-records: tests/worker/test_thaw
	$(MKDIR_P) $(srcdir)/tests/worker/records/$(PACKAGE_VERSION)
	tests/worker/test_thaw --write \
	    $(srcdir)/tests/worker/records/$(PACKAGE_VERSION)

# A hand-over between two workers.
check_PROGRAMS += tests/worker/test_parcel tests/worker/test_handover \
	tests/worker/test_inherit
tests_worker_test_handover_SOURCES = tests/worker/test_handover.c
tests_worker_test_handover_LDADD = $(TEST_LDADD)
tests_worker_test_inherit_SOURCES = tests/worker/test_inherit.c
tests_worker_test_inherit_LDADD = $(TEST_LDADD)
TESTS += tests/worker/test_handover tests/worker/test_inherit
tests_worker_test_parcel_SOURCES = tests/worker/test_parcel.c tests/descriptors.h
tests_worker_test_parcel_LDADD = $(TEST_LDADD)
TESTS += tests/worker/test_parcel
