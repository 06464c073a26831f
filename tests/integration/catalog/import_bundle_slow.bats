#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Bundles whose import is interrupted: parts are kept as they came, and fetched once.

bats_require_minimum_version 1.5.0
load common
load ../flip

PARTS=64

setup_file() {
	cloud_up
	export AMI_PARTS
	# Many parts, so that an end comes between any two.
	local dir=$BATS_FILE_TMPDIR/parts
	mkdir "$dir"
	head -c 16M /dev/urandom >"$dir/disk.raw"
	truncate -s 64M "$dir/disk.raw"
	tests/cloud/mkbundle --image "$dir/disk.raw" --name many --out "$dir" \
		--keys "$BATS_FILE_TMPDIR/ami/keys" --part-size 262144
	echo '{"kind": "instance-store", "name": "many", "architecture": "x86_64",
		"root_device_name": "/dev/sda1", "virtualization_type": "hvm"}' >"$dir/image.json"
	mv "$dir/disk.raw" "$BATS_FILE_TMPDIR/many.raw"
	AMI_PARTS=$(tests/cloud/cloud load --state "$CLOUD" "$dir")
}
teardown_file() { cloud_down; }
setup() {
	fresh_store
	KEPT=$ACCLIMATE_STORE/partial/x/parts
}

import_x() { catalog import "$AMI_PARTS" --name x --no-bootable; }
# start_x: the same in the background, as $pid
start_x() {
	catalog import -q "$AMI_PARTS" --name x --no-bootable 3>&- &
	pid=$!
}
kill_x() {
	kill -KILL $pid 2>/dev/null || true
	has_ended $pid x
}
fetched() { requests 'GET .*/many.part.* 200 ' || true; }
# Those that met no fault: what one that was killed had asked for is noted when it is gone, if not later.
fetched_well() { grep 'GET .*/many.part.* 200 ' "$CLOUD/log/requests.log" | grep -vc 'fault=' || true; }
same_x() {
	qemu-img check -q "$(disk x)"
	qemu-img convert -f qcow2 -O raw "$(disk x)" "$BATS_TEST_TMPDIR/raw"
	cmp -i 1048576:0 -n "$(stat -c %s "$BATS_FILE_TMPDIR/many.raw")" "$BATS_TEST_TMPDIR/raw" \
		"$BATS_FILE_TMPDIR/many.raw"
	catalog verify
	[ -z "$(ls "$ACCLIMATE_STORE/partial")" ]
}
# killed_after N THOSE: an import that is killed when it keeps the first N parts, whole. THOSE, a pattern, are
# the numbers of all others: they do not come.
killed_after() {
	local i
	fault add stall --service s3 --match "many.part.$2" --bytes 1000
	start_x
	for i in $(seq 3000); do
		[ "$(find "$KEPT" -size 262144c 2>/dev/null | wc -l)" -lt "$1" ] || break
		kill -0 $pid 2>/dev/null || return 1
		sleep 0.02
	done
	kill_x
	fault clear
}

@test "killed at random moments, time after time: each part is fetched about once" {
	before=$(fetched)
	fault add drip --service s3 --match 'many.part' --rate 2000000
	for i in $(seq 12); do
		start_x
		sleep "0.$((RANDOM % 9))$((RANDOM % 10))"
		kill_x
		[ ! -e "$ACCLIMATE_STORE/images/x" ] || break
	done
	killed=$i
	[ -e "$ACCLIMATE_STORE/images/x" ] || import_x
	same_x
	# What was on its way when it was killed, is fetched again: one part a worker.
	n=$(($(fetched) - before))
	echo "$n parts were fetched in $killed runs"
	[ "$n" -ge "$PARTS" ]
	[ "$n" -le $((PARTS + 1 + 4 * killed)) ]
}

@test "killed in the middle: the next import asks for fewer parts than a new one" {
	killed_after 20 '[2-9]'
	before=$(fetched_well)
	run --separate-stderr import_x
	echo "$stderr"
	[ "$status" -eq 0 ]
	[[ $stderr =~ "went on with "([0-9]+)" of" ]]
	[ "${BASH_REMATCH[1]}" -eq 20 ]
	[ $(($(fetched_well) - before)) -le $((PARTS + 1 - 20)) ]
	same_x
}

@test "a kept part that is torn, altered, another's or no file is fetched again" {
	killed_after 10 '[1-9]'
	truncate -s 1000 "$KEPT/part.1"
	flip "$KEPT/part.2" 70000
	cp "$KEPT/part.4" "$KEPT/part.3"
	: >"$KEPT/part.0"
	before=$(fetched_well)
	first=$(grep -vc fault= "$CLOUD/log/requests.log")
	run --separate-stderr import_x
	echo "$stderr"
	[ "$status" -eq 0 ]
	[[ $stderr =~ "went on with "([0-9]+)" of" ]]
	[ "${BASH_REMATCH[1]}" -eq 6 ]
	[ $(($(fetched_well) - before + 6)) -ge "$PARTS" ]
	for i in 0 1 2 3; do
		[ "$(grep -v fault= "$CLOUD/log/requests.log" | tail -n "+$((first + 1))" |
			grep -c "GET .*/many.part.0$i 200 ")" -eq 1 ]
	done
	same_x
}

@test "parts of an interrupted import stay until gc --partial; another image does not take them" {
	killed_after 5 '(0[5-9]|[1-9])'
	catalog gc
	[ -e "$KEPT/part.0" ]
	import "$AMI_EBS" --name x
	[ ! -e "$ACCLIMATE_STORE/partial/x" ]
	[ ! -e "$ACCLIMATE_STORE/images/x/parts" ]
	catalog rm x
	killed_after 5 '(0[5-9]|[1-9])'
	catalog gc --partial
	store_is_empty
}

@test "parts that cannot be kept are no error" {
	mkdir -p "$ACCLIMATE_STORE/partial/x"
	: >"$KEPT"
	run --separate-stderr import_x
	echo "$stderr"
	[ "$status" -eq 0 ]
	[ "$(grep -c "are not kept" <<<"$stderr")" -eq 1 ]
	same_x
}

@test "where there is no room for parts and image nothing is kept, and that is said" {
	dir=$BATS_TEST_TMPDIR/large
	mkdir "$dir"
	head -c 1M /dev/urandom >"$BATS_TEST_TMPDIR/large.raw"
	truncate -s 7T "$BATS_TEST_TMPDIR/large.raw" || skip "no files of 7 TiB here"
	tests/cloud/mkbundle --image "$BATS_TEST_TMPDIR/large.raw" --name large --out "$dir" \
		--keys "$BATS_FILE_TMPDIR/ami/keys"
	sed s/test-bundle/large/ "$AMI/bundle/image.json" >"$dir/image.json"
	ami=$(tests/cloud/cloud load --state "$CLOUD" "$dir")
	run --separate-stderr catalog import "$ami" --name x --no-bootable
	echo "$stderr"
	[ "$status" -eq 0 ]
	[[ $stderr == *"no room to keep the parts"* ]]
}

@test "what opens the parts can open nothing else" {
	fault add stall --service s3 --match 'many.part.[1-9]' --bytes 1000
	start_x
	for _ in $(seq 3000); do [ -e "$KEPT/part.1" ] && break; sleep 0.02; done
	child=$(pgrep -P $pid)
	grep -h '^Seccomp:' "/proc/$child/status" "/proc/$pid/status" >"$BATS_TEST_TMPDIR/seccomp"
	kill_x
	[ "$(cat "$BATS_TEST_TMPDIR/seccomp")" = "Seccomp:	2
$(grep '^Seccomp:' /proc/self/status)" ]
}
