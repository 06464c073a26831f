#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# bundle verify and bundle info.

bats_require_minimum_version 1.5.0
load common

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	make_image image
	keys
	"$MKBUNDLE" --image image --name disk --out b --keys keys --part-size 90000 \
		--kernel-id aki-12345678 --ramdisk-id ari-87654321 \
		--mapping ami=sda1,root=/dev/sda1 --product-code A1B2
}

setup() { cd "$BATS_FILE_TMPDIR" || return; }

m=b/disk.manifest.xml

@test "verify without a key checks signature and parts" {
	run "$BUNDLE" verify --cert keys/user.cert.pem $m
	[ "$status" = 0 ]
	has "$output" "signature: verified with 'keys/user.cert.pem'"
	has "$output" "every digest right"
	has "$output" "image:     not checked"
}

@test "verify takes a public key for a certificate" {
	openssl x509 -in keys/user.cert.pem -pubkey -noout >public.pem
	"$BUNDLE" verify --cert public.pem $m
}

@test "verify takes a certificate whose time is over" {
	openssl x509 -in keys/user.cert.pem -signkey keys/user.key.pem -days -1 -out old.pem 2>/dev/null
	run openssl x509 -in old.pem -checkend 0 -noout
	[ "$status" = 1 ]
	"$BUNDLE" verify --cert old.pem $m
}

@test "verify with a key checks everything down to the image" {
	run "$BUNDLE" verify -k keys/user.key.pem $m
	[ "$status" = 0 ]
	has "$output" "signature: verified with 'keys/user.key.pem'"
	has "$output" "image:     4194304 bytes, digest right"
}

@test "verify with neither warns" {
	run --separate-stderr "$BUNDLE" verify $m
	[ "$status" = 0 ]
	has "$stderr" "signature not checked"
	has "$output" "signature: not checked"
	refuses "signature not checked" verify --require-signature $m
}

@test "info shows the manifest" {
	run "$BUNDLE" info $m
	[ "$status" = 0 ]
	has "$output" "name:          disk"
	has "$output" "kernel:        aki-12345678"
	has "$output" "ami = sda1"
	has "$output" "'disk.part.00' to 'disk.part."
	has "$output" "encrypted for: user, ec2"
}

@test "info as JSON is what the manifest says" {
	"$BUNDLE" info -o json $m >info.json
	/usr/bin/python3 - $m <<-'END'
		import json, sys
		import xml.etree.ElementTree as ET
		j = json.load(open("info.json"))
		t = ET.parse(sys.argv[1]).getroot()
		image, machine = t.find("image"), t.find("machine_configuration")
		assert j["name"] == image.findtext("name")
		assert j["size"] == int(image.findtext("size"))
		assert j["bundled-size"] == int(image.findtext("bundled_size"))
		assert j["sha1"] == image.findtext("digest")
		assert j["kernel-id"] == machine.findtext("kernel_id")
		assert j["ramdisk-id"] == machine.findtext("ramdisk_id")
		assert j["product-codes"] == [e.text for e in machine.iter("product_code")]
		assert j["block-device-mapping"] == [
		    {"virtual": e.findtext("virtual"), "device": e.findtext("device")}
		    for e in machine.iter("mapping")]
		assert j["parts"] == [
		    {"filename": e.findtext("filename"), "sha1": e.findtext("digest")}
		    for e in sorted(image.iter("part"), key=lambda e: int(e.get("index")))]
		assert j["signed"] and j["encrypted-for"] == ["user", "ec2"]
		assert j["bundler"] == {"name": "ec2-ami-tools", "version": "1.5", "release": "3"}
	END
}

@test "a full standard output is an error" {
	run bash -c "\"\$0\" info $m >/dev/full" "$BUNDLE"
	[ "$status" = 1 ]
}

@test "help and version go to standard output" {
	for args in --help --version "open --help" "verify --help" "info --help" "help open"; do
		# shellcheck disable=SC2086
		run --separate-stderr "$BUNDLE" $args
		[ "$status" = 0 ]
		[ -n "$output" ]
		[ -z "$stderr" ]
	done
}
