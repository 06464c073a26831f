#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Bad bundles: one line that says what and where, exit status 1, nothing left behind.
# shellcheck disable=SC2154 # run --separate-stderr sets stderr

bats_require_minimum_version 1.5.0
load common

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	make_image image
	keys
	"$MKBUNDLE" --image image --name disk --out good --keys keys --part-size 90000
}

# Each test has a copy of its own, without the keys' and the image's bytes copied.
setup() {
	cd "$BATS_TEST_TMPDIR" || return
	ln -s "$BATS_FILE_TMPDIR/keys" keys
	ln -s "$BATS_FILE_TMPDIR/image" image
	cp -r "$BATS_FILE_TMPDIR/good" b
}

m=b/disk.manifest.xml

@test "the wrong private key" {
	openssl genrsa -out other.pem 2048 2>/dev/null
	refuses "'$m': private key 'other.pem' does not fit" open -k other.pem $m never.raw
	refuses "private key 'other.pem' does not fit" verify -k other.pem $m
}

@test "a key file that holds no key, a certificate that is none, a key with a passphrase" {
	echo nonsense >no.pem
	refuses "'no.pem' holds no private key" open -k no.pem $m never.raw
	refuses "'keys/user.cert.pem' holds no private key" open -k keys/user.cert.pem $m never.raw
	refuses "'no.pem' holds no certificate or public key" verify --cert no.pem $m
	refuses "No such file" verify --cert missing.pem $m
	openssl rsa -in keys/user.key.pem -aes128 -passout pass:secret -out locked.pem 2>/dev/null
	refuses "'locked.pem' is protected by a passphrase" open -k locked.pem $m never.raw
	openssl ecparam -genkey -name prime256v1 -out ec.pem
	refuses "'ec.pem' is not an RSA key" open -k ec.pem $m never.raw
}

@test "a change in the signed part of the manifest" {
	local edit
	for edit in 's|<name>disk|<name>disc|' "s|index='0'|index=\"0\"|" 's|x86_64|i386|' 's|<user>1|<user>2|'; do
		cp good.xml $m 2>/dev/null || cp $m good.xml
		sed -i "$edit" $m
		refuses "signature does not verify with 'keys/user.cert.pem'" \
			open -k keys/user.key.pem --cert keys/user.cert.pem $m never.raw
		cannot_open "signature does not verify with 'keys/user.key.pem'" $m
		refuses "signature does not verify" verify --cert keys/user.cert.pem $m
	done
	"$BUNDLE" open --ignore-signature -k keys/user.key.pem $m ignored.raw
	cmp ignored.raw image
}

@test "another's certificate" {
	refuses "signature does not verify with 'keys/ec2.cert.pem'" \
		open -k keys/user.key.pem --cert keys/ec2.cert.pem $m never.raw
}

@test "a part that is missing, cut, changed or longer" {
	mv b/disk.part.02 x
	cannot_open "part 2 'disk.part.02': opening 'b/disk.part.02': No such file" $m
	refuses "part 2 'disk.part.02': opening" verify --cert keys/user.cert.pem $m
	run -3 "$BUNDLE" verify --cert keys/user.cert.pem $m
	run -3 "$BUNDLE" verify --cert keys/user.cert.pem -k keys/user.key.pem $m
	head -c 50000 x >b/disk.part.02
	cannot_open "part 2 'disk.part.02': SHA-1 of its 50000 bytes is [0-9a-f]{40}, the manifest says [0-9a-f]{40}" $m
	cp x b/disk.part.02
	printf tampered | dd of=b/disk.part.02 bs=1 seek=777 conv=notrunc status=none
	cannot_open "part 2 'disk.part.02': SHA-1 of its 90000 bytes" $m
	cp x b/disk.part.02
	printf '\0' >>b/disk.part.02
	cannot_open "part 2 'disk.part.02': SHA-1 of its 90001 bytes" $m
	: >b/disk.part.02
	cannot_open "part 2 'disk.part.02': SHA-1 of its 0 bytes" $m
}

@test "bytes behind the last part" {
	local last
	last=$(find b -name 'disk.part.*' | sort | tail -n 1)
	printf '%s' 0123456789abcdef >>"$last"
	cannot_open "parts exceed the manifest's bundled size" $m
}

@test "parts that changed places" {
	mv b/disk.part.01 x
	mv b/disk.part.03 b/disk.part.01
	mv x b/disk.part.03
	cannot_open "part 1 'disk.part.01': SHA-1" $m
	refuses "part 1 'disk.part.01': SHA-1" verify --cert keys/user.cert.pem $m
}

