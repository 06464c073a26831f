#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Bundles of many parts and sparse archives come back as the images that they were made of.
# shellcheck disable=SC2154 # run --separate-stderr sets stderr

bats_require_minimum_version 1.5.0
load common

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	make_image image
	keys
}

setup() { cd "$BATS_FILE_TMPDIR" || return; }

make() { # NAME OPTION...: a bundle of the image in the folder NAME
	local name=$1
	shift
	"$MKBUNDLE" --image image --name disk --out "$name" --keys keys "$@"
}

@test "what the user allows to come out is all that does" {
	cd "$BATS_FILE_TMPDIR"
	make_image limited
	[ -e keys ] || keys
	"$MKBUNDLE" --image limited --name limited --out limited.d --keys keys
	refuses "over the limit" open --max-output 1M -k keys/user.key.pem limited.d/limited.manifest.xml never.raw
	"$BUNDLE" open --max-output 4M -k keys/user.key.pem limited.d/limited.manifest.xml limited.raw
	cmp limited limited.raw
}

@test "9, 10, 11 and 130 parts, named in each tool's way" {
	local n size
	make whole
	size=$(cat whole/disk.part.* | wc -c)
	for n in 9 10 11 130; do
		make "a$n" --part-size $(((size + n - 1) / n / 16 * 16 + 16))
		opens "a$n/disk.manifest.xml" image
	done
	make e130 --part-size $((size / 130)) --style euca2ools
	opens e130/disk.manifest.xml image
	[ -e a9/disk.part.8 ]
	[ ! -e a9/disk.part.9 ]
	[ -e a10/disk.part.00 ]
	[ -e a11/disk.part.10 ]
	[ -e e130/disk.part.00 ]
	[ -e e130/disk.part.100 ]
}

@test "sparse archives: old GNU and PAX 0.0, 0.1, 1.0, with few and with many holes" {
	local v i
	truncate -s 3M holes
	for i in $(seq 0 90); do
		printf 'island %d' "$i" | dd of=holes bs=1 seek=$((i * 32768)) conv=notrunc status=none
	done
	for i in image holes; do
		tar --format=gnu -S -cf - $i | pack_tar "gnu-$i" "$(stat -c %s $i)"
		opens "gnu-$i/p.manifest.xml" $i
		for v in 0.0 0.1 1.0; do
			tar --format=pax --sparse-version=$v -S -cf - $i | pack_tar "pax-$v-$i" "$(stat -c %s $i)"
			opens "pax-$v-$i/p.manifest.xml" $i
		done
	done
	# Extended headers were needed.
	[ "$(dd if=gnu-holes.tar bs=1 skip=482 count=1 status=none | od -An -tu1 | tr -d ' ')" = 1 ]
}

@test "an image that is no whole sectors keeps its size as raw and is rounded up as qcow2" {
	head -c 100001 image >odd
	"$MKBUNDLE" --image odd --name disk --out odd.d --keys keys
	opens odd.d/disk.manifest.xml odd
	"$BUNDLE" open -k keys/user.key.pem -O qcow2 odd.d/disk.manifest.xml odd.qcow2
	[ "$(qemu-img info --output=json odd.qcow2 | grep -o '"virtual-size": [0-9]*')" = '"virtual-size": 100352' ]
	qemu-img compare -f raw -F qcow2 odd odd.qcow2
}

@test "parts that are no multiple of the cipher's block" {
	make ragged --part-size 99991
	opens ragged/disk.manifest.xml image
}

@test "an empty last part" {
	local n
	tar -cf - image | pack_tar empty 4194304
	n=$(find empty -name 'p.part.*' | wc -l)
	: >empty/last
	sed -i "s|</parts>|<part index='$n'><filename>last</filename><digest algorithm='SHA1'>da39a3ee5e6b4b0d3255bfef95601890afd80709</digest></part></parts>|
		s|<parts count='$n'|<parts count='$((n + 1))'|" empty/p.manifest.xml
	sign empty/p.manifest.xml
	opens empty/p.manifest.xml image
}

@test "part elements out of order" {
	make order --part-size 500000
	sed -i -E "s|(<part index='0'>.*)(<part index='1'>.*)(<part index='2'>.*)</parts>|\3\2\1</parts>|" order/disk.manifest.xml
	sign order/disk.manifest.xml
	grep -q "<parts count='[0-9]*'><part index='2'>" order/disk.manifest.xml
	opens order/disk.manifest.xml image
}

@test "the manifest may come on standard input, the parts from another folder" {
	make split
	mkdir m
	mv split/disk.manifest.xml m/
	"$BUNDLE" open -k keys/user.key.pem -d split - stdin.raw <m/disk.manifest.xml
	cmp image stdin.raw
	refuses "m/disk.part.0" open -k keys/user.key.pem m/disk.manifest.xml none
}

@test "dense archives: old GNU, ustar and PAX, of tar and of other blocking" {
	local f
	for f in gnu ustar pax; do
		tar --format=$f --owner=root:0 --group=root:0 -cf - image | pack_tar "dense-$f" 4194304
		opens "dense-$f/p.manifest.xml" image
	done
	tar --format=gnu -b 2 -cf - image | pack_tar small-blocks 4194304
	opens small-blocks/p.manifest.xml image
	tar --format=gnu -b 500 -cf - image | pack_tar large-blocks 4194304
	opens large-blocks/p.manifest.xml image
}

@test "an image that is one hole" {
	truncate -s 1M void
	tar --format=gnu -S -cf - void | pack_tar void.d 1048576
	opens void.d/p.manifest.xml void
	[ "$(stat -c %b out.raw)" -le 8 ]
}

@test "an image over 8 GiB, its size in base 256" {
	truncate -s 9G large
	printf begin | dd of=large bs=4096 seek=10 conv=notrunc status=none
	printf end | dd of=large bs=4096 seek=2300000 conv=notrunc status=none
	"$MKBUNDLE" --image large --name disk --out large.d --keys keys
	opens large.d/disk.manifest.xml large
	[ "$(stat -c %b out.raw)" -le 64 ]
	rm large out.raw
}

@test "gzip of several members, and with a header that has all fields" {
	tar --format=gnu -cf whole.tar image
	split -b 1000000 -d whole.tar piece.
	for f in piece.*; do gzip -6 -c "$f"; done | pack members 4194304 "$(sha1sum <whole.tar | cut -c -40)"
	opens members/p.manifest.xml image
	if command -v pigz >/dev/null; then
		pigz -p 2 -b 128 -c whole.tar | pack pigz 4194304 "$(sha1sum <whole.tar | cut -c -40)"
		opens pigz/p.manifest.xml image
	fi
}

@test "what is unsigned in a manifest may change" {
	make tail
	sed -i 's|<bundler><name>[^<]*|<bundler><name>somebody|; s|</machine_configuration><image>|</machine_configuration>\n<image>|' \
		tail/disk.manifest.xml
	opens tail/disk.manifest.xml image
}
