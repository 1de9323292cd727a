#!/bin/sh
# Peal under a service manager: systemd's notifications (to a socket of our own),
# the unit, and the init script of an installed tree.  TAP.
# shellcheck source=tests/tap/lib.sh
. "${srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

# ---- notifications -----------------------------------------------------------------
heard=$dir/heard ini=$dir/peal.ini
settings "$ini" 127.0.0.1:0 <<END
control = $dir/control.sock
END
"$tool" datagrams "$dir/notify" >>"$heard" &
started="$started $!"
wait_for test -S "$dir/notify"
NOTIFY_SOCKET=$dir/notify WATCHDOG_USEC=200000
export NOTIFY_SOCKET WATCHDOG_USEC
start "$dir/log" -c "$ini"
unset NOTIFY_SOCKET WATCHDOG_USEC
# Its datagrams are written down by another process: soon, not at once.
hears() { grep -q -- "$1" "$heard"; }
must_be_ready
ok "READY=1 when it is ready" wait_for hears '^READY=1$' || show "$dir/log"
ok "not before it listens" grep -q 'listening address' "$dir/log"
ok "STATUS says what runs" wait_for hears '^STATUS=2 workers on 127.0.0.1:'
twice() { [ "$(grep -c '^WATCHDOG=1$' "$heard")" -ge 2 ]; }
ok "WATCHDOG=1 again and again" wait_for twice
child=$(children 'peald: router')
if [ -r "/proc/$child/environ" ] && cat "/proc/$child/environ" >/dev/null 2>&1; then
	ok "children do not know of it" \
	    not grep -qz NOTIFY_SOCKET "/proc/$child/environ"
else
	skip "children do not know of it" "it cannot be seen"
fi

: >"$heard"
"$pealctl" -s "$dir/control.sock" reload >/dev/null
ok "RELOADING=1 with the time" wait_for hears '^RELOADING=1$'
ok "the time is in microseconds" wait_for hears '^MONOTONIC_USEC=[0-9]\{7,\}$'
ok "READY=1 ends the reload" wait_for hears '^READY=1$'
: >"$heard"
echo 'no_such_key = 1' >>"$ini"
"$pealctl" -s "$dir/control.sock" reload >/dev/null 2>&1
ok "pealctl reload tells of a mistake by its status" test $? = 1
ok "STATUS tells of it" wait_for hears '^STATUS=reload refused: .*no_such_key'
ok "READY=1 ends that, too" wait_for hears '^READY=1$'
sed -i -e '/no_such_key/d' -e 's/^workers = 2/workers = 1/' "$ini"
: >"$heard"
"$pealctl" -s "$dir/control.sock" reload >"$dir/said" 2>&1
ok "processes are replaced" test $? = 0 || show "$dir/said"
ok "RELOADING=1 before that" wait_for hears '^RELOADING=1$'
ok "READY=1 behind it" wait_for hears '^READY=1$'
ok "STATUS says so" wait_for hears '^STATUS=settings reloaded'
: >"$heard"
ok "WATCHDOG=1 goes on in the new binary" wait_for twice
: >"$heard"
stop_with TERM
ok "STOPPING=1" wait_for hears '^STOPPING=1$'
ok "stopped with 0" test $rc = 0 || show "$dir/log"

# ---- an installed tree -------------------------------------------------------------
tree=$dir/tree
(unset MAKEFLAGS MFLAGS MAKELEVEL
 cd "${builddir:-.}" && ${MAKE:-make} install DESTDIR="$tree") >"$dir/install" 2>&1
ok "make install" test $? = 0 || show "$dir/install"
init=$(find "$tree" -path '*/init.d/peal')
unit=$(find "$tree" -name peal.service)
conf=$(find "$tree" -path '*/peal/peal.ini')
installed=$(find "$tree" -path '*/sbin/peald')
ctl=$(find "$tree" -path '*/bin/pealctl')
ok "init script, unit, settings and programs are there" \
    test -x "$init" -a -f "$unit" -a -f "$conf" -a -x "$installed" -a -x "$ctl"
ok "no place is left open in them" not grep -n '@[a-z]*dir@' "$init" "$unit"
ok "settings are not for everybody" test "$(stat -c %a "$conf")" = 640
echo '# mine' >>"$conf"
(unset MAKEFLAGS MFLAGS MAKELEVEL
 cd "${builddir:-.}" && ${MAKE:-make} install DESTDIR="$tree") >"$dir/install" 2>&1
