# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash

# flip FILE OFFSET...: each of these bytes becomes another one, whatever it was. A constant that is
# written over random bytes is once in 256 times what was there.
flip() {
	local file=$1 at
	shift
	for at; do
		printf "\\x$(printf %02x $((0x$(xxd -s "$at" -l 1 -p "$file") ^ 1)))" |
			dd of="$file" bs=1 seek="$at" conv=notrunc status=none
	done
}
