#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The EBS direct APIs of the loopback cloud do what the real ones do; botocore is the client.

load helper

setup_file() {
	start_cloud
	prove_all ebs
}

teardown_file() {
	stop_cloud
}

@test "a snapshot is written, completed with its LINEAR checksum, listed and read" {
	prove round_trip
}

@test "ListSnapshotBlocks pages, also with empty pages, and keeps to its limits" {
	prove paging
}

@test "block and page tokens are good for one thing, and for a time" {
	prove tokens
}

@test "PutSnapshotBlock refuses wrong checksums, lengths and places" {
	prove put_refused
}

@test "StartSnapshot is idempotent by its client token and checks its parameters" {
	prove start
}

@test "ListChangedBlocks tells parent and child apart" {
	prove changed
}

@test "others' snapshots are refused unless shared, unknown ones not found" {
	prove whose
}

@test "EBS takes good signatures and refuses bad ones" {
	prove signatures
}
