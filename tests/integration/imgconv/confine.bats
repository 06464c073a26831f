#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What looks into images does so in a sandbox: watched from outside, by strace.

bats_require_minimum_version 1.5.0
load common
load watched

setup_file() {
	make_work
	make_disk disk.raw 3M
	qemu-img convert -q -c -f raw -O qcow2 disk.raw disk.qcow2
	qemu-img create -q -f qcow2 -b disk.raw -F raw top.qcow2
}

teardown_file() { remove_work; }

setup() {
	cd "$WORK" || return
	rm -f out*
	may_watch
}

@test "convert, info and compare open nothing once they are in the sandbox" {
	watched convert -q -c --verify --digest sha256 -O qcow2 disk.qcow2 out.qcow2
	[ ! -s after ]
	[ "$(cat confined)" = 2 ] # copying, verifying
	qemu-img compare -q disk.raw out.qcow2
	watched info -o json disk.qcow2 disk.raw
	[ ! -s after ]
	[ "$(cat confined)" = 1 ]
	watched compare disk.qcow2 disk.raw
	[ ! -s after ]
	[ "$(cat confined)" = 1 ]
}

@test "so do check, map, measure, resize, inject and plans to boot" {
	qemu-img create -q -f qcow2 in.qcow2 4M
	truncate -s 4M in.raw
	mke2fs -q -F in.raw
	for args in "check disk.qcow2" "map disk.qcow2" "measure -O raw -o compression=gzip disk.qcow2" \
		"resize -q in.qcow2 5M" "inject --file disk.raw:/disk --dry-run in.raw" \
		"bootable --dry-run in.raw"; do
		echo "$args"
		# shellcheck disable=SC2086
		watched $args || true # that file system holds no system
		[ ! -s after ]
		[ "$(cat confined)" -ge 1 ]
	done
}

@test "what lies beside an image is opened for it, not by it" {
	watched convert -q --allow-backing -O raw top.qcow2 out.raw
	[ ! -s after ]
	cmp disk.raw out.raw
	[ "$(cat confined)" = 1 ]
	grep -qE '^openat2\(.*"disk.raw"' outside
}

@test "where the kernel cannot confine, the user may say so" {
	ACCLIMATE_SANDBOX=off watched convert -q --allow-backing -O raw top.qcow2 out.raw
	[ "$(cat confined)" = 0 ]
	cmp disk.raw out.raw
}

@test "a signal for imgconv ends what it started, and leaves nothing" {
	truncate -s 512G in.raw
	mkfifo hold
	"$IMGCONV" convert -q -f raw -O raw --size 1G - out.raw <hold &
	pid=$!
	exec 7>hold
	head -c 1M disk.raw >&7
	child=""
	for _ in $(seq 100); do
		child=$(pgrep -P "$pid") && break
		sleep 0.05
	done
	kill -TERM "$pid"
	status=0
	exec 7>&-
	wait "$pid" || status=$?
	[ "$status" = 143 ]
	[ -n "$child" ]
	run ! kill -0 "$child"
	[ ! -e out.raw ]
	rm -f hold in.raw
}
