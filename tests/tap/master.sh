#!/bin/sh
# The life of the service: start, processes, replacement of those that die or
# hang, a second instance, signals, what is left behind.  TAP.
# shellcheck source=tests/tap/lib.sh
. "${srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

up() { [ "$("$tool" get "$(port)" /up)" = 200 ]; }
mode() { stat -c %a "$1"; }

# ---- start -------------------------------------------------------------------------
ini=$dir/peal.ini
settings "$ini" 127.0.0.1:0 <<END
watchdog = $((3 * ${PEAL_TEST_PATIENCE:-1}))s
control = $dir/run/control.sock
pid_file = $dir/peald.pid
END
start "$dir/log" -c "$ini"
must_be_ready
ok "it says when it is ready" ready
ok "it says where it listens" grep -q "Starting server on 127.0.0.1:$(port)" "$log"
ok "it answers" up
ok "the pid file names the master" test "$(cat "$dir/peald.pid")" = "$pid"

# ---- processes ---------------------------------------------------------------------
ok "ps shows the master" grep -q "^peald: master $ini" "/proc/$pid/cmdline"
ok "ps shows the router" test "$(children 'peald: router' | wc -l)" = 1
ok "ps shows both workers" test "$(children 'peald: worker [12]' | wc -l)" = 2
w1=$(children 'peald: worker 1') w2=$(children 'peald: worker 2')
router=$(children 'peald: router')
if [ "$(id -u)" = 0 ]; then
	nobody=$(id -u nobody)
	uids=$(awk '/^Uid:/ { print $2, $3, $4, $5 }' "/proc/$w1/status")
	ok "workers are nobody" \
	    test "$uids" = "$nobody $nobody $nobody $nobody" || say "$uids"
	ok "the directory of the socket is closed to others" \
	    test "$(mode "$dir/run")" = 750
else
	skip "workers are nobody" "not root"
	ok "the directory of the socket is closed to others" \
	    test "$(mode "$dir/run")" = 700
fi
ok "the control socket is for user and group" \
    test "$(mode "$dir/run/control.sock")" = 660
# A jailed process shows its descriptors to root alone.
if ls "/proc/$router/fd" >/dev/null 2>&1; then
	ok "children have no standard input" \
	    test "$(readlink "/proc/$router/fd/0")" = /dev/null
else
	skip "children have no standard input" "it cannot be seen"
fi
for s in INT TERM HUP QUIT; do
	kill -$s "$w1" "$w2" "$router"
done
up
ok "children ignore what a terminal sends" \
    test "$(children 'peald: (worker|router)' | wc -l)" = 3

# ---- a second instance -------------------------------------------------------------
refused() {	# words, command: peald says them and ends with 1
	words=$1
	shift
	out=$("$@" 2>&1 </dev/null)
	rc=$?
	[ $rc = 1 ] && printf '%s' "$out" | grep -qF -- "$words" && return
	say "status $rc: $out"
	return 1
}
settings "$dir/same-port.ini" "127.0.0.1:$(port)" <<END
control = $dir/other.sock
END
ok "a second instance on the port is refused" refused 'already in use' \
    "$peald" -c "$dir/same-port.ini"
settings "$dir/same-control.ini" 127.0.0.1:0 <<END
control = $dir/run/control.sock
END
ok "a second instance on the control socket is refused" \
    refused 'another peald answers there' "$peald" -c "$dir/same-control.ini"
settings "$dir/same-pid.ini" 127.0.0.1:0 <<END
control = $dir/other.sock
pid_file = $dir/peald.pid
END
ok "a second instance with the pid file is refused" \
    refused "process id $pid" "$peald" -c "$dir/same-pid.ini"
ok "the first one has noticed nothing" up
status() { "$pealctl" -s "$dir/run/control.sock" status >"$dir/status" 2>&1; }
ok "its control socket is still there" status || show "$dir/status"

# ---- death -------------------------------------------------------------------------
kill -KILL "$w1"
ok "a killed worker is replaced" wait_for is_replaced 'peald: worker 1' "$w1"
ok "the other worker stays" test "$(children 'peald: worker 2')" = "$w2"
ok "the router stays" test "$(children 'peald: router')" = "$router"
ok "it is logged as an error" \
    grep -q 'error master: worker 1 has died.*signal 9' "$log"
