#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A manifest for other kernels and keys; the parts stay as they are.
# shellcheck disable=SC2154 # run --separate-stderr sets stderr

bats_require_minimum_version 1.5.0
load common

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	make_image image
	keys
	"$MKBUNDLE" --image image --name disk --out b --keys keys --kernel-id aki-1 --ramdisk-id ari-1 \
		--mapping ami=sda1 --product-code CODE
	(mkdir o && cd o && keys)
	mv o/keys other
}

setup() { cd "$BATS_FILE_TMPDIR" || return; }

@test "new kernels and a new cloud's key; the user's own key still opens it" {
	sha1sum b/disk.part.* >before
	"$BUNDLE" migrate -k keys/user.key.pem --ec2cert other/ec2.cert.pem --kernel aki-2 --ramdisk '' \
		b/disk.manifest.xml b/new.manifest.xml
	sha1sum -c --quiet before
	"$BUNDLE" info -o json b/new.manifest.xml >json
	python3 -c 'import json
j = json.load(open("json"))
assert j["kernel-id"] == "aki-2" and j["ramdisk-id"] is None and j["product-codes"] == ["CODE"]
assert j["block-device-mapping"] == [{"virtual": "ami", "device": "sda1"}]'
	opens b/new.manifest.xml image
	rm -f out.raw
	"$BUNDLE" open -k other/ec2.key.pem --cert keys/user.cert.pem b/new.manifest.xml out.raw
	cmp image out.raw
	refuses "does not fit" open -k keys/ec2.key.pem --cert keys/user.cert.pem b/new.manifest.xml never
}

@test "another user, who signs himself" {
	"$BUNDLE" migrate -k keys/user.key.pem --cert other/user.cert.pem --signer other/user.key.pem \
		b/disk.manifest.xml b/theirs.manifest.xml
	rm -f out.raw
	"$BUNDLE" open -k other/user.key.pem --cert other/user.cert.pem b/theirs.manifest.xml out.raw
	cmp image out.raw
	refuses "" open -k keys/user.key.pem --cert keys/user.cert.pem b/theirs.manifest.xml never
}

@test "what is not the owner's is not migrated, and nothing is replaced unasked" {
	refuses "does not fit" migrate -k other/user.key.pem b/disk.manifest.xml never
	sed 's|<name>disk|<name>dusk|' b/disk.manifest.xml >b/changed.manifest.xml
	refuses "does not verify" migrate -k keys/user.key.pem b/changed.manifest.xml never
	refuses "exists" migrate -k keys/user.key.pem b/disk.manifest.xml b/disk.manifest.xml
	cp -r b c
	"$BUNDLE" migrate -f -k keys/user.key.pem --kernel aki-3 c/disk.manifest.xml c/disk.manifest.xml
	opens c/disk.manifest.xml image
}
