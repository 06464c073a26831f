#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Bundles for EC2 that we make are read by openssl, gzip, GNU tar and Python's tarfile; and are what
# was asked for.
# shellcheck disable=SC2154 # run --separate-stderr sets stderr

bats_require_minimum_version 1.5.0
load common

KEY=00112233445566778899aabbccddeeff
IV=ffeeddccbbaa99887766554433221100

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	make_image image
	keys
}

setup() { cd "$BATS_FILE_TMPDIR" || return; }

@test "each part's digest is its SHA-1, and the sizes add up" {
	create -p disk --part-size 100000 image digests
	sed 's/<part /\n&/g' digests/disk.manifest.xml |
		sed -nE 's|.*<filename>([^<]*)</filename><digest algorithm="SHA1">([0-9a-f]{40})</digest>.*|\2  \1|p' >sums
	[ "$(grep -c . sums)" = "$(find digests -name '*.part.*' | wc -l)" ]
	(cd digests && sha1sum -c --quiet) <sums
	grep -q "<size>4194304</size><bundled_size>$(cat digests/*.part.* | wc -c)</bundled_size>" digests/disk.manifest.xml
	opens digests/disk.manifest.xml image
}

@test "dense archives, as euca2ools makes them" {
	create -p disk --dense image dense
	unpack dense
	cmp image disk
	[ "$(gzip -dc disk.tgz | head -c 157 | tail -c 1)" = 0 ]
	opens dense/disk.manifest.xml image
	# Header and all is what Python's tarfile writes.
	python3 - <<-'END'
		import hashlib, io, re, tarfile
		out = io.BytesIO()
		t = tarfile.open(fileobj=out, mode="w|", format=tarfile.GNU_FORMAT)
		info = tarfile.TarInfo("disk")
		info.size = 4194304
		t.addfile(info, open("image", "rb"))
		t.close()
		said = re.search(b'SHA1">([0-9a-f]{40})', open("dense/disk.manifest.xml", "rb").read()).group(1)
		assert hashlib.sha1(out.getvalue()).hexdigest().encode() == said
	END
}

@test "a given secret gives the same parts, however the image lies in its file, on any number of threads" {
	cp --sparse=never image full
	qemu-img convert -O qcow2 image image.qcow2
	create -p disk --enc-key $KEY --enc-iv $IV -j 1 image same1
	create -p disk --enc-key $KEY --enc-iv $IV -j 5 full same2
	create -p disk --enc-key $KEY --enc-iv $IV image.qcow2 same3
	create -p disk image other
	cmp same1/disk.part.00 same2/disk.part.00
	cmp same1/disk.part.00 same3/disk.part.00
	! cmp -s same1/disk.part.00 other/disk.part.00
}

@test "Python's tarfile, as a stream, reads the holes" {
	create -p disk --enc-key $KEY --enc-iv $IV image forpython
	openssl enc -d -aes-128-cbc -K $KEY -iv $IV -in forpython/disk.part.00 | gzip -dc >disk.tar
	python3 -c 'import tarfile
t = tarfile.open("disk.tar", "r|")
m = t.next()
assert (m.name, m.size) == ("disk", 4194304)
assert t.extractfile(m).read() == open("image", "rb").read()
assert t.next() is None'
}

@test "names of parts and form of the manifest are those of the tool that was asked for" {
	create -p disk --part-size 100000 --style amazon image amazon
	[ -e amazon/disk.part.00 ]
	[ -e amazon/disk.part.10 ]
	[ "$(head -c 31 amazon/disk.manifest.xml)" = "<?xml version='1.0'?><manifest>" ]
	grep -q "<parts count='11'>" amazon/disk.manifest.xml
	create -p disk --style amazon image amazon1
	[ -e amazon1/disk.part.0 ]
	create -p disk image euca
	[ -e euca/disk.part.00 ]
	grep -q '<parts count="1">' euca/disk.manifest.xml
	opens amazon/disk.manifest.xml image
}

@test "odd sizes, one hole, and no hole at all" {
	head -c 100001 image >odd
	create -p disk odd odd.d
	unpack odd.d
	cmp odd disk
	truncate -s 1M void
	create -p disk void void.d
	unpack void.d
	cmp void disk
	head -c 300000 /dev/urandom >noise
	create -p disk noise noise.d
	unpack noise.d
	cmp noise disk
}

@test "nothing is left behind where it fails" {
	refuses "12 digits" create --for ec2 -u 12 --cert keys/user.cert.pem image no
	refuses "account's number" create --for ec2 --cert keys/user.cert.pem image no
	refuses "for whom" create --for ec2 -u 123456789012 image no
	refuses "no certificate or public key" create --for ec2 -u 123456789012 --cert keys/said image no
	refuses "no private key" create --for ec2 -u 123456789012 --cert keys/user.cert.pem -k keys/user.cert.pem image no
	refuses "no plain file name" create --for ec2 -u 123456789012 --cert keys/user.cert.pem -p a/b image no
	refuses "16 to 33554432 bytes" create --for ec2 -u 123456789012 --cert keys/user.cert.pem --part-size 1 image no
	refuses "32 hex digits" create --for ec2 -u 123456789012 --cert keys/user.cert.pem --enc-key 0 --enc-iv 0 image no
	: >empty
	refuses "'empty' is empty" create --for ec2 -u 123456789012 --cert keys/user.cert.pem empty no
	mkdir -p there
	create -p disk image there
	refuses "exists" create --for ec2 -u 123456789012 --cert keys/user.cert.pem -p disk image there
	create -p disk --force image there
	run ! "$BUNDLE" create --for floppy image no
	run ! "$BUNDLE" create image no
}

@test "an image that names other files is refused" {
	qemu-img create -q -f qcow2 -b "$PWD/image" -F raw over.qcow2
	refuses "over.qcow2" create --for ec2 -u 123456789012 --cert keys/user.cert.pem over.qcow2 no
	qemu-img create -q -f qcow2 -b image -F raw under.qcow2
	create -p disk --allow-backing under.qcow2 under.d
	unpack under.d
	cmp image disk
}

@test "one gzip member, if that is wished" {
	create -p disk --one-member --enc-key $KEY --enc-iv $IV image one
	unpack one
	cmp image disk
	opens one/disk.manifest.xml image
	# zlib stops behind the first member.
	python3 -c 'import zlib
d = zlib.decompressobj(31)
d.decompress(open("disk.tgz", "rb").read())
assert d.eof and not d.unused_data'
	create -p disk image many
	unpack many
	python3 -c 'import zlib
d = zlib.decompressobj(31)
d.decompress(open("disk.tgz", "rb").read())
assert d.eof and d.unused_data'
}
