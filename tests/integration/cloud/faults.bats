#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Each fault of the loopback cloud is one that a client sees as it is meant.

load helper

setup_file() {
	start_cloud
}

teardown_file() {
	stop_cloud
}

teardown() {
	clear_faults
}

@test "fault drop: the body ends early, against its Content-Length" {
	prove faults drop
}

@test "fault hangup: there is no answer" {
	prove faults hangup
}

@test "fault truncate: the body is short, and its Content-Length agrees" {
	prove faults truncate
}

@test "fault short: the body is short, without a Content-Length" {
	prove faults short
}

@test "fault corrupt: one byte is another" {
	prove faults corrupt
}

@test "fault checksum: a block comes with a wrong checksum" {
	prove faults wrong_checksum
}

@test "fault drip: the body is slow, but whole" {
	prove faults drip
}

@test "fault stall: headers and some bytes, then silence" {
	prove faults stall
}

@test "fault status: 500 and 503 with the services' error documents" {
	prove faults status
}

@test "faults throttle, expired, denied, missing: the errors of each service" {
	prove faults errors
}

@test "faults redirect and wrong-region: only until the request is signed for the region" {
	prove faults regions
}

@test "faults are matched, counted, listed and cleared" {
	prove faults matching
}

@test "faults that make no sense are refused" {
	prove faults wrong_switches
}

@test "the log of requests names the faults" {
	prove faults log
}
