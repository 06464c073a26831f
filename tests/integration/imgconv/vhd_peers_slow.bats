#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# imgconv and VHD: qemu-img, 7-Zip and libvhdi as the other side; crafted images.

bats_require_minimum_version 1.5.0
load common
load vhd

@test "what imgconv writes others read, to the byte" {
	others_read vhd dynamic fixed
}

@test "sizes from a sector on, exactly" {
	any_size vhd 2097664 same_vpc dynamic fixed
}

@test "a disk that is all zeros takes no block, and a full one all" {
	truncate -s 6M in.raw
	"$IMGCONV" convert -q -O vhd in.raw out.vhd
	[ "$(bytes out.vhd)" = 2560 ]
	same_vpc in.raw out.vhd
	openssl enc -aes-128-ctr -K 0 -iv 0 -in in.raw 2>/dev/null >in.full
	"$IMGCONV" convert -q -O vhd in.full out2.vhd
	same_vhd in.full out2.vhd
	[ "$(bytes out2.vhd)" = $((4096 - 512 + 3 * (2097152 + 4096) - 4096 + 512 + 512)) ]
}

@test "what is zero in a block is a hole of the file" {
	truncate -s 8M in.raw
	for at in 100 5000000; do printf x | dd of=in.raw bs=1 seek=$at conv=notrunc status=none; done
	"$IMGCONV" convert -q -O vhd in.raw out.vhd
	[ "$(bytes out.vhd)" -gt 4194304 ]
	[ "$(stat -c %b out.vhd)" -le 64 ]
	same_vhd in.raw out.vhd
}

@test "images of qemu-img are read as it reads them" {
	for o in subformat=dynamic,force_size=on subformat=dynamic,force_size=off \
		subformat=fixed,force_size=on subformat=fixed,force_size=off; do
		qemu-img convert -f raw -O vpc -o $o disk.raw in.vhd
		qemu-img convert -f vpc -O raw in.vhd in.raw
		"$IMGCONV" convert -q -O raw in.vhd out.raw
		cmp in.raw out.raw
		"$IMGCONV" convert -q -O raw - out.raw --force <in.vhd
		cmp in.raw out.raw
		rm in.* out.*
	done
}

@test "both sizes are told where they differ" {
	craft creator in.vhd vpc 100 16 63 67108864
	[ "$(fact '."format-specific" | [."current-size", ."geometry-size"] | @csv' in.vhd)" = 67108864,51609600 ]
	"$IMGCONV" info in.vhd | grep "warning: *the disk has the 51609600 bytes of its geometry"
	craft creator in.vhd vbox 100 16 63 67108864
	[ "$(fact '."virtual-size"' in.vhd)" = 67108864 ]
	"$IMGCONV" info in.vhd | grep "programs that go by the geometry see 51609600"
}

@test "geometry=chs makes the size that Virtual PC can say, with a word" {
	qemu-img create -q -f vpc in.vhd 9M
	run --separate-stderr "$IMGCONV" convert -O vhd -o geometry=chs disk.raw out.vhd
	[ "$status" = 0 ]
	# shellcheck disable=SC2154 # run sets it
	[[ $stderr == *"has 9469952: zeros are added" ]]
	[ "$(virtual_size vhd out.vhd)" = "$(virtual_size vhd in.vhd)" ]
	qemu-img compare -q -f raw -F vpc disk.raw out.vhd
	# Header fields as those of qemu-img, but for creator, time stamp, UUID and checksum.
	cmp <(dd if=in.vhd bs=1 skip=40 count=24 status=none) <(dd if=out.vhd bs=1 skip=40 count=24 status=none)
}

@test "azure=on makes whole MiB, fixed, and knows the bounds" {
	make_disk in.raw $((20 * 1048576 + 512))
	run --separate-stderr "$IMGCONV" convert -O vhd -o azure=on in.raw out.vhd
	[ "$status" = 0 ]
	[[ $stderr == *"has 22020096: zeros are added" ]]
	[ "$(bytes out.vhd)" = $((21 * 1048576 + 512)) ]
	[ "$(fact '."virtual-size"' out.vhd)" = 22020096 ]
	qemu-img compare -q -f raw -F vpc in.raw out.vhd
	fails "Azure takes disks from 20 MiB to 32 TiB" convert -O vhd -o azure=on disk.raw out2.vhd
	fails "fixed images only" convert -O vhd -o azure=on,subformat=dynamic in.raw out2.vhd
	fails "whole MiB only" convert -O vhd -o azure=on,geometry=chs in.raw out2.vhd
	truncate -s $((32 << 40)) in.big
	"$IMGCONV" convert -q -O vhd -o azure=on in.big out.big
	[ "$(fact '."virtual-size"' out.big)" = $((32 << 40)) ]
	truncate -s +1M in.big
	fails "bytes are more than a vhd image holds" convert -O vhd -o azure=on in.big out2.vhd
	truncate -s $((2040 << 30)) in.big
	"$IMGCONV" convert -q --force -O vhd -o subformat=fixed in.big out.big
	truncate -s +512 in.big
	fails "more than the 2040 GiB" convert -O vhd -o subformat=fixed in.big out2.vhd
	fails "more than the 2040 GiB" convert -O vhd in.big out2.vhd
}

