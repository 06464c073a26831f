#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Bundles of every kind that tools make come back as the images that they were made of.
# shellcheck disable=SC2154 # run --separate-stderr sets stderr

bats_require_minimum_version 1.5.0
load common

make() { # NAME OPTION...: a bundle of the image in the folder NAME
	local name=$1
	shift
	"$MKBUNDLE" --image image --name disk --out "$name" --keys keys "$@"
}

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	make_image image
	keys
	make plain
}

setup() { cd "$BATS_FILE_TMPDIR" || return; }

@test "a bundle becomes a raw image, holes kept" {
	opens plain/disk.manifest.xml image
	[ "$(stat -c %b out.raw)" -le "$(($(stat -c %b image) + 64))" ]
	[ "$(stat -c %a out.raw)" = "$(printf %o $((0666 & ~$(umask))))" ]
}

@test "a bundle becomes a qcow2 image, compressed if asked" {
	"$BUNDLE" open -k keys/user.key.pem -O qcow2 plain/disk.manifest.xml out.qcow2
	"$BUNDLE" open -k keys/user.key.pem -O qcow2 -c plain/disk.manifest.xml outc.qcow2
	for f in out.qcow2 outc.qcow2; do
		qemu-img check "$f"
		qemu-img compare -f raw -F qcow2 image "$f"
	done
	[ "$(stat -c %s outc.qcow2)" -lt "$(stat -c %s out.qcow2)" ]
	"$BUNDLE" open -f -k keys/user.key.pem -O qcow2 --options compression=zstd -c \
		plain/disk.manifest.xml outc.qcow2
	qemu-img info outc.qcow2 | grep -q 'compression type: zstd'
}

@test "the cloud's key opens it, too, but says nothing about the signature" {
	run --separate-stderr "$BUNDLE" open -k keys/ec2.key.pem plain/disk.manifest.xml by-ec2
	[ "$status" = 0 ]
	has "$stderr" "signature not checked"
	cmp image by-ec2
	refuses "signature not checked" open -k keys/ec2.key.pem --require-signature plain/disk.manifest.xml none
}

@test "an unsigned bundle opens with a warning, unless a signature is required" {
	make unsigned --unsigned --style euca2ools
	run --separate-stderr "$BUNDLE" open -k keys/user.key.pem unsigned/disk.manifest.xml un.raw
	[ "$status" = 0 ]
	has "$stderr" "warning: "
	has "$stderr" "not signed"
	cmp image un.raw
	refuses "not signed" open -k keys/user.key.pem --require-signature unsigned/disk.manifest.xml none
	refuses "not signed" open -k keys/user.key.pem --cert keys/user.cert.pem unsigned/disk.manifest.xml none
}

@test "keys come from the environment, too" {
	EC2_PRIVATE_KEY=keys/user.key.pem EC2_CERT=keys/user.cert.pem \
		"$BUNDLE" open --require-signature plain/disk.manifest.xml env.raw
	cmp image env.raw
}

@test "a member's name is not followed, however it reads" {
	tar --format=gnu --transform 's|.*|../../../escape|' -P -cf - image | pack_tar named 4194304
	opens named/p.manifest.xml image
	[ ! -e ../escape ]
	[ ! -e ../../escape ]
	[ ! -e ../../../escape ]
	tar --format=gnu --transform "s|.*|$(printf 'n%.0s' $(seq 200))|" -cf - image | pack_tar longname 4194304
	opens longname/p.manifest.xml image
}

@test "--force replaces a file, and only when all went well" {
	cp -r plain forced
	echo old >target
	"$BUNDLE" open -f -k keys/user.key.pem forced/disk.manifest.xml target
	cmp image target
	echo old >target
	printf x >>forced/disk.part.0
	refuses "bundled size" open -f -k keys/user.key.pem forced/disk.manifest.xml target
	[ "$(cat target)" = old ]
}
