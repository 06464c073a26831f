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
	files '*.c' '*.h' | xargs awk '
		FNR == 1 && $0 != "/* SPDX-License-Identifier: Apache-2.0 */" {
			print FILENAME ": no SPDX line"
			bad = 1
		}
		FNR == 2 {
			if (!/^\/\*/ && FILENAME != "lib/version.h") {
				print FILENAME ": does not begin by saying its purpose"
				bad = 1
			}
			nextfile
		}
		END { exit bad }'
}
check "each header compiles alone" headers
check "each C file begins with its licence and purpose" first_comment
finish
