#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The store when a process is killed at any step, when the disk is full, and when several work on it.

bats_require_minimum_version 1.5.0
load store

setup_file() {
	store_up
	FAULT=$BUILD/tests/fault.so
	export FAULT
}
setup() {
	[ "$MODE" != asan ] || skip "the sanitizer wants to be loaded first"
	[ -e "$FAULT" ]
	store_fresh
}

# A store with an image, a clone of it that changed, and an image of an older store.
populate() {
	rm -rf "$ACCLIMATE_STORE"
	new_image debian
	catalog clone debian web
	change web 3
	old_image old
}

# fault NTH KIND ARG...: catalog with that fault; in count the calls there were
fault() {
	local nth=$1 kind=$2
	shift 2
	FAULT_CALL=any FAULT_NTH=$nth FAULT_KIND=$kind FAULT_COUNT=8 LD_PRELOAD=$FAULT \
		catalog "$@" 8>"$BATS_TEST_TMPDIR/count" 2>"$BATS_TEST_TMPDIR/err"
}

# Nothing is wrong, and gc leaves nothing that is not needed. What was killed has confined children, which hold
# its locks as well and die with it, but a moment later.
intact() {
	local held
	for held in "$ACCLIMATE_STORE"/partial/{*.lock,tmp.*}; do
		[ ! -e "$held" ] || flock -w 60 "$held" true
	done
	run catalog verify
	echo "after $*: $output"
	[ "$status" -eq 0 ]
	catalog gc >/dev/null
	run catalog verify --quick
	[ "$status" -eq 0 ]
	[[ $output != *"not needed"* ]]
}

# Every call that changes a file or a name is the last one of the process once, or fails.
each_step() {
	local kind=$1 n total
	shift
	populate
	cp -a "$ACCLIMATE_STORE" "$BATS_TEST_TMPDIR/before"
	fault 0 EIO "$@"
	# A line of each process.
	total=$(sort -n "$BATS_TEST_TMPDIR/count" | tail -n 1)
	[ "$total" -gt 3 ]
	for n in $(seq "$total"); do
		rm -rf "$ACCLIMATE_STORE"
		cp -a "$BATS_TEST_TMPDIR/before" "$ACCLIMATE_STORE"
		fault "$n" "$kind" "$@" || true
		intact "$kind at call $n of $total: $*"
		# It can be done again, or was done.
		catalog "$@" >/dev/null 2>"$BATS_TEST_TMPDIR/err" ||
			grep -q "already\|no image" "$BATS_TEST_TMPDIR/err"
	done
	holds web 3
	intact "all of it"
}

@test "killed at any step of a clone of a clone" { each_step KILL clone web new; }
@test "killed at any step of a clone of an image of an older store" { each_step KILL clone old new; }
@test "killed at any step of a commit" { each_step KILL commit web new; }
@test "killed at any step of a flattening commit" { each_step KILL commit web new --flatten; }
@test "killed at any step of an import" { each_step KILL import "$PRISTINE" --name new --no-bootable; }
@test "a full disk at any step of an import" { each_step ENOSPC import "$PRISTINE" --name new --no-bootable; }
@test "killed at any step of a removal" { each_step KILL rm debian; }
@test "a full disk at any step of a clone of a clone" { each_step ENOSPC clone web new; }
@test "a full disk at any step of a flattening commit" { each_step ENOSPC commit web new --flatten; }

@test "killed at random moments, time after time" {
	populate
	for i in $(seq 20); do
		catalog clone debian "a$i" >/dev/null 2>&1 3>&- &
		one=$!
		catalog commit web "b$i" 2>/dev/null 3>&- &
		two=$!
		catalog rm "a$((i - 1))" "b$((i - 1))" 2>/dev/null 3>&- &
		three=$!
		sleep "0.0$((RANDOM % 3))$((RANDOM % 10))"
		kill -9 "$one" "$two" "$three" 2>/dev/null || true
		wait "$one" "$two" "$three" 2>/dev/null || true
	done
	intact "kills"
	holds web 3
}

@test "several processes make and remove at once, and none of them fails" {
	new_image debian
	worker() {
		for i in $(seq 6); do
			catalog clone debian "$1-$i" >/dev/null
			catalog commit "$1-$i" "$1-$i-image"
			catalog rm "$1-$i"
			catalog gc >/dev/null
			catalog images >/dev/null
			catalog rm "$1-$i-image"
		done
	}
	pids=
	for w in a b c; do
		worker "$w" 3>&- &
		pids="$pids $!"
	done
	for pid in $pids; do
		wait "$pid"
	done
	whole
	[ "$(disks)" -eq 1 ]
}
