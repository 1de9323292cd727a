#!/bin/sh
# The binary on disk is replaced while the service runs: by what is none, which
# changes nothing, and by another one, which the master becomes.  TAP.
# shellcheck source=tests/tap/lib.sh
. "${srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

built=$peald
peald=$dir/bin/peald
mkdir "$dir/bin"
export PEAL_TEST_TOOL="$dir/tool" PEAL_TEST_PEALD="$built"

# Under its name, as a package would: the running one keeps its file.
put() {		# file
	cp "$1" "$dir/bin/new" && chmod 755 "$dir/bin/new" &&
	    mv "$dir/bin/new" "$peald"
}
script() {	# line ...
	printf '#!/bin/sh\n' >"$dir/script"
	printf '%s\n' "$@" >>"$dir/script"
	put "$dir/script"
}
up() { [ "$("$tool" get "$(port)" /up)" = 200 ]; }
ctl() { "$pealctl" -s "$dir/control.sock" "$@"; }
reload() {
	ctl reload >"$dir/said" 2>&1
	rc=$?
}
everyone() { children 'peald: (router|worker)' | sort | tr '\n' ' '; }
inode() { stat -Lc %d:%i "$1"; }
count() { grep -c "$1" "$log"; }
at_least() { [ "$(count "$2")" -ge "$1" ]; }	# times, words
all_gone() { [ "$(children 'peald: (router|worker)' | wc -l)" = 3 ]; }
holds() { grep -qF -- "$1" "$dir/said"; }

# ---- start: settings from everywhere ----------------------------------------------
ini=$dir/a-file-with-a-name-that-is-as-long-as-names-of-files-go-at-times.ini
settings "$ini" 127.0.0.1:0 <<END
control = $dir/control.sock
pid_file = $dir/peald.pid
END
sed -i '/^\[app/,$d' "$ini"
printf 'REVERB_APP_SECRET=from-the-file\n' >"$dir/site.env"
put "$built"
# An environment with nothing in it but what is needed here: ps shows the title
# where the arguments and it were.
cd "$dir" || exit 99
"$tool" datagrams "$dir/notify" >>"$dir/told" &
started="$started $!"
wait_for test -S "$dir/notify"
told() { grep -q "$1" "$dir/told"; }
: >"$dir/log"
log=$dir/log
env -i PATH="$PATH" ${ASAN_OPTIONS:+ASAN_OPTIONS="$ASAN_OPTIONS"} \
    PEAL_TEST_TOOL="$PEAL_TEST_TOOL" PEAL_TEST_PEALD="$PEAL_TEST_PEALD" \
    REVERB_APP_ID=from-env REVERB_APP_KEY=k \
    NOTIFY_SOCKET="$dir/notify" WATCHDOG_USEC=7200000000 \
    "$peald" -c "$ini" --env-file site.env --debug >>"$log" 2>&1 </dev/null &
pid=$!
started="$started $pid"
must_be_ready
before=$(everyone)
first=$(inode "/proc/$pid/exe")

# ---- what cannot be changed to -----------------------------------------------------
unchanged() {
	[ "$(everyone)" = "$before" ] && up &&
	    [ "$(inode "/proc/$pid/exe")" = "$first" ]
}
refuses() {	# name, words of the reason
	reload
	ok "$1: the reload fails" test $rc = 1
	ok "$1: and says why" holds "$2" || show "$dir/said"
	ok "$1: nothing has changed" unchanged
}
echo 'this is no program' >"$dir/garbage"
put "$dir/garbage"
refuses "garbage" "$peald cannot be started: Exec format error"
rm "$peald"
reload
ok "no file: what needs none goes on" test $rc = 0 || show "$dir/said"
sed -i 's/^workers = 2/workers = 3/' "$ini"
refuses "no file" "$peald: No such file or directory"
sed -i 's/^workers = 3/workers = 2/' "$ini"
put "$built"
chmod 644 "$peald"
if [ "$(id -u)" = 0 ] || ! [ -x "$peald" ]; then
	refuses "not executable" "$peald cannot be started: Permission denied"
