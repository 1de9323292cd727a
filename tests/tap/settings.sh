#!/bin/sh
# The settings as peald's user meets them: --check, --dump-config, mistakes,
# .env files, who goes before whom, the documents.  Opens no socket.  TAP.
peald=${PEALD:-${builddir:-.}/peald}
top=$(cd "${srcdir:-$(dirname "$0")/../..}" && pwd) || exit 99
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
cd "$(dirname "$peald")" && peald=$PWD/$(basename "$peald") || exit 99
cd "$dir" || exit 99
for name in $(env | sed -n 's/^\(RE\(VERB\|DIS\)_[A-Z_]*\)=.*/\1/p'); do
	unset "$name"
done

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

say() { printf '%s\n' "$1" | sed 's/^/# /'; }

# The file is refused, with these words, in one line and with status 1.
refused() {	# name, words (grep -F), arguments
	name=$1 words=$2
	shift 2
	out=$("$peald" --check "$@" 2>&1)
	rc=$?
	[ $rc -eq 1 ] && [ "$(printf '%s\n' "$out" | wc -l)" -eq 1 ] &&
	    printf '%s\n' "$out" | grep -qF -- "$words"
	tap $? "refused: $name" || { say "status $rc: $out"; say "wanted: $words"; }
}

# The settings in force hold this line.
has() {		# name, line, arguments
	name=$1 line=$2
	shift 2
	out=$("$peald" --dump-config --with-secrets "$@" 2>&1) &&
	    printf '%s\n' "$out" | grep -qxF -- "$line"
	tap $? "$name" || {
		say "$(printf '%s\n' "$out" | grep -e "^${line%% *}" -e ^peald)"
		say "wanted: $line"
	}
}

usage() {	# name, arguments
	name=$1
	shift
	"$peald" "$@" >/dev/null 2>err
	[ $? -eq 2 ] && grep -q 'peald --help' err
	tap $? "usage: $name" || say "$(cat err)"
}

app='[app chat]
id = 1
key = k
secret = s'
echo "$app" >good.ini

# ---- the binary ------------------------------------------------------------------
out=$("$peald" --check -c good.ini 2>&1)
[ $? -eq 0 ] && [ "$out" = "good.ini: settings are good" ]
tap $? "a good file is called good" || say "$out"

"$peald" --dump-config -c good.ini >dump.ini &&
    ! grep -q '^secret = s' dump.ini && grep -q '^secret = \*\*\*' dump.ini
tap $? "--dump-config hides secrets"
"$peald" --dump-config --with-secrets -c good.ini >one.ini &&
    "$peald" --dump-config --with-secrets -c one.ini >two.ini &&
    cmp -s one.ini two.ini
tap $? "--dump-config gives a file that loads to the same"

"$peald" --template >t.ini && cmp -s t.ini "$top/etc/peal.ini"
tap $? "etc/peal.ini is what --template prints (make update-docs)"
"$peald" --manual >m.5 && cmp -s m.5 "$top/doc/peal.ini.5"
tap $? "doc/peal.ini.5 is what --manual prints (make update-docs)"
"$peald" --metrics >m.text && cmp -s m.text "$top/doc/METRICS"
tap $? "doc/METRICS is what --metrics prints (make update-docs)"
sed 's/^#\([a-z_[]\)/\1/' t.ini >all.ini
PEAL_CHAT_SECRET=x "$peald" --dump-config --with-secrets -c all.ini >all.out &&
    printf '[app chat]\nid=1001\nkey=app-key\nsecret=x\n[rooms chat]\n[webhook chat]\nurl=https://example.com/events\n' >min.ini &&
    "$peald" --dump-config --with-secrets -c min.ini | cmp -s - all.out
tap $? "every line of the template can be uncommented, and is the default"
if command -v mandoc >/dev/null; then
	out=$(mandoc -T lint -W warning m.5 "$top/doc/peald.8" 2>&1)
	tap $? "mandoc finds nothing in the manuals" || say "$out"
