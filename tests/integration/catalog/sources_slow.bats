# Sources of images: configuration, cache, search, folders, simplestreams, files.

bats_require_minimum_version 1.5.0
load sources
load ../flip

setup_file() { web_up; }
teardown_file() { cloud_down; }
setup() { fresh_sources; }

# ---- configuration -------------------------------------------------------------------------------

@test "sources are added, listed and removed; the file is YAML" {
	add one simplestreams url=https://example.org/a/ keyring=/k.gpg
	add two directory url=/srv/images depth=2
	add three ec2 region=eu-west-1 owners=self owners=123456789012
	run catalog source list
	[[ ${lines[0]} == one*simplestreams*url=https://example.org/a/*keyring=/k.gpg* ]]
	[[ ${lines[1]} == two*depth=2* ]]
	python3 -c 'import sys; sys.dont_write_bytecode=1
import json, subprocess
out = json.loads(subprocess.check_output(["catalog", "source", "list", "-o", "json"]))
assert [s["name"] for s in out] == ["one", "two", "three"], out
assert out[2]["owners"] == ["self", "123456789012"], out'
	catalog source rm two
	run catalog source list
	[ "${#lines[@]}" -eq 2 ]
	run -1 catalog source rm two
	[[ $output == *"no source 'two'"* ]]
}

@test "settings that cannot be are refused, with what could be" {
	run -1 add x simplestreams
	[[ $output == *"needs url="* ]]
	run -1 add x nonsense url=y
	[[ $output == *"known are: "*simplestreams* ]]
	run -1 add x directory url=/a colour=blue
	[[ $output == *"known are: !url depth"* || $output == *"known are:"* ]]
	run -1 add x glance url=http://127.0.0.1:1 auth-url= username=a
	[[ $output == *"'auth-url=': the value is empty"* ]]
	run -1 add 'a b' directory url=/a
	add x directory url=/a
	run -1 add x directory url=/b
	[[ $output == *already* ]]
	run -2 catalog source frobnicate
}

@test "a configuration that is wrong is named by line and key" {
	printf 'sources:\n  a:\n    type: directory\n    uri: /x\n' >"$ACCLIMATE_CATALOG_CONFIG"
	run -1 catalog source list
	[[ $output == *"catalog.yaml:4:"*uri* ]]
	printf 'sources:\n  a:\n    url: /x\n' >"$ACCLIMATE_CATALOG_CONFIG"
	run -1 catalog source list
	[[ $output == *"'type' is missing"* ]]
	printf 'sources:\n  a:\n    type: glance\n    auth-url: ""\n' >"$ACCLIMATE_CATALOG_CONFIG"
	run -1 catalog source list
	[[ $output == *"catalog.yaml:4:"*"auth-url': the value is empty"* ]]
}

@test "without a file there are defaults, and the first change keeps them" {
	rm "$ACCLIMATE_CATALOG_CONFIG"
	run catalog source list
	[[ $output == *ubuntu*simplestreams* ]]
	add mine directory url=/srv
	run catalog source list
	[[ $output == *ubuntu*simplestreams* ]]
	[[ $output == *mine*directory* ]]
}

# ---- folders ---------------------------------------------------------------------------------------

@test "a folder of this machine: listed, searched, imported, its digest checked" {
	local dir=$BATS_TEST_TMPDIR/images
	mkdir -p "$dir/deep"
	make_disk "$dir/debian-12-generic-amd64.raw" 1
	qemu-img convert -O qcow2 "$dir/debian-12-generic-amd64.raw" "$dir/debian-12-generic-arm64.qcow2"
	cp "$dir/debian-12-generic-amd64.raw" "$dir/deep/fedora-40-x86_64.img"
	echo nothing >"$dir/README"
	(cd "$dir" && sha256sum ./*.raw >SHA256SUMS && sha512sum ./*.qcow2 >SHA512SUMS)
	add here directory url="$dir" depth=1
	run catalog search debian arch=arm64
	[ "${#lines[@]}" -eq 2 ]
	[[ ${lines[1]} == arm64*here:debian-12-generic-arm64.qcow2* ]]
	run catalog search fedora -o json
	[[ $output == *'"id": "deep/fedora-40-x86_64.img"'* ]]
	[[ $output == *'"architecture": "x86_64"'* ]]
	run catalog list here
	[ "${#lines[@]}" -eq 4 ]
	import here:debian-12-generic-arm64.qcow2
	same "$dir/debian-12-generic-amd64.raw" debian-12-generic-arm64
	run catalog show debian-12-generic-arm64
	[[ $output == *"file digest (SHA-512)"* ]]
	flip "$dir/debian-12-generic-amd64.raw" 2000000
	run -1 import here:debian-12-generic-amd64.raw
	[[ $output == *"its sha256 is"*"the catalog says"* ]]
	[ ! -e "$ACCLIMATE_STORE/images/debian-12-generic-amd64" ]
}

@test "a web server's folder, with its listing and without" {
	mkdir "$WEB/img"
	make_disk "$BATS_TEST_TMPDIR/a.raw" 2
	qemu-img convert -O qcow2 "$BATS_TEST_TMPDIR/a.raw" "$WEB/img/a b+c.qcow2"
	(cd "$WEB/img" && sha256sum ./* >"$BATS_TEST_TMPDIR/sums" && mv "$BATS_TEST_TMPDIR/sums" SHA256SUMS)
	add web directory url="$CLOUD_WEB/img"
	import "web:a b+c.qcow2" --name a
	same "$BATS_TEST_TMPDIR/a.raw" a
	touch "$WEB/img/.unlisted"
	run catalog list web --refresh
	echo "$output"
	[[ $output == *"web:a b+c.qcow2"* ]]
}

# ---- simplestreams -----------------------------------------------------------------------------------

@test "simplestreams: newest first, inheritance, import, digest" {
	make_disk "$BATS_TEST_TMPDIR/u.raw" 3
	make_streams "$BATS_TEST_TMPDIR/u.raw"
	add ubuntu simplestreams url="$CLOUD_WEB/ubuntu"
	run catalog search noble arch=amd64
	[ "${#lines[@]}" -eq 2 ]
	run catalog search noble --all
	[ "${#lines[@]}" -eq 3 ]
	run catalog search os=ubuntu release=24.* -o json
	[[ $output == *'"version": "20240423"'* ]]
	run catalog search ami-0aaaaaaaaaaaaaaa1
	[[ ${lines[1]} == *ami-0aaaaaaaaaaaaaaa1* ]]
	import ubuntu:com.ubuntu.cloud:server:24.04:amd64/20240423/disk1.img
	same "$BATS_TEST_TMPDIR/u.raw" ubuntu-noble-24.04-amd64-20240423
	flip "$WEB/ubuntu/noble/noble-amd64.img" 300000
	run -1 import ubuntu:com.ubuntu.cloud:server:24.04:amd64/20240423/disk1.img --name again
	[[ $output == *"its sha256 is"* ]]
	[ -z "$(ls "$ACCLIMATE_STORE/partial")" ]
}

@test "a signed index is verified by gpgv; another's signature, a change and no signature are not" {
	local home=$BATS_TEST_TMPDIR/gpg v1=$WEB/ubuntu/streams/v1 f
	mkdir -m 700 "$home"
	for who in right wrong; do
		gpg --homedir "$home" --batch --quiet --pinentry-mode loopback --passphrase '' \
			--quick-gen-key "$who" ed25519 sign never 3>&-
	done
	gpg --homedir "$home" --batch --quiet --export right >"$home/right.gpg"
	make_disk "$BATS_TEST_TMPDIR/u.raw" 3
	make_streams "$BATS_TEST_TMPDIR/u.raw"
	sed -i 's/\.json"/.sjson"/' "$v1/index.json"
	for f in index download aws; do
		gpg --homedir "$home" --batch --quiet -u right --clear-sign -o "$v1/$f.sjson" "$v1/$f.json" 3>&-
	done
	add ubuntu simplestreams url="$CLOUD_WEB/ubuntu" keyring="$home/right.gpg"
	run catalog search noble
	[ "${#lines[@]}" -eq 2 ]
	sed -i 's/24.04 LTS/24.05 LTS/' "$v1/download.sjson"
	run -1 catalog list --refresh
	[[ $output == *"download.sjson': its signature does not verify"* ]]
	gpg --homedir "$home" --batch --quiet --yes -u wrong --clear-sign -o "$v1/download.sjson" "$v1/download.json" 3>&-
	run -1 catalog list --refresh
	[[ $output == *"does not verify"* ]]
	cp "$v1/download.json" "$v1/download.sjson"
	run -1 catalog list --refresh
	[[ $output == *"does not verify"* ]]
	gpgconf --homedir "$home" --kill all
}

# ---- cache ------------------------------------------------------------------------------------------------

@test "what was read is found offline, and asked for again by its ETag" {
	make_disk "$BATS_TEST_TMPDIR/u.raw" 3
	make_streams "$BATS_TEST_TMPDIR/u.raw"
	add ubuntu simplestreams url="$CLOUD_WEB/ubuntu"
	run -1 catalog search noble --offline
	[[ $output == *"nothing is asked for offline"* ]]
	catalog search noble
	local before
	before=$(requests 'web GET')
	catalog search noble
	[ "$(requests 'web GET')" -eq "$before" ]
	catalog search noble --refresh
	[ "$(requests 'web GET')" -eq $((before + 3)) ]
	[ "$(tail -n 3 "$CLOUD/log/requests.log" | grep -c ' 304 ')" -eq 3 ]
	fault add status --service web --status 404
	run catalog search noble --offline
	[ "${#lines[@]}" -eq 2 ]
	run catalog search noble
	[ "${#lines[@]}" -eq 2 ]
}

@test "what is newer than the list is found when it is asked for by name" {
	make_disk "$BATS_TEST_TMPDIR/a.raw" 51
	mkdir "$WEB/d"
	cp "$BATS_TEST_TMPDIR/a.raw" "$WEB/d/one.raw"
	add d directory url="$CLOUD_WEB/d"
	catalog list d >/dev/null
	cp "$BATS_TEST_TMPDIR/a.raw" "$WEB/d/two.raw"
	run -0 catalog search two
	[[ $output != *two.raw* ]]
	run -1 catalog show d:two.raw --offline
	catalog show d:two.raw | grep -q two.raw
	import d:two.raw --name two
	same "$BATS_TEST_TMPDIR/a.raw" two
	run -1 catalog show d:three.raw
}

@test "one source that fails does not hide the others" {
	mkdir "$BATS_TEST_TMPDIR/d"
	make_disk "$BATS_TEST_TMPDIR/d/debian.raw" 1
	add bad simplestreams url="$CLOUD_WEB/nothing/"
	add good directory url="$BATS_TEST_TMPDIR/d"
	run --separate-stderr catalog search debian
	[ "$status" -eq 0 ]
	[[ $output == *good:debian.raw* ]]
	[[ $stderr == *"source 'bad'"*404* ]]
	run -1 catalog list bad
}

# ---- files by their address -------------------------------------------------------------------------------

@test "a file by its address: each format, each packing" {
	local raw=$BATS_TEST_TMPDIR/a.raw format
	make_disk "$raw" 5
	for format in qcow2 vmdk vdi; do
		qemu-img convert -O "$format" "$raw" "$WEB/$format.$format"
		import "$CLOUD_WEB/$format.$format"
		same "$raw" "$format"
	done
	cp "$raw" "$WEB/a.img"
	gzip -c "$raw" >"$WEB/gz.raw.gz"
	xz -c0 "$raw" >"$WEB/xz.img.xz"
	zstd -qc "$raw" >"$WEB/zst.raw.zst"
	bzip2 -c1 "$WEB/qcow2.qcow2" >"$WEB/bz.qcow2.bz2"
	# A raw disk takes no file in between.
	mkdir -p "$ACCLIMATE_STORE"/partial/{gz,zst}/source.unpacked
	for format in a.img gz.raw.gz xz.img.xz zst.raw.zst bz.qcow2.bz2; do
		import "$CLOUD_WEB/$format"
		same "$raw" "${format%%.*}"
	done
	import "$raw" --name local
	same "$raw" local
}

@test "redirects are followed, loops and steps down from https are not" {
	make_disk "$BATS_TEST_TMPDIR/a.raw" 6
	cp "$BATS_TEST_TMPDIR/a.raw" "$WEB/a.img"
	import "$CLOUD_WEB/.redirect/302/%2f.redirect%2f307%2f%252fa.img" --name a
	same "$BATS_TEST_TMPDIR/a.raw" a
	printf 'x' >"$WEB/x"
	local self=%2f.redirect%2f302%2f
	run -1 import "$CLOUD_WEB/.redirect/302/$self$self$self" --name b
	run -1 import "$CLOUD_WEB/.redirect/302/file%3a%2f%2f%2fetc%2fpasswd" --name b
	[[ $output == *redirect* ]]
}

@test "a server without ranges, HEAD and ETag" {
	make_disk "$BATS_TEST_TMPDIR/a.raw" 6
	cp "$BATS_TEST_TMPDIR/a.raw" "$WEB/a.raw"
	import "$CLOUD_WEB/.opaque/a.raw" --name a
	same "$BATS_TEST_TMPDIR/a.raw" a
}

@test "a raw disk goes straight into the store; what only says that it is raw does not" {
	local before
	make_disk "$BATS_TEST_TMPDIR/a.raw" 7
	cp "$BATS_TEST_TMPDIR/a.raw" "$WEB/a.raw"
	import "$CLOUD_WEB/a.raw"
	same "$BATS_TEST_TMPDIR/a.raw" a
	qemu-img convert -O qcow2 "$WEB/a.raw" "$WEB/b.raw"
	truncate -s %512 "$WEB/b.raw"
	refused_keeping "is qcow2, the catalog says raw" import "$CLOUD_WEB/b.raw"
}

# refused_keeping PATTERN COMMAND...: as refused, but what the store has stays.
refused_keeping() {
	local pattern=$1
	shift
	run --separate-stderr "$@"
	echo "status $status: $stderr"
	[ "$status" -eq 1 ]
	[ "$(printf '%s\n' "$stderr" | wc -l)" -eq 1 ]
	[[ $stderr =~ $pattern ]]
	[ -z "$(ls "$ACCLIMATE_STORE/partial")" ]
}

@test "what is damaged or no image is refused, and nothing stays" {
	mkdir -p "$ACCLIMATE_STORE/partial"
	make_disk "$BATS_TEST_TMPDIR/a.raw" 7
	gzip -c "$BATS_TEST_TMPDIR/a.raw" | head -c 100000 >"$WEB/cut.img.gz"
	refused_keeping "unpacking" import "$CLOUD_WEB/cut.img.gz"
	qemu-img convert -O qcow2 "$BATS_TEST_TMPDIR/a.raw" "$WEB/cut.qcow2"
	truncate -s 300000 "$WEB/cut.qcow2"
	refused_keeping "cut.qcow2|source" import "$CLOUD_WEB/cut.qcow2"
	refused_keeping "404" import "$CLOUD_WEB/none.qcow2"
	refused_keeping "No such file" import /nowhere/none.qcow2
}

@test "a packed raw disk: odd sizes, several members, archives and other formats in it" {
	local raw=$BATS_TEST_TMPDIR/a.raw
	make_disk "$raw" 5
	# Half a sector behind the end of a cluster; a hole at the end.
	head -c 2000100 "$raw" | gzip -c >"$WEB/odd.raw.gz"
	(head -c 1000 "$raw" | gzip -c; tail -c +1001 "$raw" | gzip -c) >"$WEB/two.raw.gz"
	(cat "$raw"; head -c 40M /dev/zero) | gzip -c >"$WEB/hole.raw.gz"
	for name in odd two hole; do
		import "$CLOUD_WEB/$name.raw.gz"
		qemu-img check "$(disk $name)"
	done
	[ "$(qemu-img info --output=json "$(disk odd)" | jq '."virtual-size"')" -eq 2000384 ]
	qemu-img convert -O raw "$(disk odd)" "$BATS_TEST_TMPDIR/odd.raw"
	cmp -n 2000100 "$raw" "$BATS_TEST_TMPDIR/odd.raw"
	same "$raw" two
	truncate -s +40M "$raw"
	same "$raw" hole
	# A tar archive by the name of a raw disk is bundle's; a QCOW2 is none.
	truncate -s -40M "$raw"
	cp "$raw" "$BATS_TEST_TMPDIR/disk.raw"
	tar -C "$BATS_TEST_TMPDIR" -czf "$WEB/gce.raw.gz" --format=gnu disk.raw
	import "$CLOUD_WEB/gce.raw.gz"
	same "$raw" gce
	qemu-img convert -O qcow2 "$raw" "$BATS_TEST_TMPDIR/q" && gzip -c "$BATS_TEST_TMPDIR/q" >"$WEB/q.raw.gz"
	refused_here() { run --separate-stderr import "$2"; echo "$stderr"; [ "$status" -eq 1 ]; [[ $stderr =~ $1 ]]; }
	refused_here "is qcow2, the catalog says raw" "$CLOUD_WEB/q.raw.gz"
	gzip -c </dev/null >"$WEB/none.raw.gz"
	refused_here "unpacking" "$CLOUD_WEB/none.raw.gz"
	head -c 100000 "$WEB/two.raw.gz" >"$WEB/cut.raw.gz"
	refused_here "unpacking" "$CLOUD_WEB/cut.raw.gz"
	[ -z "$(ls "$ACCLIMATE_STORE/partial")" ]
}

@test "what unpacks to more than is likely is refused, unless it is allowed" {
	head -c 80M /dev/zero | tr '\0' x | zstd -q >"$WEB/x.raw.zst"
	cp "$WEB/x.raw.zst" "$WEB/x.qcow2.zst"
	for name in x.raw.zst x.qcow2.zst; do
		refused "more than its size makes likely .*--max-output" import "$CLOUD_WEB/$name"
	done
	import "$CLOUD_WEB/x.raw.zst" --max-output 80M --no-bootable
	qemu-img check "$(disk x)"
	make_disk "$WEB/s.raw" 5
	catalog rm x
	refused "over the limit of 1000 bytes" import "$CLOUD_WEB/s.raw" --max-output 1000
}

# ---- digests of servers ------------------------------------------------------------------------------

b64() { openssl dgst "-$1" -binary "$2" | base64 -w 0; }
# told LINE...: the server's headers of a.qcow2
told() { printf '%s\n' "$@" >"$WEB/a.qcow2.headers"; }
# checked BY: it is imported, and the record says so
checked() {
	run --separate-stderr import "$CLOUD_WEB/a.qcow2" --name a
	echo "$stderr"
	[ "$status" -eq 0 ]
	[ "$(catalog show a -o json | jq -r '.verified[0]')" = "$1" ]
	[ -z "$stderr" ]
	catalog rm a
}

@test "a file by its address is held against the digest that its server tells" {
	make_disk "$BATS_TEST_TMPDIR/a.raw" 4
	qemu-img convert -O qcow2 "$BATS_TEST_TMPDIR/a.raw" "$WEB/a.qcow2"
	local f=$WEB/a.qcow2
	told "Content-MD5: $(b64 md5 "$f")"
	checked "file digest (MD5, Content-MD5)"
	told "x-goog-hash: crc32c=AAAAAA==" "x-goog-hash: md5=$(b64 md5 "$f")"
	checked "file digest (MD5, x-goog-hash)"
	told "x-goog-hash: crc32c=AAAAAA==,md5=$(b64 md5 "$f")" "Content-MD5: AAAA"
	checked "file digest (MD5, x-goog-hash)"
	told "Repr-Digest: unixsum=:AAA=:, sha-256=:$(b64 sha256 "$f"):" "Content-MD5: $(b64 md5 /dev/null)"
	checked "file digest (SHA-256, Repr-Digest)"
	told "Digest: SHA-512=$(b64 sha512 "$f")"
	checked "file digest (SHA-512, Digest)"
	# Beside it, and that goes before what the head says.
	told "Content-MD5: $(b64 md5 /dev/null)"
	(cd "$WEB" && sha256sum a.qcow2 >SHA256SUMS)
	checked "file digest (SHA-256, SHA256SUMS)"
	rm "$WEB/SHA256SUMS"
	refused "its md5 is .*the Content-MD5 says d41d8cd98f00b204e9800998ecf8427e" import "$CLOUD_WEB/a.qcow2"
	told "Digest: sha-256=$(b64 sha256 /dev/null)"
	refused "its sha256 is .*the Digest says" import "$CLOUD_WEB/a.qcow2"
	# Who knows better says so.
	import "$CLOUD_WEB/a.qcow2" --name a --digest "sha1:$(sha1sum <"$f" | cut -c -40)"
	[ "$(catalog show a -o json | jq -r '.verified[0]')" = "file digest (SHA-1, --digest)" ]
	catalog rm a
	refused "its sha256 is .*the --digest says" import "$f" --digest "sha256:$(sha256sum </dev/null | cut -c -64)"
	for wrong in sha256:1 md4:1 "$(sha256sum </dev/null | cut -c -64)"; do
		run --separate-stderr import "$f" --digest "$wrong"
		[ "$status" -eq 2 ]
		[[ $stderr == *"'$wrong' is no digest"* ]]
	done
	# A raw one as it comes, too.
	cp "$BATS_TEST_TMPDIR/a.raw" "$WEB/r.raw"
	cp "$WEB/a.qcow2.headers" "$WEB/r.raw.headers"
	refused "its sha256 is .*the Digest says" import "$CLOUD_WEB/r.raw"
}

@test "where nobody tells a digest a warning says so; of bytes that were packed for the way it is none" {
	make_disk "$BATS_TEST_TMPDIR/a.raw" 4
	qemu-img convert -O qcow2 "$BATS_TEST_TMPDIR/a.raw" "$WEB/a.qcow2"
	(cd "$BATS_TEST_TMPDIR" && sha256sum a.raw) >"$WEB/SHA256SUMS"
	for line in "X-None: x" "Digest: sha-256=AAAA, md5=" "x-goog-hash: md5" "x-goog-hash: =,,md5=!" \
		"Repr-Digest: sha-256=:$(b64 sha256 /dev/null):x" \
		"x-goog-stored-content-encoding: gzip
x-goog-hash: md5=$(b64 md5 /dev/null)"; do
		told "$line"
		run --separate-stderr import "$CLOUD_WEB/a.qcow2" --name a
		echo "$line: $stderr"
		[ "$status" -eq 0 ]
		[[ $stderr == *"was not checked: neither a catalog nor its server tells a digest"* ]]
		catalog rm a
	done
}
