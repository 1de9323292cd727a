#!/bin/sh
# peald as process 1 of a container, without Docker: a pid namespace of its own.
# Signals reach it, it reaps what is orphaned, it replaces its own.  TAP.
# shellcheck source=tests/tap/lib.sh
. "${srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

if ! unshare --pid --fork --mount-proc true 2>/dev/null ||
    ! command -v nsenter >/dev/null 2>&1; then
	echo '1..0 # SKIP this user may make no pid namespace'
	exit 0
fi

ini=$dir/peal.ini
settings "$ini" 127.0.0.1:0 <<END
control = $dir/peal-1.sock
log_level = debug
END
run() {		# starts it; $pid is its number out here, $outer unshare's
	log=$dir/log
	: >"$log"
	unshare --pid --fork --mount-proc --kill-child "$peald" -c "$ini" \
	    >>"$log" 2>&1 </dev/null &
	outer=$!
	pid=
	started="$started $outer"
	wait_for grep -q 'master: ready' "$log"
	for p in /proc/[0-9]*; do
		p=${p#/proc/}
		if [ "$(awk '/^PPid:/ { print $2 }' "/proc/$p/status" 2>/dev/null)" = $outer ]; then
			pid=$p
		fi
	done
}
inside() { nsenter --target "$pid" --pid --mount "$@"; }

run
ok "it runs as process 1" grep -q 'ready pid=1 ' "$log" || show "$log"
ok "the namespace is its own" \
    test "$(awk '/^NSpid:/ { print $NF }' "/proc/$pid/status")" = 1

# The shell ends before what it has started: an orphan.
# shellcheck disable=SC2016 # the inner shells expand
inside sh -c '(exec sh -c "read -r _ </proc/self/stat; exec sleep 0.2") & :'
ok "an orphan is reaped" wait_for grep -q 'reaped an orphan' "$log" || show "$log"
zombies() {
	for stat in /proc/[0-9]*/stat; do
		{ read -r line <"$stat"; } 2>/dev/null || continue
		line=${line##*) }
		# shellcheck disable=SC2086 # state, parent
		set -- $line
		[ "$2" = "$pid" ] && [ "$1" = Z ] && return 0
	done
	return 1
}
ok "no zombie is left" wait_for not zombies

worker=$(children 'peald: worker 1')
kill -KILL "$worker"
ok "a killed worker is replaced" wait_for is_replaced 'peald: worker 1' "$worker"

# contrib/docker asks like this whether it is healthy.
# shellcheck disable=SC2016 # the inner shell expands
inside sh -c 'mount -t tmpfs tmpfs /run && mkdir /run/peal &&
	mount --bind "$1" /run/peal && XDG_RUNTIME_DIR=/run/peal "$2" --json status' \
	sh "$dir" "$pealctl" >"$dir/health" 2>&1
ok "pealctl finds it in XDG_RUNTIME_DIR=/run/peal" \
    grep -q '"state":"running"' "$dir/health" || show "$dir/health"

inside kill -HUP 1
ok "HUP reaches it" wait_for grep -q 'settings reloaded' "$log"
(inside kill -TERM 1) 2>/dev/null	# may be killed with its namespace
wait $outer
ok "TERM from inside ends it with 0" test $? = 0 || show "$log"

run
kill -TERM "$pid"
wait $outer
ok "TERM from outside ends it with 0" test $? = 0 || show "$log"
run
kill -INT "$pid"
wait $outer
ok "INT ends it with 0" test $? = 0 || show "$log"
ok "no control socket is left" test ! -e "$dir/peal-1.sock"
plan
