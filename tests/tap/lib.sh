# SPDX-License-Identifier: MIT
#
# What the tests of a running service share; they source it.  A test has a
# directory of its own, $dir, and what it starts is gone when it ends.
# shellcheck shell=sh

peald=${PEALD:-${builddir:-.}/peald}
pealctl=${PEALCTL:-$(dirname "$peald")/pealctl}
peald=$(cd "$(dirname "$peald")" && pwd)/$(basename "$peald")
pealctl=$(cd "$(dirname "$pealctl")" && pwd)/$(basename "$pealctl")
tool=$(cd "${builddir:-.}" && pwd)/tests/tap/tool
limit=$((20 * ${PEAL_TEST_PATIENCE:-1}))	# seconds for what should be soon

dir=$(mktemp -d "${TMPDIR:-/tmp}/peal-tap-XXXXXX") || exit 99
chmod 755 "$dir"
started=
cleanup() {
	for p in $started; do
		# By now the number may be somebody else's.
		grep -Eqs 'peald|tool|unshare|script' "/proc/$p/cmdline" &&
		    kill -KILL "$p" 2>/dev/null
	done
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 99' HUP INT TERM
for name in $(env | sed -n 's/^\(RE\(VERB\|DIS\)_[A-Z_]*\)=.*/\1/p'); do
	unset "$name"
done
unset NOTIFY_SOCKET WATCHDOG_USEC WATCHDOG_PID

n=0
tap() {		# status, name
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then
		printf 'ok %d - %s\n' $n "$2"
	else
		printf 'not ok %d - %s\n' $n "$2"
	fi
	return "$1"
}

ok() {		# name, command
	name=$1
	shift
	"$@"
	tap $? "$name"
}

skip() {	# name, why
	n=$((n + 1))
	printf 'ok %d - %s # SKIP %s\n' $n "$1" "$2"
}

# A test that makes no sense any more.
bail() {
	echo "Bail out! $1"
	exit 1
}

plan() { printf '1..%d\n' $n; }

say() { printf '%s\n' "$1" | sed 's/^/# /'; }
show() { sed 's/^/# /' "$1"; }

# Asks until the command succeeds; false after the limit.
wait_for() {
	end=$(($(date +%s) + limit))
	until "$@"; do
		[ "$(date +%s)" -le $end ] || return 1
		sleep 0.05
	done
}

not() { ! "$@"; }

# Where process 1 is no init, as in some containers, nobody buries an orphan.
is_gone() {
	! kill -0 "$1" 2>/dev/null ||
	    grep -qs '^State:[[:space:]]*Z' "/proc/$1/status"
}

# Settings of a service; more lines of [peal] come from standard input.
settings() {	# file, address
	{
		echo '[peal]'
		echo 'workers = 2'
		echo 'drain_timeout = 0'
		[ "$(id -u)" != 0 ] || echo 'user = nobody'
		cat
		cat <<-END
		[listen]
		address = $2
		[app chat]
		id = 1
		key = a-key
		secret = a-secret
		END
	} >"$1"
}

# Starts peald in the background; $pid is the master's, $log what it says.
start() {	# log, arguments
	log=$1
	shift
	: >"$log"
	"$peald" "$@" >>"$log" 2>&1 </dev/null &
	pid=$!
	started="$started $pid"
}

is_ready() { grep -q ' master: ready' "$log" || is_gone "$pid"; }
ready() { wait_for is_ready && grep -q ' master: ready' "$log"; }

# The same where nothing works without it.
must_be_ready() {
	ready && return
	show "$log"
	bail "peald does not start"
}

# The port of the first TCP address in the log.
port() { sed -n 's/.*listening address=127.0.0.1:\([0-9]*\).*/\1/p' "$log" | head -n 1; }

# Process ids of the master's children whose title is this.
children() {	# title (regex)
	for stat in /proc/[0-9]*/stat; do
		{ read -r line <"$stat"; } 2>/dev/null || continue
		line=${line##*) }
		# shellcheck disable=SC2086 # state, parent
		set -- "$1" $line
		[ "$3" = "$pid" ] && [ "$2" != Z ] || continue
		p=${stat#/proc/}
		p=${p%/stat}
		tr '\0' ' ' <"/proc/$p/cmdline" 2>/dev/null |
		    grep -Eq "^$1" && echo "$p"
	done
	return 0
}

# A child of this title runs that is not the one given.
is_replaced() {	# title, old process id
	new=$(children "$1")
	[ -n "$new" ] && [ "$new" != "$2" ]
}

# Ends the service and sets $rc.
stop_with() {	# signal
	kill -"$1" "$pid"
	wait "$pid"
	rc=$?
}
