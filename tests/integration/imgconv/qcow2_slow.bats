#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# QCOW2 in its whole breadth, with qemu-img as the other side: every creation option that it has,
# sizes, cluster sizes.

bats_require_minimum_version 1.5.0
load common
load kinds

setup_file() {
	make_work
	make_disk disk.raw 5M
}

teardown_file() { remove_work; }

setup() {
	cd "$WORK" || return
	rm -f out* in*
}

# reads OPTION...: what qemu-img writes with these is read back equal, checked and mapped.
reads() {
	qemu-img convert -q -f raw -O qcow2 "$@" disk.raw in.qcow2
	"$IMGCONV" check -q in.qcow2
	"$IMGCONV" convert -q -O raw in.qcow2 out.raw
	cmp disk.raw out.raw
	"$IMGCONV" map in.qcow2 >/dev/null
	rm in.qcow2 out.raw
}

@test "every creation option of qemu-img is read, or refused by name" {
	left=$(qemu-img create -f qcow2 -o help x | sed -n 's/^  \([a-z_.-]*\)=.*/\1/p' | sort)
	[ "$(wc -l <<<"$left")" -gt 15 ]
	for o in cluster_size=512 cluster_size=1024 cluster_size=2M compat=0.10 compat=1.1 \
		compression_type=zlib compression_type=zstd extended_l2=on extended_l2=off \
		lazy_refcounts=on nocow=on preallocation=metadata preallocation=falloc \
		preallocation=full refcount_bits=1 refcount_bits=2 refcount_bits=4 \
		refcount_bits=8 refcount_bits=32 refcount_bits=64 extent_size_hint=1M; do
		echo "option: $o"
		reads -o $o
		case $o in
		preallocation=*) ;; # not with compression
		*) reads -c -o $o ;;
		esac
		left=$(grep -vx "${o%%=*}" <<<"$left" || true)
	done
	# Not LUKS, whose making depends on the clock: crafted images have it.
	for o in encrypt.format=aes encryption=on; do
		qemu-img create -q -f qcow2 --object secret,id=s,data=x \
			-o "$o,encrypt.key-secret=s" in.qcow2 1M 2>/dev/null
		fails "encrypted QCOW2" convert -O raw in.qcow2 out.raw
		"$IMGCONV" check -q in.qcow2
		rm in.qcow2
	done
	qemu-img create -q -f qcow2 -o data_file=in.data,data_file_raw=on in.qcow2 1M
	fails "data lie in another file, 'in.data'" convert -O raw in.qcow2 out.raw
	rm in.qcow2 in.data
	cp disk.raw in.raw
	qemu-img create -q -f qcow2 -o backing_file=in.raw,backing_fmt=raw in.qcow2
	fails "backing file 'in.raw', which is not allowed" convert -O raw in.qcow2 out.raw
	"$IMGCONV" convert -q --allow-backing -O raw in.qcow2 out.raw
	cmp disk.raw out.raw
	# All that qemu-img knows was tried.
	[ "$(grep -vE '^(encrypt\..*|encryption|data_file|data_file_raw|backing_file|backing_fmt|size)$' \
		<<<"$left")" = "" ]
}

@test "snapshots of every kind of image" {
	for o in cluster_size=512 cluster_size=2M compat=0.10 extended_l2=on refcount_bits=64; do
		qemu-img convert -q -f raw -O qcow2 -o $o disk.raw in.qcow2
		qemu-img snapshot -c before in.qcow2
		qemu-io -f qcow2 -c "write -P 5 300k 2M" -c "write -z 4M 512k" in.qcow2 >/dev/null
		qemu-img snapshot -c after in.qcow2
		qemu-img convert -q -f qcow2 -O raw in.qcow2 in.raw
		qemu-io -f qcow2 -c "write -P 6 0 5M" in.qcow2 >/dev/null
		"$IMGCONV" check -q in.qcow2
		"$IMGCONV" convert -q --snapshot before -O raw in.qcow2 out.raw
		cmp disk.raw out.raw
		"$IMGCONV" convert -q --force --snapshot after -O raw in.qcow2 out.raw
		cmp in.raw out.raw
		rm in.* out.raw
	done
}

@test "all cluster sizes are written, plain and compressed" {
	for size in 512 1K 2K 4K 8K 16K 32K 64K 128K 256K 512K 1M 2M; do
		for c in none zlib zstd; do
			"$IMGCONV" convert -q -O qcow2 -o cluster_size=$size,compression=$c disk.raw out.qcow2
			same disk.raw out.qcow2
			"$IMGCONV" check -q out.qcow2
			if [ $c != zstd ]; then
				7zz x -tqcow -so out.qcow2 2>/dev/null | cmp - disk.raw
			fi
			rm out.qcow2
		done
	done
}

@test "sizes of disks" {
	for size in 512 1536 65024 66048 131072 5242368 5243392; do
		make_disk in.raw $size
		for o in cluster_size=512 cluster_size=64K version=2 preallocation=metadata \
			extended_l2=on compression=zlib compression=zstd,cluster_size=2M; do
			"$IMGCONV" convert -q -f raw -O qcow2 -o $o in.raw out.qcow2
			same in.raw out.qcow2
			"$IMGCONV" convert -q -f qcow2 -O raw out.qcow2 out.raw
			cmp in.raw out.raw
			rm out.*
		done
	done
	# Sparse, over 4 GiB, with data at its ends.
	truncate -s 5G in.raw
	printf x | dd of=in.raw bs=1 conv=notrunc status=none
	printf x | dd of=in.raw bs=1 seek=$((5 * 1073741824 - 1)) conv=notrunc status=none
	for o in cluster_size=64K cluster_size=512 compression=zlib; do
		"$IMGCONV" convert -q -f raw -O qcow2 -o $o in.raw out.qcow2
		same in.raw out.qcow2
		"$IMGCONV" convert -q -O raw out.qcow2 out.raw
		cmp in.raw out.raw
		rm out.*
	done
}

@test "what is measured holds with every option" {
	cp --sparse=never disk.raw full.raw
	for o in version=2 extended_l2=on preallocation=metadata preallocation=falloc \
		preallocation=full,cluster_size=512; do
		measure_kind "qcow2 -o $o"
	done
}

@test "what is written is resized, by us and by qemu-img" {
	cp disk.raw disk.kept
	truncate -s 4M disk.raw
	truncate -s 5M disk.raw
	for o in version=2 cluster_size=512 compression=zlib preallocation=full; do
		resize_kind "qcow2 -o $o"
	done
	mv disk.kept disk.raw
	"$IMGCONV" convert -q -c -O qcow2 disk.raw out.qcow2
	qemu-img resize -q -f qcow2 out.qcow2 40G
	"$IMGCONV" resize -q out.qcow2 80G
	qemu-img resize -q -f qcow2 --shrink out.qcow2 6M
	"$IMGCONV" check -q out.qcow2
	"$IMGCONV" resize -q out.qcow2 5M
	same disk.raw out.qcow2
}

@test "a large file of small clusters" {
	truncate -s 3G in.raw
	head -c 40M /dev/urandom | dd of=in.raw bs=1M seek=1000 conv=notrunc status=none
	"$IMGCONV" convert -q -f raw -O qcow2 -o cluster_size=512 in.raw out.qcow2
	"$IMGCONV" check -q out.qcow2
	same in.raw out.qcow2
}
