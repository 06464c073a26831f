#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# catalog export to the cloud on loopback. What arrives is read back by a client that is not ours
# (boto3), and by catalog import.

bats_require_minimum_version 1.5.0
load export

setup_file() { export_up; }
teardown_file() { export_down; }
setup() { export_fresh; }

# snapshot_is SNAPSHOT RAW: its blocks, fetched by boto3, are the file.
snapshot_is() {
	python3 - "$1" "$2" <<-'END'
		import os, sys, boto3
		ebs = boto3.client("ebs", endpoint_url=os.environ["AWS_ENDPOINT_URL_EBS"])
		token, size, got = None, 0, {}
		while True:
		    more = {"NextToken": token} if token else {}
		    page = ebs.list_snapshot_blocks(SnapshotId=sys.argv[1], **more)
		    size = page["BlockSize"]
		    for b in page["Blocks"]:
		        got[b["BlockIndex"]] = ebs.get_snapshot_block(SnapshotId=sys.argv[1],
		            BlockIndex=b["BlockIndex"], BlockToken=b["BlockToken"])["BlockData"].read()
		    token = page.get("NextToken")
		    if not token:
		        break
		zero = bytes(size)
		with open(sys.argv[2], "rb") as f:
		    i = 0
		    while True:
		        block = f.read(size)
		        if not block:
		            break
		        assert got.pop(i, zero) == block.ljust(size, b"\0"), "block %d differs" % i
		        i += 1
		assert not any(any(b) for b in got.values()), "blocks behind the end"
	END
}

@test "a snapshot and its AMI: what another client reads is the disk" {
	out=$(catalog export box --to ec2 first-ami -q -o json --description words --boot-mode uefi)
	snapshot_is "$(echo "$out" | field snapshots)" "$RAW"
	ami=$(echo "$out" | field image)
	run aws ec2 describe-images --endpoint-url "$AWS_ENDPOINT_URL_EC2" --image-ids "$ami"
	[[ $output == *'"Name": "first-ami"'* ]]
	[[ $output == *'"BootMode": "uefi"'* ]]
	[[ $output == *'"Architecture": "x86_64"'* ]]
	catalog import -q "$ami" --name back --no-bootable
	# The volume has whole GiBs.
	cp --sparse=always "$RAW" "$BATS_TEST_TMPDIR/raw"
	truncate -s 2G "$BATS_TEST_TMPDIR/raw"
	qemu-img compare -q -f raw "$BATS_TEST_TMPDIR/raw" "$(path_of back)"
	# Zeros were not sent: 2 blocks of each run, some of three, and the last one.
	[ "$(echo "$out" | field sent-bytes)" -lt 8000000 ]
	fails "already in use" catalog export box --to ec2 first-ami -q
}

@test "blocks are sent again when the cloud throttles, drops, or does not know the snapshot yet" {
	fault add throttle --service ebs --match 'PUT .*blocks/1' --count 2
	fault add missing --service ebs --match 'PUT .*/blocks/0' --count 2
	fault add drop --service ebs --match 'PUT .*/blocks/6' --reset --count 1
	snap=$(catalog export box --to ec2 -q --no-register)
	snapshot_is "$snap" "$RAW"
}

@test "every passing fault at every stage, twice in a row: one snapshot, one AMI, and they are whole" {
	local service match kind n=0
	while read -r service match; do
		for kind in hangup "status --status 500" throttle "drop --bytes 5"; do
			# What answers a block has no body that could be cut.
			[ "${match%%/*} $kind" != "^PUT.* drop --bytes 5" ] || continue
			echo "$service $match: $kind"
			n=$((n + 1))
			# shellcheck disable=SC2086
			fault add $kind --service "$service" --match "$match" --count 2
			before=$(tests/cloud/cloud snapshot --state "$CLOUD" list | jq length)
			image=$(catalog export box --to ec2 "box-$n" -q)
			[ "$(tests/cloud/cloud fault --state "$CLOUD" list | wc -l)" -eq 0 ]
			[ "$(tests/cloud/cloud snapshot --state "$CLOUD" list | jq length)" -eq $((before + 1)) ]
			snapshot=$(aws ec2 describe-images --endpoint-url "$AWS_ENDPOINT_URL_EC2" --image-ids "$image" --output text \
				--query 'Images[0].BlockDeviceMappings[0].Ebs.SnapshotId')
			snapshot_is "$snapshot" "$RAW"
		done
	done <<-'END'
		ebs ^POST./snapshots$
		ebs ^PUT.*/blocks/1400
		ebs ^POST./snapshots/completion
		ec2 Action=DescribeSnapshots
		ec2 Action=RegisterImage
	END
}

@test "what will not get better ends the export at once" {
	before=$(requests 'PUT /snapshots')
	fault add denied --service ebs --match 'PUT .*/blocks/'
	fails "AccessDenied" timeout 120 catalog export box --to ec2 -q --no-register --workers 2
	[ "$(($(requests 'PUT /snapshots') - before))" -le 4 ]
	fault clear
	eval "$(tests/cloud/cloud credentials expired)"
	fails "xpired" timeout 120 catalog export box --to ec2 -q --no-register
}

