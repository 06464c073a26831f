#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Disks that fail under every reader and writer of images, and conversions that are killed: the
# output is whole or is not there.

load common

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

# fault CALL NTH KIND ARG...: imgconv with that fault; its status, and in count the calls there were
fault() {
	local call=$1 nth=$2 kind=$3
	shift 3
	FAULT_CALL=$call FAULT_NTH=$nth FAULT_KIND=$kind FAULT_COUNT=8 LD_PRELOAD=$FAULT \
		"$IMGCONV" "$@" 8>count 2>err
}

# Some numbers from 1 to $1: the first ones, the last ones, and a few between.
some_of() {
	{
		seq 1 "$(($1 < 6 ? $1 : 6))"
		seq 7 "$(($1 / 8 + 1))" "$1"
		seq "$(($1 > 3 ? $1 - 3 : 1))" "$1"
	} | sort -nu
}

# Every call of a kind fails once: one line, status 1, nothing left.
all_faults() {
	local call=$1 kind=$2 n
	shift 2
	fault "$call" 0 "$kind" "$@"
	rm -f out*
	for n in $(some_of "$(cat count)"); do
		if fault "$call" "$n" "$kind" "$@"; then
			# A failing read-ahead or a hint may be of no account, but then all is right.
			right
		else
			[ $? = 1 ]
			[ "$(wc -l <err)" = 1 ]
			[ -z "$(find . -name "*out*")" ]
		fi
		rm -f out*
	done
}
right() {
	"$IMGCONV" compare -f raw disk.raw out
}

@test "a writer whose disk is full or broken leaves nothing" {
	for format in $(formats); do
		all_faults pwrite ENOSPC convert -q -j 2 -O "$format" disk.raw out
		all_faults pwrite EIO convert -q -j 1 -O "$format" disk.raw out
		all_faults ftruncate ENOSPC convert -q -O "$format" disk.raw out
		all_faults fsync EIO convert -q -O "$format" disk.raw out
	done
	all_faults pwrite ENOSPC convert -q -c -O qcow2 disk.raw out
}

@test "a reader whose disk is broken leaves nothing" {
	for format in $(formats); do
		all_faults pread EIO convert -q -j 2 -f "$format" -O raw "in.$format" out
	done
}

@test "short reads and writes and interruptions change nothing" {
	for format in $(formats); do
		for kind in short EINTR; do
			for n in 1 2 3 5 8 13; do
				fault pread $n $kind convert -q -f "$format" -O raw "in.$format" out
				cmp disk.raw out
				rm out
				fault pwrite $n $kind convert -q -O "$format" disk.raw out
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