@test "a fixed one goes through a pipe, a dynamic one says why not" {
	"$IMGCONV" convert -q -O vhd -o subformat=fixed disk.raw out.vhd
	"$IMGCONV" convert -q -O vhd -o subformat=fixed disk.raw - | cmp - out.vhd
	run "$IMGCONV" convert -O vhd disk.raw - >/dev/null
	[ "$status" = 2 ]
	[[ $output == *"the table at the beginning of a dynamic VHD is known only at the end"* ]]
}

@test "the same disk gives the same bytes; the UUID follows from it, or is given" {
	same_bytes vhd dynamic fixed
	uuid=01234567-89ab-cdef-0123-456789abcdef
	"$IMGCONV" convert -q -O vhd -o uuid=$uuid disk.raw out.vhd
	[ "$(fact '."format-specific".uuid' out.vhd)" = $uuid ]
	vhdiinfo out.vhd | grep "Identifier.*$uuid"
	for u in 0123 ${uuid}0 ${uuid/-/0} ${uuid/f/g} 00000000-0000-0000-0000-000000000000; do
		fails "uuid: " convert -O vhd -o uuid=$u disk.raw out2.vhd
	done
}

@test "the bits of the sector bitmaps count" {
	# libvhdi reads bits that come in eights.
	for block in 512 2097152; do
		craft bitmaps in.vhd in.raw $block 1
		"$IMGCONV" convert -q -O raw in.vhd out.raw
		cmp in.raw out.raw
		rm out.raw
	done
	craft bitmaps in.vhd in.raw 2097152 8
	/usr/bin/python3 "$HERE/craft_vhd" libvhdi in.vhd | cmp in.raw -
	"$IMGCONV" compare -q -s in.raw in.vhd
}

@test "a differencing image is read with the parent that is named, and no other" {
	craft parent in.parent.vhd in.parent.raw 8
	craft child in.vhd in.raw 5244416 8
	"$IMGCONV" convert -q --parent in.parent.vhd -O raw in.vhd out.raw
	cmp in.raw out.raw
	/usr/bin/python3 "$HERE/craft_vhd" libvhdi in.vhd in.parent.vhd | cmp in.raw -
	rm out.raw
	fails "it needs its parent, of UUID 10111213-1415-1617-1819-1a1b1c1d1e1f" convert -O raw in.vhd out.raw
	fails "parent: 'in.vhd': it is a differencing image" convert --parent in.vhd -O raw in.vhd out.raw
	fails "there is no VHD footer" convert --parent in.parent.raw -O raw in.vhd out.raw
	fails "No such file" convert --parent nothing -O raw in.vhd out.raw
	"$IMGCONV" convert -q -O vhd in.parent.raw out.vhd
	fails "is not its parent: the UUID is" convert --parent out.vhd -O raw in.vhd out.raw
	# A parent that nothing asks for is a mistake, not a word that is passed over.
	fails "it is not a differencing image" convert --parent in.parent.vhd -O raw out.vhd out.raw
	fails "raw images have no parent" convert --parent in.parent.vhd -f raw -O raw in.raw out.raw
	"$IMGCONV" compare -s --parent in.parent.vhd in.vhd in.raw
}

@test "info tells of a parent without opening anything" {
	craft child in.vhd in.raw 5244416 1
	ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 strace -f -e trace=open,openat,openat2 -o trace "$IMGCONV" info in.vhd >out
	run ! grep -e hostname -e parent trace
	rm trace
	grep '^subformat: *differencing' out
	grep '^parent uuid: *10111213-1415' out
	# shellcheck disable=SC1003
	grep -F 'C:\\parent €💾.vhd' out
	vhdiinfo in.vhd | grep -F 'C:\parent €💾.vhd'
}

@test "crafted images are refused, each with its line; info shows them nevertheless" {
	crafted_are_refused vhd 40
	jq -e 'any(.warnings | any(contains("differ in the current size")))' out
	jq -e 'any(.warnings | any(contains("cut off")))' out
	run "$IMGCONV" check -f vhd crafted/other_size.vhd
	[ "$status" = 3 ]
	[[ $output == *"error at 0x100c30: the footer and its copy at the beginning differ in the current size"* ]]
}

@test "a fixed image is known by its tail, and raw is what is named raw" {
	"$IMGCONV" convert -q -O vhd -o subformat=fixed disk.raw out.vhd
	[ "$(fact .format out.vhd)" = vhd ]
	"$IMGCONV" convert -q -f raw -O raw out.vhd out.raw
	cmp out.vhd out.raw
	head -c -1 out.vhd >in.vhd
	printf '\1' >>in.vhd
	fails "wrong; to read it as a raw disk name the format raw" convert -O raw in.vhd out2.raw
	craft old in.vhd disk.raw
	"$IMGCONV" convert -q -O raw in.vhd out3.raw
	cmp disk.raw out3.raw
	# A guest that writes a footer at its disk's end makes it two things at once.
	{ qemu-img create -q -f qcow2 in.qcow2 1M && cat in.qcow2 && tail -c 512 out.vhd; } >in.both
	fails "looks like both qcow2 and vhd" convert -O raw in.both out2.raw
}

@test "2040 GiB of nothing take no time" {
	nothing_is_quick vhd 2040G
}
