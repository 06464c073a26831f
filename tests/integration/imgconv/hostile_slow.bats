#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Hostile and broken images: each is refused with its own line, and nothing else is opened.

bats_require_minimum_version 1.5.0
load common

setup_file() {
	make_work
	mkdir crafted
	"$HERE/craft" all crafted
}

teardown_file() { remove_work; }

setup() {
	rm -rf "$WORK/test"
	mkdir -p "$WORK/test/work"
	cd "$WORK/test/work" || return
}

@test "crafted QCOW2 images are refused, each with its line" {
	[ "$("$HERE/craft" list | wc -l)" -gt 50 ]
	while IFS=$'\t' read -r name expect; do
		echo "case: $name"
		cp "$WORK/crafted/$name.qcow2" in.qcow2
		fails "$expect" convert -f qcow2 -O raw in.qcow2 out.raw
	done < <("$HERE/craft" list | grep -v '^version_1	')
}

@test "info of crafted images ends, and never shows a control character" {
	[ "$("$HERE/craft" list | wc -l)" -gt 50 ]
	for name in $("$HERE/craft" list | cut -f 1); do
		in=$WORK/crafted/$name.qcow2
		status=0
		"$IMGCONV" info -f qcow2 "$in" >out 2>&1 || status=$?
		[ "$status" -le 1 ]
		run ! grep -q $'\x1b' out
		if "$IMGCONV" info -f qcow2 -o json "$in" 2>/dev/null >out; then
			jq -e . out >/dev/null
		fi
	done
}

