#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# imgconv info: formats, facts, partitions, file systems.

bats_require_minimum_version 1.5.0
load common
load ../flip

setup() { make_work; }
teardown() { remove_work; }

@test "the facts are those of qemu-img" {
	for o in $(few compression_type=zstd compat=0.10 compat=1.1 cluster_size=4096 refcount_bits=64 \
		extended_l2=on lazy_refcounts=on); do
		qemu-img create -q -f qcow2 -o $o a.qcow2 10M
		qemu-img info --output=json a.qcow2 >q.json
		"$IMGCONV" info -o json a.qcow2 >a.json
		jq -es '.[0] as $q | .[1] as $ours | $ours["format-specific"] as $own |
			$ours.format == "qcow2" and $ours["virtual-size"] == $q["virtual-size"] and
			$own["cluster-size"] == $q["cluster-size"] and
			([$q["format-specific"].data | to_entries[] | select(.key | test(
				"^(refcount-bits|compression-type|extended-l2|lazy-refcounts|corrupt)$"))] |
				length >= 1 and all(.[]; $own[.key] == .value))' q.json a.json
	done
}

@test "partitions and file systems, the same through raw and qcow2" {
	truncate -s 40M disk.raw
	sfdisk -q --no-tell-kernel disk.raw <<-'EOT'
		label: gpt
		start=2048, size=16384, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B
		start=20480, size=40960, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4
	EOT
	truncate -s 20M root
	mke2fs -q -t ext4 -L cloudimg-rootfs -U 01234567-89ab-cdef-0123-456789abcdef root
	dd if=root of=disk.raw bs=1M seek=10 conv=notrunc status=none
	"$IMGCONV" convert -q -c -O qcow2 disk.raw disk.qcow2
	"$IMGCONV" info -o json disk.raw | jq '[."partition-table", .partitions]' >a
	"$IMGCONV" info -o json disk.qcow2 | jq '[."partition-table", .partitions]' >b
	cmp a b
	jq -e '.[0] == "gpt" and .[1][1]."fs-type" == "ext4" and
		.[1][1]."fs-label" == "cloudimg-rootfs" and
		.[1][1]."fs-uuid" == "01234567-89ab-cdef-0123-456789abcdef" and
		.[1][1].start == 10485760 and .[1][1].length == 20971520' a
	"$IMGCONV" info disk.qcow2 | grep "2: at 10485760, .*ext4, label 'cloudimg-rootfs'"
}

@test "a damaged partition table is a warning, not a failure" {
	truncate -s 40M disk.raw
	echo 'start=2048, size=2048' | sfdisk -q --no-tell-kernel --label gpt disk.raw
	flip disk.raw 600 $((40 * 1048576 - 500))
	run "$IMGCONV" info disk.raw
	[ "$status" = 0 ]
	[[ $output == *"warning:"*"wrong checksum"* ]]
	"$IMGCONV" info -o json disk.raw | jq -e '."partition-table" == null and (.warnings | length) >= 1'
}

@test "names inside are shown and not opened" {
	echo secret >base.raw
	truncate -s 1M base.raw
	qemu-img create -q -f qcow2 -b base.raw -F raw top.qcow2
	# a leak checker traces, too, and cannot where strace does
	ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 strace -f -e trace=open,openat,openat2 -o trace "$IMGCONV" info top.qcow2 >out
	run ! grep base.raw trace
	grep 'backing file: *base.raw' out
	grep 'backing format: *raw' out
}

@test "the largest image takes no time and memory" {
	qemu-img create -q -f qcow2 a.qcow2 2P
	if [ "${MODE:-}" != asan ]; then
		prlimit --as=$((128 << 20)) --cpu=20 "$IMGCONV" info a.qcow2
	else
		"$IMGCONV" info a.qcow2
	fi
}

@test "several images are a list, and a bad one does not hide the others" {
	qemu-img create -q -f qcow2 a.qcow2 1M
	truncate -s 1M b.raw
	"$IMGCONV" info -o json a.qcow2 b.raw | jq -e 'length == 2 and .[1].format == "raw"'
	status=0
	"$IMGCONV" info a.qcow2 nothing b.raw >out 2>err || status=$?
	[ "$status" = 1 ]
	[ "$(grep -c ^format: out)" = 2 ]
	grep "opening 'nothing'" err
}
