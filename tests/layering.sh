#!/bin/sh
# Who may include whom (doc/ARCHITECTURE): a process folder includes itself,
# what it plugs in, common and tables; one third-party library has one place.
# TAP.
src=${srcdir:-$(dirname "$0")/..}/src
n=0 bad=0

result() {	# name, offenders
	n=$((n + 1))
	if [ -z "$2" ]; then
		echo "ok $n - $1"
	else
		bad=1
		echo "not ok $n - $1"
		echo "$2" | sed 's/^/# /'
	fi
}

# Files of a folder that include something of a folder that is not in its list.
folder() {	# folder, allowed folders (regex)
	result "$1 includes only $2" "$(
	    grep -nE '^#include "[a-z]+/' "$src/$1"/*.[ch] |
	    grep -vE "#include \"($2)/")"
}

# Files outside the allowed ones that include a library's header.
library() {	# header (regex), allowed files (regex)
	result "<$1> only in $2" "$(
	    grep -rnE "^#include <$1" "$src" --include='*.[ch]' |
	    sed "s|^$src/||" | grep -vE "^($2)[:]")"
}

folder common 'common|tables'
folder ctl 'ctl|common|tables'
folder master 'master|common|tables'
folder worker 'worker|front|common|tables'
folder front 'front|worker|common|tables'
folder router 'router|backplane|common|tables'
folder backplane 'backplane|common|tables'
folder courier 'courier|common|tables'
result "worker knows of the front doors only front.h" "$(
    grep -nE '#include "front/' "$src"/worker/*.[ch] | grep -v 'front/front.h')"
result "router knows of the backplanes only backplane.h" "$(
    grep -nE '#include "backplane/' "$src"/router/*.[ch] |
    grep -v 'backplane/backplane.h')"

library 'openssl/' 'common/(tls|crypto)\.c'
library 'msgpack' 'common/packed\.c'
library 'zlib' 'worker/deflate\.c'
library 'ini\.h' 'common/config[a-z_]*\.c'
library 'seccomp' 'common/jail\.c'
library 'hiredis' 'backplane/redis_[a-z]+\.c'
result "of hiredis only the reader and the formatter" "$(
    grep -nE '\bredis(Connect|Async|Command|AppendCommand|Buffer|Get|SSL)[A-Za-z]*\(' \
    "$src"/backplane/*.[ch])"
library 'curl/' 'courier/[a-z_]*\.[ch]'
library 'event2/' 'common/(ipc|process)\.c|(master|router|worker|backplane|courier)/[a-z_]*\.c'

# Sizes: no file over 900 lines (*_page.c are generated, in a build among the
# sources), no function over 100 (if ctags is there).
ours() { find "$src" "$src/../contrib" "$src/../tests" -name node_modules -prune \
    -o -name "$1" ! -name '*_page.c' -print; }
result "no file over 900 lines" "$(
    { ours '*.[ch]'; ours '*.[cm]js'; } | while read -r f; do
	lines=$(wc -l <"$f")
	[ "$lines" -le 900 ] || echo "$f: $lines lines"
    done)"
if ctags --version 2>/dev/null | grep -q Universal; then
	result "no function over 100 lines" "$(
	    ours '*.c' | xargs ctags -x --languages=C \
	    --kinds-C=f --_xformat='%{line} %{end} %N %F' |
	    awk '$2 - $1 > 100 { print $4 ": " $3 ": " $2 - $1 + 1 }')"
fi
result "no unfinished marks" "$(
    grep -rnE '\b(TODO|FIXME|XXX|HACK)\b' "$src" --include='*.[ch]')"
echo "1..$n"
exit $bad
