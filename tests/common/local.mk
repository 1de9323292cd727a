# Tests of src/common: TAP programs.
common_tests = \
	tests/common/test_buf \
	tests/common/test_closes \
	tests/common/test_counters \
	tests/common/test_crypto \
	tests/common/test_hash \
	tests/common/test_ipc \
	tests/common/test_json \
	tests/common/test_log \
	tests/common/test_msg \
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
tests_common_test_ipc_SOURCES = tests/common/test_ipc.c
tests_common_test_ipc_LDADD = $(TEST_LDADD)
tests_common_test_json_SOURCES = tests/common/test_json.c
tests_common_test_json_LDADD = $(TEST_LDADD)
tests_common_test_log_SOURCES = tests/common/test_log.c
tests_common_test_log_LDADD = $(TEST_LDADD)
tests_common_test_msg_SOURCES = tests/common/test_msg.c
tests_common_test_msg_LDADD = $(TEST_LDADD)
tests_common_test_tls_SOURCES = tests/common/test_tls.c
tests_common_test_tls_LDADD = $(TEST_LDADD)
tests_common_test_util_SOURCES = tests/common/test_util.c
tests_common_test_util_LDADD = $(TEST_LDADD)
