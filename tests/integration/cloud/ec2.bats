#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The EC2 endpoint of the loopback cloud does what EC2 does; botocore is the client.

load helper

setup_file() {
	"$TOP/tests/cloud/mksample" --out "$BATS_FILE_TMPDIR/sample"
	start_cloud
	prove_all ec2
}

teardown_file() {
	stop_cloud
}

@test "EC2 takes good signatures and refuses bad ones" {
	prove signatures
}

@test "EC2 refuses a clock that is 16 minutes off" {
	prove skewed_clock
}

@test "EC2 refuses a request that was changed after it was signed" {
	prove tampered_requests
}

@test "EC2's documents and errors have the shapes of the real ones" {
	prove documents
}

@test "DescribeImages by id: not found, malformed, unavailable, another's, other states" {
	prove image_ids
}

@test "DescribeImages by owner and by who may use it" {
	prove owners
}

@test "DescribeImages knows the filters and their wildcards" {
	prove filters
}

@test "a deprecated image is shown to its owner or on request" {
	prove deprecated
}

@test "DescribeImages pages with MaxResults and NextToken" {
	prove paging
}

@test "DescribeSnapshots shows what is the caller's or shared with him" {
	prove snapshots
}

@test "RegisterImage checks its parameters and the manifest in S3" {
	prove register
}

@test "the switches for images refuse what makes no sense" {
	prove switches
}

@test "awscli lists images with filters" {
	use_cloud
	run aws --endpoint-url "$AWS_ENDPOINT_URL_EC2" ec2 describe-images --filters 'Name=name,Values=page-0*' \
		--query 'Images[].Name' --output text
	[ "$status" = 0 ]
	[ "$(wc -w <<<"$output")" = 10 ]
	AWS_SECRET_ACCESS_KEY=wrong run aws --endpoint-url "$AWS_ENDPOINT_URL_EC2" ec2 describe-images
	[ "$status" != 0 ]
	[[ $output == *SignatureDoesNotMatch* ]]
}

@test "CopyImage makes one copy for a token, with tags; DeleteSnapshot spares what is in use" {
	prove copying
}
