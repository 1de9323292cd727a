#!/bin/sh
# SPDX-License-Identifier: MIT
# What the board and the alerts of contrib/grafana ask for is what doc/METRICS has,
# and Prometheus takes them. TAP.
top=${srcdir:-$(dirname "$0")/..}
there=$top/contrib/grafana
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

# Names in a file that the manual does not have; a histogram has three series.
unknown() {	# file
	grep -oE '\bpeal_[a-z_]+' "$1" | sort -u | while read -r name; do
		grep -qE "^(${name}|${name%_bucket})(\{| )" "$top/doc/METRICS" ||
			echo "$name"
	done
}

for file in peal.json peal-alerts.yml; do
	asked=$(grep -cE '\bpeal_[a-z_]+' "$there/$file")
	result "$file asks for something" \
		"$([ "$asked" -gt 10 ] || echo "only $asked lines do")"
	result "$file asks for what there is" "$(unknown "$there/$file")"
done
if command -v promtool >/dev/null 2>&1; then
	result "Prometheus takes the alerts" "$(
		promtool check rules "$there/peal-alerts.yml" 2>&1 >/dev/null |
		grep -v '^$')"
	result "Prometheus takes the example" "$(
		promtool check config "$there/prometheus.yml" 2>&1 \
		>/dev/null | grep -v '^$')"
fi
echo "1..$n"
exit $bad