@test "a part that is a symbolic link, a folder or a FIFO" {
	mv b/disk.part.02 x
	ln -s ../x b/disk.part.02
	cannot_open "'b/disk.part.02' is a symbolic link" $m
	rm b/disk.part.02
	mkdir b/disk.part.02
	cannot_open "'b/disk.part.02' is no regular file" $m
	rmdir b/disk.part.02
	mkfifo b/disk.part.02
	cannot_open "'b/disk.part.02' is no regular file" $m
}

@test "indexes with a gap, twice, or not counted right" {
	sed -i "s|index='1'|index='99'|" $m
	cannot_open "b/disk.manifest.xml:1:[0-9]+: <part>: index 99 does not fit" $m
	sed -i "s|index='99'|index='0'|" $m
	cannot_open "index 0 stands twice" $m
	sed -i "s|index='0'><filename>disk.part.01|index='1'><filename>disk.part.01|; s|<parts count='|&1|" $m
	cannot_open "<parts>: count is 1[0-9]+ but [0-9]+ parts" $m
}

@test "names that lead elsewhere" {
	sed -i 's|disk.part.01|../image|' $m
	cannot_open "filename '../image' is no plain file name" $m
	sed -i 's|>../image<|>/etc/passwd<|' $m
	cannot_open "filename '/etc/passwd' is no plain file name" $m
	sed -i 's|>/etc/passwd<|>disk.part.01<|; s|<name>disk|<name>../disk|' $m
	cannot_open "<name>: '../disk' is no plain file name" $m
}

@test "a wrong size, bundled size, or digest, properly signed" {
	sed -i 's|<size>4194304|<size>4194303|' $m
	sign $m
	cannot_open "tar at 0x[0-9a-f]+: file has 4194304 bytes, not 4194303" $m
	sed -i 's|<size>4194303|<size>4194304|; s|<bundled_size>|&1|' $m
	sign $m
	cannot_open "parts hold [0-9]+ bytes, the manifest's bundled size is 1[0-9]+" $m
	sed -i -E "s|<bundled_size>1|<bundled_size>|; s|(<digest algorithm=.SHA1.>)[0-9a-f]{40}|\1$(printf '0%.0s' {1..40})|" $m
	sign $m
	cannot_open "SHA-1 of the tar stream is [0-9a-f]{40}, the manifest says 0000" $m
	refuses "SHA-1 of the tar stream" verify -k keys/user.key.pem $m
}

# From here on the bundles are whole, signed, and wrong inside.

tar_of() { tar --format=gnu --owner=root:0 --group=root:0 -cf t "$@" -h; }
sum() { sha1sum <t | cut -c -40; }

@test "a gzip stream that is changed, cut, or followed by something" {
	tar_of image
	gzip -1nc t >z
	(head -c -4 z; printf size) | pack crc 4194304 "$(sum)"
	cannot_open "gzip: member 1, near 0x[0-9a-f]+: checksum or length is wrong" crc/p.manifest.xml
	head -c -100 z | pack cut 4194304 "$(sum)"
	cannot_open "gzip: data ends inside of member 1" cut/p.manifest.xml
	(cat z; echo garbage) | pack trail 4194304 "$(sum)"
	cannot_open "gzip: bytes near 0x[0-9a-f]+ follow the end" trail/p.manifest.xml
	(head -c 5000 z; head -c 100 /dev/zero; tail -c +5101 z) | pack middle 4194304 "$(sum)"
	# What is inflated from there on is anything, until a stage notices.
	cannot_open "(gzip|tar at 0x[0-9a-f]+): " middle/p.manifest.xml
	printf '' | pack nothing 4194304 "$(sum)"
	cannot_open "gzip: there is no data" nothing/p.manifest.xml
	bzip2 -c t | pack bzip 4194304 "$(sum)"
	cannot_open "no gzip header" bzip/p.manifest.xml
}

@test "padding that is not PKCS#7" {
	tar_of image
	gzip -1nc t >z
	truncate -s %16 z
	NOPAD=1 pack nopad 4194304 "$(sum)" <z
	cannot_open "AES padding is wrong" nopad/p.manifest.xml
}

@test "an archive with a second member, a folder, a link, or nothing" {
	printf two >second
	tar_of image second
	pack_tar two 4194304 <t
	cannot_open "tar at 0x[0-9a-f]+: more than zeros follow the file: a second member" two/p.manifest.xml
	mkdir d
	tar_of d
	pack_tar folder 4194304 <t
	cannot_open "tar at 0x[0-9a-f]+: member of type '5' is no regular file" folder/p.manifest.xml
	ln -s nothing link
	tar --format=gnu -cf t link
	pack_tar link.d 4194304 <t
	cannot_open "member of type '2' is no regular file" link.d/p.manifest.xml
	tar --format=gnu -cf t -T /dev/null
	pack_tar nothing 4194304 <t
	cannot_open "archive ends without a file" nothing/p.manifest.xml
}