@test "check of crafted images ends in a verdict, and never shows a control character" {
	status=0
	"$IMGCONV" check -f qcow2 "$WORK"/crafted/* >out 2>&1 || status=$?
	[ "$status" = 1 ] || [ "$status" = 3 ]
	run ! grep -q $'\x1b' out
	"$IMGCONV" check -f qcow2 -o json "$WORK"/crafted/* >out 2>err || [ $? = "$status" ]
	n=$(find "$WORK/crafted" -type f | wc -l)
	[ "$(jq length out)" = $((n - $(wc -l <err))) ]
	# Sound is only what is amiss elsewhere: in compressed data, in other files, in the guest.
	[ -z "$(jq -r '.[] | select(.errors == 0).image' out |
		grep -vE '/(backing_|encrypted_|deflate_|inflates_)')" ]
}

@test "a truncated image is refused wherever it ends" {
	qemu-img create -q -f qcow2 in.qcow2 64M
	qemu-io -f qcow2 -c "write -P 1 0 1M" -c "write -P 1 60M 1M" in.qcow2 >/dev/null
	for n in 0 3 60 100 110 65535 131072 200000 262144 300000 1000000; do
		head -c $n in.qcow2 >cut.qcow2
		fails "'cut.qcow2'" convert -f qcow2 -O raw cut.qcow2 out.raw
	done
}

@test "backing files are read only below the image's own folder, and only if allowed" {
	mkdir -p sub ../outside
	head -c 1M /dev/urandom >sub/base.raw
	cp sub/base.raw ../outside/base.raw
	ln -s ../../outside/base.raw sub/link.raw
	qemu-img create -q -f qcow2 -b sub/base.raw -F raw top.qcow2
	fails "backing file 'sub/base.raw', which is not allowed" convert -O raw top.qcow2 out.raw
	"$IMGCONV" convert -q --allow-backing -O raw top.qcow2 out.raw
	cmp sub/base.raw out.raw
	rm out.raw
	qemu-img create -q -f qcow2 -b "$PWD/sub/base.raw" -F raw top.qcow2
	"$IMGCONV" convert -q --allow-backing -O raw top.qcow2 out.raw
	cmp sub/base.raw out.raw
	rm out.raw
	for name in ../outside/base.raw "$(dirname "$PWD")/outside/base.raw" sub/link.raw /etc/hostname; do
		qemu-img create -q -u -f qcow2 -b "$name" -F raw top.qcow2 1M
		fails "is not below the image's folder" convert --allow-backing -O raw top.qcow2 out.raw
	done
	for name in 'json:{"driver":"file","filename":"sub/base.raw"}' nbd://localhost/x fat:sub; do
		qemu-img create -q -u -f qcow2 -b "$name" -F raw top.qcow2 1M
		fails "backing file" convert --allow-backing -O raw top.qcow2 out.raw
	done
}

@test "the format of a backing file is not guessed, and a chain has an end" {
	cp "$WORK/crafted/backing_without_format.qcow2" top.qcow2
	head -c 1M /dev/urandom >base.raw
	fails "is not named, and is not guessed" convert --allow-backing -O raw top.qcow2 out.raw
	qemu-img create -q -f qcow2 -u -b top.qcow2 -F qcow2 loop.qcow2 1M
	mv loop.qcow2 top.qcow2
	fails "more than 16 images" convert --allow-backing -O raw top.qcow2 out.raw
}

@test "a chain of backing files reads as qemu-img reads it" {
	make_disk base.raw 3M
	qemu-img convert -q -c -f raw -O qcow2 base.raw a.qcow2
	qemu-img create -q -f qcow2 -b a.qcow2 -F qcow2 -o cluster_size=4096 b.qcow2 5M
	qemu-io -f qcow2 -c "write -P 9 100k 300k" -c "write -z 1M 64k" -c "write -P 8 4M 4k" b.qcow2 >/dev/null
	qemu-img create -q -f qcow2 -b b.qcow2 -F qcow2 -o extended_l2=on c.qcow2
	qemu-io -f qcow2 -c "write -P 7 201k 2k" -c "write -z 2M 4k" c.qcow2 >/dev/null
	qemu-img convert -q -O raw c.qcow2 expected.raw
	"$IMGCONV" convert -q --allow-backing -O raw c.qcow2 out.raw
	cmp expected.raw out.raw
	"$IMGCONV" compare --allow-backing -q c.qcow2 out.raw
}

@test "files that look like two formats, or like another one, are refused by name" {
	qemu-img create -q -f qcow2 in.img 1M
	printf '\1CD001\1' | dd of=in.img bs=1 seek=32768 conv=notrunc status=none
	fails "looks like both qcow2 and ISO 9660" convert -O raw in.img out.raw
	"$IMGCONV" convert -q -f qcow2 -O raw in.img out.raw
	rm out.raw
	for f in vhdx qed parallels; do
		qemu-img create -q -f $f in.img 4M
		fails "images are not supported" convert -O raw in.img out.raw
	done
	# A version that there is not does not pass as raw.
	truncate -s 0 in.img
	truncate -s 1M in.img
	printf 'QFI\373\0\0\0\0' | dd of=in.img conv=notrunc status=none
	fails "QCOW2 version 0 is not supported" convert -O raw in.img out.raw
}

@test "-f raw never looks into the image" {
	cp "$WORK/crafted/backing_file.qcow2" in.qcow2
	"$IMGCONV" convert -q -f raw -O raw in.qcow2 out.raw
	cmp in.qcow2 out.raw
	"$IMGCONV" info -f raw -o json in.qcow2 | jq -e '.format == "raw"'
}

@test "a bomb of aliases is refused before it grows" {
	cp "$WORK/crafted/compressed_clusters_overlap.qcow2" in.qcow2
	(
		ulimit -f 1048576
		fails "larger than the file" convert -O raw in.qcow2 out.raw
	)
}

@test "internal snapshots are left out with a word in info" {
	qemu-img create -q -f qcow2 in.qcow2 4M
	qemu-io -f qcow2 -c "write -P 1 0 1M" in.qcow2 >/dev/null
	qemu-img snapshot -c before in.qcow2
	qemu-io -f qcow2 -c "write -P 2 0 512k" in.qcow2 >/dev/null
	qemu-img convert -q -O raw in.qcow2 expected.raw
	"$IMGCONV" convert -q -O raw in.qcow2 out.raw
	cmp expected.raw out.raw
	"$IMGCONV" info -o json in.qcow2 | jq -e '."format-specific".snapshots[0].name == "before"'
	"$IMGCONV" info in.qcow2 | grep "1 internal snapshots are not carried over"
}

@test "a folder larger than its file system is refused, not walked" {
	mkdir -p tree/dir
	truncate -s 512K in.raw
	mke2fs -q -F -t ext4 -O ^has_journal -d tree in.raw
	"$IMGCONV" ls in.raw /dir
	debugfs -w -R 'sif /dir size 0x1fffc000' in.raw
	run "$IMGCONV" ls in.raw /dir
	[ "$status" -eq 1 ]
	[[ $output == *'has a size of 536854528'* ]]
}
