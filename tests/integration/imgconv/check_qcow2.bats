#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# imgconv check of QCOW2 images: damage in many places, with the verdict of qemu-img check; each
# kind of damage by itself is in the unit tests.

bats_require_minimum_version 1.5.0
load common

setup_file() {
	make_work
	mkdir crafted
	"$HERE/craft" all crafted
}

teardown_file() { remove_work; }

setup() {
	cd "$WORK" || return
	rm -f out* in*
}

@test "what is refused is found, but for damaged data" {
	while IFS=$'\t' read -r name _; do
		case $name in
		# Another format, another file, an unknown feature: nothing to be looked at.
		version_* | unknown_* | data_file_* | encrypted_unknown | deflate_* | inflates_*) continue ;;
		# The structure is sound.
		backing_file | backing_json | backing_without_format | encrypted_*) expected=0 ;;
		*) expected=3 ;;
		esac
		status=0
		"$IMGCONV" check -f qcow2 "crafted/$name.qcow2" >out 2>&1 || status=$?
		[ "$status" = "$expected" ] || {
			echo "$name: status $status"
			cat out
			return 1
		}
	done < <("$HERE/craft" list | one_in 4)
}

@test "leaks are told from errors, in the same number as qemu-img tells" {
	qemu-img create -q -f qcow2 -o cluster_size=4K in.qcow2 4M
	qemu-io -f qcow2 -c "write -P 1 0 1M" in.qcow2 >/dev/null
	# The L1 table's entry: all that it led to is lost.
	l1=$((0x$(xxd -s 40 -l 8 -p in.qcow2)))
	printf '\0\0\0\0\0\0\0\0' | dd of=in.qcow2 bs=1 seek=$l1 conv=notrunc status=none
	run -3 "$IMGCONV" check -o json in.qcow2
	clusters=$(qemu-img check --output json in.qcow2 2>/dev/null | jq .leaks)
	[ "$clusters" -gt 100 ]
	jq -e --argjson n "$clusters" '.errors == 0 and .leaks > 0 and ."leaked-bytes" == $n * 4096 and
		all(.findings[]; .kind == "leak")' <<<"$output"
	run -3 "$IMGCONV" check in.qcow2
	[[ $output == *"  leak at 0x4000: "*" clusters have refcount 1, but nothing uses them"* ]]
}

@test "a truncated image has errors wherever it ends" {
	qemu-img create -q -f qcow2 in.qcow2 64M
	qemu-io -f qcow2 -c "write -P 1 0 8M" in.qcow2 >/dev/null
	for n in $(few 100000 1000000 200000 262144 300000 400000); do
		head -c $n in.qcow2 >in.cut
		run -3 "$IMGCONV" check -f qcow2 in.cut
	done
}
