# shellcheck shell=sh
# Sourced by the checks: TAP output. `check NAME COMMAND...` is one test; its output is shown
# when it fails. `finish` prints the plan.
count=0
bad=0
check() {
	name=$1
	shift
	count=$((count + 1))
	if out=$("$@" 2>&1); then
		echo "ok $count - $name"
	else
		echo "not ok $count - $name"
		printf '%s\n' "$out" | head -n 60 | sed 's/^/# /'
		bad=1
	fi
}
skip() {
	count=$((count + 1))
	echo "ok $count - $1 # SKIP $2"
}
finish() {
	echo "1..$count"
	exit $bad
}
# Files of the project with the given patterns, tracked or new.
files() {
	git ls-files -co --exclude-standard "$@" | while read -r f; do
		[ -e "$f" ] && echo "$f"
	done
}
