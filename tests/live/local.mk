# The live tests and the page test need Node and real clients, so they are no
# part of make check; contrib/check runs them.
EXTRA_DIST += contrib/check contrib/quickstart doc/BAD-INPUT.md \
	tests/live tests/page \
	tests/package.json tests/package-lock.json tests/.npmrc tests/run.mjs
