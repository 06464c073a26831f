#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# OVA: all that packages can have, and all that they must not.
# shellcheck disable=SC2154 # run --separate-stderr sets stderr

bats_require_minimum_version 1.5.0
load common

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	make_image image
	keys
	qemu-img convert -O vmdk -o subformat=streamOptimized image disk.vmdk
	qemu-img convert -O qcow2 -c image disk.qcow2
	head -c 2097152 image >image2
}

setup() { cd "$BATS_FILE_TMPDIR" || return; }

mkova() { "$BATS_TEST_DIRNAME/mkova" "$@"; }

broken() { # HOW PATTERN [OPTION...]
	local how=$1 pattern=$2
	shift 2
	rm -f broken.ova
	mkova --out broken.ova --disk disk.vmdk --break "$how" "$@"
	refuses "$pattern" open broken.ova never
	refuses "$pattern" verify broken.ova
}

@test "several disks, each for itself or all into a folder" {
	"$BUNDLE" create --for ova -p two image image2 two.ova
	refuses "2 disks: choose one" open two.ova never
	"$BUNDLE" open --disk 2 two.ova second.raw
	cmp image2 second.raw
	mkdir all
	"$BUNDLE" open -O qcow2 two.ova all
	qemu-img compare -f raw -F qcow2 image all/two-disk1.qcow2
	qemu-img compare -f raw -F qcow2 image2 all/two-disk2.qcow2
	[ "$(find all -type f | wc -l)" = 2 ]
	refuses "has 2 disks" open --disk 3 two.ova never
	"$BUNDLE" verify two.ova
}

@test "a package as files of a folder" {
	mkova --out dir.ova --style vmware --disk disk.vmdk
	mkdir dir
	tar -xf dir.ova -C dir
	"$BUNDLE" verify dir/dir.ovf
	"$BUNDLE" open dir/dir.ovf dir.raw
	cmp image dir.raw
	mv dir/disk.vmdk dir/other
	refuses "disk.vmdk" open dir/dir.ovf never
	ln -s other dir/disk.vmdk
	refuses "symbolic link" open dir/dir.ovf never
}

@test "disks of other formats, compressed files, no manifest" {
	mkova --out qcow.ova --disk disk.qcow2
	"$BUNDLE" open qcow.ova qcow.raw
	cmp image qcow.raw
	"$BUNDLE" verify qcow.ova
	mkova --out gz.ova --disk disk.vmdk --gzip
	"$BUNDLE" open gz.ova gz.raw
	cmp image gz.raw
	mkova --out gzq.ova --disk disk.qcow2 --gzip
	"$BUNDLE" open gzq.ova gzq.raw
	cmp image gzq.raw
	mkova --out none.ova --disk disk.vmdk --no-manifest
	run --separate-stderr "$BUNDLE" open none.ova none.raw
	[ "$status" = 0 ]
	has "$stderr" "no manifest"
	cmp image none.raw
	[ "$(find . -maxdepth 1 -name '.*' -type f | wc -l)" = 0 ]
}

# scratches ARGUMENT...: how many files without a name that `bundle open` made, the output among them.
scratches() {
	strace -f -qq -e trace=openat -o trace "$BUNDLE" "$@" || return
	grep -c O_TMPFILE trace
}