@test "an archive that is cut, changed, or no archive" {
	tar_of image
	head -c 3000000 t | pack_tar cut 4194304
	cannot_open "tar ends at 0x2dc6c0, in the file's data" cut/p.manifest.xml
	(printf '\1'; tail -c +2 t) | pack_tar changed 4194304
	cannot_open "tar at 0x[0-9a-f]+: header checksum is wrong" changed/p.manifest.xml
	pack_tar raw 4194304 <image
	cannot_open "tar at 0x[0-9a-f]+: " raw/p.manifest.xml
}

@test "a bundle that would unfold without end" {
	# 2 GiB of zeros behind the file, in 2 MB.
	tar_of image
	head -c 64M /dev/zero | gzip -1nc >zeros
	(gzip -1nc t; for _ in $(seq 32); do cat zeros; done) | pack bomb 4194304 "$(sum)"
	cannot_open "tar at 0x[0-9a-f]+: more than 1048576 zeros follow" bomb/p.manifest.xml
}

@test "a manifest that shows one image and signs another" {
	sed -i 's|<version>|<!-- <image></image> --><version>|' $m
	cannot_open "<image>: is not the first text" $m
}

@test "a manifest that is none" {
	echo 'not xml' >no.xml
	cannot_open "no.xml" no.xml
	echo '<html/>' >no.xml
	cannot_open "is not <manifest>" no.xml
	: >no.xml
	cannot_open "no.xml" no.xml
	cannot_open "missing.xml" missing.xml
	{ printf '<' && head -c 17000000 /dev/zero; } >no.xml
	cannot_open "no.xml" no.xml
	sed -i 's|2007-10-10|2010-01-01|' $m
	cannot_open "version '2010-01-01'" $m
}

@test "a target that exists, or cannot be made" {
	echo mine >there
	refuses "'there' exists; --force replaces it" open -k keys/user.key.pem $m there
	[ "$(cat there)" = mine ]
	mkfifo fifo
	refuses "'fifo' is no regular file: not replaced" open -f -k keys/user.key.pem $m fifo
	mkdir dir
	"$BUNDLE" open -k keys/user.key.pem $m dir
	[ "$(ls dir)" = disk.raw ]
	refuses "No such file" open -k keys/user.key.pem $m no/such/folder/out
}

@test "a disk that is full" {
	refuse_full() {
		run --separate-stderr bash -c "ulimit -f 512; exec \"\$0\" \"\$@\"" "$BUNDLE" open \
			-k keys/user.key.pem "$@" full.img
		echo "$stderr"
		[ "$status" = 1 ] && [ "${#stderr_lines[@]}" = 1 ] && has "$stderr" "File too large"
	}
	refuse_full $m
	refuse_full -O qcow2 $m
	[ -z "$(find . -name '*full*')" ]
}

@test "a signal in the middle" {
	local pid
	# 8 GiB that take seconds to write out, of 128 gzip members that are one: zeros after a header.
	truncate -s 8G zeros
	tar --format=gnu -cf - zeros | head -c 512 >head.tar || true
	head -c 64M /dev/zero | gzip -1nc >part
	(gzip -nc head.tar; for _ in $(seq 128); do cat part; done) | pack slow 8589934592 0000000000000000000000000000000000000000
	rm zeros
	for signal in INT TERM; do
		for _ in 1 2 3; do
			# A shell starts what runs behind it with SIGINT ignored.
			env --default-signal "$BUNDLE" open -k keys/user.key.pem slow/p.manifest.xml slow.raw 2>err &
			pid=$!
			# The output has no name yet.
			# shellcheck disable=SC2010 # a link's target is what is looked for
			until ls -l /proc/$pid/fd 2>/dev/null | grep -q "$(pwd -P)/.*deleted" || ! kill -0 $pid 2>/dev/null; do :; done
			kill -$signal $pid || true
			status=0
			wait $pid || status=$?
			cat err
			[ "$status" -gt 128 ] && break
		done
		[ "$status" = $((128 + $(kill -l $signal))) ]
		[ "$(wc -l <err)" = 1 ]
		grep -q '^bundle: stopped by ' err
		[ ! -e slow.raw ]
		[ -z "$(compgen -G '.slow.raw.*')" ]
	done
}

@test "wrong command lines end with status 2" {
	local args
	for args in "" "open" "open a" "open -k k a b c" "open --nonsense" "nonsense" "info" \
		"verify" "info -o xml $m" "open -k keys/user.key.pem $m -" \
		"verify --require-signature --ignore-signature $m" \
		"open --ignore-signature --require-signature -k keys/user.key.pem $m a" \
		"migrate --ignore-signature --require-signature -k keys/user.key.pem $m a"; do
		# shellcheck disable=SC2086
		run --separate-stderr "$BUNDLE" $args
		[ "$status" = 2 ]
		[ -z "$output" ]
	done
}
