# catalog import: how it can fail, and what takes longer than the inner loop may.

bats_require_minimum_version 1.5.0
load common

setup_file() {
	cloud_up
}
teardown_file() { cloud_down; }
setup() { fresh_store; }

@test "a server that stalls in the middle of a part is given up and asked again" {
	fault add stall --service s3 --match 'root.part.1' --bytes 5000 --count 1
	import "$AMI_BUNDLE"
	same_bundle "$AMI_BUNDLE"
}

@test "an S3 that never stops saying 500 ends the import with its words, and what was fetched is kept" {
	fault add status --service s3 --match 'root.part.1' --status 500
	run --separate-stderr import "$AMI_BUNDLE"
	echo "$stderr"
	[ "$status" -eq 1 ]
	[[ $stderr =~ root[.]part[.]1.*500 ]]
	[ -z "$(ls "$ACCLIMATE_STORE/images")" ]
	fault clear
	run --separate-stderr catalog import "$AMI_BUNDLE"
	[ "$status" -eq 0 ]
	[[ $stderr == *"went on with"* ]]
	same_bundle "$AMI_BUNDLE"
}

@test "an EBS that throttles for ever ends the import, and what was fetched is kept" {
	fault add throttle --service ebs --match 'blocks/130'
	run --separate-stderr import "$AMI_EBS"
	echo "$stderr"
	[ "$status" -eq 1 ]
	[[ $stderr == *"block 130"*Throttl* ]]
	[ -z "$(ls "$ACCLIMATE_STORE/images")" ]
	fault clear
	run --separate-stderr catalog import "$AMI_EBS"
	[ "$status" -eq 0 ]
	[[ $stderr == *"went on at"* ]]
	same_ebs "$AMI_EBS"
}

@test "an EC2 that throttles is asked again, one that never stops is given up" {
	fault add throttle --service ec2 --count 2
	import "$AMI_EBS"
	catalog rm "$AMI_EBS"
	fault add throttle --service ec2
	refused "RequestLimitExceeded" import "$AMI_EBS"
}

@test "memory stays below 128 MiB, whatever the image's size" {
	dir=$BATS_TEST_TMPDIR/big
	mkdir -p "$dir"
	# 512 MiB of data in a disk of 60 GiB.
	truncate -s 60G "$dir/disk.raw"
	dd if=/dev/urandom of="$dir/disk.raw" bs=1M seek=1 count=256 conv=notrunc \
		status=none
	dd if=/dev/zero bs=1M count=256 status=none | tr '\0' 'x' |
		dd of="$dir/disk.raw" bs=1M seek=40000 conv=notrunc status=none
	echo '2048,,83' | sfdisk -q "$dir/disk.raw"
	sed 's/test-ebs/test-big/' "$AMI/ebs/image.json" >"$dir/image.json"
	ami=$(tests/cloud/cloud load --state "$CLOUD" "$dir")
	run /usr/bin/time -f 'rss %M' "$BINDIR/catalog" import -q "$ami"
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$(echo "$output" | sed -n 's/^rss //p')" -lt 131072 ] || [ "${MODE:-}" = asan ]
	qemu-img compare -q -f raw -F qcow2 "$dir/disk.raw" "$(disk "$ami")"
}

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

@test "a part that only drips is asked for anew after --attempt-timeout, from where it was" {
	fault add drip --service s3 --match 'root.part.1' --rate 70000 --count 1
	before=$(requests 'root.part.1 .*range=bytes=[1-9]') || true
	import "$AMI_BUNDLE" --attempt-timeout 1
	same_bundle "$AMI_BUNDLE"
	[ "$(requests 'root.part.1 .*range=bytes=[1-9]')" -gt "$before" ]
}

@test "an S3 that says 503 twice is asked again" {
	fault add throttle --service s3 --match 'root.part.0' --count 2
	import "$AMI_BUNDLE"
	same_bundle "$AMI_BUNDLE"
}

@test "a block whose checksum is wrong twice is refused" {
	fault add checksum --service ebs --match 'blocks/65'
	refused "block 65.*SHA-256" import "$AMI_EBS"
}

