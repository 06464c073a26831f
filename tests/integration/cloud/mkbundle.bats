#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# mkbundle's bundles hold what they should: taken apart by openssl, gzip and tar.

bats_require_minimum_version 1.5.0

load helper

MKBUNDLE=$TOP/tests/cloud/mkbundle

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	umask 022
	truncate -s 6M image
	head -c 1500000 /dev/urandom | dd of=image bs=64K seek=20 conv=notrunc status=none
}

setup() {
	cd "$BATS_FILE_TMPDIR" || return
}

field() { # NAME: the text of its first element
	grep -o "<$1[ >][^<]*" "$manifest" | head -n 1 | sed 's/.*>//'
}

unhex() {
	tr -d '\n' | sed 's/../\\x&/g' | xargs -0 printf %b
}

# unbundle MANIFEST KEYS WHO: writes image.out, after all that can be checked was checked
unbundle() {
	local manifest=$1 key iv name sum
	local dir=${1%/*}
	key=$(field "$3_encrypted_key" | unhex | openssl pkeyutl -decrypt -inkey "$2/$3.key.pem")
	iv=$(field "$3_encrypted_iv" | unhex | openssl pkeyutl -decrypt -inkey "$2/$3.key.pem")
	[[ $key =~ ^[0-9a-f]{32}$ && $iv =~ ^[0-9a-f]{32}$ ]] || return 1
	grep -oE "<filename>[^<]*</filename><digest algorithm=.SHA1.>[^<]*" "$manifest" |
		sed -E 's|<filename>([^<]*)</filename>.*>(.*)|\2 \1|' >parts
	[ "$(wc -l <parts)" = "$(grep -oE "<parts count=.[0-9]+" "$manifest" | grep -oE '[0-9]+$')" ] || return 1
	: >encrypted
	while read -r sum name; do
		[ "$(sha1sum <"$dir/$name")" = "$sum  -" ] || return 1
		cat "$dir/$name" >>encrypted
	done <parts
	[ "$(stat -c %s encrypted)" = "$(field bundled_size)" ] || return 1
	openssl enc -d -aes-128-cbc -K "$key" -iv "$iv" -in encrypted | gunzip >tar
	[ "$(sha1sum <tar)" = "$(field digest)  -" ] || return 1
	grep -q "<image><name>$(tar -tf tar)</name>" "$manifest" || return 1
	mkdir -p tree
	tar -xSf tar -C tree
	mv "tree/$(tar -tf tar)" image.out
	[ "$(stat -c %s image.out)" = "$(field size)" ] || return 1
	for name in machine_configuration image; do
		tr -d '\n' <"$manifest" | grep -o "<$name>.*</$name>" | tr -d '\n'
	done >signed
	field signature | unhex >signature
	openssl x509 -in "$2/user.cert.pem" -pubkey -noout >public
	openssl dgst -sha1 -verify public -signature signature signed
}

@test "a bundle comes apart with the user's key and with the cloud's" {
	"$MKBUNDLE" --image image --name one --out a --keys k --part-size 100000 --kernel-id aki-12345678 \
		--mapping root=/dev/sda1,ami=sda1
	for who in user ec2; do
		unbundle a/one.manifest.xml k "$who"
		cmp image image.out
	done
	[ "$(tar -tvf tar | cut -c 1-20)" = "-rw-r--r-- root/root" ]
	[ "$(dd if=tar bs=1 skip=156 count=1 status=none)" = S ]
	[ -e a/one.part.00 ]
	grep -q '<mapping><virtual>ami</virtual><device>sda1</device></mapping><mapping><virtual>root' a/one.manifest.xml
	grep -q '<user>123456789012</user><type>machine</type>' a/one.manifest.xml
}

@test "a bundle in euca2ools' manner, dense, with an empty last part" {
	head -c 100000 /dev/urandom >small
	"$MKBUNDLE" --image small --name two --out b --keys k --part-size 16384 --style euca2ools --dense
	unbundle b/two.manifest.xml k user
	cmp small image.out
	[ "$(dd if=tar bs=1 skip=156 count=1 status=none)" = 0 ]
	size=$(grep -o '<bundled_size>[0-9]*' b/two.manifest.xml | grep -o '[0-9]*')
	[ "$(head -n 1 b/two.manifest.xml)" = "<?xml version='1.0' encoding='ASCII'?>" ]
	# The same content and name, or it would compress to another size: in parts whose size divides
	# that of the whole.
	"$MKBUNDLE" --image small --name two --out again --keys k --part-size $((size / 2)) --style euca2ools --dense
	[ "$(stat -c %s again/two.part.02)" = 0 ]
	unbundle again/two.manifest.xml k user
	cmp small image.out
}

@test "the names of the parts have as many digits as their number" {
	head -c 150000 /dev/urandom >small
	for wanted in 9 10 11 101; do
		"$MKBUNDLE" --image small --name "n$wanted" --out c --keys k --part-size 1000000
		size=$(stat -c %s "c/n$wanted.part.0")
		rm "c/n$wanted."*
		"$MKBUNDLE" --image small --name "n$wanted" --out c --keys k --part-size $((size / wanted + 1))
		set -- c/n"$wanted".part.*
		[ $# = "$wanted" ]
		[ "$1" = "c/n$wanted.part.$(printf "%0${#wanted}d" 0)" ]
	done
}

@test "mkbundle says what is wrong and leaves nothing behind" {
	run "$MKBUNDLE" --name x --out d --keys k
	[ "$status" = 2 ]
	run "$MKBUNDLE" --image nix --name x --out d --keys k
	[ "$status" = 1 ]
	[ "$output" = "mkbundle: image 'nix' is not a file" ]
	run "$MKBUNDLE" --image image --name 'a<b' --out d --keys k
	[ "$status" = 2 ]
	[ ! -e d ]
	"$MKBUNDLE" --image image --name x --out d --keys k --unsigned
	run ! grep -q signature d/x.manifest.xml
	[ -z "$(find d -name '.mkbundle*')" ]
	run "$MKBUNDLE" --image image --name x --out d --keys k
	[ "$status" = 1 ]
}
