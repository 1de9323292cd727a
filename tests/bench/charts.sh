#!/bin/sh
# doc/BENCHMARKS shows what stands in doc/benchmarks/results.jsonl, and charts leaves
# out what is no figure.  TAP.
top=${srcdir:-$(dirname "$0")/../..}
charts=$top/contrib/bench/charts
if ! node --version >/dev/null 2>&1; then
	echo "1..0 # SKIP no node"
	exit 0
fi
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
n=0 bad=0

result() {	# name, 0 if it is so
	n=$((n + 1))
	if [ "$2" -eq 0 ]; then
		echo "ok $n - $1"
	else
		bad=1
		echo "not ok $n - $1"
	fi
}

# The page as it would be, and its pictures.
cp "$top/doc/BENCHMARKS" "$work/page" && chmod u+w "$work/page"
"$charts" --to "$work/pictures" --update "$work/page" \
    "$top/doc/benchmarks/results.jsonl" 2>"$work/words"
result "charts draws all" $?
result "... and has no complaint" "$(wc -l <"$work/words")"
cmp "$top/doc/BENCHMARKS" "$work/page"
result "the tables are those of the results" $?
for picture in "$top"/doc/benchmarks/*.svg; do
	cmp "$picture" "$work/pictures/${picture##*/}"
	result "${picture##*/} is as drawn" $?
done
[ "$(ls "$work/pictures" | wc -l)" -eq "$(ls "$top"/doc/benchmarks/*.svg | wc -l)" ]
result "there is no other" $?
if xmllint --version 2>/dev/null; then
	xmllint --noout "$work"/pictures/*.svg
	result "they are well-formed" $?
fi

# Somebody lost a message: its ratio would be 0.5.
line() {	# server, microseconds, missing
	printf '{"tool":"peal-benchmark","run":"x","round":%s,"server":"%s",' "$4" "$1"
	printf '"command":"c","scenario":"fanout","latency_ms":{"p50":1,"p99":2},'
	printf '"usage":{"cpu_us_per_delivery":%s},"faults":{"missing":%s}}\n' "$2" "$3"
}
{
	line floor 4 0 1; line peal-1 6 0 1; line peal-2 8 0 1
	line floor 4 0 2; line peal-1 2 7 2; line peal-2 8 0 2
} >"$work/some.jsonl"
"$charts" --tables "$work/some.jsonl" >"$work/tables" 2>"$work/words"
grep -Eq '^ +x +4\.0 +1\.50 +2\.00 +c$' "$work/tables"
result "a run with faults is left out" $?
grep -q 'left out: x of peal-1' "$work/words"
result "... and named" $?
echo "1..$n"
exit $bad