@test "disks that are read back and forth are read inside of the archive" {
	local f
	qemu-img convert -O vmdk -o subformat=monolithicSparse image sparse.vmdk
	qemu-img convert -O vhdx image disk.vhdx
	qemu-img convert -O vpc -o force_size=on image disk.vhd
	qemu-img convert -O vpc -o force_size=on,subformat=fixed image fixed.vhd
	qemu-img convert -O vdi image disk.vdi
	cp image disk.raw
	for f in sparse.vmdk disk.qcow2 disk.vhd fixed.vhd disk.vdi disk.raw; do
		rm -f in.ova out.raw
		mkova --out in.ova --disk disk.vmdk --disk "$f"
		"$BUNDLE" open --disk 2 in.ova out.raw
		cmp image out.raw
		run "$BUNDLE" verify in.ova
		[ "$status" = 0 ]
		has "$output" "disk 2:    4194304 bytes, sound, digest right"
	done
	mkova --out in.ova --disk disk.vhdx
	refuses "vhdx" open in.ova never
	# nothing of the other disk comes out of one that is shorter than it says
	head -c 600000 sparse.vmdk >cut.vmdk
	mkova --out in.ova --disk cut.vmdk --disk image2
	refuses "cut.vmdk" open --disk 1 in.ova never
	refuses "cut.vmdk" verify in.ova
}

@test "no copy of them is made on the way" {
	strace -o trace -e trace=execve true 2>/dev/null || skip "strace may not trace here"
	[ "${MODE:-}" != asan ] || skip "a sanitizer and strace do not go together"
	mkova --out in.ova --disk disk.qcow2
	[ "$(scratches open --force in.ova out.raw)" = 1 ]
	# It is seen from what it is that it can be read front to back, not from what it is called.
	mkova --out in.ova --disk disk.vmdk --gzip --uri http://www.vmware.com/interfaces/specifications/vmdk.html
	[ "$(scratches open --force in.ova out.raw)" = 1 ]
	cmp image out.raw
	run "$BUNDLE" verify in.ova
	has "$output" "disk 1:    4194304 bytes, sound, digest right"
	mkova --out in.ova --disk disk.qcow2 --gzip
	[ "$(scratches open --force in.ova out.raw)" = 2 ]
}

@test "a signature is checked by the certificate that comes with it" {
	mkova --out signed.ova --disk disk.vmdk --sign keys/user.key.pem keys/user.cert.pem
	run "$BUNDLE" verify signed.ova
	[ "$status" = 0 ]
	has "$output" "verified"
	has "$output" "CN = user"
	broken signature "signature does not verify" --sign keys/user.key.pem keys/user.cert.pem
	broken none "signature does not verify" --sign keys/user.key.pem keys/ec2.cert.pem
	rm -f out.raw
	"$BUNDLE" open --ignore-signature broken.ova out.raw
	qemu-img compare -f raw -F raw image out.raw
}

@test "a signature can be required, and whose it is" {
	mkova --out signed.ova --disk disk.vmdk --sign keys/user.key.pem keys/user.cert.pem
	mkova --out bare.ova --disk disk.vmdk
	refuses "give the signer's certificate" verify --require-signature signed.ova
	refuses "give the signer's certificate" open --require-signature signed.ova never
	refuses "another key signed it" verify --cert keys/ec2.cert.pem signed.ova
	refuses "another key signed it" open --cert keys/ec2.cert.pem signed.ova never
	refuses "there is none" verify --require-signature bare.ova
	refuses "there is none" open --require-signature bare.ova never
	refuses "there is none" verify --cert keys/user.cert.pem bare.ova
	run "$BUNDLE" verify --require-signature --cert keys/user.cert.pem signed.ova
	[ "$status" = 0 ]
	has "$output" "verified with 'keys/user.cert.pem'"
	# the environment's certificate is EC2's
	EC2_CERT=keys/ec2.cert.pem "$BUNDLE" verify signed.ova
	# of another kind than RSA
	openssl ecparam -name prime256v1 -genkey -noout -out curve.key.pem
	openssl req -x509 -new -key curve.key.pem -subj /CN=curve -days 1 -out curve.cert.pem
	"$BUNDLE" create --for ova --key curve.key.pem --cert curve.cert.pem image curve.ova
	"$BUNDLE" verify --cert curve.cert.pem curve.ova
	refuses "another key signed it" verify --cert keys/user.cert.pem curve.ova
}

