#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# imgconv check: what it finds, what it says, how it ends.

bats_require_minimum_version 1.5.0
load common

setup_file() {
	make_work
	make_disk disk.raw 3M
}

teardown_file() { remove_work; }

setup() {
	cd "$WORK" || return
	rm -f out* in*
}

@test "images that imgconv or qemu-img made are sound" {
	for f in $(few_formats); do
		"$IMGCONV" convert -q -O "$f" disk.raw out.img
		"$IMGCONV" check -o json out.img | jq -e --arg f "$f" '.format == $f and
			.errors == 0 and .leaks == 0 and ."leaked-bytes" == 0 and .findings == []'
		rm out.img
		qemu-img create -q -f "$(qemu_name "$f")" in.img 32M
		qemu-io -f "$(qemu_name "$f")" -c "write -P 1 64k 1M" -c "write -P 2 20M 128k" \
			-c "discard 64k 64k" in.img >/dev/null
		run "$IMGCONV" check -f "$f" in.img
		[ "$status" = 0 ]
		[ "$output" = "in.img: sound" ]
		rm in.img
	done
}

@test "an image that does not even open is a finding" {
	for f in $(few_formats); do
		[ "$f" != raw ] || continue
		"$IMGCONV" convert -q -O "$f" disk.raw out.img
		head -c 100 out.img >in.img
		run "$IMGCONV" check -f "$f" in.img
		[ "$status" = 3 ]
		[[ ${lines[0]} == "in.img: 1 error, 0 leaks" ]]
		[[ ${lines[1]} == "  error: 'in.img': "* ]]
		run "$IMGCONV" check -o json -f "$f" in.img
		[ "$status" = 3 ]
		jq -e '.format == null and .errors == 1 and .findings[0].kind == "error" and
			.findings[0].offset == null' <<<"$output"
		rm out.img
	done
}

@test "what could not be looked at is a failure, and the others are shown" {
	"$IMGCONV" convert -q -O qcow2 disk.raw out.qcow2
	head -c 100 out.qcow2 >in.qcow2
	fails "opening 'nothing': No such file" check nothing
	fails "neither a regular file nor a block device" check .
	fails "unknown image format 'vhs'" check -f vhs disk.raw
	status=0
	"$IMGCONV" check in.qcow2 nothing out.qcow2 >out 2>err || status=$?
	[ "$status" = 1 ]
	grep '^in.qcow2: 1 error' out
	grep '^out.qcow2: sound' out
	[ "$(wc -l <err)" = 1 ]
	status=0
	"$IMGCONV" check -o json in.qcow2 nothing out.qcow2 >out 2>/dev/null || status=$?
	[ "$status" = 1 ]
	jq -e 'length == 2 and .[1].format == "qcow2"' out
	run -3 "$IMGCONV" check out.qcow2 in.qcow2
	rm err
}

@test "wrong usage ends with 2" {
	for args in "" "-o xml disk.raw" "-x disk.raw"; do
		# shellcheck disable=SC2086 # words are wanted
		run -2 "$IMGCONV" check $args
	done
}
