#!/bin/sh
# pealctl against a running service: verbs, JSON, which service is meant, what is
# refused, exit statuses.  TAP.
# shellcheck source=tests/tap/lib.sh
. "${srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
top=$(cd "${srcdir:-$(dirname "$0")/../..}" && pwd) || exit 99

XDG_RUNTIME_DIR=$dir/runtime
export XDG_RUNTIME_DIR
mkdir -m 700 "$XDG_RUNTIME_DIR"

# Runs it: standard output in $out, errors in $err, status in $rc.
ctl() {
	"$pealctl" "$@" >"$dir/out" 2>"$dir/err"
	rc=$?
	out=$(cat "$dir/out") err=$(cat "$dir/err")
}
says() {	# status, words in the output or the errors
	[ "$rc" = "$1" ] && printf '%s\n%s\n' "$out" "$err" | grep -qF -- "$2" &&
	    return
	say "status $rc: $out $err"
	return 1
}

# ---- without a service -------------------------------------------------------------
ctl
ok "no verb: usage" says 2 'usage: pealctl'
ctl frobnicate
ok "an unknown verb is named" says 2 'no verb frobnicate'
ctl publish one
ok "too few arguments: how it is called" says 2 'publish [-a APP] CHANNEL EVENT DATA'
ctl status -a chat
ok "an option that makes no sense is refused" says 2 'usage: pealctl status'
ctl hooks of
ok "usage without arguments ends with the verb" test "$err" = 'usage: pealctl hooks'
ctl channels a b c
ok "usage names the options of channels" says 2 '[--match TEXT] [--limit N] [APP] [PREFIX]'
ctl tail a b c
ok "and those of tail" says 2 '[--kind KINDS] [--data N] [--limit N] [APP] [CHANNEL]'
ctl --help
ok "--help lists the verbs" says 0 terminate
for verb in status top tail apps channels users connections publish kick terminate \
    hosts backplane hooks config log report check reload stop help; do
	ctl help $verb
	ok "help $verb explains" says 0 "usage: pealctl $verb"
done
ctl help frobnicate
ok "help for an unknown verb" says 2 frobnicate
ctl --version
ok "--version" says 0 'pealctl '
ctl -s "$dir/nothing.sock" status
ok "nobody on the socket" says 1 'no peald is running there'
ini=$dir/peal.ini
settings "$ini" 127.0.0.1:0 <<END
control = $dir/control.sock
END
ctl check "$ini"
ok "check of good settings" says 0 'good'
echo 'no_such_key = 1' >"$dir/bad.ini"
ctl check "$dir/bad.ini"
ok "check of bad settings" says 1 'bad.ini:1'
ctl -c "$dir/bad.ini" status
ok "-c with bad settings" says 1 'bad.ini:1'

# ---- with one ----------------------------------------------------------------------
start "$dir/log" -c "$ini"
must_be_ready
for which in "-c $ini" "-s $dir/control.sock" "--config=$ini" \
    "--socket=$dir/control.sock"; do
	# shellcheck disable=SC2086 # an option and its value
	ctl $which status
	ok "status with ${which%%[ =]*}" says 0 "process $pid, running"
done
printf '[peal]\ncontrol = %s\n' "$dir/control.sock" >"$dir/part.ini"
ctl -c "$dir/part.ini" status
ok "-c with settings whose application is in an --env-file" says 0 "process $pid, running"
ctl -c "$ini" status
ok "status shows the address" says 0 "127.0.0.1:$(port)"
ok "status shows the processes" says 0 'worker 2'
is_json() { node -e 'JSON.parse(require("fs").readFileSync(0))' <"$dir/out"; }
ctl -c "$ini" --json status
if command -v node >/dev/null 2>&1; then
	ok "status --json is JSON" is_json
else
	skip "status --json is JSON" "no node"
