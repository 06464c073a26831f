#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# VMDK, in and out, with qemu-img, 7-Zip and libvmdk as the other side.

bats_require_minimum_version 1.5.0
load common

SUBFORMATS="monolithicSparse streamOptimized monolithicFlat twoGbMaxExtentSparse twoGbMaxExtentFlat"

setup_file() {
	make_work
	make_disk disk.raw 3M
	# Its last grain is a part of one.
	truncate -s 3147264 disk.raw
	printf end | dd of=disk.raw bs=1 seek=3147261 conv=notrunc status=none
}

teardown_file() { remove_work; }

setup() {
	cd "$WORK" || return
	rm -rf out* in* sub
}

# reads_as RAW IMAGE: the guest's bytes of IMAGE, as read by imgconv, are those of RAW.
reads_as() {
	"$IMGCONV" convert -q --allow-extents -O raw "$2" "$2.raw"
	cmp "$1" "$2.raw"
	rm "$2.raw"
}

@test "others read every subformat that imgconv writes" {
	for s in $(few $SUBFORMATS); do
		"$IMGCONV" convert -q -O vmdk -o subformat=$s disk.raw out.vmdk
		qemu-img compare -q -f raw -F vmdk disk.raw out.vmdk
		7zz x -so out.vmdk 2>/dev/null | cmp - disk.raw
		vmdkinfo out.vmdk >facts
		grep -q "Media size:.*(3147264 bytes)" facts
		reads_as disk.raw out.vmdk
		rm out*
	done
}

@test "imgconv reads every subformat that qemu-img writes" {
	for s in $(few $SUBFORMATS); do
		qemu-img convert -f raw -O vmdk -o subformat=$s disk.raw in.vmdk
		reads_as disk.raw in.vmdk
		rm in*
	done
}

@test "a stream goes through pipes, ours and QEMU's" {
	"$IMGCONV" convert -q -c -O vmdk disk.raw out.vmdk
	"$IMGCONV" convert -q -c -O vmdk disk.raw - | cmp - out.vmdk
	"$IMGCONV" convert -q -O vmdk -o subformat=streamOptimized disk.raw - |
		"$IMGCONV" convert -q -f vmdk -O raw --digest sha256 - out.raw >digest
	cmp disk.raw out.raw
	[ "$(cat digest)" = "sha256:$(sha256sum <disk.raw | cut -d " " -f 1)" ]
	qemu-img convert -f raw -O vmdk -o subformat=streamOptimized disk.raw in.vmdk
	"$IMGCONV" convert -q -f vmdk -O raw - - <in.vmdk | cmp - disk.raw
	# shellcheck disable=SC2002 # a pipe is what is tested
	cat in.vmdk | "$IMGCONV" convert -q -f vmdk -O vmdk -c - - | cmp - out.vmdk
	rm digest
}

@test "what cannot be written to a pipe says why" {
	run "$IMGCONV" convert -O vmdk disk.raw -
	[ "$status" = 2 ]
	[[ $output == *"known only at the end"* ]]
	run "$IMGCONV" convert -O vmdk -o subformat=monolithicFlat disk.raw -
	[ "$status" = 2 ]
	[[ $output == *"consists of several files"* ]]
}