ok "the new worker is up" wait_for grep -q 'master: worker 1 is up again' "$log"
kill -KILL "$router"
ok "a killed router is replaced" wait_for is_replaced 'peald: router' "$router"
ok "the new router is up" wait_for grep -q 'master: router is up again' "$log"
ok "workers stay when the router dies" \
    test "$(children 'peald: worker 2')" = "$w2"
channels_answer() {
	"$pealctl" -s "$dir/run/control.sock" channels >"$dir/channels" 2>&1
}
ok "the new router answers" wait_for channels_answer || show "$dir/channels"
kill -STOP "$w2"
ok "a worker that hangs is replaced" wait_for is_replaced 'peald: worker 2' "$w2"
restarts() {
	"$pealctl" -s "$dir/run/control.sock" --json status |
	    grep -o '"restarts":[0-9]*' | tr '\n' ' '
}
ok "status counts the replacements" \
    test "$(restarts)" = '"restarts":1 "restarts":1 "restarts":1 ' || say "$(restarts)"
ok "it answers after all that" up
for _ in 1 2 3 4; do
	router=$(children 'peald: router')
	kill -KILL "$router"
	wait_for is_replaced 'peald: router' "$router"
done
ok "one that keeps dying is called so, and tried less often" \
    grep -q 'error master: router keeps dying: .* next try in [48]00 ms' "$log"
ok "it is up in the end" wait_for channels_answer

# ---- settings ----------------------------------------------------------------------
hup() { kill -HUP "$pid"; }
echo 'client_events = all' >>"$ini"
hup
ok "HUP reads the settings again" wait_for grep -q \
    'settings reloaded changed=app.chat.client_events' "$log"
echo 'no_such_key = 1' >>"$ini"
hup
ok "HUP with a mistake changes nothing" wait_for grep -q \
    'reload refused: .*no_such_key' "$log"
sed -i -e '/no_such_key/d' -e 's/^workers = 2/workers = 3/' "$ini"
before=$(children 'peald: router')
hup
ok "HUP replaces all processes where it must" wait_for grep -q \
    'settings reloaded changed=peal.workers ' "$log"
ok "a new router runs" wait_for is_replaced 'peald: router' "$before"
old_are_gone() { [ "$(children 'peald: ' | wc -l)" = 4 ]; }
ok "and three workers, and nothing else" wait_for old_are_gone
ok "ps shows the same master" \
    grep -q "^peald: master $ini" "/proc/$pid/cmdline"
ok "it answers as before" up
ok "a second instance with the pid file is refused, too" \
    refused "process id $pid" "$peald" -c "$dir/same-pid.ini"
sed -i "s|^pid_file.*|pid_file = $dir/moved.pid|" "$ini"
"$pealctl" -s "$dir/run/control.sock" reload >"$dir/said" 2>&1
ok "the pid file moves with the settings" \
    test "$(cat "$dir/moved.pid" 2>/dev/null)" = "$pid" -a ! -e "$dir/peald.pid" ||
    show "$dir/said"
sed -i "s|^control.*|control = $dir/run/moved.sock|" "$ini"
"$pealctl" -s "$dir/run/control.sock" reload >"$dir/said" 2>&1
ok "the control socket moves, and its caller is answered" \
    grep -q '^reloaded: peal.control;' "$dir/said" || show "$dir/said"
ok "nothing is left where it was" test ! -e "$dir/run/control.sock"
answers() { "$pealctl" -c "$ini" status >"$dir/said" 2>&1; }
ok "pealctl finds it" answers
w1=$(children 'peald: worker 1')
kill -KILL "$w1"
ok "a killed worker is replaced after that" \
    wait_for is_replaced 'peald: worker 1' "$w1"
ok "it answers after all that" wait_for up

# ---- end ---------------------------------------------------------------------------
kids=$(children peald)
stop_with TERM
ok "TERM ends it with 0" test $rc = 0
alive() { for k in $kids; do is_gone "$k" || return 0; done; return 1; }
ok "no process is left" wait_for not alive
ok "no pid file is left" test ! -e "$dir/moved.pid"
ok "no control socket is left" test ! -e "$dir/run/moved.sock"
for s in INT QUIT; do
	settings "$ini" "unix:$dir/listen.sock" </dev/null
	start "$dir/log" -c "$ini"
	ready || show "$log"
	stop_with $s
	ok "$s ends it with 0" test $rc = 0 || show "$log"