fi
ok "status --json has totals" says 0 '"totals":{"connections":'
ctl -c "$ini" apps
ok "apps lists them" says 0 'chat'
ok "apps shows no secret" not grep -q a-secret "$dir/out"
ctl --json -c "$ini" apps
ok "apps --json" says 0 '{"apps":[{"name":"chat","id":"1","keys":["a-key"],'
ok "apps --json shows no secret" not grep -q a-secret "$dir/out"
answers() { ctl -c "$ini" channels && [ $rc = 0 ]; }
wait_for answers
ok "channels when there are none" says 0 'No channels'
ctl -c "$ini" channels --json
ok "channels --json" says 0 '{"channels":[],"ok":true,"total":0}'
ctl -c "$ini" connections --json
ok "connections --json" says 0 '"open":0'
ctl -c "$ini" status
ok "status says that no hosts are joined" says 0 'Backplane: none'
ok "and shows nothing else of that" not grep -q backplane_ "$dir/out"
ctl -c "$ini" backplane
ok "backplane of a host that stands alone" says 0 'stands alone'
ctl -c "$ini" backplane --json
ok "backplane --json" says 0 '{"hosts":[],"ok":true,"driver":"none","state":"alone"}'
ctl -c "$ini" users presence-room
ok "users of an empty channel" says 0 'Nobody'
ctl -c "$ini" users news
ok "users of a channel that has none" says 0 'no presence channel'
ctl -c "$ini" --json users news
ok "the same in JSON" says 0 '{"users":[],"ok":true}'
ctl -c "$ini" --json hooks
ok "hooks --json says nothing else" says 0 '{"hooks":[],"ok":true}'
ctl -c "$ini" kick u0 u1
ok "kick with two words names the app that the first is not" \
    says 1 'no such application: u0'
ctl -c "$ini" publish news hello '{"a":1}'
ok "publish" says 0 'Done'
ctl -c "$ini" publish -a chat news hello -- -5
ok "publish with -a and data that looks like an option" says 0 'Done'
ctl -c "$ini" publish chat news hello x
ok "publish with the app as argument" says 0 'Done'
ctl -c "$ini" publish -a shop news hello x
ok "publish to an unknown app" says 1 'no such application'
ctl -c "$ini" --json publish -a shop news hello x
ok "an error in JSON" says 1 '"ok":false'
ctl -s "$dir/nowhere.sock" --json status
ok "nobody there, in JSON" grep -q '^{"ok":false,"error":"' "$dir/out"
ctl -c "$ini" --json check
ok "check --json" says 0 '{"ok":true}'
printf '[peal]\nworkers = x\n' >"$dir/bad.ini"
ctl --json check "$dir/bad.ini"
ok "check --json of a mistake" says 1 '{"ok":false,"error":"'
ok "which says where" says 1 'bad.ini:2: [peal] workers = x'
ctl -c "$ini" terminate 42
ok "terminate of nobody" says 1 'No connections.'

ctl -c "$ini" kick 42
ok "kick of a user who is not there" says 1 'No connections.'
ctl -c "$ini" --json kick 42
ok "kick --json of nobody" says 1 '{"ok":true,"closed":0}'
ctl -c "$ini" kick 123.456
ok "kick of a connection that is not there" says 1 'No such connection'
ctl -c "$ini" kick
ok "kick of nobody" says 2 'usage: pealctl kick'
ctl -c "$ini" hosts
ok "hosts: this one" says 0 'up'
ctl -c "$ini" hosts --json
ok "hosts --json" says 0 '"own":true'
ctl -c "$ini" connections --list
ok "connections --list of none" says 0 'No such connections'
ctl -c "$ini" connections --slow --json
ok "connections --slow --json" says 0 '{"connections":[],"ok":true,"total":0'
ctl -c "$ini" channels --now
ok "an option of another verb is refused" says 2 'usage: pealctl channels'
ctl -c "$ini" channels --limit many
ok "a limit is a number" says 2 'usage: pealctl channels'
ctl -c "$ini" channels --match news --limit 1
ok "channels --match --limit" says 0 'No channels'

# ---- what goes on ------------------------------------------------------------------
ctl -c "$ini" report
ok "report" says 0 '"totals":{'
ctl -c "$ini" hooks
ok "hooks when there are none" says 0 'no webhooks'
ctl -c "$ini" top --once
ok "top shows the workers" says 0 'SUBSCRIPTIONS'
ok "and that nobody is slow" says 0 'Nobody reads too slowly'
for seconds in 0 3601 -1 x; do
	ctl -c "$ini" top --once -i "$seconds"
	ok "top -i $seconds is refused" says 2 'usage: pealctl top'
done
ctl -c "$ini" --json top
ok "top --json is the report" says 0 '"totals":{'
if script -qec true /dev/null </dev/null >/dev/null 2>&1; then
	mkfifo "$dir/keys"
	exec 4<>"$dir/keys"
	terminal() {	# keys come from 4, what is seen goes to $dir/screen
		: >"$dir/screen"
		TERM=vt100 script -qec \
		    "echo \$\$ >'$dir/top.pid'; exec '$pealctl' -c '$ini' top" \
		    /dev/null <&4 >"$dir/screen" 2>&1 &
		script=$!
		wait_for grep -q WORKER "$dir/screen"
	}
	esc=$(printf '\033')
	terminal
	ok "top on a terminal cuts what is too long" grep -qF "${esc}[?7l" "$dir/screen"
	printf q >&4
	wait "$script"
	ok "q ends it" test $? = 0
	ok "and the terminal is as it was" grep -qF "${esc}[?7h" "$dir/screen"
	terminal
	kill -STOP "$pid"
	sleep 2		# it has asked, and waits
	interrupted() { ! kill -INT "$(cat "$dir/top.pid")" 2>/dev/null; }
	ok "^C ends it also if nobody answers" wait_for interrupted
	kill -CONT "$pid"
	wait "$script"
	exec 4<&-
	for term in dumb ''; do
		TERM=$term script -qec "'$pealctl' -c '$ini' top" /dev/null \
		    </dev/null >"$dir/screen" 2>&1
		ok "top with TERM=$term is shown once" grep -q WORKER "$dir/screen"
		ok "without escapes" not grep -qF "$esc" "$dir/screen"
	done
