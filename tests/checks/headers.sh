#!/bin/sh
# Each header compiles alone.
. tests/checks/tap.sh
flags="-std=gnu11 -I. -D_GNU_SOURCE -Wall -Wextra -Wno-missing-field-initializers"
headers() {
	rc=0
	for h in $(files '*.h' | grep -v '^tests/'); do
		printf '#include "%s"\n' "$h" | gcc $flags -Werror -fsyntax-only -x c - || rc=1
	done
	return $rc
}
first_comment() {
	rc=0
	for f in $(files '*.c' '*.h'); do
		head -n 1 "$f" | grep -q '^/\* SPDX-License-Identifier: Apache-2.0 \*/$' ||
			{ echo "$f: no SPDX line"; rc=1; }
		case $f in lib/version.h) continue ;; esac
		sed -n 2p "$f" | grep -q '^/\*' || { echo "$f: does not begin by saying its purpose"; rc=1; }
	done
	return $rc
}
check "each header compiles alone" headers
check "each C file begins with its licence and purpose" first_comment
finish
