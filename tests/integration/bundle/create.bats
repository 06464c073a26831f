#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Bundles for EC2 that we make are read by openssl, gzip, GNU tar and Python's tarfile; and are what
# was asked for.
# shellcheck disable=SC2154 # run --separate-stderr sets stderr

bats_require_minimum_version 1.5.0
load common

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	make_image image
	keys
}

setup() { cd "$BATS_FILE_TMPDIR" || return; }

@test "what openssl, gzip and tar make of it is the image, holes kept" {
	create -p disk --ec2cert keys/ec2.cert.pem image plain
	unpack plain
	cmp image disk
	[ "$(stat -c %b disk)" -le 5000 ]
	opens plain/disk.manifest.xml image
	"$BUNDLE" open -k keys/ec2.key.pem --cert keys/user.cert.pem plain/disk.manifest.xml by-ec2
	cmp image by-ec2
}

@test "the signature is one over the two elements as they stand" {
	create -p disk image signed
	{ slice machine_configuration signed/disk.manifest.xml; slice image signed/disk.manifest.xml; } | tr -d '\n' >covered
	sed -E 's|.*<signature>([0-9a-f]*).*|\1|' signed/disk.manifest.xml | tail -n 1 | unhex >sig
	openssl x509 -in keys/user.cert.pem -noout -pubkey >pub
	openssl dgst -sha1 -verify pub -signature sig covered
}

@test "what is known of the machine is in the manifest" {
	create -p disk -r i386 --kernel aki-1 --ramdisk ari-2 -B root=/dev/sda1,ami=sda1 -B ephemeral0=sdb \
		--productcodes A1,B2 image meta
	"$BUNDLE" info -o json meta/disk.manifest.xml >json
	python3 -c 'import json
j = json.load(open("json"))
assert j["architecture"] == "i386" and j["kernel-id"] == "aki-1" and j["ramdisk-id"] == "ari-2"
assert j["product-codes"] == ["A1", "B2"]
assert [(m["virtual"], m["device"]) for m in j["block-device-mapping"]] == \
    [("ami", "sda1"), ("ephemeral0", "sdb"), ("root", "/dev/sda1")]
assert j["user"] == "123456789012" and j["signed"] and j["encrypted-for"] == ["user"]'
	run "$BUNDLE" create --for ec2 -u 1234-5678-9012 --cert keys/user.cert.pem --type kernel --kernel-name 'a & b' -p disk image kernel
	[ "$status" = 0 ]
	grep -q '<user>123456789012</user><type>kernel</type><kernel_name>a &amp; b</kernel_name>' kernel/disk.manifest.xml
	rm -f out.raw
	"$BUNDLE" open -k keys/user.key.pem --ignore-signature kernel/disk.manifest.xml out.raw
	cmp image out.raw
}