fi

"$peald" --version | grep -q '^peald [0-9]'; tap $? "--version"
for what in --version --help --template --dump-config --check; do
	words=$("$peald" "$what" -c good.ini 2>&1 >/dev/full)
	[ $? -eq 1 ] && [ "$words" = "peald: standard output: No space left on device" ]
	tap $? "$what to a full disk is no success"
done
"$peald" --help | grep -q -- '--env-file FILE'; tap $? "--help"
usage "unknown option" --prot=80
usage "no value" --port
usage "value of a flag" --debug=1
usage "with-secrets alone" --with-secrets
usage "an argument" peal.ini

# ---- mistakes -------------------------------------------------------------------
# words ~ text of the file behind a good app; \n is a new line
while IFS='~' read -r words text; do
	[ -n "$words" ] || continue
	printf '%s\n' "$app" >bad.ini
	printf '%b\n' "$text" >>bad.ini
	refused "$text" "$words" -c bad.ini
	case $out in *hush*) tap 1 "it shows no secret: $text" || say "$out" ;; esac
done <<'END'
bad.ini:5: [app chat] max_connections = lots: not a number; allowed are 0 to 100000000 (0 is no limit)~max_connections = lots
bad.ini:5: [app chat] max_connections = -1: not a number~max_connections = -1
bad.ini:5: [app chat] max_connections = 100000001: too large~max_connections = 100000001
bad.ini:5: [app chat] max_connections = 99999999999999999999: too large~max_connections = 99999999999999999999
bad.ini:5: [app chat] max_message_size = 10x: not a number with a known unit~max_message_size = 10x
bad.ini:5: [app chat] ping_interval = 10ms: too small; allowed are 1s to 24h~ping_interval = 10ms
bad.ini:5: [app chat] rate_limiting = maybe: neither yes nor no; allowed are yes and no~rate_limiting = maybe
bad.ini:5: [app chat] client_events = some: unknown word; allowed are none, members and all~client_events = some
bad.ini:5: [app chat] max_conections: unknown key, did you mean max_connections? known are id,~max_conections = 1
bad.ini:5: [app chat] zzz: unknown key; known are id, key, secret,~zzz = 1
bad.ini:5: [app chat] secret: is given in line 4 already~secret = t
bad.ini:5: [aap]: unknown section, did you mean [app]? known are [peal], [listen [NAME]],~[aap]
bad.ini:5: [app chat]: begins in line 1 already: its keys belong there~[app chat]
bad.ini:7: [page]: begins in line 5 already~[page]\npath = /x/\n[page]
bad.ini:7: [backplane] app: unknown key; if it is one of [rooms] in line 6: that line is a comment~[backplane]\n#[rooms chat]\napp = x
bad.ini:8: [http] app: unknown key; known are~[backplane]\n#[rooms chat]\n[http]\napp = x
bad.ini:5: [peal two]: there is only one [peal]~[peal two]
bad.ini:5: [app]: an app needs a name~[app]
bad.ini:5: [app a/b]: a name has letters~[app a/b]
bad.ini:5: [http: ] is missing~[http
bad.ini:5: [http] x = y: more text behind ]~[http] x = y
bad.ini:5: workers 2: neither [section] nor key = value~workers 2
bad.ini:6: [peal] workers = 0: too small; allowed are 1 to 64 and auto~[peal]\nworkers = 0
bad.ini:6: [listen] address: 1.2.3.4: ~[listen]\naddress = 1.2.3.4
bad.ini:6: [listen] address: 1.2.3.4:99999: the port~[listen]\naddress = 1.2.3.4:99999
bad.ini:6: [listen] address: ::1:80: an IPv6 address stands in brackets~[listen]\naddress = ::1:80
bad.ini:6: [listen] address: a b:80: not a host~[listen]\naddress = a b:80
bad.ini:6: [listen] address: unix:x: a unix socket needs a whole path~[listen]\naddress = unix:x
bad.ini:7: [listen] address: :80: is given twice~[listen]\naddress = *:80\naddress = 80
bad.ini:6: [listen] address = : is empty~[listen]\naddress =
bad.ini:6: [listen] certificate: needs a certificate_key~[listen]\ncertificate = x
bad.ini:6: [listen] certificate_key: needs a certificate~[listen]\ncertificate_key = x
bad.ini:6: [listen] unix_mode: 0999: not the permissions~[listen]\nunix_mode = 0999
bad.ini:6: [backplane] driver = nats: unknown word; allowed are none and redis~[backplane]\ndriver = nats
bad.ini:6: [backplane] url: not an address; allowed are redis://HOST:PORT,~[backplane]\nurl = hush
bad.ini:6: [backplane] url: unknown scheme; allowed are redis://,~[backplane]\nurl = http://u:hush@h
bad.ini:6: [backplane] url: the port is no number from 1 to 65535~[backplane]\nurl = redis://user:hu/sh@h:6379
bad.ini:6: [backplane] url: the database is no number~[backplane]\nurl = redis://h/hush
bad.ini:6: [backplane] url: a % in it is not followed by two digits~[backplane]\nurl = redis://u:hush%2@h
bad.ini:6: [backplane] url: holds a control character~[backplane]\nurl = redis://u:hush%00@h
bad.ini:6: [backplane] url: the host is missing~[backplane]\nurl = redis://u:hush@
bad.ini:6: [backplane] url: ] is missing~[backplane]\nurl = redis://u:hush@[::1
bad.ini:6: [backplane] url: a unix socket has no host~[backplane]\nurl = unix://run/redis.sock
bad.ini:6: [backplane] host: 10.0.0.1:6379: not a host~[backplane]\nhost = 10.0.0.1:6379
bad.ini:6: [backplane] host: *: not a host~[backplane]\nhost = *
bad.ini:7: [backplane] tls: not over a unix socket~[backplane]\nhost = unix:/run/redis.sock\ntls = yes
bad.ini:6: [backplane] sentinels: s1: not HOST:PORT or [IPv6]:PORT~[backplane]\nsentinels = [::1]:26379, s1
bad.ini:7: [backplane] nodes: :7000: not HOST:PORT~[backplane]\ncluster = yes\nnodes = :7000
bad.ini:6: [backplane] nodes: needs cluster = yes~[backplane]\nnodes = a:7000
bad.ini:6: [backplane] sentinels: a cluster finds its masters itself~[backplane]\nsentinels = a:1\ncluster = yes
bad.ini:6: [backplane] sentinel_password: needs sentinels~[backplane]\nsentinel_password = hush
bad.ini:7: [backplane] database: a cluster has only database 0~[backplane]\ncluster = yes\ndatabase = 1
bad.ini:6: [backplane] channel: a b: may not hold { } or spaces~[backplane]\nchannel = a b
bad.ini:6: [backplane] channel: is missing~[backplane]\nchannel =
bad.ini:6: [backplane] tls_certificate: needs a tls_certificate_key~[backplane]\ntls_certificate = x\ntls = yes
bad.ini:6: [backplane] tls_ca: needs tls = yes~[backplane]\ntls_ca = x
bad.ini:6: [backplane] host_timeout: must be longer than two heartbeats~[backplane]\nhost_timeout = 2s
bad.ini:6: [backplane] partition_timeout: must not be shorter~[backplane]\npartition_timeout = 4s
bad.ini:7: [backplane] echo_timeout: must be shorter than backlog_age~[backplane]\nbacklog_age = 2s\necho_timeout = 2s
bad.ini:6: [backplane] signing: needs a signing_key~[backplane]\nsigning = yes
bad.ini:6: [backplane] signing_key: needs signing = yes~[backplane]\nsigning_key = hush
bad.ini:6: [backplane] url: needs driver = redis~[backplane]\nurl = redis://u:hush@h
bad.ini:6: [backplane] host: needs driver = redis~[backplane]\nhost = h
bad.ini:6: [backplane] host: not a host~[backplane]\nhost =
bad.ini:6: [backplane] signing_key: is too short; allowed are 32~[backplane]\nsigning_key = hush\nsigning = yes
bad.ini:5: [app b] id: is missing~[app b]
bad.ini:5: [app b] key: is missing~[app b]\nid = 2
bad.ini:5: [app b] secret: is missing~[app b]\nid = 2\nkey = l
bad.ini:8: [app b] secret: is missing~[app b]\nid = 2\nkey = l\nsecret =
bad.ini:6: [app b] id: 1: [app chat] has this id~[app b]\nid = 1\nkey = l\nsecret = s
bad.ini:7: [app b] key: k: [app chat] has this key~[app b]\nid = 2\nkey = l, k\nsecret = s
bad.ini:5: [app chat] allowed_origins: https://a.b: not a host~allowed_origins = https://a.b
bad.ini:6: [http] path: /a?b: may not hold~[http]\npath = /a?b
bad.ini:6: [http] path: ${NOT_SET} is not set~[http]\npath = ${NOT_SET}
bad.ini:6: [http] path: ${ without }~[http]\npath = ${NOT_SET
bad.ini:6: [http] hostname: closing quote is missing~[http]\nhostname = "abc
bad.ini:6: [http] hostname: more text behind the closing quote~[http]\nhostname = "abc" d
bad.ini:6: [http] hostname = a\x01b: holds a control character~[http]\nhostname = a\0001b
END
echo 'id = 1' >bad.ini
refused "a key in front of all sections" "bad.ini:1: id: stands in front of the first [section]" -c bad.ini
refused "no such file" "nowhere.ini: No such file" -c nowhere.ini
refused "a folder" "/: Is a directory" -c /
refused "no app" "no app: give one as [app NAME] with id, key and secret in /dev/null," -c /dev/null
{ cat "$top/etc/peal.ini"; printf '%s\n[metrics]\naddress = 127.0.0.1:9464\n' "$app"; } >appended.ini
out=$("$peald" --check -c appended.ini 2>&1)
tap $? "a block of the README behind the installed file" || say "$out"
sed 's/^#\(id\|key\) = /\1 = /' "$top/etc/peal.ini" >hidden.ini
refused "keys of an application whose heading is a comment" "take its # away, too" -c hidden.ini
if command -v openssl >/dev/null &&
    openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -days 2 \
	-keyout key.pem -out cert.pem 2>/dev/null; then
	printf '%s\n[listen]\ncertificate=cert.pem\ncertificate_key=key.pem\n' \
	    "$app" >tls.ini
	out=$("$peald" --check -c tls.ini 2>&1)
	tap $? "a certificate and its key" || say "$out"
	sed -i 's/=key.pem/=cert.pem/' tls.ini
	refused "a certificate as key" "cert.pem and cert.pem: " -c tls.ini
	printf '%s\n[backplane]\ntls = yes\ntls_ca = cert.pem\ntls_certificate=cert.pem\ntls_certificate_key=key.pem\n' \
	    "$app" >tls.ini
	out=$("$peald" --check -c tls.ini 2>&1)
	tap $? "a certificate for the broker" || say "$out"
	sed -i 's/=key.pem/=cert.pem/' tls.ini
	refused "one that does not fit its key" "cert.pem and cert.pem: " -c tls.ini
fi
printf '%s\n[listen]\ncertificate = no.pem\ncertificate_key = no.key\n' "$app" >tls.ini
refused "a certificate that is not there" "no.pem: No such file" -c tls.ini
printf '%s\n[backplane]\ntls = yes\ntls_ca = no.pem\n' "$app" >tls.ini
refused "authorities for the broker that are not there" "[backplane] tls_ca: no.pem: No such file" -c tls.ini
awk 'BEGIN { printf "[listen]\naddress = unix:/"; for (i = 0; i < 107; i++) printf "x" }' >long.ini
refused "a unix path that is too long" "107 octets at most" -c long.ini

# ---- what a file may say ---------------------------------------------------------
has "a value of 3000 octets is taken whole" "secret = $(printf '%03000d' 7)" \
    -c "$( { echo '[app x]'; echo 'id=1'; echo 'key=k'; printf 'secret = %03000d ; c\n' 7; } >long.ini; echo long.ini)"
printf '\357\273\277[app x]\r\n  id : 1 # one\r\n\tkey = a,b\r\nkey = c ; d\r\nsecret = "p;#\\\\\\"q"\r\n' >odd.ini
has "BOM, CRLF, indentation, comments" "id = 1" -c odd.ini
has "lists by comma and by repeating" "key = a, b, c" -c odd.ini
has "quotes" 'secret = "p;#\\\"q"' -c odd.ini
printf '%s\n' '[app x]' 'id=1' 'key=${K}' 'secret=${S:-def${x}' '[http]' 'path=$${x}' >env.ini
refused "a variable that is not set" 'env.ini:3: [app x] key: ${K} is not set' -c env.ini
printf '%s\n' '[app x]' 'id=1' 'key=${K}-${K}' 'secret=${S:-def}' '[http]' 'hostname=$${x}' >env.ini
K=kk; export K
has "a variable from the environment" 'key = kk-kk' -c env.ini
has "a variable with a default" 'secret = def' -c env.ini
has "a reference that is none" 'hostname = $${x}' -c env.ini
unset K
echo 'K=file' >k.env
has "a variable from the env file" 'key = file-file' -c env.ini --env-file k.env
printf '%s\n[http]\npath = ws//\n' "$app" >path.ini
has "a path prefix gets its slash" 'path = /ws' -c path.ini
printf '%s\nmax_message_size = 0\n' "$app" >size.ini
has "a message size of 0 is the largest" 'max_message_size = 64m' -c size.ini
printf '%s\n[listen]\naddress = 80, *:81, [::1]:82, a.b:83, unix:/x\n' "$app" >addr.ini
has "spellings of addresses" 'address = :80, :81, [::1]:82, a.b:83, unix:/x' -c addr.ini

cat >broker.ini <<'END'
[app x]
id = 1
key = k
secret = s
[backplane]
driver = redis
url = rediss://me:p%3Aw%20d@broker.example:7000/?db=5&timeout=3
sentinels = [::1]:26379, s2.example:26379
signing = yes
signing_key = 0123456789abcdef0123456789abcdef
END
while read -r line; do
	has "url: $line" "$line" -c broker.ini
done <<'END'
host = broker.example
port = 7000
username = me
password = p:w d
database = 5
tls = yes
sentinels = [::1]:26379, s2.example:26379
END
"$peald" --dump-config -c broker.ini >dump.ini && ! grep -q -e 'p:w' -e 0123 dump.ini &&
    grep -q '^password = \*\*\*' dump.ini && grep -q '^signing_key = \*\*\*' dump.ini
tap $? "--dump-config hides the broker's password and the signing key"
printf '%s\n[backplane]\ndriver = redis\nurl = unix://:pw@/run/r%%20s.sock?db=1\n' "$app" >unix.ini
has "a unix socket by url" 'host = /run/r s.sock' -c unix.ini
has "its database" 'database = 1' -c unix.ini

# ---- Laravel's .env ----------------------------------------------------------------
cat >site.env <<'END'
# a comment
APP_NAME="My site"
export REVERB_APP_ID=123456   # with a comment
REVERB_APP_KEY='k#ey'
REVERB_APP_SECRET="s\"\${x}${REVERB_APP_ID}"
REVERB_HOST="localhost"
REVERB_PORT=8080
REVERB_SCHEME=http
REVERB_SERVER=reverb
REVERB_SERVER_HOST=127.0.0.1
REVERB_SERVER_PORT=9001
REVERB_SERVER_PATH=ws
REVERB_MAX_REQUEST_SIZE=20000
REVERB_SCALING_ENABLED=(false)
REVERB_PULSE_INGEST_INTERVAL=15
REVERB_TELESCOPE_INGEST_INTERVAL=15
REVERB_APP_PING_INTERVAL=20
REVERB_APP_ACTIVITY_TIMEOUT=25
REVERB_APP_MAX_CONNECTIONS=null
REVERB_APP_MAX_MESSAGE_SIZE=0
REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM=all
REVERB_APP_RATE_LIMITING_ENABLED=true
REVERB_APP_RATE_LIMIT_MAX_ATTEMPTS=7
REVERB_APP_RATE_LIMIT_DECAY_SECONDS=8
REVERB_APP_RATE_LIMIT_TERMINATE=(true)
REDIS_PORT=tcp://not.a.port
VITE_REVERB_APP_KEY="${REVERB_APP_KEY}"
END
sed -i 's/k#ey/key/' site.env
while read -r line; do
	has ".env: $line" "$line" -c /dev/null --env-file site.env
done <<'END'
[app reverb]
id = 123456
key = key
secret = s"$${x}123456
hostname = localhost
address = 127.0.0.1:9001
path = /ws
max_request_size = 20000
driver = none
ping_interval = 20s
activity_timeout = 25s
max_connections = 0
max_message_size = 64m
client_events = all
rate_limiting = yes
rate_limit_attempts = 7
rate_limit_window = 8s
rate_limit_terminate = yes
END
out=$("$peald" --check --env-file site.env 2>&1)
tap $? "a .env alone is enough" || say "$out"
id='REVERB_APP_ID=1\nREVERB_APP_KEY=k\nREVERB_APP_SECRET=s\n'
while IFS='~' read -r words text; do
	printf "$id%b\n" "$text" >bad.env
	refused ".env: $text" "$words" -c /dev/null --env-file bad.env
done <<'END'
bad.env:4: REVERB_SERVER_PORT = 99999: not a port; allowed are 0 to 65535~REVERB_SERVER_PORT=99999
bad.env:5: REVERB_APP_PING_INTERVAL = soon: not a number; allowed are 1s to 24h~\nREVERB_APP_PING_INTERVAL=soon
bad.env:4: REVERB_SCALING_ENABLED = maybe: neither true nor false~REVERB_SCALING_ENABLED=maybe
bad.env:5: REDIS_DB = three: not a number; allowed are 0 to 65535~REVERB_SCALING_ENABLED=true\nREDIS_DB=three
bad.env:5: REDIS_SCHEME = quic: unknown scheme; allowed are tcp and tls~REVERB_SCALING_ENABLED=true\nREDIS_SCHEME=quic
bad.env:4: [backplane] url: the port is no number~REDIS_URL=redis://h:x\nREVERB_SCALING_ENABLED=true
bad.env:4: REVERB_SERVER = swoole: unknown server~REVERB_SERVER=swoole
bad.env:4: more text behind the value~A=b c
bad.env:4: closing quote is missing~A="b
bad.env:4: closing quote is missing~A='b
bad.env:4: unknown escape~A="\\q"
bad.env:4: not NAME=value~A-B=c
bad.env:4: not NAME=value~=c
END
while IFS='~' read -r line text; do
	printf "$id%b\n" "$text" >x.env
	has ".env: $text" "$line" -c /dev/null --env-file x.env
done <<'END'
client_events = none~REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM=nobody
client_events = none~REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM=false
client_events = members~REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM=null
rate_limiting = no~REVERB_APP_RATE_LIMITING_ENABLED=empty
hostname = b~REVERB_HOST=a\nREVERB_HOST=b
hostname = a$${B}~X=a\nREVERB_HOST="${X}\\${B}"
hostname = $${NONE}~REVERB_HOST=${NONE}
address = [::1]:8080~REVERB_SERVER_HOST=::1
driver = redis~REVERB_SCALING_ENABLED=true
channel = reverb~REVERB_SCALING_ENABLED=true\nREVERB_SCALING_CHANNEL=reverb
host = r.example~REVERB_SCALING_ENABLED=true\nREDIS_HOST=rediss://r.example
tls = yes~REVERB_SCALING_ENABLED=true\nREDIS_HOST=rediss://r.example
tls = yes~REVERB_SCALING_ENABLED=true\nREDIS_SCHEME=tls
port = 6380~REVERB_SCALING_ENABLED=true\nREDIS_PORT=6380
port = 6379~REVERB_SCALING_ENABLED=false\nREDIS_PORT=6380
password = a b~REVERB_SCALING_ENABLED=true\nREDIS_PASSWORD="a b"
timeout = 3s~REVERB_SCALING_ENABLED=true\nREDIS_TIMEOUT=60
database = 2~REVERB_SCALING_ENABLED=true\nREDIS_URL=redis://h/2\nREDIS_DB=1
END

# ---- who goes before whom ---------------------------------------------------------
printf '%s\n[listen]\naddress = 10.0.0.1:1, 10.0.0.2:2\n[http]\npath = /file\n' \
    "$app" >order.ini
echo 'REVERB_SERVER_PORT=2' >order.env
has "the file goes before the default" 'path = /file' -c order.ini
has "the env file goes before the file" 'address = 10.0.0.1:2' \
    -c order.ini --env-file order.env
REVERB_SERVER_PORT=3; export REVERB_SERVER_PORT
has "the environment goes before the env file" 'address = 10.0.0.1:3' \
    -c order.ini --env-file order.env
has "the command line goes before the environment" 'address = 10.0.0.1:4' \
    -c order.ini --env-file order.env --port 4
has "--host and --port=" 'address = [::]:5' -c order.ini --host :: --port=5
unset REVERB_SERVER_PORT
has "--path" 'path = /cli' -c order.ini --path=cli
has "--workers" 'workers = 3' -c order.ini --workers 3
has "--hostname" 'hostname = h.example' -c order.ini --hostname h.example
refused "an address that is none" "command line: --host = 300.1.1.1: not a host" -c order.ini --host 300.1.1.1
refused "a number too many" "command line: --host = 1.2.3.4.5: not a host" -c order.ini --host 1.2.3.4.5
refused "a flag's value" "command line: --port = x: not a port" -c order.ini --port x
refused "a flag's range" "command line: --workers = 99: too large" -c order.ini --workers 99

REVERB_APP_ID=1 REVERB_APP_SECRET=other; export REVERB_APP_ID REVERB_APP_SECRET
has "the environment fills the app with its id" 'secret = other' -c good.ini
[ "$("$peald" --dump-config -c good.ini | grep -c '^\[app')" -eq 1 ]
tap $? "and makes no second one"
REVERB_APP_ID=2 REVERB_APP_KEY=k2; export REVERB_APP_ID REVERB_APP_KEY
has "an id that is new makes [app reverb]" '[app reverb]' -c good.ini
unset REVERB_APP_ID REVERB_APP_KEY REVERB_APP_SECRET
REVERB_APP_PING_INTERVAL=5; export REVERB_APP_PING_INTERVAL
has "without an id the only app is meant" 'ping_interval = 5s' -c good.ini
printf '%s\n[app b]\nid=2\nkey=l\nsecret=s\n' "$app" >two.ini
refused "without an id, and several apps" "REVERB_APP_ID is not set" -c two.ini
unset REVERB_APP_PING_INTERVAL
printf '%s\n[webhook a]\nurl=http://a.example/\n' "$app" >hook.ini
printf 'REVERB_APP_ID=2\nREVERB_APP_KEY=k2\nREVERB_APP_SECRET=s\n' >second.env
refused "a webhook of several apps: which, and where from" \
    "hook.ini:5: [webhook a] app: is missing: there are several applications: chat (hook.ini:1), reverb (second.env:1)" \
    -c hook.ini --env-file second.env
echo "1..$n"