ok "installing again keeps changed settings" grep -q '^# mine$' "$conf"
ok "and puts the new ones beside them" test -f "$conf.example"

# ---- the unit ----------------------------------------------------------------------
if command -v systemd-analyze >/dev/null 2>&1; then
	sed -e "s|=/[^ ]*/peald |=$installed |" -e "s|=/[^ ]*/pealctl |=$ctl |" \
	    -e '/^Documentation=/d' "$unit" >"$dir/peal.service"
	systemd-analyze verify "$dir/peal.service" >"$dir/verify" 2>&1
	rc=$?
	# It may have words about the machine it runs on.
	ok "systemd-analyze verify" test $rc = 0 -a \
	    -z "$(grep peal.service "$dir/verify")" || show "$dir/verify"
else
	skip "systemd-analyze verify" "there is none"
fi

# The rest of the machine is read-only to it.
ok "the unit has places for the log, the sockets and the spool" test "$(grep -cxE \
    '(Runtime|Logs|State)Directory=peal' "$unit")" = 3

# ---- the init script ---------------------------------------------------------------
settings "$dir/service.ini" 127.0.0.1:0 <<END
control = $dir/service.sock
END
DEFAULTS=/nonexistent DAEMON=$installed CTL=$ctl CONF=$dir/service.ini
PIDFILE=$dir/peald.pid LOG=$dir/service.log
export DEFAULTS DAEMON CTL CONF PIDFILE LOG
service() {
	"$init" "$@" >"$dir/said" 2>&1
	rc=$?
	[ ! -s "$PIDFILE" ] || started="$started $(cat "$PIDFILE")"
	return $rc
}
is_up() { [ "$("$ctl" -s "$dir/service.sock" --json status | grep -c '"state":"running"')" = 1 ]; }

service status
ok "status of what does not run is 3" test $? = 3 || show "$dir/said"
service reload
ok "reload of what does not run is 7" test $? = 7 || show "$dir/said"
service start
ok "start" test $? = 0 || show "$dir/said"
ok "it is up when start returns" is_up || show "$LOG"
first=$(cat "$PIDFILE")
ok "the pid file names the master" grep -q 'peald: master' "/proc/$first/cmdline"
service status
ok "status of what runs is 0" test $? = 0 || show "$dir/said"
service start
ok "start of what runs is 0" test $? = 0
ok "and starts nothing" test "$(cat "$PIDFILE")" = "$first"
service reload
ok "reload" test $? = 0 || show "$dir/said"
service restart
ok "restart" test $? = 0 || show "$dir/said"
second=$(cat "$PIDFILE")
ok "restart makes a new process" test "$second" != "$first"
ok "it is up when restart returns" is_up || show "$LOG"

echo 'no_such_key = 1' >>"$CONF"
service configtest
ok "configtest tells of a mistake" test $? != 0
ok "and says which" grep -q no_such_key "$dir/said" || show "$dir/said"
service restart
ok "restart refuses settings with a mistake" test $? != 0
ok "and leaves the service as it is" is_up
service reload
ok "reload refuses them too" test $? != 0
sed -i /no_such_key/d "$CONF"

kill -KILL "$second"
wait_for is_gone "$second"
service status
ok "status of what died is 1" test $? = 1 || show "$dir/said"
service start
ok "start after that" test $? = 0 || show "$dir/said"
ok "it is up" is_up || show "$LOG"
service stop
ok "stop" test $? = 0 || show "$dir/said"
ok "nothing runs when stop returns" not is_up 2>/dev/null
service stop
ok "stop of what does not run is 0" test $? = 0
service status
ok "status is 3 again" test $? = 3
service try-restart
ok "try-restart starts nothing" test $? = 0 -a ! -e "$PIDFILE"
service nonsense
ok "nonsense is 2" test $? = 2
sed -i 's/127.0.0.1:0/192.0.2.1:1/' "$CONF"
service start
ok "a start that fails says so" test $? = 1 || show "$dir/said"
ok "and why" grep -q 'does not have that address' "$dir/said" || show "$dir/said"
plan
