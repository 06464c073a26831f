#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Bundles of every kind that tools make come back as the images that they were made of.
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

@test "a bundle becomes a raw image, holes kept" {
	make plain
	opens plain/disk.manifest.xml image
	[ "$(stat -c %b out.raw)" -le "$(($(stat -c %b image) + 64))" ]
	[ "$(stat -c %a out.raw)" = "$(printf %o $((0666 & ~$(umask))))" ]
}

@test "a bundle becomes a qcow2 image, compressed if asked" {
	make toqcow
	"$BUNDLE" open -k keys/user.key.pem -O qcow2 toqcow/disk.manifest.xml out.qcow2
	"$BUNDLE" open -k keys/user.key.pem -O qcow2 -c toqcow/disk.manifest.xml outc.qcow2
	for f in out.qcow2 outc.qcow2; do
		qemu-img check "$f"
		qemu-img compare -f raw -F qcow2 image "$f"
	done
	[ "$(stat -c %s outc.qcow2)" -lt "$(stat -c %s out.qcow2)" ]
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

@test "the cloud's key opens it, too, but says nothing about the signature" {
	make cloud
	run --separate-stderr "$BUNDLE" open -k keys/ec2.key.pem cloud/disk.manifest.xml by-ec2
	[ "$status" = 0 ]
	has "$stderr" "signature not checked"
	cmp image by-ec2
	refuses "signature not checked" open -k keys/ec2.key.pem --require-signature cloud/disk.manifest.xml none
}

@test "an unsigned bundle opens with a warning, unless a signature is required" {
	make unsigned --unsigned --style euca2ools
	run --separate-stderr "$BUNDLE" open -k keys/user.key.pem unsigned/disk.manifest.xml un.raw
	[ "$status" = 0 ]
	has "$stderr" "warning: " && has "$stderr" "not signed"
	cmp image un.raw
	refuses "not signed" open -k keys/user.key.pem --require-signature unsigned/disk.manifest.xml none
	refuses "not signed" open -k keys/user.key.pem --cert keys/user.cert.pem unsigned/disk.manifest.xml none
}

@test "keys come from the environment, too" {
	make env
	EC2_PRIVATE_KEY=keys/user.key.pem EC2_CERT=keys/user.cert.pem \
		"$BUNDLE" open --require-signature env/disk.manifest.xml env.raw
	cmp image env.raw
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

@test "a member's name is not followed, however it reads" {
	tar --format=gnu --transform 's|.*|../../../escape|' -P -cf - image | pack_tar named 4194304
	opens named/p.manifest.xml image
	[ ! -e ../escape ] && [ ! -e ../../escape ] && [ ! -e ../../../escape ]
	tar --format=gnu --transform "s|.*|$(printf 'n%.0s' $(seq 200))|" -cf - image | pack_tar longname 4194304
	opens longname/p.manifest.xml image
}

@test "what is unsigned in a manifest may change" {
	make tail
	sed -i 's|<bundler><name>[^<]*|<bundler><name>somebody|; s|</machine_configuration><image>|</machine_configuration>\n<image>|' \
		tail/disk.manifest.xml
	opens tail/disk.manifest.xml image
}

@test "--force replaces a file, and only when all went well" {
	make forced
	echo old >target
	"$BUNDLE" open -f -k keys/user.key.pem forced/disk.manifest.xml target
	cmp image target
	echo old >target
	printf x >>forced/disk.part.0
	refuses "bundled size" open -f -k keys/user.key.pem forced/disk.manifest.xml target
	[ "$(cat target)" = old ]
}
