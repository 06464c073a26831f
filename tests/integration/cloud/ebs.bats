#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The EBS direct APIs of the loopback cloud do what the real ones do; botocore is the client.

load helper

setup_file() {
	start_cloud
}

teardown_file() {
	stop_cloud
}

@test "a snapshot is written, completed with its LINEAR checksum, listed and read" {
	prove ebs round_trip
}

@test "ListSnapshotBlocks pages, also with empty pages, and keeps to its limits" {
	prove ebs paging
}

@test "block and page tokens are good for one thing, and for a time" {
	prove ebs tokens
}

@test "PutSnapshotBlock refuses wrong checksums, lengths and places" {
	prove ebs put_refused
}

@test "StartSnapshot is idempotent by its client token and checks its parameters" {
	prove ebs start
}

@test "ListChangedBlocks tells parent and child apart" {
	prove ebs changed
}

@test "others' snapshots are refused unless shared, unknown ones not found" {
	prove ebs whose
}

@test "EBS takes good signatures and refuses bad ones" {
	prove ebs signatures
}
