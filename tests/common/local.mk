# Tests of src/common: TAP programs.
common_tests = \
	tests/common/test_buf \
	tests/common/test_closes \
	tests/common/test_counters \
	tests/common/test_crypto \
	tests/common/test_hash \
	tests/common/test_ip \
	tests/common/test_ipc \
	tests/common/test_ipc_fds \
	tests/common/test_json \
	tests/common/test_log \
	tests/common/test_msg \
	tests/common/test_process \
	tests/common/test_tls \
	tests/common/test_util
check_PROGRAMS += $(common_tests)
TESTS += $(common_tests)
tests_common_test_buf_SOURCES = tests/common/test_buf.c
tests_common_test_buf_LDADD = $(TEST_LDADD)
tests_common_test_closes_SOURCES = tests/common/test_closes.c
tests_common_test_closes_LDADD = $(TEST_LDADD)
tests_common_test_counters_SOURCES = tests/common/test_counters.c
tests_common_test_counters_LDADD = $(TEST_LDADD)
tests_common_test_crypto_SOURCES = tests/common/test_crypto.c
tests_common_test_crypto_LDADD = $(TEST_LDADD)
tests_common_test_hash_SOURCES = tests/common/test_hash.c
tests_common_test_hash_LDADD = $(TEST_LDADD)
tests_common_test_ip_SOURCES = tests/common/test_ip.c
tests_common_test_ip_LDADD = $(TEST_LDADD)
tests_common_test_ipc_SOURCES = tests/common/test_ipc.c \
	tests/common/test_ipc.h tests/descriptors.h
tests_common_test_ipc_LDADD = $(TEST_LDADD)
tests_common_test_ipc_fds_SOURCES = tests/common/test_ipc_fds.c \
	tests/common/test_ipc.h tests/descriptors.h
tests_common_test_ipc_fds_LDADD = $(TEST_LDADD)
tests_common_test_json_SOURCES = tests/common/test_json.c
tests_common_test_json_LDADD = $(TEST_LDADD)
tests_common_test_log_SOURCES = tests/common/test_log.c
tests_common_test_log_LDADD = $(TEST_LDADD)
tests_common_test_log_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=clock_ms
tests_common_test_msg_SOURCES = tests/common/test_msg.c
tests_common_test_msg_LDADD = $(TEST_LDADD)
tests_common_test_process_SOURCES = tests/common/test_process.c
tests_common_test_process_LDADD = $(TEST_LDADD)
tests_common_test_tls_SOURCES = tests/common/test_tls.c
tests_common_test_tls_LDADD = $(TEST_LDADD)
tests_common_test_util_SOURCES = tests/common/test_util.c
tests_common_test_util_LDADD = $(TEST_LDADD)

# Settings.
config_tests = \
	tests/common/test_config \
	tests/common/test_config_env \
	tests/common/test_config_rooms \
	tests/common/test_config_seen \
	tests/common/test_config_ini \
	tests/common/test_config_many \
	tests/common/test_config_pack \
	tests/common/test_config_value \
	tests/common/test_config_webhook
check_PROGRAMS += $(config_tests)
TESTS += $(config_tests)
tests_common_test_config_SOURCES = tests/common/test_config.c
tests_common_test_config_LDADD = $(TEST_LDADD)
tests_common_test_config_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=access
tests_common_test_config_rooms_SOURCES = tests/common/test_config_rooms.c \
	tests/common/test_config.h
tests_common_test_config_rooms_LDADD = $(TEST_LDADD)
tests_common_test_config_webhook_SOURCES = \
	tests/common/test_config_webhook.c
tests_common_test_config_webhook_LDADD = $(TEST_LDADD)
tests_common_test_config_seen_SOURCES = tests/common/test_config_seen.c
tests_common_test_config_seen_LDADD = $(TEST_LDADD)
tests_common_test_config_env_SOURCES = tests/common/test_config_env.c
tests_common_test_config_env_LDADD = $(TEST_LDADD)
tests_common_test_config_ini_SOURCES = tests/common/test_config_ini.c
tests_common_test_config_ini_LDADD = $(TEST_LDADD)
tests_common_test_config_many_SOURCES = tests/common/test_config_many.c \
	tests/common/test_config.h
tests_common_test_config_many_LDADD = $(TEST_LDADD)
tests_common_test_config_many_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=strcmp -Wl,--wrap=memcmp -Wl,--wrap=bcmp
tests_common_test_config_pack_SOURCES = tests/common/test_config_pack.c
tests_common_test_config_pack_LDADD = $(TEST_LDADD)
tests_common_test_config_value_SOURCES = tests/common/test_config_value.c
tests_common_test_config_value_LDADD = $(TEST_LDADD)
