# Tests of whole programs from a shell.
TESTS += tests/tap/settings.sh tests/tap/scripts.sh
EXTRA_DIST += tests/tap/settings.sh tests/tap/scripts.sh

# Those that start the service, and what they share.
service_tests = tests/tap/master.sh tests/tap/service.sh tests/tap/pid1.sh \
	tests/tap/pealctl.sh tests/tap/again.sh
TESTS += $(service_tests)
EXTRA_DIST += $(service_tests) tests/tap/lib.sh
check_PROGRAMS += tests/tap/tool
tests_tap_tool_SOURCES = tests/tap/tool.c