else
	skip "top on a terminal" "no script(1)"
fi
if [ -c /dev/full ]; then
	full() {	# arguments: the output goes where there is no room
		"$pealctl" -c "$ini" "$@" >/dev/full 2>"$dir/err"
		[ $? = 1 ] && grep -q 'the output is not complete' "$dir/err"
	}
	for verb in status apps channels connections hosts backplane config log \
	    hooks report; do
		ok "$verb to a full disk is no success" full $verb
		ok "$verb as JSON neither" full -j $verb
	done
	ok "top to a full disk" full top --once
	ok "help to a full disk" full help
	ok "publish to a full disk" full publish news hello x
else
	skip "a full disk" "no /dev/full"
fi
"$pealctl" -c "$ini" -j report 2>"$dir/err" | :
ok "nothing is said if nobody reads" test ! -s "$dir/err"
mkfifo "$dir/events"
"$pealctl" -c "$ini" tail --limit 2 --kind published,client_event >"$dir/events" &
tail=$!
exec 3<"$dir/events"
# The tap is open when an event arrives: until then they are published.
(while :; do "$pealctl" -c "$ini" publish news hello '{"a":1}' >/dev/null; done) &
loop=$!
read -r line <&3
case $line in *published*news*hello*'{"a":1}'*) true ;; *) false ;; esac
ok "tail shows what is published" test $? = 0
wait "$tail"
ok "and ends after as many as were asked for" test $? = 0
kill "$loop" && wait "$loop" 2>/dev/null
exec 3<&-
ctl -c "$ini" tail --kind nonsense
ok "tail of an unknown kind names those there are" says 1 'there are published, client_event'

# ---- settings in force -------------------------------------------------------------
ctl -c "$ini" config
ok "config shows the settings in force" says 0 '[app chat]'
ok "without secrets" not grep -q a-secret "$dir/out"
ctl -c "$ini" config diff
ok "config diff: nothing" says 0 'are those in force'
cp "$ini" "$dir/kept.ini"
echo 'max_connections = 7' >>"$ini"
ctl -c "$ini" config diff
ok "config diff: a setting" says 0 'app.chat.max_connections'
ctl -c "$ini" --json config diff
ok "config diff --json" says 0 \
    '{"setting":"app.chat.max_connections","live":true,"now":"0","file":"7"}'
sed -i 's/^secret = .*/secret = another/' "$ini"
ctl -c "$ini" --json config diff
ok "config diff shows no secret" says 0 \
    '{"setting":"app.chat.secret","live":true,"now":"***","file":"***"}'
ok "really" not grep -q another "$dir/out"
cp "$dir/kept.ini" "$ini"
ctl -c "$ini" config dump
ok "config and another word" says 2 'usage: pealctl config'
ctl -c "$ini" log
ok "log shows the level" says 0 'info'
ctl -c "$ini" log debug
ok "log sets it" says 0 'debug'
debugs() { ctl -c "$ini" publish news hello x && grep -q ' debug ' "$dir/log"; }
ok "and lines of debugging come" wait_for debugs
ctl -c "$ini" log loud
ok "log with a wrong level" says 1 'error, warn, info or debug'
ctl -c "$ini" log info

# ---- completion --------------------------------------------------------------------
if command -v bash >/dev/null 2>&1; then
	completes() {	# words
		PATH=$(dirname "$pealctl"):$PATH bash -c '
			. "$1"; shift
			COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
			_pealctl && echo "${COMPREPLY[*]}"' \
			bash "$top/contrib/completion/pealctl" "$@"
	}
	ok "completion: verbs" test "$(completes pealctl ho)" = "hosts hooks"
	ok "completion: levels" test "$(completes pealctl -c "$ini" log w)" = warn
	ok "completion: applications" test "$(completes pealctl -c "$ini" \
	    channels -a c)" = chat
	ok "completion runs nothing that somebody named" test "$(PATH=$dir:$PATH bash -c '
		. "$1"
		_pealctl_rows() { printf "%s\n" "a;ls" "a\$(pwd)" c; }
		COMP_WORDS=(pealctl channels a) COMP_CWORD=2
		_pealctl && echo "${COMPREPLY[*]}"' \
	    bash "$top/contrib/completion/pealctl")" = 'a\;ls a\$\(pwd\)'
	"$pealctl" --help | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p' | sort >"$dir/verbs"
	completes pealctl '' | tr ' ' '\n' | sort >"$dir/completed"
	ok "completion knows all verbs" cmp -s "$dir/verbs" "$dir/completed"
