# catalog import against the cloud on loopback: the way it should go, and every way it can fail.

bats_require_minimum_version 1.5.0
load common

setup_file() { cloud_up; }
teardown_file() { cloud_down; }
setup() { fresh_store; }

# ---- as it should be -------------------------------------------------------------------------

@test "an instance-store AMI becomes a disk with its partition, verified" {
	run --separate-stderr import "$AMI_BUNDLE" -o json
	echo "$stderr"
	[ "$status" -eq 0 ]
	same_bundle "$AMI_BUNDLE"
	[[ $output == *'"manifest signature (RSA, SHA-1)"'* ]]
	[[ $output == *'"kernel": "/boot/vmlinuz-6.1.0-test"'* ]]
	sfdisk -J "$BATS_TEST_TMPDIR/raw" | grep -q '"start": 2048'
	e2fsck -fn "$BATS_TEST_TMPDIR/raw?offset=1048576"
}

@test "an EBS AMI becomes its disk" {
	import "$AMI_EBS"
	same_ebs "$AMI_EBS"
}

@test "compressed disks hold the same" {
	import "$AMI_EBS" --compress zlib
	same_ebs "$AMI_EBS"
	[ "$(qemu-img info "$(disk "$AMI_EBS")" | grep -c 'compression type: zlib')" -eq 1 ]
}

@test "an overlay is injected on the way" {
	mkdir -p "$BATS_TEST_TMPDIR/ov/etc"
	echo hello >"$BATS_TEST_TMPDIR/ov/etc/acclimate-test"
	import "$AMI_EBS" --overlay "$BATS_TEST_TMPDIR/ov"
	qemu-img convert -f qcow2 -O raw "$(disk "$AMI_EBS")" "$BATS_TEST_TMPDIR/raw"
	e2fsck -fn "$BATS_TEST_TMPDIR/raw?offset=1048576"
	[ "$(debugfs -R 'cat /etc/acclimate-test' "$BATS_TEST_TMPDIR/raw?offset=1048576" 2>/dev/null)" = hello ]
}

@test "the store lists, shows and removes what was imported" {
	import "$AMI_EBS" --name mine
	run catalog images -o json
	[[ $output == *'"name": "mine"'* ]]
	run catalog images
	[[ $output == *mine*1.00\ GiB*test-ebs* ]]
	run catalog show mine -o json
	[[ $output == *"\"id\": \"$AMI_EBS\""* ]]
	catalog rm mine
	store_is_empty
	run catalog rm mine
	[ "$status" -eq 1 ]
}

@test "the cloud's images are listed, with filters" {
	run catalog list
	[[ $output == *"$AMI_BUNDLE"* ]]
	[[ $output == *"$AMI_EBS"* ]]
	run catalog list --filter name=test-e* -o json
	[[ $output == *"$AMI_EBS"* ]]
	[[ $output != *"$AMI_BUNDLE"* ]]
	run catalog show "$AMI_BUNDLE"
	[[ $output == *"virtualization: paravirtual"* ]]
}

# ---- keys, manifest, parts ---------------------------------------------------------------------

# s3 PUT|GET URL FILE, by curl, which signs.
s3() {
	local how=(-o "$3") sum=UNSIGNED-PAYLOAD
	[ "$1" = GET ] || how=(-T "$3") sum=$(sha256sum <"$3" | cut -c -64)
	curl -sS --fail --aws-sigv4 "aws:amz:$AWS_REGION:s3" \
		--user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" -H "x-amz-content-sha256: $sum" \
		"${how[@]}" "$2"
}
manifest_url() {
	catalog show "$AMI_BUNDLE" | sed -n "s|^ *location: |$AWS_ENDPOINT_URL_S3/|p"
}
# changed_manifest SED-SCRIPT: until the test ends, the cloud serves another manifest.
changed_manifest() {
	s3 GET "$(manifest_url)" "$BATS_TEST_TMPDIR/manifest.old"
	sed "$1" "$BATS_TEST_TMPDIR/manifest.old" >"$BATS_TEST_TMPDIR/manifest.new"
	run ! cmp -s "$BATS_TEST_TMPDIR/manifest.old" "$BATS_TEST_TMPDIR/manifest.new"
	s3 PUT "$(manifest_url)" "$BATS_TEST_TMPDIR/manifest.new"
}
teardown() {
	if [ -e "$BATS_TEST_TMPDIR/manifest.old" ]; then
		s3 PUT "$(manifest_url)" "$BATS_TEST_TMPDIR/manifest.old"
	fi
}

