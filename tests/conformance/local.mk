# The WebSocket conformance cases, against an echo server built for them.
check_PROGRAMS += tests/peald-echo
tests_peald_echo_SOURCES = src/main.c tests/conformance/echo.c
tests_peald_echo_LDADD = $(peald_LDADD)
TESTS += tests/conformance/conformance.sh
EXTRA_DIST += \
	tests/conformance/01-framing.mjs \
	tests/conformance/05-fragments.mjs \
	tests/conformance/06-utf8.mjs \
	tests/conformance/07-close.mjs \
	tests/conformance/09-large.mjs \
	tests/conformance/12-compressed.mjs \
	tests/conformance/conformance.sh \
	tests/conformance/conformance.test.mjs \
	tests/conformance/peer.mjs \
	tests/conformance/steps.mjs
