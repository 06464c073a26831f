#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Disks that fail under every reader and writer of images, and conversions that are killed: the
# output is whole or is not there.

load common
load ../faults

setup_file() {
	[ "$MODE" != asan ] || return 0
	make_work
	make_disk disk.raw 6M
	truncate -s 6144512 disk.raw
	FAULT=$BUILD/tests/fault.so
	[ -e "$FAULT" ]
	for format in $(formats); do
		"$IMGCONV" convert -q -O "$format" disk.raw "in.$format"
	done
	export FAULT
}
teardown_file() { remove_work; }
setup() {
	[ "$MODE" != asan ] || skip "the sanitizer wants to be loaded first"
	cd "$WORK" || return
}
teardown() { rm -f out* .out* count err; }

right() {
	"$IMGCONV" compare -f raw disk.raw out
}

@test "a writer whose disk is full or broken leaves nothing" {
	for format in $(formats); do
		all_faults pwrite ENOSPC "$IMGCONV" convert -q -j 2 -O "$format" disk.raw out
		all_faults pwrite EIO "$IMGCONV" convert -q -j 1 -O "$format" disk.raw out
		all_faults ftruncate ENOSPC "$IMGCONV" convert -q -O "$format" disk.raw out
		all_faults fsync EIO "$IMGCONV" convert -q -O "$format" disk.raw out
	done
	all_faults pwrite ENOSPC "$IMGCONV" convert -q -c -O qcow2 disk.raw out
}

@test "a reader whose disk is broken leaves nothing" {
	for format in $(formats); do
		# With a digest a raw source, too, is read and not mapped.
		all_faults pread EIO "$IMGCONV" convert -q -j 2 --digest sha256 -f "$format" -O raw "in.$format" out
	done
}

@test "a raw source that becomes shorter is an error, wherever that happens" {
	# Before a block of noise, in its middle, and at the last byte but one.
	for size in 0 4096 3000000 6144511; do
		for format in $(formats); do
			for n in 1 2 4; do
				cp disk.raw cut.raw
				FAULT_FILE=cut.raw FAULT_SIZE=$size fault pwrite $n CUT \
					"$IMGCONV" convert -q -j 1 -f raw -O "$format" cut.raw out && return 1
				[ "$(stat -c %s cut.raw)" = $size ]
				[ "$(wc -l <err)" = 1 ]
				grep -q "reading 'cut.raw': the file \(ends at\|became shorter\)" err
				[ -z "$(find . -name "*out*")" ]
			done
		done
	done
}

@test "short reads and writes and interruptions change nothing" {
	for format in $(formats); do
		for kind in short EINTR; do
			for n in 1 2 3 5 8 13; do
				fault pread $n $kind "$IMGCONV" convert -q -f "$format" -O raw "in.$format" out
				cmp disk.raw out
				rm out
				fault pwrite $n $kind "$IMGCONV" convert -q -O "$format" disk.raw out
				cmp "in.$format" out
				rm out
			done
		done
	done
}

@test "a conversion that is killed leaves nothing" {
	for format in $(formats); do
		for delay in 0.001 0.002 0.004 0.006 0.008 0.012 0.016 0.02 0.03; do
			timeout -s KILL $delay "$IMGCONV" convert -q -c -O qcow2 disk.raw out.q || true
			timeout -s KILL $delay "$IMGCONV" convert -q -O "$format" disk.raw out || true
			[ ! -e out ] || right
			[ ! -e out.q ] || "$IMGCONV" compare disk.raw out.q
			[ -z "$(find . -name ".*out*")" ]
			rm -f out out.q
		done
	done
}