@test "a wrong private key is refused" {
	openssl genrsa -out "$BATS_TEST_TMPDIR/other.pem" 2048 2>/dev/null
	refused "key" import "$AMI_BUNDLE" --private-key "$BATS_TEST_TMPDIR/other.pem"
}

@test "without a private key the reason is told" {
	unset EC2_PRIVATE_KEY
	refused "private key" import "$AMI_BUNDLE"
}

@test "a manifest that was changed in its signed part is refused" {
	changed_manifest 's,<name>root,<name>roox,'
	refused "signature" import "$AMI_BUNDLE"
}

@test "a manifest that was changed outside of its signed part still opens" {
	changed_manifest 's,<bundler><name>[^<]*,<bundler><name>somebody,'
	import "$AMI_BUNDLE"
	same_bundle "$AMI_BUNDLE"
}

@test "without a certificate a warning says that the signature was not checked" {
	unset EC2_CERT
	run --separate-stderr import "$AMI_BUNDLE"
	[ "$status" -eq 0 ]
	[[ $stderr == *"signature was not checked"* ]]
	catalog rm "$AMI_BUNDLE"
	refused "signature" import "$AMI_BUNDLE" --require-signature
}

@test "a part that is missing is named" {
	fault add missing --service s3 --match 'root.part.2'
	refused "root[.]part[.]2" import "$AMI_BUNDLE"
}

@test "a part that was altered is refused before its bytes are used" {
	fault add corrupt --service s3 --match 'root.part.1'
	refused "part[.]1.*(SHA-1|digest)" import "$AMI_BUNDLE"
}

@test "a part that is shorter than its digest says is refused" {
	fault add truncate --service s3 --match 'root.part.3' --bytes 1000
	refused "part[.]3" import "$AMI_BUNDLE"
}

@test "a dropped connection is resumed where it broke off" {
	fault add drop --service s3 --match 'root.part.1' --bytes 300000 --count 2
	import "$AMI_BUNDLE"
	same_bundle "$AMI_BUNDLE"
	[ "$(requests 'root.part.1 .*range=bytes=300000-')" -ge 1 ]
}

@test "an S3 that says 503 twice is asked again" {
	fault add throttle --service s3 --match 'root.part.0' --count 2
	import "$AMI_BUNDLE"
	same_bundle "$AMI_BUNDLE"
}

# ---- snapshots -----------------------------------------------------------------------------------

@test "a block whose checksum is wrong twice is refused" {
	fault add checksum --service ebs --match 'blocks/65'
	refused "block 65.*SHA-256" import "$AMI_EBS"
}

@test "a block whose checksum is wrong once is fetched again" {
	fault add checksum --service ebs --match 'blocks/60' --count 1
	import "$AMI_EBS"
	same_ebs "$AMI_EBS"
}

@test "an altered block is refused" {
	fault add corrupt --service ebs --match '/blocks/70'
	refused "block 70.*SHA-256" import "$AMI_EBS"
}

@test "throttling as HTTP 400, an internal error, a drop and an empty page are survived" {
	fault add throttle --service ebs --match 'blocks/6[0-9]' --count 3
	fault add status --service ebs --match 'blocks/80' --status 500 --count 2
	fault add drop --service ebs --match 'blocks/90' --bytes 1000 --count 1
	fault add empty-page --service ebs --count 1
	import "$AMI_EBS"
	same_ebs "$AMI_EBS"
}

@test "another account's snapshot is refused at once" {
	eval "$(tests/cloud/cloud credentials other)"
	image "$AMI_EBS" is-public=true
	refused "snap-.*(403|denied|permi)" import "$AMI_EBS"
}

# ---- the AMI --------------------------------------------------------------------------------------

@test "an AMI that nobody knows" {
	refused "ami-0123456789abcdef0.*(not|exist)" import ami-0123456789abcdef0
}

@test "an id that is none" {
	refused "ami-xyz" import ami-xyz
	refused "debian" import debian
}

@test "an AMI that is not available" {
	image "$AMI_EBS" state=pending
	refused "pending" import "$AMI_EBS"
}

# ---- credentials ------------------------------------------------------------------------------------

@test "no credentials" {
	unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
	export HOME=$BATS_TEST_TMPDIR AWS_EC2_METADATA_DISABLED=true
	refused "credentials" import "$AMI_EBS"
}

@test "wrong credentials" {
	export AWS_SECRET_ACCESS_KEY=wrong
	refused "(SignatureDoesNotMatch|AuthFailure|signature|credentials)" import "$AMI_EBS"
}