@test "an interrupted export goes on where it was" {
	fault add denied --service ebs --match 'PUT .*/blocks/1400'
	run --separate-stderr catalog export box --to ec2 --no-register --workers 1
	[ "$status" -eq 1 ]
	[[ $stderr == *"goes on from there"* ]]
	fault clear
	before=$(requests 'POST /snapshots ')
	out=$(catalog export box --to ec2 -q --no-register -o json)
	snapshot_is "$(echo "$out" | field snapshots)" "$RAW"
	[ "$(echo "$out" | field resumed-bytes)" -gt 0 ]
	[ "$(requests 'POST /snapshots ')" -eq "$before" ]
	[ -z "$(ls "$ACCLIMATE_STORE"/exports/*.journal 2>/dev/null)" ]
}

@test "an export that is killed goes on where it was" {
	fault add stall --service ebs --match 'PUT .*/blocks/1400'
	catalog export box --to ec2 -q --no-register --workers 1 3>&- &
	pid=$!
	for _ in $(seq 600); do
		[ "$(cat "$ACCLIMATE_STORE"/exports/*.journal 2>/dev/null | wc -l)" -lt 5 ] || break
		sleep 0.1
	done
	kill -9 "$pid"
	wait "$pid" || true
	fault clear
	out=$(catalog export box --to ec2 -q --no-register -o json)
	snapshot_is "$(echo "$out" | field snapshots)" "$RAW"
	[ "$(echo "$out" | field resumed-bytes)" -gt 0 ]
}

@test "against a parent only what differs is sent, and what became zero" {
	parent=$(catalog export box --to ec2 -q --no-register)
	catalog clone box work
	qemu-io -c "write -P 5 50M 1M" -c "write -z 700M 1M" "$(path_of work)" >/dev/null
	catalog commit work box-2
	before=$(requests 'PUT /snapshots')
	out=$(catalog export box-2 --to ec2 -q --no-register --parent "$parent" -o json)
	qemu-img convert -O raw "$(path_of box-2)" "$BATS_TEST_TMPDIR/raw"
	snapshot_is "$(echo "$out" | field snapshots)" "$BATS_TEST_TMPDIR/raw"
	# Two blocks of data, two of zeros.
	[ "$(($(requests 'PUT /snapshots') - before))" -eq 4 ]
	# And so on: a snapshot of a snapshot.
	out=$(catalog export box --to ec2 -q --no-register --parent "$(echo "$out" | field snapshots)" -o json)
	snapshot_is "$(echo "$out" | field snapshots)" "$RAW"
	fails "not made from this store" catalog export box --to ec2 -q --parent snap-0123456789abcdef0
}

@test "a bundle that EC2 registers, and that catalog import opens" {
	mkdir -p "$BATS_TEST_TMPDIR/keys"
	tests/cloud/mkbundle --image "$RAW" --name x --out "$BATS_TEST_TMPDIR/b" --keys "$BATS_TEST_TMPDIR/keys" --part-size 10485760
	python3 -c 'import boto3, os; boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL_S3"]).create_bucket(Bucket="bundles")'
	k=$BATS_TEST_TMPDIR/keys
	out=$(catalog export box --to ec2 bundled -q -o json --bundle s3://bundles/some --user 1234-5678-9012 \
		--private-key "$k/user.key.pem" --cert "$k/user.cert.pem" --ec2cert "$k/user.cert.pem" \
		--acl none)
	[ "$(echo "$out" | field location)" = bundles/some/box.manifest.xml ]
	catalog import -q "$(echo "$out" | field image)" --name back --no-bootable \
		--private-key "$k/user.key.pem" --cert "$k/user.cert.pem" --require-signature
	fails "account" catalog export box --to ec2 x -q --bundle s3://bundles/x \
		--private-key "$k/user.key.pem" --cert "$k/user.cert.pem" --ec2cert "$k/user.cert.pem"
	fails "ec2cert" catalog export box --to ec2 x -q --bundle s3://bundles/x --user 123456789012 \
		--private-key "$k/user.key.pem" --cert "$k/user.cert.pem"
}

@test "an object of S3, in parts where it is large" {
	python3 -c 'import boto3, os; boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL_S3"]).create_bucket(Bucket="files")'
	catalog export box --to s3 s3://files/box.qcow2 -q
	catalog export box --to s3 s3://files/box.raw --format raw -q
	grep -q 'partNumber=3' "$CLOUD/log/requests.log"
	python3 -c 'import boto3, os, sys; s = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL_S3"])
s.download_file("files", "box.qcow2", sys.argv[1] + "/q"); s.download_file("files", "box.raw", sys.argv[1] + "/r")' "$BATS_TEST_TMPDIR"
	cmp "$RAW" "$BATS_TEST_TMPDIR/r"
	qemu-img compare -q "$BATS_TEST_TMPDIR/q" -F raw "$RAW"
	fails "there already" catalog export box --to s3 s3://files/box.raw -q
	fault add status --service s3 --match 'partNumber=2' --status 403
	fails "part 2" catalog export box --to s3 s3://files/other.raw --format raw -q
	fault clear
	[ "$(python3 -c 'import boto3, os; print(len(boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL_S3"]).list_multipart_uploads(Bucket="files").get("Uploads", [])))')" -eq 0 ]
}