done
ok "no unix listener is left" test ! -e "$dir/listen.sock"

# A master that dies leaves its sockets; its children end by themselves.
"$tool" stale "$dir/listen.sock"
mkdir -p "$dir/run"
"$tool" stale "$dir/run/control.sock"
settings "$ini" "unix:$dir/listen.sock" <<END
control = $dir/run/control.sock
pid_file = $dir/peald.pid
END
start "$dir/log" -c "$ini"
ok "stale sockets are taken over" ready || show "$log"
ok "it answers on the unix socket" \
    test "$("$tool" get "$dir/listen.sock" /up)" = 200
kids=$(children peald)
kill -KILL "$pid"
wait "$pid" 2>/dev/null
ok "children end when the master is killed" wait_for not alive
start "$dir/log" -c "$ini"
ok "the next one starts on what it left" ready || show "$log"
stop_with TERM

# ---- log file ----------------------------------------------------------------------
settings "$ini" 127.0.0.1:0 <<END
log = $dir/peal.log
control = $dir/control.sock
END
: >"$dir/peal.log"
start "$dir/err" -c "$ini"
log=$dir/peal.log
ok "the log goes to its file" ready || show "$dir/err"
mv "$dir/peal.log" "$dir/old.log"
kill -USR1 "$pid"
ok "USR1 opens a new file" wait_for grep -qs 'log reopened' "$dir/peal.log"
old=$(children 'peald: router')
logs_to() {	# process id, file
	for fd in "/proc/$1"/fd/*; do
		[ "$(readlink "$fd")" != "$2" ] || return 0
	done
	return 1
}
if ls "/proc/$old/fd" >/dev/null 2>&1; then
	ok "children write to the new file too" \
	    wait_for logs_to "$old" "$dir/peal.log"
	ok "nobody writes to the old one" \
	    wait_for not logs_to "$old" "$dir/old.log"
else
	skip "children write to the new file too" "it cannot be seen"
	skip "nobody writes to the old one" "it cannot be seen"
fi
stop_with TERM
log=$dir/log

# ---- refused at start --------------------------------------------------------------
settings "$ini" 127.0.0.1:0 <<END
control = $dir/control.sock
END
sed -i 's/^user = .*/user = no-such-user/' "$ini"
if [ "$(id -u)" = 0 ]; then
	ok "root without a user for the others is refused" \
	    refused 'useradd --system no-such-user' "$peald" -c "$ini"
	ok "and told of the other way" refused '[peal] user' "$peald" -c "$ini"
else
	skip "root without a user for the others is refused" "not root"
	skip "and told of the other way" "not root"
fi
settings "$ini" 127.0.0.1:0 </dev/null
sed -i "s|^address.*|&\ncertificate = $dir/no.pem\ncertificate_key = $dir/no.key|" "$ini"
ok "a certificate that is not there is refused by name" \
    refused "$dir/no.pem" "$peald" -c "$ini"

# ---- terminal ----------------------------------------------------------------------
settings "$ini" 127.0.0.1:0 </dev/null
if ! command -v script >/dev/null 2>&1; then
	skip "HUP of a terminal ends it" "no script(1)"
elif ! script -qec : /dev/null >"$dir/log" 2>&1 </dev/null; then
	skip "HUP of a terminal ends it" "no terminals can be made (devpts)"
else
	: >"$dir/log"
	# Under nohup it would be ignored, and mean a reload.
	env --default-signal=HUP script -qefc "exec '$peald' -c '$ini'" \
	    /dev/null >"$dir/log" 2>&1 </dev/null &
	outer=$!
	started="$started $outer"
	wait_for grep -q 'master: ready' "$dir/log" || show "$dir/log"
	pid=$(sed -n 's/.* ready pid=\([0-9]*\).*/\1/p' "$dir/log")
	started="$started $pid"
	kill -HUP "$pid"
	wait $outer
	ok "HUP of a terminal ends it" test $? = 0 || show "$dir/log"
fi
plan
