#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Disks that fail while an image is written anew with changes in it: it is as it was, or as it should be.

load guest

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	[ "${MODE:-}" != asan ] || return 0
	make_tree tree
	make_fs tree fs 8M -t ext4
	for format in vhd vdi vmdk; do
		"$IMGCONV" convert -q -O $format fs "before.$format"
	done
	echo data >file
}

setup() {
	[ "${MODE:-}" != asan ] || skip "the sanitizer wants to be loaded first"
	cd "$BATS_FILE_TMPDIR" || return
	FAULT=${BUILD:-$TOP/build/release}/tests/fault.so
	[ -e "$FAULT" ] || skip "tests/fault.so is not built"
}

# fault CALL NTH KIND IMAGE: an injection with that fault
fault() {
	FAULT_CALL=$1 FAULT_NTH=$2 FAULT_KIND=$3 LD_PRELOAD=$FAULT \
		"$IMGCONV" inject -q --file file:/etc/new "$4" 2>err >out
}

# The first such call fails, then the second, until there are no more.
every_fault() { # CALL KIND FORMAT
	local n failed=0 passed=0
	for ((n = 1; passed < 4; n++)); do
		rm -f image
		cp "before.$3" image
		if fault "$1" "$n" "$2" image; then
			# A hint that fails may be of no account.
			[ "$("$IMGCONV" cat image /etc/new)" = data ]
			passed=$((passed + 1))
		else
			[ $? = 1 ]
			[ "$(wc -l <err)" = 1 ]
			cmp "before.$3" image
			failed=$((failed + 1))
			passed=0
		fi
		[ -z "$(find . -maxdepth 1 -name '.*' -type f)" ]
	done
	echo "$3: $1 failed $failed times"
	[ "$failed" -gt 0 ]
}

@test "VHD, VDI and VMDK that are written anew on a disk that is full or breaks" {
	for format in vhd vdi vmdk; do
		every_fault pwrite ENOSPC $format
		every_fault pwrite EIO $format
		every_fault fsync EIO $format
	done
}

@test "VHD, VDI and VMDK whose bytes cannot be read" {
	for format in vhd vdi vmdk; do
		every_fault pread EIO $format
	done
}
