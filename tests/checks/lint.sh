#!/bin/sh
# Slow linters: clang-tidy, cppcheck, shellcheck.
. tests/checks/tap.sh
tidy() {
	command -v clang-tidy >/dev/null || return 1
	# Its flags are in compile_flags.txt, what it checks in .clang-tidy: nothing of va_list, of which it
	# sees faults now and then that are none, where one process looks at several files; cppcheck looks
	# for those. How far its analyzer follows a function: 225000 steps are its own default, and take
	# four times as long.
	files '*.c' | grep -vE '^tests/' | xargs -P "$(nproc)" -n 4 clang-tidy --quiet \
		--extra-arg=-Xclang --extra-arg=-analyzer-config --extra-arg=-Xclang \
		--extra-arg=max-nodes="${LINT_STEPS:-40000}" 2>/dev/null |
		grep -E 'warning:|error:' >"$1"
	! grep . "$1"
}
# Leaks are the sanitizers' to find: cppcheck does not know the cleanup attribute.
cpp() {
	files '*.c' | grep -vE '^tests/' |
		xargs cppcheck --quiet --error-exitcode=1 --std=c11 -I. --inline-suppr -j "$(nproc)" \
			--enable=warning,portability --suppress=memleak --suppress=missingIncludeSystem \
			--suppress=unknownMacro --suppress=normalCheckLevelMaxBranches
}
shells() {
	# A corpus has files that look like scripts; those for bats have a check of their own.
	files | grep -v '^tests/fuzz/corpus/' | while read -r f; do
		head -c 64 "$f" | head -n 1 | grep -qE '^#!.*[/ ](sh|bash|openrc-run)' && echo "$f"
	done | xargs shellcheck -S warning -e SC1091
}
tmp=$(mktemp)
trap 'rm -f "$tmp"' EXIT
check "clang-tidy" tidy "$tmp"
check "cppcheck" cpp
# A plain `! command` in a test does not fail it: shellcheck knows (SC2314).
bats_files() { files '*.bats' '*.bash' | xargs shellcheck -s bats -S warning -e SC1091,SC2030,SC2031,SC2034,SC2154,SC2164,SC1010; }
check "shellcheck" shells
check "shellcheck of bats" bats_files
finish