@test "a block whose checksum is wrong once is fetched again" {
	fault add checksum --service ebs --match 'blocks/60' --count 1
	import "$AMI_EBS"
	same_ebs "$AMI_EBS"
}

@test "throttling as HTTP 400, an internal error, a drop and an empty page are survived" {
	fault add throttle --service ebs --match 'blocks/6[0-9]' --count 3
	fault add status --service ebs --match 'blocks/80' --status 500 --count 2
	fault add drop --service ebs --match 'blocks/90' --bytes 1000 --count 1
	fault add empty-page --service ebs --count 1
	import "$AMI_EBS"
	same_ebs "$AMI_EBS"
}

@test "an AMI that is not available" {
	image "$AMI_EBS" state=pending
	refused "pending" import "$AMI_EBS"
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

@test "two imports of one image: the second is told of the first" {
	# It ends when it is told to: slower than any machine.
	fault add drip --service ebs --rate 20000
	interruptible catalog import -q "$AMI_EBS" 3>&- &
	first=$!
	for _ in $(seq 1200); do [ -e "$ACCLIMATE_STORE/partial/$AMI_EBS" ] && break; sleep 0.05; done
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

@test "SIGKILL in the middle: the next import of either kind is whole" {
	for ami in "$AMI_BUNDLE" "$AMI_EBS"; do
		fault add stall --service s3 --match 'root.part.[3-9]' --bytes 1000
		fault add stall --service ebs --match 'blocks/1[0-9][0-9]' --bytes 1000
		catalog import -q "$ami" 3>&- &
		pid=$!
		wait_half "$ami" 1000000
		kill -KILL $pid
		has_ended $pid "$ami"
		[ -z "$(ls "$ACCLIMATE_STORE/images")" ] || [ "$ami" = "$AMI_EBS" ]
		fault clear
		import "$ami"
	done
	same_bundle "$AMI_BUNDLE"
	same_ebs "$AMI_EBS"
	[ -z "$(ls "$ACCLIMATE_STORE/partial")" ]
}

@test "a snapshot that was interrupted, then killed, is named as one that was not" {
	import "$AMI_EBS" --name smooth
	fault add expired --service ebs --match 'blocks/100'
	run ! import "$AMI_EBS"
	fault clear
	[ -e "$ACCLIMATE_STORE/partial/$AMI_EBS/journal.json" ]
	fault add stall --service ebs --match 'blocks/1[1-9][0-9]' --bytes 1000
	before=$(requests 'GET /snapshots/.*/blocks/10[1-9]')
	catalog import -q "$AMI_EBS" 3>&- &
	pid=$!
	for _ in $(seq 1200); do
		[ "$(requests 'GET /snapshots/.*/blocks/10[1-9]')" -lt $((before + 9)) ] || break
		sleep 0.05
	done
	kill -KILL $pid
	has_ended $pid "$AMI_EBS"
	fault clear
	run --separate-stderr catalog import "$AMI_EBS"
	[ "$status" -eq 0 ]
	[[ $stderr == *"went on at"* ]]
	same_ebs "$AMI_EBS"
	[ "$(readlink "$(disk "$AMI_EBS")")" = "$(readlink "$(disk smooth)")" ]
}

@test "wrong credentials" {
	export AWS_SECRET_ACCESS_KEY=wrong
	refused "(SignatureDoesNotMatch|AuthFailure|signature|credentials)" import "$AMI_EBS"
}

@test "another account's snapshot is refused at once" {
	eval "$(tests/cloud/cloud credentials other)"
	image "$AMI_EBS" is-public=true
	refused "snap-.*(403|denied|permi)" import "$AMI_EBS"
}

@test "pages that hold less than was asked for are all read" {
	fault add short-page --service ebs
	import "$AMI_EBS"
	same_ebs "$AMI_EBS"
	[ "$(requests 'GET /snapshots/.*/blocks?.*fault=.*:short-page')" -gt 2 ]
}
