# catalog import where the cloud makes it wait: what takes longer than the inner loop may.

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

@test "an S3 that never stops saying 500 ends the import with its words" {
	fault add status --service s3 --match 'root.part.1' --status 500
	refused "root[.]part[.]1.*500" import "$AMI_BUNDLE"
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
	# 1.5 GiB of data in a disk of 60 GiB.
	truncate -s 60G "$dir/disk.raw"
	dd if=/dev/urandom of="$dir/disk.raw" bs=1M seek=1 count=768 conv=notrunc \
		status=none
	dd if=/dev/zero bs=1M count=768 status=none | tr '\0' 'x' |
		dd of="$dir/disk.raw" bs=1M seek=40000 conv=notrunc status=none
	echo '2048,,83' | sfdisk -q "$dir/disk.raw"
	sed 's/test-ebs/test-big/' "$AMI/ebs/image.json" >"$dir/image.json"
	ami=$(tests/cloud/cloud load --state "$CLOUD" "$dir")
	run /usr/bin/time -f 'rss %M' "$BINDIR/catalog" import -q "$ami"
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$(echo "$output" | sed -n 's/^rss //p')" -lt 131072 ]
	qemu-img compare -q -f raw -F qcow2 "$dir/disk.raw" "$(disk "$ami")"
}
