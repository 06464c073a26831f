#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# imgconv convert: every kind of QCOW2, in and out, with qemu-img as the other side.

bats_require_minimum_version 1.5.0
load common

setup_file() {
	make_work
	make_disk disk.raw 9M
}

teardown_file() { remove_work; }

setup() {
	cd "$WORK" || return
	rm -f out* in*
}

@test "raw becomes qcow2 of every cluster size and compression" {
	for size in 512 4K 64K 2M; do
		for c in none zlib zstd; do
			"$IMGCONV" convert -q -O qcow2 -o cluster_size=$size,compression=$c disk.raw out.qcow2
			same disk.raw out.qcow2
			[ "$c" = none ] || [ "$(qemu-img info --output=json out.qcow2 |
				jq -r '."format-specific".data."compression-type"')" = $c ]
			rm out.qcow2
		done
	done
}

@test "qcow2 of every kind that qemu-img makes becomes raw" {
	for o in cluster_size=512 cluster_size=4096 cluster_size=2097152 compat=0.10 \
		extended_l2=on preallocation=metadata preallocation=full refcount_bits=1 \
		lazy_refcounts=on compression_type=zstd; do
		for c in '' -c; do
			[ "$c$o" != -cpreallocation=metadata ] || continue
			[ "$c$o" != -cpreallocation=full ] || continue
			qemu-img convert -q $c -f raw -O qcow2 -o $o disk.raw in.qcow2
			"$IMGCONV" convert -q -O raw in.qcow2 out.raw
			cmp disk.raw out.raw
			"$IMGCONV" compare -q in.qcow2 disk.raw
			rm in.qcow2 out.raw
		done
	done
}

@test "what would take hours ends when it is asked to" {
	truncate -s 2040G in.raw
	for args in "--digest sha512 -O raw in.raw out.raw" "--digest sha512 -O qcow2 in.raw out.qcow2" \
		"-O vhd -o subformat=fixed in.raw -" "-O raw in.raw -"; do
		# shellcheck disable=SC2086 # words are wanted
		env --default-signal=INT "$IMGCONV" convert -f raw $args >/dev/null 2>err 3>&- &
		# Until env has done its part it does not hear of it.
		until [ "$(cat /proc/$!/comm)" = imgconv ] || ! kill -0 $!; do sleep 0.05; done
		sleep 0.5
		kill -INT $!
		status=0
		timeout 300 tail --pid=$! -f /dev/null || return 1
		wait $! || status=$?
		[ "$status" = 130 ]
		[ -z "$(find . -name "*out*")" ]
	done
	rm err
}
