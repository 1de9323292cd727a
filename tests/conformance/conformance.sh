#!/bin/sh
# SPDX-License-Identifier: MIT
# The WebSocket conformance cases as TAP, if there is a Node to run them.
good='const [a, b] = process.versions.node.split(".").map(Number);
	process.exit(a > 18 || (a === 18 && b >= 15) ? 0 : 1)'
if ! node -e "$good" 2>/dev/null; then
	echo "1..0 # SKIP no Node 18 or later"
	exit 0
fi
: "${srcdir:=$(dirname "$0")/../..}" "${builddir:=.}"
PEALD_ECHO=${PEALD_ECHO:-$builddir/tests/peald-echo}
export PEALD_ECHO
exec node --test-reporter=tap "$srcdir/tests/conformance/conformance.test.mjs"
