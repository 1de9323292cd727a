#!/bin/sh
# contrib/quickstart and contrib/check where ./configure was run among the sources:
# they cannot be built in another folder then.  Builds nothing.  TAP.
top=$(cd "${srcdir:-$(dirname "$0")/../..}" && pwd) || exit 99
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir/tree/contrib" "$dir/bin" && cd "$dir/tree" || exit 99
cp "$top/contrib/quickstart" "$top/contrib/check" contrib/ || exit 99

n=0
tap() {		# status, name
	n=$((n + 1))
	word=ok
	[ "$1" -eq 0 ] || word='not ok'
	printf '%s %d - %s\n' "$word" $n "$2"
	[ "$1" -eq 0 ] || printf '%s\n' "$out" | sed 's/^/# /'
}

# All that quickstart wants is there; whatever would install something fails.
for name in cc autoreconf automake pkg-config; do
	printf '#!/bin/sh\nexit 0\n' >"$dir/bin/$name"
done
printf '#!/bin/sh\nexit 1\n' | tee "$dir/bin/apt-get" "$dir/bin/sudo" >"$dir/bin/npm"
printf '#!/bin/sh\npwd >"%s/made"\n' "$dir" >"$dir/bin/make"
chmod +x "$dir"/bin/*
PATH=$dir/bin:$PATH
export PATH
cat >configure <<'EOF'
#!/bin/sh
[ ! -f "$(dirname "$0")/config.status" ] || exit 1
echo all: >Makefile
EOF
chmod +x configure
: >Makefile.in

out=$(contrib/quickstart --no-run --port 18080 2>&1) && [ "$(cat "$dir/made")" = "$PWD/build" ] &&
    printf '%s\n' "$out" | grep -qF "$PWD/build/peald -c $PWD/build/quickstart-18080.ini"
tap $? "quickstart builds in ./build"
rm -rf build "$dir/made"
: >config.status
: >Makefile
out=$(contrib/quickstart --no-run --port 18080 2>&1) && [ "$(cat "$dir/made")" = "$PWD" ] &&
    printf '%s\n' "$out" | grep -qF "    $PWD/peald -c $PWD/build/quickstart-18080.ini" &&
    printf '%s\n' "$out" | grep -qF "    $PWD/pealctl -c $PWD/build/quickstart-18080.ini"
tap $? "quickstart uses what is built among the sources"

out=$(contrib/check --no-install 2>&1)
[ $? -eq 1 ] && [ ! -e build-check ] && printf '%s\n' "$out" | grep -q '`make distclean`'
tap $? "check says at once why it cannot"
echo "1..$n"
