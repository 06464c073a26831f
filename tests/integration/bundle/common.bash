# SPDX-License-Identifier: Apache-2.0
# What the tests of bundle share. Bundles are made by mkbundle, or by `pack` where the archive
# itself is to be unusual: both are openssl, GNU tar, gzip and split alone.

TOP=$(cd "$BATS_TEST_DIRNAME/../../.." && pwd)
MKBUNDLE=$TOP/tests/cloud/mkbundle
BUNDLE=${BINDIR:-$TOP/bin}/bundle
unset EC2_PRIVATE_KEY EC2_CERT EC2_USER_ID EUCALYPTUS_CERT

# An image of 4 MiB with data that does not compress, data that does, and holes.
make_image() {
	truncate -s 4M "$1"
	head -c 1000000 /dev/urandom | dd of="$1" bs=4096 seek=16 conv=notrunc status=none
	yes acclimate | head -c 700000 | dd of="$1" bs=4096 seek=600 conv=notrunc status=none
	printf 'the end' | dd of="$1" bs=1 seek=4194297 conv=notrunc status=none
}

has() { [[ $1 == *"$2"* ]]; } # TEXT PART

hex() { od -An -v -tx1 | tr -d ' \n'; }

seal() { # TEXT
	printf %s "$1" | openssl pkeyutl -encrypt -certin -inkey keys/user.cert.pem \
		-pkeyopt rsa_padding_mode:pkcs1 | hex
}

sign() { # MANIFEST: replaces its signature by one that is right
	local sig
	sig=$(tr -d '\n' <"$1" | grep -oE '<machine_configuration>.*</machine_configuration>|<image>.*</image>' |
		tr -d '\n' | openssl dgst -sha1 -sign keys/user.key.pem | hex)
	sed -i "s|<signature>[^<]*|<signature>$sig|" "$1"
}

# pack DIR SIZE DIGEST < GZIP: a bundle out of a compressed tar stream, parts of 1 MiB
pack() {
	local dir=$1 size=$2 digest=$3 key iv list='' name i=0 part_size=${PART_SIZE:-1048576}
	key=00112233445566778899aabbccddeeff
	iv=ffeeddccbbaa99887766554433221100
	mkdir -p "$dir"
	openssl enc -aes-128-cbc ${NOPAD:+-nopad} -K $key -iv $iv | split -b "$part_size" -d -a 4 - "$dir/p.part."
	for name in "$dir"/p.part.*; do
		list+="<part index='$i'><filename>${name##*/}</filename><digest algorithm='SHA1'>$(sha1sum <"$name" | cut -c -40)</digest></part>"
		i=$((i + 1))
	done
	printf %s "<?xml version='1.0'?><manifest><version>2007-10-10</version>" \
		"<machine_configuration><architecture>x86_64</architecture></machine_configuration>" \
		"<image><name>p</name><user>123456789012</user><type>machine</type>" \
		"<digest algorithm='SHA1'>$digest</digest><size>$size</size>" \
		"<bundled_size>$(cat "$dir"/p.part.* | wc -c)</bundled_size>" \
		"<user_encrypted_key algorithm='AES-128-CBC'>$(seal $key)</user_encrypted_key>" \
		"<user_encrypted_iv>$(seal $iv)</user_encrypted_iv>" \
		"<parts count='$i'>$list</parts></image><signature></signature></manifest>" >"$dir/p.manifest.xml"
	sign "$dir/p.manifest.xml"
}

# pack_tar DIR SIZE: the same from a tar stream on standard input
pack_tar() {
	cat >"$1.tar"
	gzip -1 -n <"$1.tar" | pack "$1" "$2" "$(sha1sum <"$1.tar" | cut -c -40)"
}

keys() { # makes keys/, which mkbundle then takes; of 1024 bits, as Amazon's once were: fast
	local who
	mkdir keys
	for who in user ec2; do
		openssl req -x509 -newkey rsa:1024 -sha256 -nodes -days 3650 -subj /CN=$who \
			-keyout keys/$who.key.pem -out keys/$who.cert.pem 2>keys/said || return
	done
}

# opens MANIFEST IMAGE: it opens, and is what went in
opens() {
	rm -f out.raw
	"$BUNDLE" open -k keys/user.key.pem --cert keys/user.cert.pem "$1" out.raw || return 1
	[ "$(stat -c %s out.raw)" = "$(stat -c %s "$2")" ] || return 1
	qemu-img compare -f raw -F raw "$2" out.raw
}

# All below the folder, but for its own time stamp.
listing() { find . -mindepth 1 -printf '%p %s %T@ %y\n' | sort; }

# refuses PATTERN ARGUMENT...: `bundle ARGUMENT...` fails with one line that matches, and the
# folder is as before
refuses() {
	local pattern=$1 before said status=0
	shift
	before=$(listing)
	said=$("$BUNDLE" "$@" 2>&1) || status=$?
	echo "status $status: $said"
	# What verify finds wrong is 3; what keeps it from looking is 1.
	[ "$status" = 1 ] || { [ "$1" = verify ] && [ "$status" = 3 ]; } || return 1
	[ "$(wc -l <<<"$said")" = 1 ] || return 1
	[[ $said =~ ^bundle:\  ]] || return 1
	[[ $said =~ $pattern ]] || return 1
	diff <(echo "$before") <(listing)
}

# cannot_open PATTERN MANIFEST: with a key alone
cannot_open() {
	refuses "$1" open -k keys/user.key.pem "$2" never.raw
}

# ---- bundles that we make -----------------------------------------------------------------------

create() {
	"$BUNDLE" create --for ec2 -u 123456789012 --cert keys/user.cert.pem -k keys/user.key.pem "$@"
}

unhex() { tr -d '\n' | tr a-f A-F | basenc --base16 -d; }

# slice NAME MANIFEST: the element as it stands
slice() { grep -o "<$1>.*</$1>" "$2"; }

# unpack DIR: by openssl and tar alone; the secret from the manifest by the user's private key
unpack() {
	local m=$1/disk.manifest.xml key iv
	unseal() {
		sed -E "s|.*<$1[^>]*>([0-9a-f]*)</$1>.*|\1|" "$m" | tail -n 1 | unhex |
			openssl pkeyutl -decrypt -inkey keys/user.key.pem -pkeyopt rsa_padding_mode:pkcs1
	}
	key=$(unseal user_encrypted_key)
	iv=$(unseal user_encrypted_iv)
	sed 's/<part /\n&/g' "$m" | sed -nE 's|.*<filename>([^<]*)</filename>.*|\1|p' >names
	(cd "$1" && xargs cat) <names | openssl enc -d -aes-128-cbc -K "$key" -iv "$iv" >disk.tgz
	gzip -t disk.tgz
	[ "$(gzip -dc disk.tgz | sha1sum | cut -c -40)" = "$(grep -oE 'SHA1.>[0-9a-f]{40}' "$m" | head -n 1 | tail -c 41)" ]
	rm -f disk
	gzip -dc disk.tgz | tar -xf -
}