fi
script 'exit 0'
refuses "another program" "$peald is not a peald that can be changed to"
script 'echo no >&2; exit 3'
refuses "another program that fails" 'exit status 3'
# shellcheck disable=SC2016 # for the script
script 'kill -SEGV $$'
refuses "one that crashes" 'killed by signal 11'
script 'echo "I do not like [peal] workers" >&4; echo more >&4; exit 1'
refuses "one that refuses" 'I do not like [peal] workers'
ok "only a line of it is told" not holds more
ok "systemd hears of it, too" wait_for \
    told '^STATUS=reload refused: I do not like'
ok "the log says so too" grep -q \
    'error master: reload refused: I do not like' "$log"

# ---- one that hangs ----------------------------------------------------------------
put "$tool"
: >"$dir/tool.hang"
ctl reload >"$dir/said" 2>&1 &
asked=$!
trial() { [ -n "$(children 'peald: preflight')" ]; }
ok "one that hangs: it is tried" wait_for trial
ok "the service goes on meanwhile" up
answers() { ctl status >"$dir/status" 2>&1; }
ok "so does its master" answers || show "$dir/status"
kill -KILL "$(children 'peald: preflight')"
wait $asked
ok "killed: the reload fails" test $? = 1
ok "killed: and says why" holds 'killed by signal 9' || show "$dir/said"
if [ "${PEAL_TEST_BRIEF:-no}" = yes ]; then
	skip "one that hangs for good is ended" "takes 15 s"
else
	reload
	ok "one that hangs for good is ended" holds 'did not answer within 15 s'
	ok "nothing has changed" unchanged
fi
rm "$dir/tool.hang"

# ---- settings that the new one does not take ---------------------------------------
put "$built"
echo 'no_such_key = 1' >>"$ini"
refuses "a mistake in the settings" "no_such_key: unknown key"
sed -i '/no_such_key/d' "$ini"
ok "not a byte of it is in force" not grep -q 'becoming the binary' "$log"

# ---- one that can ------------------------------------------------------------------
title() { tr '\0' ' ' <"/proc/$pid/cmdline" | sed 's/ *$//'; }
for round in 1 2 3; do
	put "$built"
	reload
	ok "exec $round: the reload succeeds" test $rc = 0 ||
	    { show "$dir/said"; tail -n 20 "$log" | sed 's/^/# /'; }
	ok "exec $round: the master has the same process id" kill -0 "$pid"
	ok "exec $round: it is the binary on disk" \
	    test "$(inode "/proc/$pid/exe")" = "$(inode "$peald")"
	ok "exec $round: ps shows all of its title" \
	    test "$(title)" = "peald: master $ini" || say "$(title)"
	ok "exec $round: the old processes go" wait_for all_gone
	for old in $before; do
		ok "exec $round: $old has gone" wait_for is_gone "$old"
	done
	before=$(everyone)
	ok "exec $round: it answers" up
done
ok "systemd hears of those" wait_for told '^STATUS=settings reloaded'
ready_again() { [ "$(grep -cE '^(RELOADING|READY)=1' "$dir/told")" -gt 2 ]; }
ok "a reload is announced and ended" ready_again
fed() { [ "$(grep -c '^WATCHDOG=1' "$dir/told")" = 4 ]; }
ok "each of them feeds the watchdog at once" wait_for fed
ok "the pid file names it" test "$(cat "$dir/peald.pid")" = "$pid"
settings "$dir/second.ini" 127.0.0.1:0 <<END
control = $dir/other.sock
pid_file = $dir/peald.pid
END
"$built" -c "$dir/second.ini" >"$dir/second" 2>&1 </dev/null
ok "its lock on the pid file is held" \
    grep -q "another peald runs, with process id $pid" "$dir/second" ||
    show "$dir/second"
