#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# S3 of the loopback cloud, Swift behind our proxy, does what S3 does; botocore and awscli are the clients.

load helper

setup_file() {
	start_cloud
	prove_all s3
}

teardown_file() {
	stop_cloud
}

@test "S3 takes good signatures and refuses bad ones" {
	prove signatures
}

@test "S3 names its region to who signed for another" {
	prove regions
}

@test "S3 refuses a clock that is 16 minutes off" {
	prove skewed_clock
}

@test "S3 keeps objects of any name, and knows Range and If-Match" {
	prove objects
}

@test "S3 takes multipart uploads and objects of their size" {
	prove multipart
}

@test "S3 keeps connections alive, and survives clients that go away" {
	prove keep_alive
}

@test "awscli copies a file up and down" {
	use_cloud
	head -c 9000000 /dev/urandom >"$BATS_TEST_TMPDIR/up"
	aws --endpoint-url "$AWS_ENDPOINT_URL_S3" s3 mb s3://awscli
	aws --endpoint-url "$AWS_ENDPOINT_URL_S3" s3 cp --quiet "$BATS_TEST_TMPDIR/up" s3://awscli/file
	aws --endpoint-url "$AWS_ENDPOINT_URL_S3" s3 cp --quiet s3://awscli/file "$BATS_TEST_TMPDIR/down"
	cmp "$BATS_TEST_TMPDIR/up" "$BATS_TEST_TMPDIR/down"
}
