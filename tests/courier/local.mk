# Tests of src/courier: TAP programs.  rig.c plays the master and the router,
# server.c the targets; the clock is the test's.
courier_tests = \
	tests/courier/test_address \
	tests/courier/test_body \
	tests/courier/test_choice \
	tests/courier/test_courier \
	tests/courier/test_http \
	tests/courier/test_journal \
	tests/courier/test_random \
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
tests_courier_test_random_SOURCES = tests/courier/test_random.c \
	tests/courier/model.c tests/courier/model_said.c \
	tests/courier/model_sent.c tests/courier/model.h \
	tests/courier/model_inner.h $(courier_rig)
tests_courier_test_random_LDADD = $(courier_ldadd)
tests_courier_test_random_LDFLAGS = $(courier_ldflags) \
	-Wl,--wrap=courier_on_hook_hosts,--wrap=courier_on_hook_state \
	-Wl,--wrap=courier_on_hook_roll,--wrap=courier_on_hook_event \
	-Wl,--wrap=said_unsettle,--wrap=news_settings \
	-Wl,--wrap=targets_settings,--wrap=targets_settled \
	-Wl,--wrap=ledger_event,--wrap=ledger_request,--wrap=ledger_open \
	-Wl,--wrap=journal_write,--wrap=journal_compact,--wrap=pwrite64 \
	-Wl,--wrap=http_new,--wrap=http_free,--wrap=http_authorities \
	-Wl,--wrap=http_post,--wrap=http_cancel,--wrap=http_turn \
	-Wl,--wrap=http_waits,--wrap=random_fill,--wrap=random_1_to