@test "a file that is missing is found wrong" {
	mkova --out bare.ova --disk disk.vmdk
	mkdir apart
	tar -xf bare.ova -C apart
	rm apart/disk.vmdk
	run "$BUNDLE" verify apart/*.ovf
	[ "$status" = 3 ]
	has "$output" "disk.vmdk"
}

@test "a package is signed by a key and carries its certificate, as openssl has it" {
	local kind
	openssl ecparam -name prime256v1 -genkey -noout -out ec.key.pem
	openssl req -x509 -new -key ec.key.pem -subj /CN=elliptic -days 1 -out ec.cert.pem
	cat keys/user.key.pem keys/user.cert.pem >both.pem
	for kind in "keys/user.key.pem both.pem user" "ec.key.pem ec.cert.pem elliptic"; do
		# shellcheck disable=SC2086
		set -- $kind
		rm -rf own.ova own
		EC2_PRIVATE_KEY=/nonexistent "$BUNDLE" create --for ova --key "$1" --cert "$2" image own.ova
		mkdir own
		tar -xf own.ova -C own
		[ "$(tar -tf own.ova | tr '\n' ' ')" = "own.ovf own-disk1.vmdk own.mf own.cert " ]
		(cd own && sed 's/SHA256(\(.*\))= \(.*\)/\2  \1/' own.mf | sha256sum -c --quiet)
		# nothing but the certificate, whatever its file holds
		[ "$(grep -c -- -----BEGIN own/own.cert)" = 1 ]
		openssl x509 -in own/own.cert -pubkey -noout >pub
		sed -n '1s/SHA256(own.mf)= //p' own/own.cert | tr -d '\n' | tr a-f A-F | basenc --base16 -d >sig
		openssl dgst -sha256 -verify pub -signature sig own/own.mf
		run "$BUNDLE" verify own.ova
		[ "$status" = 0 ]
		has "$output" "CN = $3"
		rm -f out.raw
		"$BUNDLE" open own.ova out.raw
		cmp image out.raw
	done
	# the environment's keys are EC2's
	rm own.ova
	EC2_PRIVATE_KEY=keys/user.key.pem EC2_CERT=keys/user.cert.pem "$BUNDLE" create --for ova image own.ova
	[ "$(tar -tf own.ova | tail -n 1)" = own.mf ]
	rm own.ova
	refuses "needs both" create --for ova --key ec.key.pem image own.ova
	refuses "is not that of the certificate" create --for ova --key ec.key.pem --cert both.pem image own.ova
	refuses "holds no private key" create --for ova --key ec.cert.pem --cert ec.cert.pem image own.ova
	refuses "holds no certificate" create --for ova --key ec.key.pem --cert ec.key.pem image own.ova
	[ ! -e own.ova ]
}

@test "what contradicts itself is refused" {
	broken digest "the manifest says"
	broken ovf-digest "the manifest says"
	broken unlisted "does not name 'disk.vmdk'"
	broken line "no line of the form"
	broken size "the descriptor says"
	broken capacity "the descriptor says"
	broken reference "no file of the References"
	broken missing "is missing"
	broken parent "only the changes"
	broken short "past the end"
}

@test "a descriptor cannot unfold to more than it holds" {
	# A class that would stand in front of each key.
	python3 -c 'print("<Envelope><VirtualSystem><ProductSection class=\"" + "c" * 400000 + "\">" +
	    "<Property key=\"k\"/>" * 30000 + "</ProductSection></VirtualSystem></Envelope>")' >long.ovf
	refuses "more than 255 bytes" info long.ovf
}

@test "what could lead elsewhere is refused" {
	broken path "no plain file name"
	broken absolute "no plain file name"
	broken link "member of type '2'"
	broken twice "there twice"
	broken doctype ""
}

@test "a descriptor that is not the first file is read, but not as it should be" {
	rm -f broken.ova
	mkova --out broken.ova --disk disk.vmdk --break order
	"$BUNDLE" open broken.ova order.raw
	cmp image order.raw
	refuses "not the first file" verify broken.ova
}

@test "any image goes in; the same image gives the same archive" {
	qemu-img convert -O vhdx image image.vhdx
	"$BUNDLE" create --for ova -p web disk.qcow2 a.ova
	"$BUNDLE" create --for ova -p web -j 1 image b.ova
	cmp a.ova b.ova
	refuses "" create --for ova -p web image.vhdx never.ova
	refuses "KEY=VALUE" create --for ova -p web --property x image never.ova
	refuses "exists" create --for ova -p web image b.ova
}

@test "any image comes out, with the options of its format" {
	"$BUNDLE" create --for ova image opts.ova
	for o in "vmdk subformat=streamOptimized subformat" "vhd subformat=fixed subformat" \
		"qcow2 cluster_size=4096 cluster.size"; do
		# shellcheck disable=SC2086
		set -- $o
		rm -f out.img
		"$BUNDLE" open -O "$1" --options "$2" opts.ova out.img
		"${BUNDLE%/*}/imgconv" compare image out.img
		"${BUNDLE%/*}/imgconv" info out.img | grep -q "^$3: *${2#*=}"
	done
	run "$BUNDLE" open --options nonsense=1 opts.ova never
	[ "$status" = 2 ]
}

@test "an image of several files comes out whole, or not at all" {
	"$BUNDLE" create --for ova image several.ova
	mkdir out
	for type in monolithicFlat twoGbMaxExtentFlat twoGbMaxExtentSparse; do
		"$BUNDLE" open -O vmdk --options subformat=$type several.ova out/x.vmdk
		[ "$(find out -type f | wc -l)" = 2 ]
		qemu-img compare -f raw -F vmdk image out/x.vmdk
		refuses "exists" open -O vmdk --options subformat=$type several.ova out/x.vmdk
		# Extents alone are in the way as well.
		mv out/x.vmdk x.vmdk
		refuses "'out/x-.*vmdk' exists" open -O vmdk --options subformat=$type several.ova out/x.vmdk
		"$BUNDLE" open -f -O vmdk --options subformat=$type several.ova out/x.vmdk
		cmp x.vmdk out/x.vmdk
		rm out/*
	done
	# Into a folder, and out of the other kinds of delivery.
	"$BUNDLE" open -O vmdk --options subformat=twoGbMaxExtentSparse several.ova out
	qemu-img compare -f raw -F vmdk image out/several-disk1.vmdk
	rm out/*
	"$BUNDLE" create --for gce image several.tar.gz
	"$BUNDLE" open -O vmdk --options subformat=monolithicFlat several.tar.gz out/y.vmdk
	[ "$(qemu-img info --output=json out/y.vmdk | grep -c '"filename": "out/y-flat.vmdk"')" -gt 0 ]
	rm -r out
}

@test "an image may be standard input" {
	"$BUNDLE" create --for ova image named.ova
	"$BUNDLE" create --for ova -p named - stdin.ova <image
	cmp named.ova stdin.ova
}

@test "a size that is no whole sectors is rounded up" {
	head -c 100001 image >odd
	"$BUNDLE" create --for ova -p odd odd odd.ova
	"$BUNDLE" open odd.ova odd.raw
	[ "$(stat -c %s odd.raw)" = 100352 ]
	cmp -n 100001 odd odd.raw
}

@test "virt-v2v reads our descriptor and manifest" {
	command -v virt-v2v >/dev/null || skip "virt-v2v is not installed"
	"$BUNDLE" create --for ova -p web --cpus 2 --memory 3G image image2 v2v.ova
	LIBGUESTFS_BACKEND=direct virt-v2v -i ova v2v.ova --print-source -o null >said
	grep -q 'source name: web' said
	grep -q 'memory: 3221225472 ' said
	grep -q 'nr vCPUs: 2' said
	grep -q '1 \[scsi\]' said
	grep -q 'e1000' said
}