else
	skip "completion" "no bash"
fi

# ---- reload ------------------------------------------------------------------------
ctl -c "$ini" reload
ok "reload without a change" says 0 'nothing'
echo 'client_events = all' >>"$ini"
ctl -c "$ini" reload
ok "reload says what changed" says 0 'app.chat.client_events'
ctl -s "$dir/control.sock" --json apps
ok "it is in force" says 0 '"client_events":"all"'
sed -i 's/^workers = 2/workers = 1/' "$ini"
ctl -s "$dir/control.sock" reload
ok "reload replaces processes and says so" says 0 'reloaded: peal.workers; 0 connections moved'
ctl -s "$dir/control.sock" status
ok "status has the last reload" says 0 'changed: peal.workers; 0 connections moved'
ctl -s "$dir/control.sock" --json reload
ok "reload --json" says 0 '{"ok":true,"changed":"","replaced":false,"ms":'
echo 'no_such_key = 1' >>"$ini"
ctl -s "$dir/control.sock" reload
ok "a mistake is a refusal" says 1 'no_such_key'
sed -i '/no_such_key/d' "$ini"
cat >>"$ini" <<END
[app shop]
id = 2
key = b-key
secret = b-secret
END
sed -i 's/^workers = 1/workers = 2/' "$ini"
ctl -c "$ini" reload
ok "a new app needs no restart" says 0 'app.shop'
ctl -c "$ini" publish news hello x
ok "with two apps one must be named" says 1 'name one'
ctl -c "$ini" publish -a 2 news hello x
ok "an app by its id" says 0 'Done'
ctl -c "$ini" channels shop
ok "an app alone" says 0 'No channels'
ctl -c "$ini" channels 2 news
ok "an app and a prefix" says 0 'No channels'
ctl -c "$ini" channels news
ok "a prefix alone names no app" says 1 'name one'

# ---- which one is meant -----------------------------------------------------------
if [ "$(id -u)" != 0 ] && [ ! -e /tmp/peal-"$(id -u)" ]; then
	ctl status
	ok "none in the usual places" says 1 'no peald is running here'
	for i in 1 2; do
		settings "$dir/peal-$i.ini" "127.0.0.1:0" <<END
control = $XDG_RUNTIME_DIR/peal-$i.sock
END
		start "$dir/log-$i" -c "$dir/peal-$i.ini"
		ready || show "$log"
		[ $i = 2 ] || { ctl status; first=$rc; }
	done
	ok "the only one in the usual places" test "$first" = 0
	ctl status
	ok "of two it says which there are" says 1 "$XDG_RUNTIME_DIR/peal-2.sock"
else
	skip "which one is meant" "root shares /run/peal with the machine's own"
fi

# ---- who may ask -------------------------------------------------------------------
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null 2>&1; then
	as() { uid=$1; shift; setpriv --reuid "$uid" --clear-groups --regid "$uid" "$@"; }
	cp "$pealctl" "$dir/pealctl"
	chmod 755 "$dir/pealctl"
	chmod 777 "$dir/control.sock"
	as 12345 "$dir/pealctl" -s "$dir/control.sock" status >"$dir/out" 2>"$dir/err"
	rc=$? out=$(cat "$dir/out") err=$(cat "$dir/err")
	ok "another user is refused even where the file lets him" says 1 'only root'
	as "$(id -u nobody)" "$dir/pealctl" -s "$dir/control.sock" status \
	    >"$dir/out" 2>"$dir/err"
	rc=$? out=$(cat "$dir/out") err=$(cat "$dir/err")
	ok "the user of the workers may ask" says 0 'running'
else
	skip "another user is refused even where the file lets him" "not root"
	skip "the user of the workers may ask" "not root"
fi

# ---- stop --------------------------------------------------------------------------
pid=$(sed -n 's/.* ready pid=\([0-9]*\).*/\1/p' "$dir/log")
ctl -s "$dir/control.sock" stop
ok "stop" says 0 'Stopped'
wait "$pid"
ok "peald ended with 0" test $? = 0
ok "when stop returns, nobody listens" test ! -e "$dir/control.sock"
plan
