#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Each fault of the loopback cloud is one that a client sees as it is meant.

load helper

setup_file() {
	start_cloud
	prove_all faults
}

teardown_file() {
	stop_cloud
}

@test "fault drop: the body ends early, against its Content-Length" {
	prove drop
}

@test "fault hangup: there is no answer" {
	prove hangup
}

@test "fault truncate: the body is short, and its Content-Length agrees" {
	prove truncate
}

@test "fault short: the body is short, without a Content-Length" {
	prove short
}

@test "fault corrupt: one byte is another" {
	prove corrupt
}

@test "fault checksum: a block comes with a wrong checksum" {
	prove wrong_checksum
}

@test "fault drip: the body is slow, but whole" {
	prove drip
}

@test "fault stall: headers and some bytes, then silence" {
	prove stall
}

@test "fault status: 500 and 503 with the services' error documents" {
	prove status
}

@test "faults throttle, expired, denied, missing: the errors of each service" {
	prove errors
}

@test "faults redirect and wrong-region: only until the request is signed for the region" {
	prove regions
}

@test "faults are matched, counted, listed and cleared" {
	prove matching
}

@test "faults that make no sense are refused" {
	prove wrong_switches
}

@test "the log of requests names the faults" {
	prove log
}