@test "a stream is as the specification has it" {
	"$IMGCONV" convert -q -c -O vmdk disk.raw out.vmdk
	/usr/bin/python3 - out.vmdk disk.raw <<-'PY'
		import struct, sys, zlib
		d = open(sys.argv[1], "rb").read()
		disk = open(sys.argv[2], "rb").read()
		def header(at):
		    return struct.unpack("<4sIIQQQQIQQQB4sH", d[at:at + 79])
		def marker(at):
		    assert not any(d[at + 16:at + 512])
		    return struct.unpack("<QII", d[at:at + 16])
		h = header(0)
		assert h == (b"KDMV", 3, 0x30001, len(disk) // 512, 128, 1, 20, 512, 0, 2**64 - 1, 128, 0,
		             b"\n \r\n", 1), h
		text = d[512:512 * 21].rstrip(b"\0").decode()
		for line in ("version=1", 'encoding="UTF-8"', "parentCID=ffffffff", 'createType="streamOptimized"',
		             'ddb.adapterType = "lsilogic"', 'ddb.virtualHWVersion = "4"',
		             'ddb.toolsVersion = "2147483647"', 'RW %d SPARSE "disk.vmdk"' % h[3]):
		    assert line in text.split("\n"), line
		cid = [l[4:] for l in text.split("\n") if l.startswith("CID=")][0]
		assert [l for l in text.split("\n") if "longContentID" in l][0].endswith(cid + '"')
		assert not any(d[512 + len(text):65536])
		at, table, seen, tables = 65536, [0] * 512, bytearray(len(disk)), {}
		while True:
		    val, size, kind = struct.unpack("<QII", d[at:at + 16])
		    if size:
		        z = d[at + 12:at + 12 + size]
		        grain = zlib.decompress(z)
		        assert len(grain) == 65536 and val % 128 == 0
		        assert not any(d[at + 12 + size:at + (12 + size + 511) // 512 * 512])
		        part = grain[:len(disk) - val * 512]
		        seen[val * 512:val * 512 + len(part)] = part
		        table[val // 128 % 512] = at // 512
		        now = val // 128 // 512
		        at += (12 + size + 511) // 512 * 512
		    elif kind == 1:
		        assert marker(at) == (4, 0, 1)
		        assert struct.unpack("<512I", d[at + 512:at + 2560]) == tuple(table)
		        tables[now], table = at // 512 + 1, [0] * 512
		        at += 2560
		    else:
		        break
		assert seen == disk
		gds = -(-len(disk) // (1 << 25))
		assert marker(at) == ((gds * 4 + 511) // 512, 0, 2)
		gd = at // 512 + 1
		assert struct.unpack("<%dI" % gds, d[gd * 512:gd * 512 + gds * 4]) == tuple(
		    tables.get(i, 0) for i in range(gds))
		at = gd * 512 + (gds * 4 + 511) // 512 * 512
		assert marker(at) == (1, 0, 3)
		f = header(at + 512)
		assert f[:9] == h[:9] and f[9] == gd and f[10:] == h[10:]
		assert marker(at + 1024) == (0, 0, 0) and len(d) == at + 1536
	PY
}

@test "sizes from a sector on, and noise" {
	for size in 512 66048; do
		make_disk in.raw $size
		for s in monolithicSparse streamOptimized; do
			"$IMGCONV" convert -q -O vmdk -o subformat=$s in.raw out.vmdk
			qemu-img compare -q -f raw -F vmdk in.raw out.vmdk
			reads_as in.raw out.vmdk
			rm out.vmdk
		done
	done
	truncate -s 0 in.raw
	fails "would be a disk of 0 bytes" convert -O vmdk in.raw out.vmdk
	openssl enc -aes-128-ctr -K 00 -iv 00 -in /dev/zero 2>/dev/null | head -c 1M >in.raw
	"$IMGCONV" convert -q -c -O vmdk in.raw out.vmdk
	[ "$(stat -c %s out.vmdk)" -lt $((1048576 + 100000)) ]
	7zz x -so out.vmdk 2>/dev/null | cmp - in.raw
	qemu-img compare -q -f raw -F vmdk in.raw out.vmdk
	reads_as in.raw out.vmdk
}

@test "the same input and options give the same bytes" {
	for s in monolithicSparse streamOptimized; do
		for j in 1 7; do
			"$IMGCONV" convert -q -j $j -O vmdk -o subformat=$s disk.raw out$j.vmdk
		done
		cmp out1.vmdk out7.vmdk
		rm out*
	done
	mkdir out1 out2
	for i in 1 2; do
		"$IMGCONV" convert -q -O vmdk -o subformat=twoGbMaxExtentSparse disk.raw out$i/a.vmdk
	done
	diff -r out1 out2
}

@test "options are in the descriptor" {
	"$IMGCONV" convert -q -O vmdk -o adapter_type=buslogic,hwversion=13 disk.raw out.vmdk
	"$IMGCONV" info -o json out.vmdk >facts
	jq -e '."format-specific" | ."adapter-type" == "buslogic" and .hwversion == "13"' facts
	head -c 11264 out.vmdk | grep -aqx 'ddb.geometry.heads = "255"'
	"$IMGCONV" convert -q --force -O vmdk disk.raw out.vmdk
	head -c 11264 out.vmdk | grep -aqx 'ddb.geometry.heads = "16"'
	rm facts
}

@test "info tells what qemu-img tells" {
	for s in monolithicSparse twoGbMaxExtentFlat; do
		qemu-img create -q -f vmdk -o subformat=$s in.vmdk 3G
		qemu-img info --output=json in.vmdk >q.json
		"$IMGCONV" info -o json in.vmdk >facts
		[ "$(jq '."virtual-size"' facts)" = 3221225472 ]
		[ "$(jq -r '."format-specific".subformat' facts)" = $s ]
		cid=$(jq '."format-specific".data.cid' q.json)
		[ "$(jq -r '."format-specific".cid' facts)" = "$(printf %08x "$cid")" ]
		case $s in
		*Flat | twoGb*)
			[ "$(jq -c '."format-specific".extents' facts)" = \
				"$(jq -c '[."format-specific".data.extents[].filename]' q.json)" ]
			jq -e '.warnings[] | contains("lie in other files")' facts
			;;
		esac
		rm in*
	done
	rm q.json facts
}

@test "extents are opened if allowed, below the image's folder, by plain names" {
	mkdir -p sub ../outside.$$
	qemu-img convert -f raw -O vmdk -o subformat=monolithicFlat disk.raw sub/in.vmdk
	fails "data lie in other files ('in-flat.vmdk'), which are not allowed" convert -O raw sub/in.vmdk out.raw
	"$IMGCONV" convert -q --allow-extents -O raw sub/in.vmdk out.raw
	cmp disk.raw out.raw
	rm out.raw
	# a leak checker traces, too, and cannot where strace does
	ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 strace -f -e trace=open,openat,openat2 -o trace "$IMGCONV" info sub/in.vmdk >out
	run ! grep in-flat trace
	grep "extents: *in-flat.vmdk" out
	rm trace out
	for name in $(few ../disk.raw "$PWD/sub/in-flat.vmdk" /etc/hostname sub/../in-flat.vmdk ./in-flat.vmdk . ..); do
		sed "s|in-flat.vmdk|$name|" sub/in.vmdk >sub/bad.vmdk
		fails "is not a plain file name" convert --allow-extents -O raw sub/bad.vmdk out.raw
	done
	ln -s ../disk.raw sub/link
	ln -s in-flat.vmdk sub/link2
	mkfifo sub/fifo
	for name in link link2; do
		sed "s|in-flat.vmdk|$name|" sub/in.vmdk >sub/bad.vmdk
		fails "is not below the image's folder" convert --allow-extents -O raw sub/bad.vmdk out.raw
	done
	sed "s|in-flat.vmdk|fifo|" sub/in.vmdk >sub/bad.vmdk
	fails "is not a regular file" convert --allow-extents -O raw sub/bad.vmdk out.raw
	sed "s|in-flat.vmdk|bad.vmdk|" sub/in.vmdk >sub/bad.vmdk
	fails "bad.vmdk" convert --allow-extents -O raw sub/bad.vmdk out.raw
	sed "s|in-flat.vmdk|nothing|" sub/in.vmdk >sub/bad.vmdk
	fails "opening 'nothing': No such file" convert --allow-extents -O raw sub/bad.vmdk out.raw
	truncate -s 3147263 sub/in-flat.vmdk
	fails "extent 'in-flat.vmdk': the file has 3147263 bytes" convert --allow-extents -O raw sub/in.vmdk out.raw
	fails "data lie in other files" convert --allow-backing -O raw sub/in.vmdk out.raw
	fails "has no path itself" convert --allow-extents -O raw - out.raw <sub/in.vmdk
	rmdir ../outside.$$
}

@test "an extent is not meant twice, and fits its descriptor" {
	qemu-img convert -f raw -O vmdk -o subformat=twoGbMaxExtentSparse disk.raw in.vmdk
	sed 's|^RW.*|&\n&|' in.vmdk >bad.vmdk
	fails "the extent 'in-s001.vmdk' is in use twice" convert --allow-extents -O raw bad.vmdk out.raw
	sed 's|^RW 6147|RW 6148|' in.vmdk >bad.vmdk
	fails "capacity is 6147 sectors, the descriptor's 6148" convert --allow-extents -O raw bad.vmdk out.raw
	fails "give the file of its descriptor" convert -O raw in-s001.vmdk out.raw
	truncate -s 4M in-flat
	for second in "in-flat\" 4095" "in-flat\" 100"; do
		printf '# Disk DescriptorFile\nversion=1\ncreateType="twoGbMaxExtentFlat"\nRW 4096 FLAT "in-flat" 0\nRW 4096 FLAT "%s\n' "$second" >bad.vmdk
		fails "is in use twice" convert --allow-extents -O raw bad.vmdk out.raw
	done
	make_disk in-flat 4M
	printf '# Disk DescriptorFile\nversion=1\ncreateType="twoGbMaxExtentFlat"\nRW 4096 FLAT "in-flat" 4096\nRW 100 ZERO\nRW 4096 FLAT "in-flat" 0\n' >in.vmdk
	"$IMGCONV" convert -q --allow-extents -O raw in.vmdk out.raw
	{
		tail -c 2M in-flat
		head -c 51200 /dev/zero
		head -c 2M in-flat
	} | cmp - out.raw
	rm bad.vmdk
}

@test "huge disks take no time and memory" {
	limit="prlimit --as=$((256 << 20)) --cpu=20"
	[ "${MODE:-}" != asan ] || limit=
	qemu-img create -q -f vmdk in.vmdk 8T
	for s in monolithicSparse streamOptimized; do
		# shellcheck disable=SC2086 # words are wanted
		$limit "$IMGCONV" convert -q --force -j 2 -O vmdk -o subformat=$s in.vmdk out.vmdk
	done
	# shellcheck disable=SC2086
	$limit "$IMGCONV" convert -q -j 2 -O raw out.vmdk out.raw
	[ "$(stat -c "%s %b" out.raw)" = "8796093022208 0" ]
}