ctl apps >"$dir/apps" 2>&1
ok "its environment is whole" grep -q from-env "$dir/apps" || show "$dir/apps"
reload
ok "so the settings are the same when they are read again" \
    holds 'nothing has changed' || show "$dir/said"
sed -i 's/from-the-file/renewed/' "$dir/site.env"
reload
ok "a file that was named relative to a directory is found" \
    holds 'app.reverb.secret' || show "$dir/said"
leaked() {	# what is there more than once, or should not be there at all
	for fd in "/proc/$pid"/fd/*; do readlink "$fd"; done |
	    grep -E 'memfd|signalfd|eventpoll' | sort | uniq -c |
	    grep -Ev '^ *1 anon_inode:\[(signalfd|eventpoll)\]$'
}
if ls "/proc/$pid/fd" >/dev/null 2>&1; then
	ok "no descriptor is left over" not leaked
else
	skip "no descriptor is left over" "it cannot be seen"
fi

# ---- signals while nobody can take them --------------------------------------------
put "$tool"
rm -f "$dir/tool.here" "$dir/tool.go"
execs=$(count 'goes on in the binary on disk')
ctl reload >"$dir/said" 2>&1 &
asked=$!
ok "the exec is under way" wait_for test -e "$dir/tool.here"
ok "workers serve during it" up
w1=$(children 'peald: worker 1')
kill -HUP "$pid"
kill -HUP "$pid"
kill -USR1 "$pid"
kill -KILL "$w1"		# its master will not hear of it at once
: >"$dir/tool.go"
wait $asked
ok "the reload succeeds" test $? = 0 || show "$dir/said"
ok "a worker that died meanwhile is known to be dead" \
    grep -q "worker 1 has died.* pid=$w1 " "$log"
ok "HUP during it is obeyed behind it" wait_for \
    at_least $((execs + 2)) 'goes on in the binary on disk'
ok "so is USR1" grep -q 'log reopened' "$log"
put "$built"

# ---- exec fails at the last moment --------------------------------------------------
ok "the processes of the last one have left" wait_for all_gone
idle() { ctl reload >"$dir/said" 2>&1 && holds 'reloaded:'; }
ok "it is in order" idle || show "$dir/said"
ok "all old processes have left" wait_for all_gone
before=$(everyone)
first=$(inode "/proc/$pid/exe")
put "$tool"
: >"$dir/tool.hang"
ctl reload >"$dir/said" 2>&1 &
asked=$!
wait_for trial
put "$built"
rm "$dir/tool.hang"
wait $asked
ok "a file that is replaced while it is tried is not executed" test $? = 1
ok "and that is said" holds 'was replaced while it was tried' ||
    show "$dir/said"
ok "nothing has changed" unchanged

# ---- a link to the release in use ---------------------------------------------------
kill "$pid" && wait "$pid"
mkdir "$dir/1.0" "$dir/1.1"
cp "$built" "$dir/1.0/peald" && cp "$built" "$dir/1.1/peald"
ln -sfn 1.0 "$dir/current"
: >"$log"
env REVERB_APP_ID=from-env REVERB_APP_KEY=k \
    "$dir/current/peald" -c "$ini" --env-file site.env >>"$log" 2>&1 </dev/null &
pid=$!
started="$started $pid"
must_be_ready
ln -sfn 1.1 "$dir/current"
reload
ok "a link that points to another release: that is taken" test $rc = 0 ||
    show "$dir/said"
ok "and runs" test "$(inode "/proc/$pid/exe")" = "$(inode "$dir/1.1/peald")"

# ---- end ---------------------------------------------------------------------------
stop_with TERM
ok "TERM ends it with 0" test $rc = 0
ok "no pid file is left" test ! -e "$dir/peald.pid"
ok "no control socket is left" test ! -e "$dir/control.sock"
plan
