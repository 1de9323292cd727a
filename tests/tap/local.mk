# Tests of whole programs from a shell.
TESTS += tests/tap/settings.sh
EXTRA_DIST += tests/tap/settings.sh
