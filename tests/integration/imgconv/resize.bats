#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# imgconv resize: what was there stays, whatever the format; qemu-img sees the new disk.

bats_require_minimum_version 1.5.0
load common
load kinds

setup_file() {
	make_work
	make_disk disk.raw 5M
	# The last MiB is empty.
	truncate -s 4M disk.raw
	truncate -s 5M disk.raw
}

teardown_file() { remove_work; }

setup() {
	cd "$WORK" || return
	rm -rf out* in*
}

@test "an image of every format grows and shrinks" {
	for f in $(few_formats); do resize_kind "$f"; done
}

@test "nothing is lost: a tail with data stays, and the file is as it was" {
	for f in $(few_formats); do
		"$IMGCONV" convert -q -O "$f" disk.raw out.img
		before=$(sha256sum out.img)
		fails "which a smaller disk would lose" resize -f "$f" out.img 1M
		[ "$(sha256sum out.img)" = "$before" ]
		rm out.img
	done
}

@test "what qemu-img made is resized as qemu-img does it" {
	for f in $(few_formats); do
		q=$(qemu_name "$f")
		qemu-img create -q -f "$q" in.img 32M
		qemu-io -f "$q" -c "write -P 1 1M 3M" -c "write -P 2 30M 64k" in.img >/dev/null
		qemu-img convert -f "$q" -O raw in.img in.raw
		"$IMGCONV" resize -q -f "$f" in.img +32M
		truncate -s +32M in.raw
		qemu-img compare -q -f raw -F "$q" in.raw in.img
		rm in.img in.raw
	done
}

@test "qcow2 grows over many tables" {
	qemu-img create -q -f qcow2 -o cluster_size=4096 out.img 1M
	qemu-io -f qcow2 -c "write -P 1 0 1M" out.img >/dev/null
	"$IMGCONV" resize -q out.img 100G
	qemu-img check -q out.img
	qemu-io -f qcow2 -c "write -P 2 99G 1M" out.img >/dev/null
	qemu-img check -q out.img
	qemu-io -r -f qcow2 -c "read -P 1 0 1M" -c "read -P 0 1M 1M" -c "read -P 2 99G 1M" out.img >log
	run ! grep -q 'Pattern verification failed' log
	rm log
}

@test "mode and symbolic links stay" {
	for f in $(few_formats); do
		"$IMGCONV" convert -q -O "$f" disk.raw out.img
		chmod 640 out.img
		ln -s out.img outlink
		"$IMGCONV" resize -q -f "$f" outlink +1M
		[ -L outlink ]
		[ "$(stat -c %a out.img)" = 640 ]
		"$IMGCONV" info -f "$f" -o json out.img | jq -e '."virtual-size" == 6291456'
		rm outlink out.img
	done
}

@test "a full disk leaves the image as it was" {
	for f in $(few_formats); do
		"$IMGCONV" convert -q -O "$f" disk.raw out.img
		before=$(sha256sum out.img)
		(
			ulimit -f 512
			fails "File too large" resize -f "$f" out.img 2000G
		) || [ "$f" = qcow2 ] # which may find room for its tables
		[ "$f" = qcow2 ] || [ "$(sha256sum out.img)" = "$before" ]
		"$IMGCONV" check -f "$f" out.img
		rm out.img
	done
}

@test "what cannot be is refused by its own line" {
	cp disk.raw out.raw
	fails "nothing would be left of the disk's 5242880 bytes" resize out.raw -5M
	fails "a disk has one byte at least" resize out.raw 0
	fails "is too large" resize out.raw +18446744073709551615
	fails "opening 'nothing': No such file" resize nothing 1G
	"$IMGCONV" convert -q -O qcow2 disk.raw out.qcow2
	fails "the next size that such an image can have is 1048064" resize out.qcow2 1048000
	qemu-img create -q -f qcow2 -b disk.raw -F raw in.qcow2
	fails "backing file" resize in.qcow2 1G
	cmp disk.raw out.raw
}

@test "wrong usage ends with 2" {
	for args in "" "a" "a b c" "a b -5G" "-x a 1G"; do
		# shellcheck disable=SC2086 # words are wanted
		run -2 "$IMGCONV" resize $args
	done
	fails "'1X' is not a size" resize disk.raw 1X
}