@test "expired credentials" {
	eval "$(tests/cloud/cloud credentials expired)"
	refused "expired" import "$AMI_EBS"
}

@test "credentials that expire on the way keep what was fetched" {
	fault add expired --service ebs --match 'blocks/100'
	run --separate-stderr import "$AMI_EBS"
	echo "$stderr"
	[ "$status" -eq 1 ]
	[[ $stderr == *expired* ]]
	[ -z "$(ls "$ACCLIMATE_STORE/images")" ]
	fault clear
	import "$AMI_EBS"
	same_ebs "$AMI_EBS"
}

# ---- this side -----------------------------------------------------------------------------------------

@test "an image that is there already is not touched" {
	import "$AMI_EBS"
	before=$(stat -c '%i %Y' "$(disk "$AMI_EBS")")
	run --separate-stderr import "$AMI_EBS"
	[ "$status" -eq 1 ]
	[[ $stderr == *"in the store already"* ]]
	[ "$(stat -c '%i %Y' "$(disk "$AMI_EBS")")" = "$before" ]
}

@test "two imports of one image: the second is told of the first" {
	fault add drip --service ebs --rate 2000000
	interruptible catalog import -q "$AMI_EBS" 3>&- &
	first=$!
	for _ in $(seq 100); do [ -e "$ACCLIMATE_STORE/partial/$AMI_EBS" ] && break; sleep 0.05; done
	run --separate-stderr import "$AMI_EBS"
	kill -INT $first
	wait $first || true
	[ "$status" -eq 1 ]
	[[ $stderr == *"under way"* ]]
}

@test "a full disk leaves nothing" {
	for ami in "$AMI_BUNDLE" "$AMI_EBS"; do
		refused "(space|large|full)" bash -c "ulimit -f 4096; trap '' XFSZ; catalog import -q $ami"
	done
}



# wait_half: until the disk of the import under way has some MiB.
wait_half() {
	local i size
	for i in $(seq 400); do
		size=$(stat -c %s "$ACCLIMATE_STORE/partial/$1/disk.qcow2" 2>/dev/null || echo 0)
		[ "$size" -gt "$2" ] && return 0
		sleep 0.05
	done
	return 1
}

@test "SIGINT ends a bundle's import and leaves nothing" {
	fault add drip --service s3 --match 'root.part.[3-9]' --rate 100000
	interruptible catalog import -q "$AMI_BUNDLE" 3>&- &
	pid=$!
	wait_half "$AMI_BUNDLE" 1000000
	kill -INT $pid
	rc=0
	wait $pid || rc=$?
	[ "$rc" -eq 130 ]
	store_is_empty
}

@test "SIGINT in the middle of a snapshot: the next import goes on" {
	fault add drip --service ebs --match 'blocks/1[0-9][0-9]' --rate 100000
	interruptible catalog import -q "$AMI_EBS" 3>&- &
	pid=$!
	wait_half "$AMI_EBS" 8000000
	kill -INT $pid
	rc=0
	wait $pid || rc=$?
	[ "$rc" -eq 130 ]
	[ -z "$(ls "$ACCLIMATE_STORE/images")" ]
	fault clear
	before=$(requests 'GET /snapshots/.*/blocks/[0-9]')
	run --separate-stderr catalog import "$AMI_EBS"
	echo "$stderr"
	[ "$status" -eq 0 ]
	[[ $stderr == *"went on at"* ]]
	after=$(requests 'GET /snapshots/.*/blocks/[0-9]')
	# Blocks before the checkpoint were not asked for again.
	[ $((after - before)) -lt 100 ]
	same_ebs "$AMI_EBS"
}

@test "SIGKILL in the middle: the next import of either kind is whole" {
	for ami in "$AMI_BUNDLE" "$AMI_EBS"; do
		fault add drip --service s3 --match 'root.part.[3-9]' --rate 100000
		fault add drip --service ebs --match 'blocks/1[0-9][0-9]' --rate 100000
		catalog import -q "$ami" 3>&- &
		pid=$!
		wait_half "$ami" 1000000
		kill -KILL $pid
		wait $pid || true
		[ -z "$(ls "$ACCLIMATE_STORE/images")" ] || [ "$ami" = "$AMI_EBS" ]
		fault clear
		import "$ami"
	done
	same_bundle "$AMI_BUNDLE"
	same_ebs "$AMI_EBS"
	[ -z "$(ls "$ACCLIMATE_STORE/partial")" ]
}
