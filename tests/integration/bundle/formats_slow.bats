#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What is wrong with archives for Google, with images, and with where they are to go.

bats_require_minimum_version 1.5.0
load common

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	make_image image
}

# Each in a folder of its own: what one leaves behind, the next one does not write to.
setup() {
	cd "$BATS_TEST_TMPDIR" || return
	cp --sparse=always "$BATS_FILE_TMPDIR/image" .
}

@test "gce: archives that are damaged come to nothing" {
	cp image disk.raw
	tar --format=oldgnu -cf disk.tar disk.raw
	gzip -c disk.tar >x.tar.gz
	head -c 500000 x.tar.gz >short.tar.gz
	refuses "ends inside" open short.tar.gz never
	refuses "ends inside" verify short.tar.gz
	cp x.tar.gz flipped.tar.gz
	printf 'XXXX' | dd of=flipped.tar.gz bs=1 seek=600000 conv=notrunc status=none
	refuses "gzip" open flipped.tar.gz never
	tar --format=oldgnu -rf disk.tar image
	gzip -c disk.tar >two.tar.gz
	refuses "second member" open two.tar.gz never
	mkdir link
	ln -s nothing link/disk.raw
	tar --format=oldgnu -C link -czf link.tar.gz disk.raw
	refuses "type '2' is no regular file" open link.tar.gz never
}

@test "gce: an archive that unfolds to far more than it holds is refused, unless allowed" {
	yes | head -c 80000000 >disk.raw
	tar --format=oldgnu -cf - disk.raw | gzip -9 >bomb.tar.gz
	rm disk.raw
	refuses "more than its size makes likely" open bomb.tar.gz never
	"$BUNDLE" open --max-output 100M bomb.tar.gz bomb.raw
	[ "$(stat -c %s bomb.raw)" = 80000000 ]
	rm bomb.raw
}

@test "dense archives and dense files give the same disk" {
	"$BUNDLE" create --for gce --dense image dense.tar.gz
	tar -xzf dense.tar.gz
	cmp -n 4194304 image disk.raw
	"$BUNDLE" open dense.tar.gz dense.raw
	cmp disk.raw dense.raw
	[ "$(stat -c %b dense.raw)" -le 8000 ]
	rm disk.raw dense.raw
}

@test "images are opened like what is packed" {
	qemu-img convert -O qcow2 image x.qcow2
	"$BUNDLE" open x.qcow2 x.raw
	cmp image x.raw
	refuses "exists" open x.qcow2 x.raw
	"$BUNDLE" open -f x.qcow2 x.raw
	qemu-img create -q -f qcow2 -b "$PWD/image" -F raw over.qcow2
	refuses "over.qcow2" open over.qcow2 never
	refuses "nothing that is recognised" verify image
	refuses "'x.qcow2' has 1 disk" open --disk 2 x.qcow2 never
	refuses "signature not checked: there is none" open --require-signature x.qcow2 never
	refuses "signature not checked: there is none" verify --require-signature x.qcow2
	refuses "signature not checked: there is none" verify --cert key x.qcow2
}

@test "azure: what it would not take" {
	truncate -s 30000128 odd
	qemu-img convert -f raw -O vpc -o subformat=fixed,force_size=on odd odd.vhd
	refuses "no whole MiB" verify odd.vhd
	truncate -s 19M small
	qemu-img convert -f raw -O vpc -o subformat=fixed,force_size=on small small.vhd
	refuses "not 20 MiB" verify small.vhd
}

@test "gce: what GNU tar makes, with and without its blessing" {
	truncate -s 1G disk.raw
	dd if=image of=disk.raw conv=notrunc,sparse bs=4096 status=none
	tar --format=oldgnu -Sczf theirs.tar.gz disk.raw
	"$BUNDLE" verify theirs.tar.gz
	"$BUNDLE" open theirs.tar.gz theirs.raw
	cmp disk.raw theirs.raw
	truncate -s 5M disk.raw
	tar --format=oldgnu -Sczf odd.tar.gz disk.raw
	refuses "no whole GiB" verify odd.tar.gz
	tar --format=pax -czf pax.tar.gz ./disk.raw
	"$BUNDLE" open pax.tar.gz pax.raw
	cmp disk.raw pax.raw
	rm disk.raw
}
